#include "tests/unit/watch_client.h"
#include "common/macros.h"
#include "common/mem.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Of passes, for what must not come. */
#define SILENT_PASSES 20

struct watch_client
watch_client_send(struct site *site, const char *target, const char *headers)
{
	struct watch_client client = { .world = site->world };

	client.fd = site_send(site, "GET", target, headers, slice_of(NULL, 0));
	buf_append(&client.text, "", 1);
	return client;
}

struct watch_client
watch_client_open(struct site *site, const char *target, const char *headers)
{
	struct watch_client client = watch_client_send(site, target, headers);

	for (int i = 0; i < WORLD_PASSES_MAX && client.head.size == 0; i++) {
		world_pass(client.world);
		watch_client_receive(&client);
	}
	ck_assert_uint_gt(client.head.size, 0);
	ck_assert_msg(
	    strncmp((const char *)client.head.data, "HTTP/1.1 200", 12) == 0,
	    "%s%s", (const char *)client.head.data,
	    (const char *)client.raw.data);
	return client;
}

void
watch_client_close(struct watch_client *client)
{
	close(client->fd);
	buf_release(&client->raw);
	buf_release(&client->head);
	buf_release(&client->text);
	buf_release(&client->line);
}

static void
take_head(struct watch_client *client)
{
	const char *end;
	size_t size;

	if (client->head.size > 0 || client->raw.size == 0)
		return;
	end = memmem(client->raw.data, client->raw.size, "\r\n\r\n", 4);
	if (end == NULL)
		return;
	size = (size_t)((const uint8_t *)end - client->raw.data) + 4;
	buf_append(&client->head, client->raw.data, size);
	buf_append(&client->head, "", 1);
	buf_drain(&client->raw, size);
}

/* RFC 9112, 7.1. */
static bool
take_chunk(struct watch_client *client)
{
	const struct buf *raw = &client->raw;
	const uint8_t *line =
	    raw->size == 0 ? NULL : memchr(raw->data, '\n', raw->size);
	size_t head;
	size_t size;

	if (line == NULL || client->ended)
		return false;
	head = (size_t)(line - raw->data) + 1;
	size = strtoul((const char *)raw->data, NULL, 16);
	if (raw->size < head + size + 2)
		return false;
	ck_assert_int_eq(memcmp(raw->data + head + size, "\r\n", 2), 0);
	client->text.size--;
	buf_append(&client->text, raw->data + head, size);
	buf_append(&client->text, "", 1);
	client->ended = size == 0;
	buf_drain(&client->raw, head + size + 2);
	return true;
}

void
watch_client_receive(struct watch_client *client)
{
	char bytes[16384];
	ssize_t size;

	while ((size = recv(client->fd, bytes, sizeof(bytes), 0)) > 0)
		buf_append(&client->raw, bytes, (size_t)size);
	ck_assert(size == 0 || errno == EAGAIN || errno == ECONNRESET);
	take_head(client);
	if (client->head.size > 0) {
		while (take_chunk(client)) {
		}
	}
	client->cut = size == 0 && !client->ended;
}

static bool
take_line(struct watch_client *client)
{
	const char *start = (const char *)client->text.data + client->taken;
	const char *end = strchr(start, '\n');

	if (end == NULL)
		return false;
	buf_reset(&client->line);
	buf_append(&client->line, start, (size_t)(end - start));
	buf_append(&client->line, "", 1);
	client->taken += (size_t)(end - start) + 1;
	return true;
}

const char *
watch_client_line(struct watch_client *client)
{
	for (int i = 0; i < WORLD_PASSES_MAX; i++) {
		if (take_line(client))
			return (const char *)client->line.data;
		ck_assert_msg(!client->ended && !client->cut,
		    "it ended behind %s", (const char *)client->text.data);
		world_pass(client->world);
		watch_client_receive(client);
	}
	ck_abort_msg("no line came");
	return NULL;
}

void
watch_client_expect(struct watch_client *client, const char *line)
{
	ck_assert_str_eq(watch_client_line(client), line);
}

void
watch_client_expect_end(struct watch_client *client)
{
	for (int i = 0; i < WORLD_PASSES_MAX && !client->ended; i++) {
		world_pass(client->world);
		watch_client_receive(client);
	}
	ck_assert(client->ended);
	ck_assert_str_eq((const char *)client->text.data + client->taken, "");
}

void
watch_client_expect_silence(struct watch_client *client)
{
	for (int i = 0; i < SILENT_PASSES; i++) {
		world_pass(client->world);
		watch_client_receive(client);
	}
	ck_assert(!client->ended && !client->cut);
	ck_assert_str_eq((const char *)client->text.data + client->taken, "");
}

const char *
watch_client_header(const struct watch_client *client, const char *name)
{
	struct reply reply = {
		.text = (char *)client->head.data,
		.body = slice_of(client->head.data + client->head.size - 1, 0),
	};

	return reply_header(&reply, name);
}

uint64_t
watch_client_number(const char *line, const char *name)
{
	const char *at = strstr(line, name);

	ck_assert_msg(at != NULL, "no %s in %s", name, line);
	return strtoull(at + strlen(name), NULL, 10);
}

const char *
watch_client_read_to_end(struct watch_client *client, const char *type,
    uint64_t *ret_revision, unsigned *ret_count)
{
	bool more = false;

	*ret_count = 0;
	for (;;) {
		const char *line = watch_client_line(client);

		if (strstr(line, "\"type\":\"put\"") == NULL) {
			ck_assert_ptr_nonnull(strstr(line, type));
			/* A revision is there whole. */
			ck_assert(!more);
			return line;
		}
		*ret_revision = watch_client_number(line, "\"revision\":");
		more = strstr(line, "\"more\":true") != NULL;
		(*ret_count)++;
	}
}

/* ---- Commands ---- */

struct command {
	struct node_write write;
	bool done;
	enum node_outcome outcome;
};

static void
on_done(struct node_write *write, enum node_outcome outcome,
    const struct kv_result *result)
{
	struct command *command = CONTAINER_OF(write, struct command, write);

	if (outcome == NODE_DONE)
		ck_assert_int_eq(result->status, KV_OK);
	command->done = true;
	command->outcome = outcome;
}

bool
world_command(struct world *world, struct slice bytes)
{
	struct command command = { .write.done = on_done };
	struct site *leader;

	while ((leader = world_leader(world)) == NULL)
		world_pass(world);
	ck_assert_int_eq(node_write(leader->node, loop_now(world->loop),
			     &command.write, bytes),
	    0);
	for (int i = 0; i < WORLD_PASSES_MAX && !command.done; i++)
		world_pass(world);
	ck_assert(command.done);
	return command.outcome == NODE_DONE;
}

void
world_put_together(struct world *world, const char *const *keys)
{
	struct buf command = { 0 };

	kv_encode_transaction(&command, NULL);
	for (; *keys != NULL; keys++) {
		struct kv_op op = {
			.kind = KV_PUT,
			.key = slice_from_text(*keys),
			.value = slice_from_text(*keys),
		};

		kv_encode_op(&command, KV_THEN, &op);
	}
	ck_assert(world_command(world, buf_slice(&command)));
	buf_release(&command);
}

void
world_put_large(struct world *world)
{
	struct buf command = { 0 };
	char value[1000];

	memset(value, 'v', sizeof(value));
	kv_encode_put(
	    &command, slice_from_text("large"), slice_of(value, sizeof(value)));
	ck_assert(world_command(world, buf_slice(&command)));
	buf_release(&command);
}

static void
encode_copies(struct buf *command, unsigned number)
{
	kv_encode_transaction(command, NULL);
	for (unsigned i = 0; i < WORLD_COPIES; i++) {
		char key[32];
		struct kv_op op = {
			.kind = KV_COPY,
			.key = slice_from_text("large"),
		};

		snprintf(key, sizeof(key), "copy/%05u/%02u", number, i);
		op.other = slice_from_text(key);
		kv_encode_op(command, KV_THEN, &op);
	}
}

void
world_copy_large(struct world *world, unsigned number)
{
	struct buf command = { 0 };

	encode_copies(&command, number);
	ck_assert(world_command(world, buf_slice(&command)));
	buf_release(&command);
}

void
world_copy_at_once(struct world *world, unsigned count)
{
	struct command *commands = mem_zalloc(count, sizeof(*commands));
	struct site *leader = world_leader(world);
	struct buf bytes = { 0 };

	for (unsigned i = 0; i < count; i++) {
		buf_reset(&bytes);
		encode_copies(&bytes, i);
		commands[i].write.done = on_done;
		ck_assert_int_eq(node_write(leader->node, loop_now(world->loop),
				     &commands[i].write, buf_slice(&bytes)),
		    0);
	}
	for (int i = 0; i < WORLD_PASSES_MAX && !commands[count - 1].done; i++)
		world_pass(world);
	for (unsigned i = 0; i < count; i++)
		ck_assert(commands[i].done && commands[i].outcome == NODE_DONE);
	free(commands);
	buf_release(&bytes);
}

void
world_fill(struct world *world)
{
	world_put_large(world);
	for (unsigned i = 0; i < 300; i++)
		world_copy_large(world, i);
}

void
world_compact(struct world *world, uint64_t revision)
{
	struct buf command = { 0 };

	kv_encode_compact(&command, revision, 1000000);
	ck_assert(world_command(world, buf_slice(&command)));
	buf_release(&command);
}

static bool
is_converged(const struct world *world)
{
	uint64_t applied = 0;

	for (unsigned i = 0; i < world->count; i++) {
		const struct site *site = &world->site[i];
		uint64_t index;

		if (site->dead || site->frozen)
			continue;
		index = kv_applied_index(node_kv(site->node));
		if (applied != 0 && index != applied)
			return false;
		applied = index;
	}
	return true;
}

void
world_converge(struct world *world)
{
	for (int i = 0; i < WORLD_PASSES_MAX && !is_converged(world); i++)
		world_pass(world);
	ck_assert(is_converged(world));
}
