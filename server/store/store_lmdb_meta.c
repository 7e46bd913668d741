/*
 * LMDB commits by overwriting the older of its two meta pages, the one of the
 * transaction before last, and believes the page with the higher transaction
 * number. A flipped bit in the newest number therefore brings the commit
 * before back without any error: a vote given is forgotten. But the numbers of
 * a whole file are neighbours, and their parity says which page they are on;
 * one that is off by two is neither seen by this nor unseen: the list of free
 * pages has it as well (store_lmdb_check.c).
 */

#include "store/store_dir.h"
#include "store/store_lmdb_impl.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define META_MAGIC   0xbeefc0deu
#define META_VERSION 1u

static int
meta_read(int fd, off_t offset, struct lmdb_meta *ret_meta)
{
	uint8_t page[LMDB_META_SIZE];
	ssize_t size = pread(fd, page, sizeof(page), offset);

	if (size < 0)
		return store_dir_error(errno);
	if ((size_t)size < sizeof(page))
		return ERR_CORRUPT;
	lmdb_meta_decode(page, ret_meta);
	return 0;
}

static bool
meta_is_sound(const struct lmdb_meta *meta, uint64_t number)
{
	uint32_t size = meta->free.page_size;

	return meta->number == number && meta->flags == LMDB_PAGE_META &&
	       meta->magic == META_MAGIC && size >= LMDB_PAGE_SIZE_MIN &&
	       size <= LMDB_PAGE_SIZE_MAX && (size & (size - 1)) == 0;
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
store_lmdb_check_meta(int fd, struct lmdb_metas *ret_metas)
{
	struct stat info;
	struct lmdb_meta even = { 0 };
	struct lmdb_meta odd = { 0 };
	int code;

	if (fstat(fd, &info) != 0)
		return ERR_IO;
	if (info.st_size == 0)
		return ERR_NOT_FOUND;
	code = meta_read(fd, 0, &even);
	if (code != 0)
		return code;
	if (!meta_is_sound(&even, 0))
		return ERR_CORRUPT;
	code = meta_read(fd, (off_t)even.free.page_size, &odd);
	if (code != 0)
		return code;
	if (!meta_is_sound(&odd, 1) ||
	    odd.free.page_size != even.free.page_size ||
	    odd.version != even.version)
		return ERR_CORRUPT;
	if (even.version != META_VERSION)
		return ERR_VERSION;
	if (!meta_are_neighbours(even.txn, odd.txn))
		return ERR_CORRUPT;
	ret_metas->newer = even.txn < odd.txn ? odd : even;
	ret_metas->older = even.txn < odd.txn ? even : odd;
	return 0;
}
