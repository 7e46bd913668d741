#include "config_impl.h"
#include <assert.h>
#include <stddef.h>

/* conf writes a CONF_ENUM with the width of a count. */
static_assert(sizeof(enum log_level) == sizeof(uint32_t), "enum width");
static_assert(sizeof(enum log_format) == sizeof(uint32_t), "enum width");

#define US_MS UINT64_C(1000)
#define US_S  (1000 * US_MS)
#define US_H  (3600 * US_S)
#define US_D  (24 * US_H)
#define KIB   (UINT64_C(1) << 10)
#define MIB   (UINT64_C(1) << 20)
#define GIB   (UINT64_C(1) << 30)
#define TIB   (UINT64_C(1) << 40)

static const struct conf_choice log_levels[] = {
	{ "debug", LOG_LEVEL_DEBUG },
	{ "info", LOG_LEVEL_INFO },
	{ "notice", LOG_LEVEL_NOTICE },
	{ "warning", LOG_LEVEL_WARNING },
	{ "err", LOG_LEVEL_ERR },
	{ NULL, 0 },
};

static const struct conf_choice log_formats[] = {
	{ "auto", LOG_FORMAT_AUTO },
	{ "text", LOG_FORMAT_TEXT },
	{ "journald", LOG_FORMAT_JOURNALD },
	{ NULL, 0 },
};

/* Section, name, type, initial value, least, most, field, help. */
#define OPTION(s, n, t, i, least, most, field, h)                              \
	{                                                                      \
		.section = (s), .name = (n), .type = (t), .initial = (i),      \
		.min = (least), .max = (most),                                 \
		.offset = offsetof(struct config, field), .help = (h),         \
	}
/* The same for a type without a range. */
#define PLAIN(s, n, t, i, field, h) OPTION(s, n, t, i, 0, 0, field, h)
/* Up to `most` characters of a set; an enum of known words. */
#define TEXT(s, n, i, most, set, field, h)                                     \
	{                                                                      \
		.section = (s), .name = (n), .type = CONF_TEXT,                \
		.initial = (i), .min = 1, .max = (most), .charset = (set),     \
		.offset = offsetof(struct config, field), .help = (h),         \
	}
#define CHOICE(s, n, i, words, field, h)                                       \
	{                                                                      \
		.section = (s), .name = (n), .type = CONF_ENUM,                \
		.initial = (i), .choices = (words),                            \
		.offset = offsetof(struct config, field), .help = (h),         \
	}

#define MEMBER_NAME_SIZE_MAX 32
#define MEMBER_NAME_CHARSET  "a-z0-9-"

const struct conf_option config_options[] = {
	TEXT("cluster", "name", "luminous", 64, "A-Za-z0-9._-", cluster_name,
	    "name of the cluster, the same on every node"),
	PLAIN("cluster", "secret-file", CONF_PATH, "", secret_file,
	    "file with the secret that the members prove to each other"),

	{
	    .section = "members",
	    .type = CONF_ADDRESS,
	    .initial = "",
	    .min = 1,
	    .max = MEMBER_NAME_SIZE_MAX,
	    .charset = MEMBER_NAME_CHARSET,
	    .help = "NAME = IP:PORT, 1 to 7 of them",
	},

	TEXT("node", "name", "", MEMBER_NAME_SIZE_MAX, MEMBER_NAME_CHARSET,
	    node_name,
	    "which member this node is (found by host name or address)"),
	PLAIN("node", "listen", CONF_ADDRESS, "", listen,
	    "address to listen on (the member's own)"),
	PLAIN("node", "data-dir", CONF_PATH, "/var/lib/luminous", data_dir,
	    "directory of log and data, created with mode 0700"),
	TEXT("node", "join", "", 63, "A-Za-z0-9.:[]%-", join,
	    "member to be added through, by name or IP:PORT; or \"wait\""),
	PLAIN("node", "insecure", CONF_BOOL, "no", insecure,
	    "yes: listen beyond loopback without authentication"),

	OPTION("raft", "election-timeout", CONF_DURATION, "1s", 200 * US_MS,
	    60 * US_S, election_timeout_us,
	    "silence of the leader before another is elected"),
	OPTION("raft", "heartbeat-interval", CONF_DURATION, "100ms", 10 * US_MS,
	    20 * US_S, heartbeat_interval_us,
	    "how often the leader is heard; a third of the above at most"),
	OPTION("raft", "checkpoint-bytes", CONF_SIZE, "8MiB", 64 * KIB, GIB,
	    checkpoint_bytes,
	    "data checkpoint before so many bytes are written"),
	OPTION("raft", "checkpoint-interval", CONF_DURATION, "2s", 100 * US_MS,
	    US_H, checkpoint_interval_us, "or so long after the first change"),
	OPTION("raft", "batch-entries", CONF_COUNT, "512", 1, 65536,
	    batch_entries_max, "most entries in one append request"),
	OPTION("raft", "batch-bytes", CONF_SIZE, "1MiB", 4 * KIB, 16 * MIB,
	    batch_bytes_max, "most bytes in one append request"),
	OPTION("raft", "trailing-bytes", CONF_SIZE, "16MiB", 64 * KIB, GIB,
	    trailing_bytes, "log kept for members that lag, at least"),
	OPTION("raft", "snapshot-rate", CONF_SIZE, "0", 0, 64 * GIB,
	    snapshot_rate, "bytes a second to one member; 0: no limit"),
	PLAIN("raft", "lease-reads", CONF_BOOL, "no", lease_reads,
	    "yes: reads without a round while clocks drift below 5 %"),

	OPTION("storage", "quota", CONF_SIZE, "8GiB", MIB, 64 * TIB,
	    quota_bytes, "puts are refused above, deletes never"),
	OPTION("storage", "map-size", CONF_SIZE, "0", 0, 128 * TIB, map_bytes,
	    "address space of the data; 0: from the quota"),
	OPTION("storage", "memtable-size", CONF_SIZE, "64MiB", 64 * KIB, GIB,
	    memtable_bytes, "changes that gather before pages are written"),
	OPTION("storage", "log-quota", CONF_SIZE, "4GiB", 256 * MIB, TIB,
	    log_quota_bytes, "puts are refused above, for members are down"),
	OPTION("storage", "min-free-disk", CONF_SIZE, "64MiB", 0, TIB,
	    min_free_disk_bytes,
	    "puts are refused while the file system has less"),
	OPTION("storage", "scrub-rate", CONF_SIZE, "1MiB", 0, GIB, scrub_rate,
	    "bytes a second read to find damage; 0: never"),

	OPTION("history", "max-age", CONF_DURATION, "1h", US_S, 3650 * US_D,
	    history_age_us, "how long old versions and events are kept"),
	OPTION("history", "max-size", CONF_SIZE, "16MiB", 64 * KIB, TIB,
	    history_bytes_max, "the same, in bytes: whichever is less"),

	OPTION("http", "request-timeout", CONF_DURATION, "5s", 10 * US_MS, US_H,
	    request_timeout_us, "longest wait for a leader or a commit"),
	OPTION("http", "idle-timeout", CONF_DURATION, "75s", 10 * US_MS, US_D,
	    idle_timeout_us, "between two requests of a connection"),
	OPTION("http", "header-timeout", CONF_DURATION, "10s", 10 * US_MS, US_H,
	    header_timeout_us, "first byte to end of the head"),
	OPTION("http", "body-timeout", CONF_DURATION, "30s", 10 * US_MS, US_H,
	    body_timeout_us,
	    "end of the head to end of the body, or for a part of an import"),
	OPTION("http", "write-timeout", CONF_DURATION, "30s", 10 * US_MS, US_H,
	    write_timeout_us,
	    "for an answer to be taken whole, or a part of a long one"),
	OPTION("http", "max-value", CONF_SIZE, "1MiB", 1, 16 * MIB,
	    value_bytes_max, "largest value of a key"),
	OPTION("http", "max-connections", CONF_COUNT, "16384", 1, 1000000,
	    connections_max, "64 more are kept for peers and health checks"),
	OPTION("http", "max-watchers", CONF_COUNT, "10000", 1, 1000000,
	    watchers_max, "watches and waiting GETs, on this node"),
	OPTION("http", "max-input", CONF_SIZE, "256MiB", 16 * MIB, TIB,
	    input_bytes_max, "bodies under way of all clients together"),
	OPTION("http", "max-output", CONF_SIZE, "256MiB", MIB, TIB,
	    output_bytes_max, "unsent answers of all connections together"),
	OPTION("http", "max-target-bytes", CONF_SIZE, "8KiB", 2 * KIB, MIB,
	    target_bytes_max, "longest request line"),
	OPTION("http", "max-head-bytes", CONF_SIZE, "16KiB", 4 * KIB, MIB,
	    head_bytes_max, "largest request head"),
	TEXT("http", "require-cas", "", 128, "A-Za-z0-9/._:@+-", require_cas,
	    "keys that begin so are not written without a condition"),

	CHOICE("log", "level", "info", log_levels, log_level,
	    "debug, info, notice, warning or err"),
	CHOICE("log", "format", "auto", log_formats, log_format,
	    "auto, text or journald"),
	OPTION("log", "slow-fsync", CONF_DURATION, "100ms", 0, US_H,
	    slow_fsync_us, "log a sync that takes longer; 0: never"),
};

const size_t config_options_count = ARRAY_COUNT(config_options);
