#ifndef CONFIG_H
#define CONFIG_H

/*
 * The daemon's configuration: the options that conf/luminous.conf explains,
 * who this node is among the members, and the cluster's secret. Read once,
 * checked whole before anything else starts, and never changed.
 */

#include "common/address.h"
#include "common/buf.h"
#include "common/log.h"

#define CONFIG_FILE               "/etc/luminous/luminous.conf"
#define CONFIG_MEMBERS_MAX        7
#define CONFIG_NAME_SIZE_MAX      32
#define CONFIG_SEEN_MAX           16
#define CONFIG_SECRET_SIZE_MIN    16
#define CONFIG_SECRET_SIZE_MAX    1024
#define CONFIG_HOST_ADDRESSES_MAX 64

/* Exit status for a configuration that is wrong: EX_CONFIG of sysexits.h.
 * The units do not restart after it. */
#define CONFIG_EXIT_STATUS 78

/* As node.join: until a member is asked for this node by somebody else. */
#define CONFIG_JOIN_WAIT "wait"

struct config_member {
	char *name;    /* 1 to 32 characters of a-z0-9- */
	char *address; /* canonical, as common/address.h writes it */
};

/* What --recover is to do; see server_recover.h. */
struct config_recover {
	bool force; /* --force-new-cluster */
	bool accept_loss;
	unsigned seen_count;
	struct config_seen {
		char name[CONFIG_NAME_SIZE_MAX + 1];
		uint64_t term;
		uint64_t index;
	} seen[CONFIG_SEEN_MAX];
	const char *file; /* as given by -c; NULL: none was */
};

struct config {
	/* [cluster] */
	char *cluster_name;
	char *secret_file; /* absolute; NULL: none */

	/* [node] */
	char *node_name; /* members[self].name */
	char *listen;
	char *data_dir; /* absolute */
	char *join;     /* NULL: this node is one of the founders */
	bool insecure;

	/* [raft] */
	uint64_t election_timeout_us;
	uint64_t heartbeat_interval_us; /* <= election_timeout_us / 3 */
	uint64_t checkpoint_bytes;
	uint64_t checkpoint_interval_us;
	uint32_t batch_entries_max;
	uint64_t batch_bytes_max;
	uint64_t trailing_bytes;
	uint64_t snapshot_rate;
	bool lease_reads;

	/* [storage] */
	uint64_t quota_bytes;
	uint64_t map_bytes; /* >= quota_bytes */
	uint64_t memtable_bytes;
	uint64_t min_free_disk_bytes;
	uint64_t log_quota_bytes;
	uint64_t scrub_rate;

	/* [history] */
	uint64_t history_age_us;
	uint64_t history_bytes_max;

	/* [http] */
	uint64_t request_timeout_us;
	uint64_t idle_timeout_us;
	uint64_t header_timeout_us;
	uint64_t body_timeout_us;
	uint64_t write_timeout_us;
	uint64_t value_bytes_max;
	uint32_t connections_max;
	uint32_t watchers_max;
	uint64_t input_bytes_max; /* >= value_bytes_max */
	uint64_t output_bytes_max;
	uint64_t target_bytes_max;
	uint64_t head_bytes_max; /* >= target_bytes_max */
	char *require_cas;       /* NULL: unset */

	/* [log] */
	enum log_level log_level;
	enum log_format log_format;
	uint64_t slow_fsync_us; /* 0: never slow */

	/* [members], sorted by name; at least this node, unless it joins. */
	struct config_member members[CONFIG_MEMBERS_MAX];
	size_t members_count;
	/* Where the others reach this node, and the member to join through. */
	char *address;
	char *join_address; /* NULL without `join`, and with "wait" */

	/* What secret_file holds, without a final newline; empty if none. */
	uint8_t secret[CONFIG_SECRET_SIZE_MAX];
	size_t secret_size;

	struct config_recover recover; /* with CONFIG_RECOVER */
};

/* What tells a node which member it is, when nothing else does. */
struct config_host {
	char name[65]; /* short, lower case */
	size_t addresses_count;
	struct address addresses[CONFIG_HOST_ADDRESSES_MAX];
};

enum config_outcome {
	CONFIG_RUN,     /* start with *ret_config */
	CONFIG_RECOVER, /* look into the directory, as ret_config->recover says */
	CONFIG_DONE,    /* *output answers what was asked; exit status 0 */
	CONFIG_REFUSED /* *output says all that is wrong */
};

/* Name and interface addresses of this machine. */
void config_read_host(struct config_host *ret_host);

/*
 * Reads command line, file and secret, and appends to `output` what the
 * outcome says. *ret_config is set for CONFIG_RUN and CONFIG_RECOVER alone.
 */
enum config_outcome
config_load(int argc, char **argv, const struct config_host *host,
    struct config *ret_config, struct buf *output);

/* Forgets the secret and frees the texts. */
void config_release(struct config *config);

#endif
