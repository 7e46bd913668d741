#include "store/store_lmdb_format.h"

#include "common/macros.h"

#include <endian.h>

_Static_assert(sizeof(void *) == 8, "the offsets below are of 64-bit builds");

#define NODE_SIZE 8 /* without key and value */

/* Nodes begin at even offsets: one bit for each in the largest page. */
#define STARTS_WORDS (LMDB_PAGE_SIZE_MAX / 2 / 64)

static uint16_t
load_u16(const uint8_t *bytes)
{
	uint16_t value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

static uint32_t
load_u32(const uint8_t *bytes)
{
	uint32_t value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

static uint64_t
load_u64(const uint8_t *bytes)
{
	uint64_t value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

void
lmdb_db_decode(const uint8_t *bytes, struct lmdb_db *ret_db)
{
	*ret_db = (struct lmdb_db){
		.page_size = load_u32(bytes),
		.flags = load_u16(bytes + 4),
		.depth = load_u16(bytes + 6),
		.branch_pages = load_u64(bytes + 8),
		.leaf_pages = load_u64(bytes + 16),
		.overflow_pages = load_u64(bytes + 24),
		.entries = load_u64(bytes + 32),
		.root = load_u64(bytes + 40),
	};
}

/* In between are an address and a size of the mapping, which nobody needs. */
void
lmdb_meta_decode(const uint8_t *bytes, struct lmdb_meta *ret_meta)
{
	ret_meta->number = load_u64(bytes);
	ret_meta->flags = load_u16(bytes + 10);
	ret_meta->magic = load_u32(bytes + 16);
	ret_meta->version = load_u32(bytes + 20);
	lmdb_db_decode(bytes + 40, &ret_meta->free);
	lmdb_db_decode(bytes + 40 + LMDB_DB_SIZE, &ret_meta->main);
	ret_meta->last_page = load_u64(bytes + 136);
	ret_meta->txn = load_u64(bytes + 144);
}

/* The two bytes behind the number are not in use, nor always zero. */
void
lmdb_header_decode(const uint8_t *bytes, struct lmdb_header *ret_header)
{
	*ret_header = (struct lmdb_header){
		.number = load_u64(bytes),
		.flags = load_u16(bytes + 10),
		.lower = load_u16(bytes + 12),
		.upper = load_u16(bytes + 14),
		.pages = load_u32(bytes + 12),
	};
}

/* The low and the high half of a value's size or of a page's number. */
static uint32_t
node_halves(const uint8_t *node)
{
#if __BYTE_ORDER == __LITTLE_ENDIAN
	return load_u16(node) | (uint32_t)load_u16(node + 2) << 16;
#else
	return load_u16(node + 2) | (uint32_t)load_u16(node) << 16;
#endif
}

static unsigned
node_flags(const uint8_t *node)
{
	return load_u16(node + 4);
}

static unsigned
node_key_size(const uint8_t *node)
{
	return load_u16(node + 6);
}

/* What the node takes of its page: at most 4 GiB and a bit. */
static uint64_t
node_size(const uint8_t *node, unsigned kind)
{
	uint64_t size = NODE_SIZE + (uint64_t)node_key_size(node);

	if (kind == LMDB_PAGE_LEAF && (node_flags(node) & LMDB_NODE_BIG) != 0)
		size += sizeof(uint64_t);
	else if (kind == LMDB_PAGE_LEAF)
		size += node_halves(node);
	return (size + 1) / 2 * 2;
}

static unsigned
node_offset(struct slice page, unsigned position)
{
	return load_u16(page.data + LMDB_HEADER_SIZE + 2 * (size_t)position);
}

unsigned
lmdb_page_nodes_count(struct slice page)
{
	return (unsigned)(load_u16(page.data + 12) - LMDB_HEADER_SIZE) / 2;
}

static bool
start_is_set(const uint64_t *starts, uint64_t offset)
{
	return (starts[offset / 2 / 64] >> (offset / 2 % 64) & 1) != 0;
}

/*
 * LMDB keeps the nodes packed at the end of the page. They are if they begin
 * at different offsets, each ends where one begins or the page ends, and their
 * sizes make up the room: then those met from `upper` on are all there are.
 */
static const char *
check_nodes(struct slice page, unsigned kind, unsigned upper)
{
	uint64_t starts[STARTS_WORDS];
	unsigned count = lmdb_page_nodes_count(page);
	uint64_t total = 0;

	memset(starts, 0, page.size / 2 / 8);
	for (unsigned i = 0; i < count; i++) {
		unsigned offset = node_offset(page, i);

		if (offset % 2 != 0 || offset < upper ||
		    offset + NODE_SIZE > page.size ||
		    node_size(page.data + offset, kind) > page.size - offset)
			return "a node outside of its page";
		if (start_is_set(starts, offset))
			return "two nodes in one place";
		starts[offset / 2 / 64] |= UINT64_C(1) << (offset / 2 % 64);
		total += node_size(page.data + offset, kind);
	}
	for (unsigned i = 0; i < count; i++) {
		unsigned offset = node_offset(page, i);
		uint64_t end = offset + node_size(page.data + offset, kind);

		if (end != page.size && !start_is_set(starts, end))
			return "a node that overlaps another";
	}
	if (total != page.size - upper)
		return "room between its nodes";
	return NULL;
}

const char *
lmdb_page_check(struct slice page, uint64_t number, unsigned kind)
{
	struct lmdb_header header;

	lmdb_header_decode(page.data, &header);
	if (header.number != number)
		return "the number of another page";
	if (header.flags != kind)
		return "a page of another kind";
	if (header.lower < LMDB_HEADER_SIZE || header.lower % 2 != 0 ||
	    header.lower > header.upper || header.upper > page.size ||
	    header.upper % 2 != 0)
		return "bounds that are not within the page";
	return check_nodes(page, kind, header.upper);
}

struct lmdb_node
lmdb_page_node(struct slice page, unsigned kind, unsigned position)
{
	const uint8_t *bytes = page.data + node_offset(page, position);
	struct lmdb_node node = {
		.key = slice_of(bytes + NODE_SIZE, node_key_size(bytes)),
	};
	const uint8_t *value = node.key.data + node.key.size;

	if (kind == LMDB_PAGE_BRANCH) {
		node.child = node_halves(bytes) | (uint64_t)node_flags(bytes)
						      << 32;
		return node;
	}
	node.flags = node_flags(bytes);
	node.value_size = node_halves(bytes);
	if ((node.flags & LMDB_NODE_BIG) != 0)
		node.child = load_u64(value);
	else
		node.value = slice_of(value, (size_t)node.value_size);
	return node;
}

uint64_t
lmdb_overflow_pages(uint64_t value_size, uint32_t page_size)
{
	return (LMDB_HEADER_SIZE - 1 + value_size) / page_size + 1;
}
