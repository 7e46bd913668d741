#include "api/api_impl.h"
#include "common/err.h"
#include "common/mem.h"
#include <inttypes.h>
#include <stdlib.h>

/*
 * Locks. Who has to wait does so where the command was proposed, with a place
 * in the queue under the token of the call. A call that ends without telling
 * its token gives the lock or the place back, unless it has an Idempotency-Key:
 * then its client may repeat it, and gets the token yet. What cannot be given
 * back, as this node does not lead any more, ends by its own deadline.
 */

#define LOCK_PREFIX_SIZE (sizeof("/lock/") - 1)

struct lock_work {
	uint64_t token;
	uint64_t looked_at; /* applied index at which the queue was looked at */
	bool asked;         /* a command may give, or have given, the token */
	bool keeps;         /* the client may repeat it */
};

/* One that goes back. */
struct lock_return {
	struct list link; /* in api->returned */
	struct node_write write;
	bool sent;
	struct buf name;
	uint64_t token;
};

static void
give_back(struct api *api, struct slice name, uint64_t token)
{
	struct lock_return *back = mem_zalloc(1, sizeof(*back));

	buf_append_slice(&back->name, name);
	back->token = token;
	list_push(&api->returned, &back->link);
}

static void
free_return(struct lock_return *back)
{
	list_remove(&back->link);
	buf_release(&back->name);
	free(back);
}

/* However it went: there is nobody to tell. */
static void
on_returned(struct node_write *write, enum node_outcome outcome,
    const struct kv_result *result)
{
	(void)outcome;
	(void)result;
	free_return(CONTAINER_OF(write, struct lock_return, write));
}

static void
send_return(struct api *api, struct lock_return *back)
{
	buf_reset(&api->command);
	kv_encode_unlock(
	    &api->command, NULL, buf_slice(&back->name), back->token);
	back->write.done = on_returned;
	back->sent = true;
	if (node_write(api->node, loop_now(api->loop), &back->write,
		buf_slice(&api->command)) != 0)
		free_return(back);
}

void
api_return_locks(struct api *api)
{
	struct list *node;
	struct list *following;

	LIST_EACH_SAFE(node, following, &api->returned) {
		struct lock_return *back =
		    CONTAINER_OF(node, struct lock_return, link);

		if (!back->sent)
			send_return(api, back);
	}
}

void
api_forget_locks(struct api *api)
{
	struct list *node;
	struct list *following;

	LIST_EACH_SAFE(node, following, &api->returned) {
		struct lock_return *back =
		    CONTAINER_OF(node, struct lock_return, link);

		if (back->sent)
			node_write_cancel(&back->write);
		free_return(back);
	}
}

/* ---- Taken ---- */

static bool
take_lock(struct api_call *call)
{
	return api_take_name(
	    call, LOCK_PREFIX_SIZE, KV_LOCK_NAME_SIZE_MAX, "lock's name");
}

static void
free_work(struct api_call *call)
{
	struct lock_work *work = call->work;

	if (work->asked && !work->keeps)
		give_back(call->api, buf_slice(&call->key), work->token);
	free(work);
}

static bool
propose_lock(struct api_call *call, struct buf *command)
{
	struct lock_work *work = call->work;
	struct kv_identity identity;

	if (!api_fits(call, 0))
		return false;
	work->asked = true;
	kv_encode_lock(command, api_get_identity(call, &identity),
	    &(struct kv_lock_request){
		.name = buf_slice(&call->key),
		.holder = call->request->body,
		.token = work->token,
		.ttl_us = call->query.ttl_us,
		.wait_us = call->query.wait_us,
	    });
	return true;
}

/* {"token":"...","fence":47,"name":"deploy","ttl":30} */
static void
reply_held(struct api_call *call, uint64_t fence)
{
	struct lock_work *work = call->work;
	struct buf *body = api_body(call->api);

	work->asked = false;
	buf_append_text(body, "{\"token\":\"");
	api_append_id(body, work->token);
	buf_printf(body, "\",\"fence\":%" PRIu64 ",", fence);
	api_append_bytes_member(body, "name", buf_slice(&call->key));
	buf_append_text(body, ",\"ttl\":");
	api_append_seconds(body, call->query.ttl_us);
	buf_append_text(body, "}\n");
	api_reply_text(call, 201, "application/json", buf_slice(body));
}

/* The time is over, or what an earlier request was given is `gone`. */
static void
fail_waited(struct api_call *call, bool gone)
{
	struct kv *kv = node_kv(call->api->node);
	struct api_problem *problem = api_problem(call->api, API_LOCK_HELD);
	struct kv_lock lock;
	int rc = kv_get_lock(kv, buf_slice(&call->key), &lock);

	if (rc != 0 && rc != ERR_NOT_FOUND) {
		api_fail_damaged(call, rc, "reading a lock");
		return;
	}
	buf_append_text(&problem->detail,
	    gone ? "the token of the first request neither holds the lock nor "
		   "waits for it any more"
		 : "the lock did not come in time");
	buf_append_text(
	    &problem->hint, gone ? "ask again, with another Idempotency-Key"
				 : "repeat it, with a longer wait if need be");
	if (rc == 0) {
		buf_append_text(&problem->members, ",");
		api_append_bytes_member(
		    &problem->members, "holder", lock.holder);
		api_problem_u64(problem, "fence", lock.fence);
	}
	api_reply_problem(call, problem);
}

/* It waits no more. */
static void
end_wait(struct api_call *call, bool gone)
{
	struct lock_work *work = call->work;

	api_cancel(call);
	if (call->api->draining) {
		api_fail(call, API_SHUTTING_DOWN, "ask another node",
		    "%s is shutting down", call->api->params.node);
		return;
	}
	work->keeps = false;
	fail_waited(call, gone);
}

/* Who holds the lock, is it this call's token? ERR_NOT_FOUND: that neither
 * holds it nor waits. */
static int
look_at_lock(struct api_call *call, struct kv_lock *ret_lock, bool *ret_holds)
{
	struct lock_work *work = call->work;
	struct kv *kv = node_kv(call->api->node);
	struct kv_lease lease;
	int rc = kv_get_lock(kv, buf_slice(&call->key), ret_lock);

	*ret_holds = rc == 0 && ret_lock->token == work->token;
	if (rc != 0 || *ret_holds)
		return rc;
	return kv_get_lease(kv, work->token, &lease);
}

/* Nothing changes but with what is applied. */
static bool
waited_lock(struct api_call *call, bool last)
{
	struct lock_work *work = call->work;
	struct kv *kv = node_kv(call->api->node);
	struct kv_lock lock;
	bool holds;
	int rc;

	if (!last && work->looked_at == kv_applied_index(kv))
		return false;
	work->looked_at = kv_applied_index(kv);
	rc = look_at_lock(call, &lock, &holds);
	if (rc == 0 && !holds && !last)
		return false;
	if (rc == ERR_NOT_FOUND || (rc == 0 && !holds)) {
		end_wait(call, rc == ERR_NOT_FOUND && call->replayed);
		return true;
	}
	api_cancel(call);
	if (rc == 0)
		reply_held(call, lock.fence);
	else
		api_fail_damaged(call, rc, "reading a lock");
	return true;
}

static void
applied_lock(struct api_call *call, const struct kv_result *result)
{
	struct lock_work *work = call->work;

	if (result->status != KV_OK)
		work->asked = false;
	if (api_fail_result(call, result))
		return;
	work->token = api_first_output(result).lease;
	/* What held it when it was first asked may do so no more. */
	if (result->succeeded && !result->replayed)
		reply_held(call, result->revision);
	else
		api_wait(call);
}

static bool
check_holder(struct api_call *call)
{
	struct api_problem *problem;

	if (call->request->body.size <= KV_LOCK_HOLDER_SIZE_MAX)
		return true;
	problem = api_problem(call->api, API_BODY_TOO_LARGE);
	buf_printf(&problem->detail,
	    "the body says who holds the lock, in up to %d bytes",
	    KV_LOCK_HOLDER_SIZE_MAX);
	api_problem_u64(problem, "limit", KV_LOCK_HOLDER_SIZE_MAX);
	api_reply_problem(call, problem);
	return false;
}

/* As many as may watch: both cost a connection and little else. */
static bool
check_waits(struct api_call *call)
{
	struct api *api = call->api;
	struct api_problem *problem;

	if (call->query.wait_us == 0 ||
	    api_count_call(
		call, &api->lock_waits_count, api->params.watchers_max))
		return true;
	problem = api_problem(api, API_TOO_MANY_WATCHERS);
	buf_printf(&problem->detail,
	    "%zu requests wait for locks at %s already", api->lock_waits_count,
	    api->params.node);
	buf_append_text(
	    &problem->hint, "ask another node, or raise http.max-watchers");
	api_problem_u64(problem, "limit", api->params.watchers_max);
	api_problem_text(problem, "option", "http.max-watchers");
	api_reply_problem(call, problem);
	return false;
}

void
api_lock_put(struct api_call *call)
{
	static const struct api_operation operation = {
		.propose = propose_lock,
		.applied = applied_lock,
		.waited = waited_lock,
	};
	struct slice identity =
	    http_request_header(call->request, "Idempotency-Key");
	struct lock_work *work;

	if (!take_lock(call) || !api_query_require(call, API_QUERY_TTL) ||
	    !check_holder(call) || !check_waits(call))
		return;
	work = mem_zalloc(1, sizeof(*work));
	work->token = api_draw_id(call->api);
	work->keeps = identity.data != NULL;
	call->work = work;
	call->work_free = free_work;
	/* Who was stopped holds no place in the queue. An answer that comes at
	 * once goes to one that only sends nothing more. */
	if (call->query.wait_us != 0)
		http_request_abandon_early(call->request);
	api_write(call, &operation);
}

/* ---- Released ---- */

static bool
propose_unlock(struct api_call *call, struct buf *command)
{
	struct kv_identity identity;

	kv_encode_unlock(command, api_get_identity(call, &identity),
	    buf_slice(&call->key), call->query.token);
	return true;
}

static void
applied_unlock(struct api_call *call, const struct kv_result *result)
{
	struct buf *body = api_body(call->api);

	if (api_fail_result(call, result))
		return;
	buf_append_text(body, "{\"released\":true,");
	api_append_bytes_member(body, "name", buf_slice(&call->key));
	buf_printf(body, ",\"deleted\":%" PRIu64 ",\"revision\":%" PRIu64 "}\n",
	    api_first_output(result).count, result->revision);
	api_reply_text(call, 200, "application/json", buf_slice(body));
}

void
api_lock_delete(struct api_call *call)
{
	static const struct api_operation operation = {
		.propose = propose_unlock,
		.applied = applied_unlock,
	};

	if (take_lock(call) && api_query_require(call, API_QUERY_TOKEN))
		api_write(call, &operation);
}

/* ---- Shown ---- */

static void
reply_lock(struct api_call *call, const struct kv_lock *lock)
{
	struct api *api = call->api;
	struct buf *body = api_body(api);

	buf_append_text(body, "{");
	api_append_bytes_member(body, "name", buf_slice(&call->key));
	buf_append_text(body, ",");
	api_append_bytes_member(body, "holder", lock->holder);
	buf_printf(body, ",\"fence\":%" PRIu64 ",\"ttl\":", lock->fence);
	api_append_seconds(body, lock->ttl_us);
	buf_append_text(body, ",\"remaining\":");
	api_append_seconds(body, api_ttl_us(api, lock->deadline_us));
	buf_printf(body, ",\"waiting\":%" PRIu64 "}\n", lock->waiting_count);
	api_reply_text(call, 200, "application/json", buf_slice(body));
}

static void
serve_lock(struct api_call *call)
{
	struct kv_lock lock;
	int rc =
	    kv_get_lock(node_kv(call->api->node), buf_slice(&call->key), &lock);

	if (rc == 0)
		reply_lock(call, &lock);
	else if (rc == ERR_NOT_FOUND)
		api_fail(call, API_LOCK_NOT_FOUND,
		    "PUT /lock/NAME?ttl=30s takes it", "the lock is free");
	else
		api_fail_damaged(call, rc, "reading a lock");
}

void
api_lock_get(struct api_call *call)
{
	static const struct api_operation operation = {
		.serve = serve_lock,
		.waited = api_read_waited,
	};

	if (take_lock(call))
		api_read(call, &operation);
}
