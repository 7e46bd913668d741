#include "tests/lib/raft_cluster.h"

#include <stdarg.h>
#include <stdio.h>

/* Long enough for a line of the story; longer ones are cut. */
#define LINE_MAX_SIZE 160

void
cluster_tell(struct cluster *cluster, const char *format, ...)
{
	char line[LINE_MAX_SIZE];
	va_list arguments;

	if (!cluster->tracing)
		return;
	va_start(arguments, format);
	(void)vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	buf_printf(&cluster->trace, "%4d.%03d  %s\n",
	    (int)(cluster->now / 1000 - 1000), (int)(cluster->now % 1000),
	    line);
}

/* Part of a line, to be passed by value. */
struct phrase {
	char text[48];
};

/* A position in a log, "index/tTERM". */
static struct phrase
position(raft_index index, raft_term term)
{
	struct phrase position;

	(void)snprintf(position.text, sizeof(position.text), "%d/t%d",
	    (int)index, (int)term);
	return position;
}

/* The name of a node; "none" for 0. */
static struct phrase
name(raft_id id)
{
	struct phrase name = { "none" };

	if (id != 0)
		(void)snprintf(name.text, sizeof(name.text), "n%d", (int)id);
	return name;
}

static struct phrase
last_position(const struct cluster *cluster, raft_id id)
{
	const struct solo *solo = &cluster->nodes[id].solo;
	raft_index last = solo_status(solo).last_index;

	return position(last, solo_term(solo, last));
}

static void
tell_vote_request(struct cluster *cluster, const struct raft_message *letter,
    const struct cluster_before *before)
{
	struct raft_status after = cluster_status(cluster, letter->to);
	bool granted = after.term == letter->term && after.vote == letter->from;

	if (letter->kind == RAFT_PREVOTE_REQUEST) {
		cluster_tell(cluster,
		    "n%d < n%d  would it vote in term %d? log %s against own "
		    "%s",
		    (int)letter->to, (int)letter->from, (int)letter->term,
		    position(letter->last_index, letter->last_term).text,
		    last_position(cluster, letter->to).text);
		return;
	}
	cluster_tell(cluster,
	    "n%d < n%d  vote request, term %d over %d, log %s against own %s: "
	    "%s",
	    (int)letter->to, (int)letter->from, (int)letter->term,
	    (int)before->status.term,
	    position(letter->last_index, letter->last_term).text,
	    last_position(cluster, letter->to).text,
	    granted ? "granted" : "refused");
}

static void
tell_append(struct cluster *cluster, const struct raft_message *letter,
    const struct cluster_before *before)
{
	struct raft_status after = cluster_status(cluster, letter->to);
	bool quiet = letter->entries_count == 0 &&
		     after.term == before->status.term &&
		     after.leader == before->status.leader &&
		     after.commit_index == before->status.commit_index;

	if (quiet)
		return;
	cluster_tell(cluster,
	    "n%d < n%d  append, term %d over %d: %d after %s, log %s -> %s, "
	    "commit %d -> %d",
	    (int)letter->to, (int)letter->from, (int)letter->term,
	    (int)before->status.term, (int)letter->entries_count,
	    position(letter->prev_index, letter->prev_term).text,
	    position(before->status.last_index, before->last_term).text,
	    last_position(cluster, letter->to).text,
	    (int)before->status.commit_index, (int)after.commit_index);
}

/* What the sender says it has lost; empty if nothing. */
static struct phrase
damage(const struct raft_message *letter)
{
	struct phrase lost = { "" };

	if (letter->snapshot_wanted != 0)
		(void)snprintf(lost.text, sizeof(lost.text),
		    ", its state up to %d is lost",
		    (int)letter->snapshot_wanted);
	else if (letter->repairing)
		(void)snprintf(
		    lost.text, sizeof(lost.text), ", it is being repaired");
	return lost;
}

static void
tell_append_answer(struct cluster *cluster, const struct raft_message *letter,
    const struct cluster_before *before)
{
	struct raft_status after = cluster_status(cluster, letter->to);
	struct phrase lost = damage(letter);

	if (!letter->success) {
		cluster_tell(cluster,
		    "n%d < n%d  refused, term %d: not after %d, try %s%s",
		    (int)letter->to, (int)letter->from, (int)letter->term,
		    (int)letter->rejected_index,
		    position(letter->hint_index, letter->hint_term).text,
		    lost.text);
		return;
	}
	if (letter->match_index <= before->peer.match_index &&
	    lost.text[0] == '\0')
		return;
	cluster_tell(cluster, "n%d < n%d  holds up to %d, commit %d -> %d%s",
	    (int)letter->to, (int)letter->from, (int)letter->match_index,
	    (int)before->status.commit_index, (int)after.commit_index,
	    lost.text);
}

void
cluster_tell_letter(struct cluster *cluster, const struct raft_message *letter,
    const struct cluster_before *before)
{
	switch (letter->kind) {
	case RAFT_PREVOTE_REQUEST:
	case RAFT_VOTE_REQUEST:
		tell_vote_request(cluster, letter, before);
		break;
	case RAFT_PREVOTE_RESPONSE:
	case RAFT_VOTE_RESPONSE:
		cluster_tell(cluster, "n%d < n%d  %s %s", (int)letter->to,
		    (int)letter->from,
		    letter->kind == RAFT_VOTE_RESPONSE ? "vote" : "pre-vote",
		    letter->granted ? "yes" : "no");
		break;
	case RAFT_APPEND_REQUEST: tell_append(cluster, letter, before); break;
	case RAFT_APPEND_RESPONSE:
		tell_append_answer(cluster, letter, before);
		break;
	case RAFT_TIMEOUT_NOW:
		cluster_tell(cluster, "n%d < n%d  campaign now, log %s",
		    (int)letter->to, (int)letter->from,
		    position(letter->last_index, letter->last_term).text);
		break;
	case RAFT_READ_REQUEST:
		cluster_tell(cluster, "n%d < n%d  read index?", (int)letter->to,
		    (int)letter->from);
		break;
	case RAFT_READ_RESPONSE:
		cluster_tell(cluster, "n%d < n%d  read index %d",
		    (int)letter->to, (int)letter->from,
		    letter->success ? (int)letter->read_index : 0);
		break;
	}
}

static void
tell_lists(struct cluster *cluster, raft_id id)
{
	const struct solo *solo = &cluster->nodes[id].solo;

	for (size_t i = 0; i < solo->dropped_count; i++)
		cluster_tell(cluster, "n%d drops %d..%d of term %d", (int)id,
		    (int)solo->dropped[i].first, (int)solo->dropped[i].last,
		    (int)solo->dropped[i].term);
	if (solo->apply_first != 0)
		cluster_tell(cluster, "n%d applies %d..%d", (int)id,
		    (int)solo->apply_first, (int)solo->apply_last);
	for (size_t i = 0; i < solo->reads_count; i++)
		cluster_tell(cluster, "n%d %s read %d", (int)id,
		    solo->reads[i].status == 0 ? "answers" : "cannot answer",
		    (int)solo->reads[i].read_id);
}

/* The letter of each role, by its value. */
static const char role_letters[] = "-vlj";

static void
tell_members(struct cluster *cluster, raft_id id)
{
	const struct raft_members *members =
	    raft_get_members(cluster->nodes[id].solo.raft);
	char text[RAFT_MEMBERS_MAX * 8] = "";
	int size = 0;

	for (unsigned i = 0; i < members->count; i++) {
		const struct raft_member *member = &members->member[i];
		char old[2] = { role_letters[member->role_old], '\0' };

		size += snprintf(text + size, sizeof(text) - (size_t)size,
		    " n%d:%s%c", (int)member->id, members->joint ? old : "",
		    role_letters[member->role_new]);
	}
	cluster_tell(cluster, "n%d has members%s by %d", (int)id, text,
	    (int)members->index);
}

void
cluster_tell_work(struct cluster *cluster, raft_id id)
{
	const struct solo *solo = &cluster->nodes[id].solo;

	if (!cluster->tracing)
		return;
	if (solo->persists_count > 0)
		cluster_tell(cluster,
		    "n%d writes term %d, vote %s, log up to %d%s%s", (int)id,
		    (int)solo->persist.term, name(solo->persist.vote).text,
		    (int)solo_status(solo).last_index,
		    solo->persist.repair_until != 0 ? ", to be repaired" : "",
		    solo->persist.reset_keeps ? ", and a state for it" : "");
	if (solo->members_changed)
		tell_members(cluster, id);
	tell_lists(cluster, id);
	if (solo->roles_count > 0)
		cluster_tell(cluster, "n%d is %s, term %d, leader %s", (int)id,
		    raft_role_name(solo->role.role), (int)solo->role.term,
		    name(solo->role.leader).text);
}
