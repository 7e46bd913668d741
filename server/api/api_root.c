#include "api/api_impl.h"

/* The cheat sheet: lines to paste. %s is host:port as the client wrote it. */
static const char sheet[] =
    "luminous %1$s, node %2$s of cluster %3$s\n"
    "\n"
    "  write     curl -fsS -T - %4$s/kv/app/greeting <<< hello\n"
    "  from file curl -fsS -T cert.pem %4$s/kv/app/cert\n"
    "  read      curl -fsS %4$s/kv/app/greeting\n"
    "  as JSON   curl -fsS -H 'Accept: application/json' "
    "%4$s/kv/app/greeting\n"
    "  local     curl -fsS '%4$s/kv/app/greeting?consistency=stale'\n"
    "  if new    curl -fsS --etag-save e --etag-compare e "
    "%4$s/kv/app/greeting\n"
    "  wait      curl -fsS --etag-save e --etag-compare e "
    "'%4$s/kv/app/greeting?wait=60s'\n"
    "  swap      curl -fsS -X PUT -H 'If-Match: 17' -d new "
    "%4$s/kv/app/greeting\n"
    "  create    curl -fsS -X PUT -H 'If-None-Match: *' -d me "
    "%4$s/kv/owner\n"
    "  count     curl -fsS -X POST '%4$s/kv/hits?op=incr&by=1'\n"
    "  delete    curl -fsS -X DELETE %4$s/kv/app/greeting\n"
    "  list      curl -fsS '%4$s/kv?prefix=app/'   also keys, count, at=17\n"
    "  watch     curl -fsSN '%4$s/watch?prefix=app/&since=17'\n"
    "  txn       curl -fsS --json "
    "'{\"if\":[{\"key\":\"a\",\"exists\":false}],"
    "\"then\":[{\"put\":\"a\",\"value\":\"1\"}]}' %4$s/txn\n"
    "  expire    curl -fsS -X PUT -d here '%4$s/kv/svc/web1?ttl=30s'\n"
    "  lease     curl -fsS -X POST '%4$s/lease?ttl=15s'\n"
    "  lock      curl -fsS -X PUT -d me '%4$s/lock/deploy?ttl=30s&wait=60s'\n"
    "  renew     curl -fsS -X POST '%4$s/lease/TOKEN?op=renew'\n"
    "  release   curl -fsS -X DELETE '%4$s/lock/deploy?token=TOKEN'\n"
    "  copy all  curl -fsS %4$s/export | curl -fsS -T - OTHER/import\n"
    "\n"
    "  cluster   curl -fsS -H 'Accept: text/plain' %4$s/cluster\n"
    "  add       curl -fsS -X POST "
    "'%4$s/cluster/members?name=n4&address=10.0.0.4:5864'\n"
    "  replace   curl -fsS -X POST "
    "'%4$s/cluster/replace?old=n3&new=n4&address=10.0.0.4:5864'\n"
    "  remove    curl -fsS -X DELETE %4$s/cluster/members/n3\n"
    "  hand over curl -fsS -X POST %4$s/cluster/leader\n"
    "  health    curl -fsS '%4$s/readyz?verbose'   also /livez /leader\n"
    "  metrics   curl -fsS %4$s/metrics\n"
    "\n"
    "Any node takes any request. A key is 1 to 480 bytes, percent-encoded in\n"
    "the path. ?timeout=2s bounds the wait. 503: not applied, repeat it; 504:\n"
    "applied or not, GET the key, or repeat it with its Idempotency-Key.\n";

#define HOST_SIZE_MAX 255

static bool
is_host_byte(uint8_t byte)
{
	return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
	       (byte >= '0' && byte <= '9') || byte == '.' || byte == '-' ||
	       byte == ':' || byte == '[' || byte == ']';
}

/* What is pasted into a shell must be nothing but a host. */
static bool
is_host(struct slice text)
{
	for (size_t i = 0; i < text.size; i++) {
		if (!is_host_byte(text.data[i]))
			return false;
	}
	return text.size > 0 && text.size <= HOST_SIZE_MAX;
}

void
api_root_get(struct api_call *call)
{
	struct slice host = http_request_header(call->request, "Host");
	const struct api_params *params = &call->api->params;
	struct buf *body = api_body(call->api);
	char place[HOST_SIZE_MAX + 1] = "localhost:5864";

	if (is_host(host)) {
		memcpy(place, host.data, host.size);
		place[host.size] = '\0';
	}
	buf_printf(
	    body, sheet, params->version, params->node, params->cluster, place);
	api_reply_text(call, 200, "text/plain; charset=utf-8", buf_slice(body));
}
