#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

/*
 * What the files of the checker share; check_history.h says what it does.
 *
 * check_history.c  the checks one after the other, and what is reported
 * check_texts.c    keys and values as numbers
 * check_load.c     lines into operations; check_load_watch.c: of watches
 * check_log.c      the changes, from all streams, and the state at a revision
 * check_watch.c    each stream against them
 * check_effect.c   what a write does to a state
 * check_write.c    whose each change is
 * check_read.c     what was read, and in which order
 * check_lease.c    locks, and lifetimes
 * check_search.c   linearizability of each key
 * check_vacuity.c  was enough tested?
 */

#include "tests/torture/check_history.h"
#include <jansson.h>

/* Number of a text in the order of being met; 0: none, null, absent. */
typedef uint32_t check_text;

#define CHECK_NEVER UINT64_MAX

struct check_texts {
	char **texts; /* [0] is "" */
	size_t *sizes;
	check_text count;
	check_text *table; /* by hash; a power of two, 0: empty */
	size_t table_size;
};

void check_texts_init(struct check_texts *texts);
void check_texts_release(struct check_texts *texts);
check_text check_text_of(struct check_texts *texts, struct slice text);
/* 0: nobody has met it. */
check_text check_text_find(const struct check_texts *texts, struct slice text);
struct slice check_text_get(const struct check_texts *texts, check_text text);
bool check_text_begins(
    const struct check_texts *texts, check_text text, check_text prefix);

/* ---- Operations ---- */

enum check_kind {
	CHECK_GET,
	CHECK_PUT,
	CHECK_CAS,
	CHECK_DELETE,
	CHECK_INCR,
	CHECK_APPEND,
	CHECK_CHILD,
	CHECK_TOUCH,
	CHECK_LIST,
	CHECK_TXN,
	CHECK_LEASE,
	CHECK_RENEW,
	CHECK_REVOKE,
	CHECK_LOCK,
	CHECK_UNLOCK,
	CHECK_HOLDER,
	CHECK_WATCH
};
#define CHECK_KINDS_COUNT (CHECK_WATCH + 1)

enum check_status { CHECK_OK, CHECK_FAIL, CHECK_INFO, CHECK_ODD };

/* A key with its value, as it was read or told. */
struct check_item {
	check_text key;
	check_text value; /* 0: absent */
	uint64_t revision;
	uint64_t version;
	uint64_t created;
};

enum check_line_type {
	CHECK_LINE_PUT,
	CHECK_LINE_DELETE,
	CHECK_LINE_EXPIRE,
	CHECK_LINE_PROGRESS,
	CHECK_LINE_SYNCED,
	CHECK_LINE_END /* overflow or closing; its revision is `resume` */
};

struct check_line {
	enum check_line_type type;
	bool more;
	uint64_t at;
	struct check_item item;
};

enum check_form { CHECK_STREAM, CHECK_SNAPSHOT, CHECK_POLL };

enum check_part_kind {
	CHECK_PART_IF_VALUE,
	CHECK_PART_IF_EXISTS,
	CHECK_PART_PUT,
	CHECK_PART_GET,
	CHECK_PART_DELETE
};

/* A condition or an operation of a transaction. */
struct check_part {
	enum check_part_kind kind;
	check_text key;
	check_text value;
	bool exists;
};

struct check_parts {
	struct check_part *parts;
	size_t count;
};

struct check_op {
	size_t line; /* in the file, from 1 */
	enum check_kind kind;
	enum check_status status;
	bool again;
	bool final;
	bool stale;
	bool gone;
	bool done; /* true if nothing is said */
	bool existed;
	bool more;
	bool conditional; /* expect_rev is given */
	bool cut;         /* watch: it may end anywhere */
	enum check_form form;
	uint64_t client;
	uint64_t call;
	uint64_t ret; /* CHECK_NEVER */
	uint64_t revision;
	check_text key; /* or prefix, or the name of a lock */
	check_text value;
	check_text out;
	check_text expect;
	check_text name;
	check_text after;
	check_text lease;
	check_text req;
	check_text node;
	check_text answer; /* odd */
	uint64_t expect_revision;
	uint64_t current;
	uint64_t modified;
	uint64_t version;
	uint64_t created;
	uint64_t fence;
	uint64_t at;
	uint64_t since;
	uint64_t limit;
	uint64_t deleted;
	uint64_t ttl_ns;
	int64_t by;
	struct check_parts conditions;
	struct check_parts then;
	struct check_parts otherwise;
	struct check_item *items; /* of a list; results of a transaction, with
				     version 1 for what was deleted */
	size_t items_count;
	struct check_line *lines;
	size_t lines_count;
	/* By check_order: the largest revision answered before its call, and by
	 * which operation; NULL: by none. */
	uint64_t seen;
	const struct check_op *seen_by;
	bool used; /* info: a change is its */
};

/* ---- Changes ---- */

struct check_change {
	enum check_line_type type; /* PUT, DELETE, EXPIRE */
	struct check_item item;    /* revision: also of what is not a put */
	const struct check_op *told_by;
	const struct check_op *by; /* who asked for it; NULL: nobody */
	size_t stamp;              /* of the stream that told it last */
};

struct check_fault {
	check_text kind;
	uint64_t begin;
	uint64_t end;
};

struct check {
	const struct check_options *options;
	struct buf *report;
	const char *name; /* of the check that runs */
	unsigned passed;
	unsigned failed;
	unsigned failures; /* of this check */
	unsigned vacuous;  /* reasons */
	struct check_texts texts;
	/* The header and the end. */
	bool has_header;
	bool has_end;
	check_text prefix;
	uint64_t since;
	uint64_t last_revision;
	uint64_t ok_min;
	uint64_t info_min;
	uint64_t intervals_min;
	uint64_t together_min;
	uint64_t undecided_max;
	uint64_t bank_sum;
	uint64_t expired_min;
	uint64_t kinds_min[CHECK_KINDS_COUNT];
	struct check_op *ops; /* by call */
	size_t ops_count;
	struct check_fault *faults;
	size_t faults_count;
	struct check_change *changes; /* by revision, then key */
	size_t changes_count;
	uint32_t *by_key;   /* positions in changes, by key, then revision */
	uint32_t *first_of; /* in by_key, by check_text; one more */
	check_text *keys;   /* that ever changed, by their bytes */
	size_t keys_count;
	/* Moments at which a revision was surely there, by revision; seen_at is
	 * the earliest of it and of all behind it. */
	struct check_sight *sights;
	size_t sights_count;
	/* Figures. */
	uint64_t unknown_done;
	uint64_t searched;
	uint64_t undecided;
	uint64_t expired;
};

struct check_sight {
	uint64_t revision;
	uint64_t at;
	const struct check_op *op;
};

/* A violation: what is wrong, and up to two operations, which may be NULL. */
ATTR_PRINTF(4, 5)
void check_fail(struct check *check, const struct check_op *op,
    const struct check_op *other, const char *format, ...);
/* A reason why the history proves nothing. */
ATTR_PRINTF(2, 3)
void check_void(struct check *check, const char *format, ...);
const char *check_text_show(const struct check *check, check_text text);

const char *check_kind_name(enum check_kind kind);

/* check_load.c; false: it cannot be read, which was said. */
bool check_load(struct check *check, struct slice history);
bool check_load_faults(struct check *check, struct slice faults);
/* check_load_watch.c */
void check_load_lines(struct check *check, struct check_op *op, json_t *lines);

uint64_t check_json_u64(const json_t *object, const char *name);
struct check_item check_json_item(struct check *check, const json_t *object);

/* ---- The log ---- */

/* False: the streams do not cover the run, which was said. */
bool check_log_build(struct check *check);
/* The last change of a key up to a revision, if it is a put; NULL: absent. */
const struct check_change *
check_state(const struct check *check, check_text key, uint64_t revision);
/* The first key, in check->keys, that begins so, and is behind `after`, unless
 * that is 0; they lie together. */
size_t
check_keys_from(const struct check *check, check_text prefix, check_text after);
/* The changes of one revision. */
struct check_change *
check_log_at(struct check *check, uint64_t revision, size_t *ret_count);
/* The first change with a revision above. */
size_t check_log_after(const struct check *check, uint64_t revision);

/* ---- What a write does ---- */

struct check_effect {
	bool is_put;
	check_text key;
	check_text value; /* 0: nobody knows it, so nobody can have told it */
};

struct check_effects {
	struct check_effect *effects;
	size_t count;
	bool held; /* conditions */
};

/* Of an operation on the state at a revision; the caller frees ->effects. Of a
 * lease that ends, what is attached is found elsewhere: none. */
void check_effects_of(struct check *check, const struct check_op *op,
    uint64_t before, struct check_effects *ret_effects);
/* Are they the changes of this revision? */
bool check_effects_match(struct check *check,
    const struct check_effects *effects, uint64_t revision);
/* The results of a transaction on the state at `before`, done at `revision`. */
bool check_results_match(struct check *check, const struct check_op *op,
    uint64_t before, uint64_t revision);

bool check_op_is_write(const struct check_op *op);

/* ---- The checks ---- */

void check_watches(struct check *check);
void check_writes(struct check *check);
void check_reads(struct check *check);
void check_order(struct check *check); /* fills op->seen; comes first */
void check_order_sights(struct check *check);
void check_locks(struct check *check);
void check_lifetimes(struct check *check);
void check_search(struct check *check);
void check_vacuity(struct check *check);

/* The earliest moment at which a revision was surely there; NULL: never. */
const struct check_sight *
check_first_sight(const struct check *check, uint64_t revision);

#endif
