#include "api/api_impl.h"
#include "common/err.h"
#include "common/text.h"
#include <inttypes.h>

/* How a key is shown, and the numbers that go with it. */

#define ID_DIGITS 16

/* What a browser may be shown as such without harm; see api_impl.h. */
static const char *const content_types[KV_CONTENT_TYPES_COUNT] = {
	[KV_CONTENT_NONE] = NULL,
	[KV_CONTENT_TEXT] = "text/plain",
	[KV_CONTENT_JSON] = "application/json",
	[KV_CONTENT_OCTETS] = "application/octet-stream",
	[KV_CONTENT_PEM] = "application/x-pem-file",
};

const char *
api_content_type_text(enum kv_content_type type)
{
	return content_types[type];
}

enum kv_content_type
api_parse_content_type(struct slice text)
{
	const uint8_t *end =
	    text.size == 0 ? NULL : memchr(text.data, ';', text.size);

	if (end != NULL)
		text.size = (size_t)(end - text.data);
	while (text.size > 0 && text.data[text.size - 1] == ' ')
		text.size--;
	for (unsigned type = 1; type < KV_CONTENT_TYPES_COUNT; type++) {
		if (http_name_is(text, content_types[type]))
			return (enum kv_content_type)type;
	}
	return KV_CONTENT_NONE;
}

void
api_append_seconds(struct buf *to, uint64_t us)
{
	uint64_t ms = us / 1000 + (us % 1000 != 0 ? 1 : 0);
	unsigned fraction = (unsigned)(ms % 1000);
	int digits = 3;

	buf_append_u64(to, ms / 1000);
	if (fraction == 0)
		return;
	while (fraction % 10 == 0) {
		fraction /= 10;
		digits--;
	}
	buf_printf(to, ".%0*u", digits, fraction);
}

uint64_t
api_ttl_us(struct api *api, uint64_t deadline_us)
{
	uint64_t now_us = node_cluster_time(api->node, loop_now(api->loop));

	return deadline_us > now_us ? deadline_us - now_us : 1;
}

void
api_append_id(struct buf *to, uint64_t id)
{
	buf_printf(to, "%016" PRIx64, id);
}

bool
api_parse_id(struct slice text, uint64_t *ret_id)
{
	uint8_t bytes[ID_DIGITS / 2];
	uint64_t id = 0;

	if (text.size != ID_DIGITS ||
	    text_parse_hex(text, bytes, sizeof(bytes)) != 0)
		return false;
	for (size_t i = 0; i < sizeof(bytes); i++)
		id = id << 8 | bytes[i];
	*ret_id = id;
	return id != 0;
}

uint64_t
api_item_deadline(struct api *api, const struct kv_item *item)
{
	uint64_t deadline_us = 0;
	int rc = kv_get_deadline(node_kv(api->node), item, &deadline_us);

	if (rc == 0)
		return deadline_us;
	if (rc != ERR_NOT_FOUND)
		node_fail(api->node, rc, "reading a deadline");
	return 0;
}

/* 0: it has none. */
static void
append_lifetime(struct buf *to, uint64_t ttl_us, uint64_t lease)
{
	if (ttl_us != 0) {
		buf_append_text(to, ",\"ttl\":");
		api_append_seconds(to, ttl_us);
	}
	if (lease != 0) {
		buf_append_text(to, ",\"lease\":\"");
		api_append_id(to, lease);
		buf_append_text(to, "\"");
	}
}

/* `value` NULL: it is not shown. */
static void
append_key(struct buf *to, struct slice key, const struct slice *value)
{
	api_append_bytes_member(to, "key", key);
	if (value == NULL)
		return;
	buf_append_text(to, ",");
	api_append_bytes_member(to, "value", *value);
}

static void
append_revisions(
    struct buf *to, uint64_t modified, uint64_t created, uint64_t version)
{
	/* No printf: it is in every answer, and in every line of a list. */
	buf_append_text(to, ",\"revision\":");
	buf_append_u64(to, modified);
	buf_append_text(to, ",\"created\":");
	buf_append_u64(to, created);
	buf_append_text(to, ",\"version\":");
	buf_append_u64(to, version);
}

void
api_append_item(struct api *api, struct buf *to, struct slice key,
    const struct kv_item *item, unsigned flags)
{
	const char *type = api_content_type_text(item->content_type);
	uint64_t deadline_us =
	    (flags & API_ITEM_PAST) != 0 ? 0 : api_item_deadline(api, item);

	append_key(
	    to, key, (flags & API_ITEM_VALUE) != 0 ? &item->value : NULL);
	append_revisions(to, item->modified, item->created, item->version);
	append_lifetime(to, deadline_us == 0 ? 0 : api_ttl_us(api, deadline_us),
	    item->lease);
	if ((flags & API_ITEM_CONTENT_TYPE) != 0 && type != NULL)
		buf_printf(to, ",\"content_type\":\"%s\"", type);
}

void
api_append_output(
    struct buf *to, const struct kv_output *output, bool with_value)
{
	append_key(to, output->key,
	    with_value && output->has_value ? &output->value : NULL);
	append_revisions(
	    to, output->modified, output->created, output->version);
	append_lifetime(to, output->ttl_us, output->lease);
}
