/*
 * LMDB commits by overwriting the older of its two meta pages, the one of the
 * transaction before last, and believes the page with the higher transaction
 * number. A flipped bit in the newest number therefore brings the commit
 * before back without any error: a vote given is forgotten. But the numbers of
 * a whole file are neighbours, and their parity says which page they are on.
 *
 * The format is that of LMDB 0.9 (MDB_DATA_VERSION 1) on little-endian and
 * big-endian machines of 64 bits alike: it is the memory of its structs.
 */

#include "store/store_lmdb_impl.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define META_MAGIC    0xbeefc0deu
#define META_VERSION  1u
#define META_FLAG     0x08u /* P_META */
#define META_SIZE     152
#define PAGE_SIZE_MIN 512
#define PAGE_SIZE_MAX 65536

_Static_assert(sizeof(void *) == 8, "the offsets below are of 64-bit builds");

enum meta_offset {
	META_OFFSET_FLAGS = 10,
	META_OFFSET_MAGIC = 16,
	META_OFFSET_VERSION = 20,
	META_OFFSET_PAGE_SIZE = 40, /* md_pad of the free-list's record */
	META_OFFSET_TXN = 144
};

struct meta {
	uint16_t flags;
	uint32_t magic;
	uint32_t version;
	uint32_t page_size;
	uint64_t txn;
};

static int
meta_read(int fd, off_t offset, struct meta *ret_meta)
{
	uint8_t page[META_SIZE];
	ssize_t size = pread(fd, page, sizeof(page), offset);

	if (size < 0)
		return ERR_IO;
	if ((size_t)size < sizeof(page))
		return ERR_CORRUPT;
	memcpy(&ret_meta->flags, page + META_OFFSET_FLAGS, 2);
	memcpy(&ret_meta->magic, page + META_OFFSET_MAGIC, 4);
	memcpy(&ret_meta->version, page + META_OFFSET_VERSION, 4);
	memcpy(&ret_meta->page_size, page + META_OFFSET_PAGE_SIZE, 4);
	memcpy(&ret_meta->txn, page + META_OFFSET_TXN, 8);
	return 0;
}

static bool
meta_is_sound(const struct meta *meta)
{
	uint32_t size = meta->page_size;

	return (meta->flags & META_FLAG) != 0 && meta->magic == META_MAGIC &&
	       size >= PAGE_SIZE_MIN && size <= PAGE_SIZE_MAX &&
	       (size & (size - 1)) == 0;
}

/* Page `n` takes the transactions whose lowest bit is n; both begin at 0. */
static bool
meta_are_neighbours(uint64_t even, uint64_t odd)
{
	if (even == 0 && odd == 0)
		return true;
	return (even & 1) == 0 && (even + 1 == odd || odd + 1 == even);
}

int
store_lmdb_check_meta(int fd)
{
	struct stat info;
	struct meta even;
	struct meta odd;
	int code;

	if (fstat(fd, &info) != 0)
		return ERR_IO;
	if (info.st_size == 0)
		return 0;
	code = meta_read(fd, 0, &even);
	if (code != 0)
		return code;
	if (!meta_is_sound(&even))
		return ERR_CORRUPT;
	code = meta_read(fd, (off_t)even.page_size, &odd);
	if (code != 0)
		return code;
	if (!meta_is_sound(&odd) || odd.page_size != even.page_size ||
	    odd.version != even.version)
		return ERR_CORRUPT;
	if (even.version != META_VERSION)
		return ERR_VERSION;
	return meta_are_neighbours(even.txn, odd.txn) ? 0 : ERR_CORRUPT;
}
