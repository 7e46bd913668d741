/*
 * Owns one number for the whole state, so that two runs can be compared event
 * by event. Field by field, for the bytes between fields are undefined.
 */

#include "raft/raft_impl.h"

#include "common/hash.h"

static void
mix(uint64_t *digest, uint64_t value)
{
	*digest = hash64(*digest, slice_of(&value, sizeof(value)));
}

static void
mix_all(uint64_t *digest, const uint64_t *values, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		mix(digest, values[i]);
}

static void
mix_log(uint64_t *digest, const struct raft_log *log)
{
	const uint64_t values[] = { log->compacted_index, log->compacted_term,
		log->last_index, log->commit_index, log->handed_index,
		log->durable_index, log->truncate_from, log->uncommitted_bytes,
		log->epoch };
	raft_index index;
	size_t i;

	mix_all(digest, values, ARRAY_COUNT(values));
	for (i = 0; i < log->runs_count; i++) {
		mix(digest, log->runs[i].first);
		mix(digest, log->runs[i].term);
	}
	for (index = log->compacted_index + 1; index <= log->last_index;
	     index++) {
		mix(digest, raft_log_slot(log, index)->size);
		mix(digest, raft_log_slot(log, index)->type);
	}
}

static void
mix_members(uint64_t *digest, const struct raft_members *members)
{
	unsigned i;

	mix(digest, members->index);
	mix(digest, members->joint);
	for (i = 0; i < members->count; i++) {
		mix(digest, members->member[i].id);
		mix(digest, (uint64_t)members->member[i].role_old);
		mix(digest, (uint64_t)members->member[i].role_new);
		mix(digest, members->member[i].replaces);
	}
}

static void
mix_peer(uint64_t *digest, const struct raft_peer *peer)
{
	const uint64_t values[] = { peer->id, peer->ask,
		(uint64_t)peer->verdict, (uint64_t)peer->state,
		peer->match_index, peer->next_index, peer->probe_sequence,
		peer->match_sequence, peer->alarmed_boot_id, peer->repairing,
		peer->snapshot_wanted, peer->snapshot_sequence,
		peer->snapshot_asked, peer->snapshot_at, peer->sent,
		peer->sent_at, peer->round_sent, peer->round_echoed,
		peer->promised_until, peer->catch_up_index,
		peer->catch_up_since, peer->heard_at, peer->rtt,
		peer->inflight_count, peer->inflight_bytes };
	uint32_t i;

	mix_all(digest, values, ARRAY_COUNT(values));
	for (i = 0; i < peer->inflight_count; i++) {
		const struct raft_inflight *inflight =
		    &peer->inflight[(peer->inflight_head + i) %
				    RAFT_INFLIGHT_MAX];

		mix(digest, inflight->last);
		mix(digest, inflight->sequence);
		mix(digest, inflight->sent_at);
		mix(digest, inflight->bytes);
	}
}

static void
mix_answer(uint64_t *digest, const struct raft_answer *answer)
{
	const uint64_t values[] = { answer->owed, answer->positive,
		answer->entries, answer->sequence, answer->boot_id,
		answer->round, answer->sent_at, answer->term, answer->need,
		answer->rejected_index, answer->hint_index, answer->hint_term };

	if (answer->owed)
		mix_all(digest, values, ARRAY_COUNT(values));
}

static void
mix_caller(uint64_t *digest, const struct raft_caller *caller)
{
	mix(digest, caller->id);
	mix_answer(digest, &caller->prevote);
	mix_answer(digest, &caller->vote);
	mix_answer(digest, &caller->append_handed);
	mix_answer(digest, &caller->append_later);
	mix_answer(digest, &caller->read);
}

static void
mix_reads(uint64_t *digest, const struct raft_reads *reads)
{
	size_t i;

	mix(digest, reads->failed);
	mix(digest, reads->round_wanted);
	mix(digest, reads->asked);
	mix(digest, reads->unasked);
	mix(digest, reads->asked_sequence);
	mix(digest, reads->asked_at);
	for (i = 0; i < reads->count; i++) {
		const struct raft_pending_read *read = raft_read_at(reads, i);

		mix(digest, read->id);
		mix(digest, read->round);
		mix(digest, read->index);
	}
}

uint64_t
raft_digest(const struct raft *raft)
{
	const struct raft_persist *persist = &raft->persist;
	const uint64_t values[] = { raft->params.id, raft->boot_id, raft->now,
		raft->rng.state[0], raft->rng.state[1], raft->rng.state[2],
		raft->rng.state[3], raft->term, raft->vote,
		(uint64_t)raft->role, raft->leader, raft->term_leader,
		raft->deadline, raft->sticky_until, raft->promised_until,
		raft->fast_campaigns, raft->sequence, raft->campaign_sequence,
		raft->campaign_transfer, raft->elections, raft->transfer.target,
		raft->transfer.deadline, raft->transfer.told_at,
		raft->transfer.told, raft->leader_changes, raft->verified_index,
		raft->applying_index, raft->applied_index,
		raft->everywhere_index, raft->term_start, raft->quorum_since,
		raft->round, raft->round_confirmed, persist->open,
		persist->ticket, persist->opened_at, persist->term,
		persist->vote, persist->repair_until, persist->durable_term,
		persist->durable_vote, raft->repair.until, raft->repair.term };
	uint64_t digest = 0;
	size_t i;

	mix_all(&digest, values, ARRAY_COUNT(values));
	mix_log(&digest, &raft->log);
	for (i = 0; i < raft->history.count; i++)
		mix_members(&digest, &raft->history.members[i]);
	for (i = 0; i < raft_active(raft)->count; i++)
		mix_peer(&digest, &raft->peers[i]);
	for (i = 0; i < raft->callers_count; i++)
		mix_caller(&digest, &raft->callers[i]);
	mix_reads(&digest, &raft->reads);
	if (raft_installing(raft)) {
		mix(&digest, raft->install.index);
		mix(&digest, raft->install.term);
		mix(&digest, raft->install.keeps);
		mix_members(&digest, &raft->install.members);
	}
	return digest;
}
