/*
 * Owns what a message may look like. Everything here can be caused by a peer,
 * so everything is an answer and nothing is an ASSERT: a message that no node
 * of this version sends changes no state.
 */

#include "raft/raft_impl.h"

/* A place in a log: index 0 goes with term 0, and with nothing else. */
static bool
position_valid(raft_index index, raft_term term)
{
	if (index > RAFT_NUMBER_MAX || term > RAFT_NUMBER_MAX)
		return false;
	return (index == 0) == (term == 0);
}

static bool
entry_valid(const struct raft_entry *entry)
{
	switch (entry->type) {
	case RAFT_ENTRY_NOOP:
	case RAFT_ENTRY_COMMAND: return true;
	case RAFT_ENTRY_MEMBERS:
		return entry->members != NULL &&
		       raft_members_valid(entry->members);
	}
	return false;
}

static bool
vote_request_valid(const struct raft_message *message)
{
	return message->term > message->last_term &&
	       position_valid(message->last_index, message->last_term);
}

static bool
append_request_valid(const struct raft_message *message)
{
	raft_term term = message->prev_term;
	uint32_t i;

	if (!position_valid(message->prev_index, message->prev_term))
		return false;
	if (message->prev_index + message->entries_count > RAFT_NUMBER_MAX)
		return false;
	if (message->commit_index > RAFT_NUMBER_MAX ||
	    message->everywhere_index > RAFT_NUMBER_MAX ||
	    message->state_index > RAFT_NUMBER_MAX ||
	    message->agreed_index > RAFT_NUMBER_MAX)
		return false;
	if (message->entries_count > 0 && message->entries == NULL)
		return false;
	for (i = 0; i < message->entries_count; i++) {
		const struct raft_entry *entry = &message->entries[i];

		/* Terms never fall along a log (section 5.3). */
		if (entry->term < term || entry->term == 0)
			return false;
		if (!entry_valid(entry))
			return false;
		term = entry->term;
	}
	return term <= message->term;
}

static bool
append_response_valid(const struct raft_message *message)
{
	return message->match_index <= RAFT_NUMBER_MAX &&
	       message->promise <= RAFT_DURATION_MAX &&
	       message->rejected_index <= RAFT_NUMBER_MAX &&
	       message->state_index <= RAFT_NUMBER_MAX &&
	       message->snapshot_wanted <= RAFT_NUMBER_MAX &&
	       position_valid(message->hint_index, message->hint_term);
}

bool
raft_message_valid(const struct raft *raft, const struct raft_message *message)
{
	if (message->to != raft->params.id || message->from == 0 ||
	    message->from == message->to || message->from > RAFT_NUMBER_MAX)
		return false;
	if (message->term > RAFT_NUMBER_MAX || message->boot_id == 0)
		return false;
	switch (message->kind) {
	case RAFT_PREVOTE_REQUEST:
		return !message->transfer && vote_request_valid(message);
	case RAFT_VOTE_REQUEST: return vote_request_valid(message);
	case RAFT_TIMEOUT_NOW:
		return message->term > 0 &&
		       message->term == message->last_term &&
		       position_valid(message->last_index, message->last_term);
	case RAFT_APPEND_REQUEST:
		return message->term > 0 && append_request_valid(message);
	case RAFT_APPEND_RESPONSE: return append_response_valid(message);
	case RAFT_PREVOTE_RESPONSE:
	case RAFT_VOTE_RESPONSE:
	case RAFT_READ_REQUEST: return true;
	case RAFT_READ_RESPONSE: return message->read_index <= RAFT_NUMBER_MAX;
	}
	return false;
}
