#include "server_recover.h"

#include "common/log.h"
#include "common/text.h"
#include "data_dir.h"
#include "node/node_recover.h"
#include "server_damage.h"
#include "server_data.h"
#include "server_impl.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WHY_SIZE 512

/* ---- Opening: nothing is created ---- */

static bool
is_there(const char *base_dir, const char *name, uint64_t generation)
{
	struct buf path = { 0 };
	bool found;

	store_dir_append_path(&path, base_dir, name, generation);
	buf_append_text(&path, "/data.mdb");
	buf_append(&path, "", 1); /* its terminator */
	found = access((const char *)path.data, F_OK) == 0;
	buf_release(&path);
	return found;
}

static int
open_data(void *context, uint64_t generation, struct store **ret_store)
{
	const struct config *config = context;

	if (!is_there(config->data_dir, "data", generation)) {
		log_err("%s: the data store of generation %" PRIu64
			" is not there",
		    config->data_dir, generation);
		return ERR_CORRUPT;
	}
	return server_data_open(config->data_dir, generation, false,
	    config->map_bytes, config->memtable_bytes, ret_store);
}

static int
check_owner(
    const struct config *config, const struct node_recover_report *report)
{
	if (strcmp(report->cluster, config->cluster_name) == 0 &&
	    strcmp(report->name, config->node_name) == 0)
		return 0;
	log_err("%s: this directory belongs to node %s of cluster %s, not to "
		"%s of %s: set node.data-dir to the right one",
	    config->data_dir, report->name, report->cluster, config->node_name,
	    config->cluster_name);
	return ERR_MISMATCH;
}

/* What is written or made here has to be the node's. */
static int
check_user(const char *data_dir)
{
	struct stat info;
	const struct passwd *user;

	/* If it cannot be looked at, what follows says why. */
	if (stat(data_dir, &info) != 0 || info.st_uid == geteuid())
		return 0;
	user = getpwuid(info.st_uid);
	log_err("%s: this directory belongs to user %s, whose node has to "
		"read what is written here: run this as that user (runuser -u "
		"%s -- luminousd --recover ...)",
	    data_dir, user == NULL ? "?" : user->pw_name,
	    user == NULL ? "USER" : user->pw_name);
	return ERR_MISMATCH;
}

static int
open_all(struct server *server, struct node_recover **ret_recover)
{
	const struct config *config = server->config;
	char why[WHY_SIZE];
	int error;

	error = check_user(config->data_dir);
	if (error == 0)
		error = data_dir_check(config->data_dir);
	if (error == ERR_CORRUPT)
		log_err("%s: put back a data-dir that is whole, or recover on "
			"another member",
		    config->data_dir);
	if (error != 0)
		return error;
	if (!is_there(config->data_dir, "log", 0)) {
		log_err("%s: there is no log of a node in it; check "
			"node.data-dir",
		    config->data_dir);
		return ERR_MISMATCH;
	}
	error = server_open_directory(server);
	if (error == 0)
		error = server_open_log(server);
	if (error != 0)
		return error;
	error = node_recover_open(ret_recover, server->log_store, open_data,
	    (void *)(uintptr_t)config, why, sizeof(why));
	if (error != 0)
		log_err("%s: %s", config->data_dir, why);
	else
		error =
		    check_owner(config, node_recover_get_report(*ret_recover));
	return error == ERR_NOT_FOUND ? ERR_MISMATCH : error;
}

/* ---- What the directory holds ---- */

static enum raft_member_role
role_of(const struct raft_member *member)
{
	return member->role_new != RAFT_MEMBER_NONE ? member->role_new
						    : member->role_old;
}

static void
append_members(struct buf *to, const struct node_recover_report *report)
{
	const struct raft_members *roles = &report->membership.roles;

	for (unsigned i = 0; i < roles->count; i++) {
		const struct node_member *member = node_members_find(
		    &report->membership.members, roles->member[i].id);

		buf_printf(to, "%-15s %s  %s  %s%s\n", i == 0 ? "members" : "",
		    member->name, member->address,
		    raft_member_role_name(role_of(&roles->member[i])),
		    member->id == report->id ? "  (this node)" : "");
	}
	if (roles->joint)
		buf_printf(
		    to, "%-15s a change of the members was under way\n", "");
}

static void
append_report(struct buf *to, const struct node_recover_report *report)
{
	buf_printf(
	    to, "%-15s %s\n%-15s ", "cluster", report->cluster, "cluster id");
	if (report->cluster_id_known)
		text_append_hex(
		    to, slice_of(report->cluster_id, NODE_NONCE_SIZE));
	else
		buf_append_text(to, "not known here");
	buf_printf(to, "\n%-15s %u\n", "generation", report->generation);
	buf_printf(to, "%-15s %s\n%-15s %" PRIu64 "\n", "node", report->name,
	    "member id", report->id);
	buf_printf(to, "%-15s %" PRIu64 "\n", "term", report->term);
	buf_printf(to, "%-15s term %" PRIu64 ", index %" PRIu64,
	    "last log entry", report->last_term, report->last_index);
	/* What is lost or was done since, it does not tell. */
	if (node_recover_is_whole(report))
		buf_printf(to, " (as --seen %s=%" PRIu64 ":%" PRIu64 ")",
		    report->name, report->last_term, report->last_index);
	buf_append_text(to, "\n");
	if (report->repair_until > report->last_index)
		buf_printf(to,
		    "%-15s entries %" PRIu64 " to %" PRIu64 ", to damage\n",
		    "lost", report->last_index + 1, report->repair_until);
	buf_printf(to, "%-15s at least to index %" PRIu64 "\n", "committed",
	    MAX(report->commit_index, report->applied_index));
	buf_printf(to, "%-15s index %" PRIu64 ", revision %" PRIu64 "\n",
	    "data", report->applied_index, report->revision);
	append_members(to, report);
}

/* What makes it a poor choice, though not an impossible one. */
static void
append_warnings(struct buf *to, const struct node_recover_report *report)
{
	const struct raft_members *roles = &report->membership.roles;
	const struct raft_member *self = NULL;

	for (unsigned i = 0; i < roles->count; i++) {
		if (roles->member[i].id == report->id)
			self = &roles->member[i];
	}
	if (report->outdated)
		buf_append_text(to,
		    "WARNING: this directory is an old copy: a newer one took "
		    "part since.\n");
	if (self == NULL)
		buf_append_text(to,
		    "WARNING: this node was being removed from the "
		    "cluster.\n");
	else if (role_of(self) != RAFT_MEMBER_VOTER)
		buf_printf(to,
		    "WARNING: this node is a %s, not a voter: its log may "
		    "lack what was acknowledged.\n",
		    raft_member_role_name(role_of(self)));
}

static void
append_command(struct buf *to, const struct config *config,
    const struct node_recover_report *report)
{
	const struct raft_members *roles = &report->membership.roles;

	buf_append_text(to, "       luminousd ");
	if (config->recover.file != NULL)
		buf_printf(to, "-c %s ", config->recover.file);
	buf_append_text(to, "--recover --force-new-cluster");
	for (unsigned i = 0; i < roles->count; i++) {
		const struct node_member *member = node_members_find(
		    &report->membership.members, roles->member[i].id);

		if (member->id != report->id)
			buf_printf(to, " --seen %s=TERM:INDEX", member->name);
	}
	buf_append_text(to, "\n");
}

static void
append_advice(struct buf *to, const struct config *config,
    const struct node_recover_report *report)
{
	if (report->membership.roles.count == 1) {
		buf_printf(to,
		    "\n%s is the only member: there is nothing to recover; "
		    "start it.\n",
		    report->name);
		return;
	}
	buf_append_text(to,
	    "\nNothing was changed. Only if a majority of the voters is lost "
	    "for good:\n"
	    "  1. Run luminousd --recover on every member whose disk is left, "
	    "all stopped.\n"
	    "  2. Compare the last log entries: the higher term is newer, and "
	    "of equal\n"
	    "     terms the higher index. Take the member with the newest.\n"
	    "  3. On that one, with the others' last entries; in place of "
	    "those "
	    "whose\n"
	    "     disks are lost, once --accept-loss:\n");
	append_command(to, config, report);
	buf_append_text(to,
	    "  4. Start it; then the others, each with an empty node.data-dir "
	    "and node.join.\n");
}

/* ---- Forcing ---- */

static int
check(const struct config *config, const struct node_recover *recover,
    char *why, size_t size)
{
	const struct config_recover *asked = &config->recover;
	struct node_recover_seen seen[CONFIG_SEEN_MAX] = { 0 };

	for (unsigned i = 0; i < asked->seen_count; i++) {
		snprintf(seen[i].name, sizeof(seen[i].name), "%s",
		    asked->seen[i].name);
		seen[i].term = asked->seen[i].term;
		seen[i].index = asked->seen[i].index;
	}
	return node_recover_check(
	    recover, seen, asked->seen_count, asked->accept_loss, why, size);
}

static int
force(
    const struct config *config, struct node_recover *recover, struct buf *text)
{
	const struct node_recover_report *report =
	    node_recover_get_report(recover);
	uint8_t cluster_id[NODE_NONCE_SIZE];
	char why[WHY_SIZE];
	int error;

	if (check(config, recover, why, sizeof(why)) != 0) {
		log_err("refused, nothing was changed: %s", why);
		return ERR_MISMATCH;
	}
	/* First: wrongly there, it does no harm. */
	error = server_damage_note_needed(config->data_dir, true);
	if (error != 0)
		return error;
	server_fill_random(cluster_id, sizeof(cluster_id));
	error = node_recover_force(recover, cluster_id);
	if (error != 0) {
		log_err(
		    "%s: the log store: %s", config->data_dir, err_text(error));
		return error;
	}
	buf_printf(text,
	    "\nDone: %s is the only member of a new cluster %s, "
	    "generation %u, id ",
	    report->name, report->cluster, report->generation + 1);
	text_append_hex(text, slice_of(cluster_id, sizeof(cluster_id)));
	buf_printf(text,
	    ".\nOf the old one, %s.\nStart it; then the others, each with an "
	    "empty node.data-dir and node.join.\n"
	    "The old directories are of no use to the new cluster, which "
	    "refuses them.\n",
	    why);
	return 0;
}

/* Where else to look, if this directory is not the one that counts. */
static void
append_aside(struct buf *to, const struct config *config)
{
	if (!server_damage_pending(config->data_dir))
		return;
	buf_printf(to,
	    "WARNING: %s was damaged and begun anew, and lacks what it had; "
	    "its damaged files\n"
	    "are in damaged/: if no other member is left, stop it, move "
	    "damaged/log and\n"
	    "damaged/data* back in the place of log and data, and run "
	    "luminousd --recover again.\n",
	    config->data_dir);
}

int
server_recover(const struct config *config, struct buf *text)
{
	struct server server = { .config = config };
	struct node_recover *recover = NULL;
	const struct node_recover_report *report;
	int error;

	error = open_all(&server, &recover);
	append_aside(text, config);
	if (error == 0) {
		report = node_recover_get_report(recover);
		append_report(text, report);
		append_warnings(text, report);
		if (config->recover.force)
			error = force(config, recover, text);
		else
			append_advice(text, config, report);
	}
	node_recover_close(recover);
	store_close(server.log_store);
	store_dir_close(server.dir);
	return error == 0 ? 0 : server_exit_status(error);
}
