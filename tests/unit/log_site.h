#ifndef TESTS_UNIT_LOG_SITE_H
#define TESTS_UNIT_LOG_SITE_H

/* One log over a disk in memory, opened and closed as the test goes. */

#include "node/node_log.h"
#include "tests/lib/store_mem.h"

struct log_site {
	struct store_mem_disk *disk;
	struct store *store;
	struct node_log *log;
	char why[256];
	unsigned visited;
	raft_index bad; /* the first entry that does not verify; 0: none */
};

int
log_site_visit(void *context, const struct node_record *record, uint32_t size);
int log_site_open(struct log_site *f);
void log_site_close(struct log_site *f);
void log_site_set_up(struct log_site *f);
void log_site_tear_down(struct log_site *f);
void log_site_append(struct log_site *f, raft_term term, unsigned count);
/* Commits what is in memory, after a cut from `truncate_from` on. */
int
log_site_commit(struct log_site *f, raft_term term, raft_index truncate_from);
struct slice log_site_key(uint8_t *key, raft_index index);
void log_site_expect_bad(struct log_site *f, raft_index bad);
void log_site_get_base(
    struct log_site *f, raft_index index, struct node_log_base *ret_base);

#endif
