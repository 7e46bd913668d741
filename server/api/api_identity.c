#include "api/api_impl.h"
#include "common/hash.h"
#include "net/http_uri.h"

/*
 * Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): the client's
 * name for a request, by which a repeat is known as one.
 */

static const char header[] = "Idempotency-Key";

bool
api_check_identity(struct api_call *call)
{
	struct slice key = http_request_header(call->request, header);
	bool sound = key.size >= 1 && key.size <= KV_IDENTITY_SIZE_MAX;

	if (key.data == NULL)
		return true;
	if (api_is_given_twice(call->request, header)) {
		api_fail(call, API_BAD_REQUEST, "send one for each request",
		    "%s is given twice", header);
		return false;
	}
	for (size_t i = 0; i < key.size && sound; i++)
		sound = key.data[i] > 0x20 && key.data[i] < 0x7f;
	if (!sound)
		api_fail(call, API_BAD_REQUEST,
		    "a UUID is a good one, another for each request",
		    "%s takes 1 to %d visible ASCII characters", header,
		    KV_IDENTITY_SIZE_MAX);
	return sound;
}

static uint64_t
digest_header(
    uint64_t digest, const struct http_request *request, const char *name)
{
	return hash64(digest, http_request_header(request, name));
}

/* Where to ask and how long to wait may be another in a repeat. */
static bool
is_of_transport(struct slice name)
{
	return slice_equal(name, slice_from_text("timeout")) ||
	       slice_equal(name, slice_from_text("redirect"));
}

/*
 * Each step begins with what the one before came to, so that "ab", "c" and
 * "a", "bc" differ. Accept and Prefer are not in it: they are about the answer
 * alone, and a repeat gets it in the form that it asks for.
 */
static uint64_t
digest_of(const struct http_request *request)
{
	struct http_query_parameter parameter;
	struct slice rest = request->query;
	uint64_t digest =
	    hash64(0, slice_from_text(http_method_name(request->method)));

	digest = hash64(digest, request->path);
	while (http_query_next(&rest, &parameter)) {
		if (is_of_transport(parameter.name))
			continue;
		digest = hash64(digest, parameter.name);
		digest = hash64(digest, parameter.value);
	}
	digest = digest_header(digest, request, "If-Match");
	digest = digest_header(digest, request, "If-None-Match");
	digest = digest_header(digest, request, "Content-Type");
	return hash64(digest, request->body);
}

const struct kv_identity *
api_get_identity(const struct api_call *call, struct kv_identity *ret_identity)
{
	struct slice key = http_request_header(call->request, header);

	if (key.data == NULL)
		return NULL;
	*ret_identity = (struct kv_identity){
		.key = key,
		.digest = digest_of(call->request),
	};
	return ret_identity;
}
