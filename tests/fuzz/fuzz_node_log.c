/*
 * The records of a node's log store: identity, hard state, noted members and
 * entries of a log that is real, damaged as the input says. Without a seal
 * (that is a right checksum) over the damage, all that is still read is what
 * was written; with one, it is read or refused by name. What was cut is told as
 * lost, and the log behind a repair is sound.
 */

#include "common/codec.h"
#include "common/hash.h"
#include "common/macros.h"
#include "common/panic.h"
#include "node/node_identity.h"
#include "node/node_log_impl.h"
#include "node/node_members.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/log_site.h"

#define ENTRIES_COUNT 8
/* A sealed hard state may name ends that take days to be cut. */
#define INDEX_MAX 1000

static struct store_mem_disk *original;
static struct node_identity identity;

struct opened {
	bool sealed;
	raft_index visited;
};

/* ---- What there is ---- */

static void
write_log(struct log_site *site)
{
	static const uint8_t note[] = { 0, 0, 0, 0, 0, 0, 0, 2, 'm' };

	log_site_append(site, 1, ENTRIES_COUNT / 2);
	node_log_note_members(site->log, slice_of(note, sizeof(note)));
	ASSERT(log_site_commit(site, 1, 0) == 0);
	log_site_append(site, 3, ENTRIES_COUNT / 2);
	ASSERT(log_site_commit(site, 3, 0) == 0);
}

static void
set_up(void)
{
	struct log_site site;

	if (original != NULL)
		return;
	identity = (struct node_identity){ .stage = NODE_STAGE_MEMBER,
		.cluster = "luminous",
		.name = "n1",
		.id = 1,
		.incarnation = 3,
		.boot_ids = { 7, 6, 5 },
		.generation = 1,
		.members = { .count = 1,
		    .member = { { .id = 1,
			.name = "n1",
			.address = "127.0.0.1:5864" } } } };
	log_site_set_up(&site);
	ASSERT(node_identity_save(site.store, &identity) == 0);
	write_log(&site);
	original = store_mem_disk_clone(site.disk);
	log_site_tear_down(&site);
}

/* ---- Damage ---- */

/* One of its records; the key of an entry is in `memory`. */
static struct slice
choose_record(struct slice *input, uint8_t memory[8], store_table *ret_table)
{
	unsigned choice = fuzz_take_below(input, ENTRIES_COUNT + 3);

	*ret_table = choice == 0  ? NODE_TABLE_IDENTITY
		     : choice < 3 ? NODE_TABLE_STATE
				  : NODE_TABLE_LOG;
	if (choice == 0)
		return slice_from_text("identity");
	if (choice == 1)
		return node_log_state_key();
	if (choice == 2)
		return node_log_members_key();
	return log_site_key(memory, choice - 2);
}

static void
get_record(struct store_mem_disk *disk, store_table table, struct slice key,
    struct buf *ret_bytes)
{
	struct store *store = store_mem_open(disk);
	struct store_txn *txn;
	struct slice bytes;

	ASSERT(store_begin(store, false, &txn) == 0);
	if (store_get(txn, table, key, &bytes) == 0)
		buf_append_slice(ret_bytes, bytes);
	store_abort(txn);
	store_close(store);
}

static void
seal(struct buf *bytes)
{
	if (bytes->size < 4)
		return;
	codec_store_u32(bytes->data + bytes->size - 4,
	    crc32c(0, slice_of(bytes->data, bytes->size - 4)));
}

/* True if it was sealed. */
static bool
damage_record(struct slice *input, struct store_mem_disk *disk)
{
	uint8_t memory[8];
	store_table table;
	struct slice key = choose_record(input, memory, &table);
	unsigned how = fuzz_take_u8(input);
	struct buf bytes = { 0 };
	bool sealed = how % 4 == 1;
	struct node_record record;
	bool changed;
	bool sound;

	get_record(disk, table, key, &bytes);
	/* Damage to what is damaged may make it whole again. */
	sound = table == NODE_TABLE_LOG &&
		node_record_decode(buf_slice(&bytes), &record) == 0;
	if (how % 4 == 2)
		bytes.size = MIN(bytes.size, how / 4);
	else if (how % 4 == 3)
		buf_append_slice(&bytes, fuzz_take(input, how / 4));
	changed = fuzz_damage(input, &bytes) && how % 4 == 0;
	if (sealed)
		seal(&bytes);
	if (changed && sound)
		ASSERT(node_record_decode(buf_slice(&bytes), &record) ==
		       ERR_CORRUPT);
	if (how == 255)
		(void)store_mem_replace(disk, table, key, slice_of(NULL, 0));
	else if (bytes.size != 0)
		(void)store_mem_replace(disk, table, key, buf_slice(&bytes));
	buf_release(&bytes);
	return sealed;
}

/* ---- What must be true ---- */

static int
visit(void *context, const struct node_record *record, uint32_t size)
{
	struct opened *opened = context;

	ASSERT(size == record->payload.size + NODE_RECORD_OVERHEAD);
	ASSERT(record->index == opened->visited + 1 || opened->sealed);
	opened->visited = record->index;
	if (opened->sealed)
		return 0;
	ASSERT(record->term == (record->index <= ENTRIES_COUNT / 2 ? 1u : 3u));
	ASSERT(slice_equal(record->payload, slice_from_text("command")));
	return 0;
}

static bool
is_named(int error)
{
	return error == 0 || error == ERR_CORRUPT || error == ERR_VERSION;
}

static void
check_identity(struct store *store, bool sealed)
{
	struct node_identity found;
	int error = node_identity_load(store, &found);

	ASSERT(is_named(error) || error == ERR_NOT_FOUND);
	if (error != 0 || sealed)
		return;
	ASSERT(found.id == identity.id);
	ASSERT(strcmp(found.name, identity.name) == 0);
	ASSERT(found.incarnation == identity.incarnation);
	ASSERT(found.members.count == 1);
}

/* 0: it is open, and *ret_bad is its first entry that is not sound. */
static int
open_log(struct store *store, struct opened *opened, struct node_log **ret_log,
    raft_index *ret_bad)
{
	char why[256] = "";
	int error = node_log_open(store, 1 << 20, ret_log, why, sizeof(why));

	ASSERT(is_named(error));
	if (error != 0)
		return error;
	opened->visited = 0;
	error = node_log_load(
	    *ret_log, NULL, visit, opened, ret_bad, why, sizeof(why));
	ASSERT(is_named(error));
	ASSERT(error == 0 || why[0] != '\0');
	if (error != 0)
		node_log_free(*ret_log);
	return error;
}

/* What is lost is known behind the repair, and the rest is sound. */
static void
check_repair(struct store *store, struct node_log *log, struct opened *opened)
{
	struct node_log_state before;
	struct node_log_state after;
	raft_index bad = 0;
	char why[256];
	int error;

	node_log_get_state(log, &before);
	if (before.durable_index > INDEX_MAX) {
		node_log_free(log);
		return;
	}
	error = node_log_repair(log, 1, why, sizeof(why));
	node_log_free(log);
	if (error != 0) {
		ASSERT(error == ERR_CORRUPT);
		return;
	}
	ASSERT(open_log(store, opened, &log, &bad) == 0);
	ASSERT(bad == 0);
	node_log_get_state(log, &after);
	ASSERT(after.last_index == before.last_index);
	if (before.last_index < before.durable_index)
		ASSERT(after.repair_until >= before.durable_index);
	node_log_free(log);
}

static void
check_log(struct store *store, bool sealed)
{
	struct opened opened = { .sealed = sealed };
	struct node_log_state state;
	struct node_log *log;
	raft_index bad;

	if (open_log(store, &opened, &log, &bad) != 0)
		return;
	node_log_get_state(log, &state);
	/* A record that is missing is a state that never was. */
	if (!sealed && state.durable_index != 0) {
		ASSERT(state.term == 3);
		ASSERT(state.vote == 2);
		ASSERT(state.durable_index == ENTRIES_COUNT);
		ASSERT((bad == 0) == (opened.visited == ENTRIES_COUNT));
	}
	check_repair(store, log, &opened);
}

/* ---- Memberships: the payload of an entry, which has a seal of its own ---- */

static void
check_membership(struct slice payload)
{
	uint8_t cluster_id[NODE_NONCE_SIZE];
	struct node_members members;
	struct raft_members roles;
	struct buf again = { 0 };
	int error =
	    node_membership_decode(payload, cluster_id, &members, &roles);

	ASSERT(is_named(error));
	if (error != 0)
		return;
	ASSERT(members.count == roles.count);
	ASSERT(members.count >= 1);
	node_membership_encode(&again, cluster_id, &members, &roles);
	ASSERT(slice_equal(buf_slice(&again), payload));
	buf_release(&again);
}

static void
check_log_store(struct slice input)
{
	unsigned changes = fuzz_take_below(&input, 4);
	struct store_mem_disk *disk;
	struct store *store;
	bool sealed = false;

	set_up();
	disk = store_mem_disk_clone(original);
	while (changes-- > 0)
		sealed = damage_record(&input, disk) || sealed;
	store = store_mem_open(disk);
	check_identity(store, sealed);
	check_log(store, sealed);
	store_close(store);
	store_mem_disk_free(disk);
}

void
fuzz_node_log(struct slice input)
{
	unsigned what = fuzz_take_u8(&input);

	if (what == 'm')
		check_membership(input);
	else
		check_log_store(input);
}
