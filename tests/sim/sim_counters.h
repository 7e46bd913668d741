#ifndef TESTS_SIM_COUNTERS_H
#define TESTS_SIM_COUNTERS_H

/*
 * What happened in a run. COVERED counters have to be above zero over a long
 * campaign: else the simulator has lost a part of its power.
 */

#include <stdbool.h>
#include <stdint.h>

/* Of disks that are files; to be covered in a campaign with these, in which
 * damage is not. */
#define SIM_FILE_COUNTERS(FILED)                                               \
	FILED(stores_opened)                                                   \
	FILED(stores_closed)                                                   \
	FILED(stores_killed)                                                   \
	FILED(reads_compared)                                                  \
	FILED(images_compared)                                                 \
	FILED(images_with_pending)                                             \
	FILED(cuts)                                                            \
	FILED(cuts_with_pending)                                               \
	FILED(cuts_in_a_call)                                                  \
	FILED(commits_in_doubt)                                                \
	FILED(commits_in_doubt_kept)                                           \
	FILED(opens_failed)

#define SIM_COUNTERS(COUNTED, COVERED)                                         \
	COVERED(events)                                                        \
	COVERED(turns)                                                         \
	COUNTED(simulated_ms)                                                  \
	/* clients */                                                          \
	COVERED(operations)                                                    \
	COVERED(writes_done)                                                   \
	COVERED(deletes_of_nothing)                                            \
	COVERED(reads_by_round)                                                \
	COVERED(reads_by_lease)                                                \
	COVERED(reads_on_followers)                                            \
	COVERED(reads_on_learners)                                             \
	COVERED(reads_failed_on_followers)                                     \
	COVERED(reads_under_partition)                                         \
	COVERED(reads_unconfirmed)                                             \
	COVERED(reads_stale)                                                   \
	COVERED(answers_not_leader)                                            \
	COVERED(answers_busy)                                                  \
	COVERED(answers_lost)                                                  \
	COVERED(answers_unknown)                                               \
	COVERED(answers_refused)                                               \
	/* commands and lists */                                               \
	COVERED(swaps)                                                         \
	COVERED(swaps_failed)                                                  \
	COVERED(transactions)                                                  \
	COVERED(transactions_failed)                                           \
	COVERED(increments)                                                    \
	COVERED(leases_granted)                                                \
	COVERED(leases_renewed)                                                \
	COVERED(leases_revoked)                                                \
	COVERED(leases_missed)                                                 \
	COVERED(locks_taken)                                                   \
	COVERED(locks_waited_for)                                              \
	COVERED(locks_refused)                                                 \
	COVERED(locks_released)                                                \
	COVERED(commands_repeated)                                             \
	COVERED(results_replayed)                                              \
	COVERED(lists)                                                         \
	COVERED(lists_of_the_past)                                             \
	COVERED(lists_compacted)                                               \
	COVERED(expiries)                                                      \
	COVERED(keys_expired)                                                  \
	COVERED(leases_expired)                                                \
	COVERED(locks_handed_over)                                             \
	COVERED(marks)                                                         \
	COVERED(compactions)                                                   \
	COVERED(rests_disturbed)                                               \
	/* watchers */                                                         \
	COVERED(watch_batches)                                                 \
	COVERED(watch_events)                                                  \
	COVERED(watch_progress)                                                \
	COVERED(watch_resumes)                                                 \
	COVERED(watch_lists)                                                   \
	COVERED(watches_compacted)                                             \
	/* the core */                                                         \
	COVERED(formations)                                                    \
	COVERED(wiped_noticed)                                                 \
	COVERED(hellos_refused)                                                \
	COVERED(joined)                                                        \
	COVERED(removed_noticed)                                               \
	COVERED(elections)                                                     \
	COVERED(leaders)                                                       \
	COVERED(leaders_alone)                                                 \
	COVERED(prevotes_refused)                                              \
	COVERED(votes_refused)                                                 \
	COVERED(heartbeats)                                                    \
	COVERED(appends)                                                       \
	COVERED(appends_repeated)                                              \
	COVERED(appends_refused)                                               \
	COVERED(truncations)                                                   \
	COVERED(truncations_of_many)                                           \
	COVERED(truncations_of_members)                                        \
	COVERED(old_terms_held_back)                                           \
	COVERED(log_trims)                                                     \
	COVERED(checkpoints)                                                   \
	COVERED(replays_at_boot)                                               \
	/* members and leadership */                                           \
	COVERED(probes)                                                        \
	COVERED(probes_refused)                                                \
	COVERED(changes_begun)                                                 \
	COVERED(changes_done)                                                  \
	COVERED(changes_lost)                                                  \
	COVERED(changes_not_leader)                                            \
	COVERED(changes_own_term)                                              \
	COVERED(changes_busy)                                                  \
	COVERED(changes_denied)                                                \
	COVERED(changes_refused)                                               \
	COVERED(joints_entered)                                                \
	COVERED(joints_left)                                                   \
	COVERED(changes_spoiled)                                               \
	COVERED(joints_left_by_another)                                        \
	COVERED(members_added)                                                 \
	COVERED(members_promoted)                                              \
	COVERED(members_removed)                                               \
	COVERED(leaders_removed)                                               \
	COVERED(members_moved)                                                 \
	COVERED(transfers_begun)                                               \
	COVERED(transfers_spoiled)                                             \
	COVERED(transfers_done)                                                \
	COVERED(transfers_aborted)                                             \
	COVERED(elections_checked)                                             \
	/* snapshots */                                                        \
	COVERED(snapshots_offered)                                             \
	COVERED(snapshots_begun)                                               \
	COVERED(snapshots_resumed)                                             \
	COVERED(snapshots_held)                                                \
	COVERED(snapshots_late)                                                \
	COVERED(snapshots_sent)                                                \
	COVERED(snapshots_installed)                                           \
	COVERED(snapshots_under_log)                                           \
	COVERED(snapshots_committed)                                           \
	COVERED(snapshots_refused)                                             \
	COVERED(snapshot_links_broken)                                         \
	COVERED(snapshot_senders_crashed)                                      \
	COVERED(snapshot_receivers_crashed)                                    \
	COVERED(snapshot_receivers_diverted)                                   \
	COVERED(pieces_sent)                                                   \
	COVERED(pieces_lost)                                                   \
	COVERED(pieces_damaged)                                                \
	/* faults */                                                           \
	COVERED(strikes)                                                       \
	COVERED(strikes_under_traffic)                                         \
	COVERED(crashes)                                                       \
	COVERED(crashes_of_leader)                                             \
	COVERED(crashes_of_all)                                                \
	COVERED(crashes_in_log_commit)                                         \
	COVERED(crashes_in_checkpoint)                                         \
	COVERED(crashes_at_boot)                                               \
	COVERED(restarts)                                                      \
	COVERED(wipes)                                                         \
	COVERED(damages)                                                       \
	COVERED(damages_of_leader)                                             \
	COVERED(damages_of_log)                                                \
	COVERED(damages_of_data)                                               \
	COVERED(damages_of_memory)                                             \
	COVERED(damages_misdirected)                                           \
	COVERED(damages_stale)                                                 \
	COVERED(damages_old_data)                                              \
	COVERED(states_falsified)                                              \
	COVERED(states_exposed)                                                \
	COVERED(states_mended)                                                 \
	COUNTED(states_overwritten)                                            \
	COVERED(damages_while_running)                                         \
	COVERED(damages_found_running)                                         \
	COVERED(damages_log_cut)                                               \
	COVERED(damages_state_lost)                                            \
	COVERED(damages_set_aside)                                             \
	COVERED(damages_made_good)                                             \
	COVERED(members_renewed)                                               \
	COVERED(copies_put_back)                                               \
	COVERED(copies_beside)                                                 \
	COVERED(copies_beside_outdated)                                        \
	COVERED(copies_refused)                                                \
	COVERED(copies_outdated)                                               \
	COVERED(copies_taken_away)                                             \
	COVERED(directories_of_members)                                        \
	COVERED(directories_of_clusters)                                       \
	COVERED(recoveries)                                                    \
	COVERED(recoveries_done)                                               \
	COVERED(quirks_held_back)                                              \
	COVERED(quirks_resent)                                                 \
	COVERED(quirks_early)                                                  \
	COVERED(quirks_retuned)                                                \
	COVERED(pauses)                                                        \
	COVERED(disk_stalls)                                                   \
	COVERED(partitions)                                                    \
	COVERED(partitions_one_way)                                            \
	COVERED(partitions_bridge)                                             \
	COVERED(partitions_ring)                                               \
	COVERED(partitions_swizzle)                                            \
	COVERED(partitions_of_some)                                            \
	COVERED(partitions_flapping)                                           \
	COVERED(leaders_isolated)                                              \
	COVERED(bothers)                                                       \
	COVERED(clock_changes)                                                 \
	COVERED(clock_jumps)                                                   \
	COVERED(clock_stops)                                                   \
	COVERED(packets_lost)                                                  \
	COVERED(packets_doubled)                                               \
	COVERED(packets_overtaken)                                             \
	COVERED(packets_damaged)                                               \
	COVERED(packets_replayed)                                              \
	COVERED(packets_cut_off)                                               \
	COVERED(connections)                                                   \
	COVERED(connections_reset)                                             \
	COVERED(dials_refused)                                                 \
	/* the checkers */                                                     \
	COVERED(records_compared)                                              \
	COVERED(promises_checked)                                              \
	COVERED(senders_checked)                                               \
	COVERED(memberships_checked)                                           \
	COVERED(quorums_checked)                                               \
	COVERED(matches_checked)                                               \
	COVERED(cuts_checked)                                                  \
	COVERED(late_ignored)                                                  \
	COVERED(disjoint_checked)                                              \
	COVERED(acknowledgements_checked)                                      \
	COVERED(acknowledgements_held)                                         \
	COVERED(stamps_checked)                                                \
	COVERED(batches_checked)                                               \
	COVERED(orders_checked)                                                \
	COVERED(states_compared)                                               \
	COVERED(histories_checked)                                             \
	COUNTED(histories_undecided)                                           \
	COUNTED(healing_terms)                                                 \
	COUNTED(healings_slow)                                                 \
	COUNTED(healing_ms)

/* Of messages as bytes, to be covered where messages are. */
#define SIM_STREAM_COUNTERS(COVERED)                                           \
	COVERED(streams_begun)                                                 \
	COVERED(streams_messages)                                              \
	COVERED(streams_hellos)                                                \
	COVERED(streams_pieces)                                                \
	COVERED(streams_split)                                                 \
	COVERED(streams_gathered)                                              \
	COVERED(streams_gathered_runs)                                         \
	COVERED(streams_broken)                                                \
	COVERED(streams_cut_short)                                             \
	COVERED(flips)                                                         \
	COVERED(flips_refused)                                                 \
	COVERED(flips_refused_by_crc)                                          \
	COVERED(flips_harmless)                                                \
	COVERED(flips_of_hellos)                                               \
	COVERED(flips_of_pieces)

/* Which campaigns have to cover what is counted. */
enum sim_cover {
	SIM_COVER_NEVER = 1u,
	SIM_COVER_ALWAYS = 2u, /* but those on files, which have fewer faults */
	SIM_COVER_BYTES = 4u,  /* those whose messages are bytes */
	SIM_COVER_FILES = 8u   /* those whose disks are files */
};

struct sim_counters {
#define COUNTER(name) uint64_t name;
	SIM_COUNTERS(COUNTER, COUNTER)
	SIM_STREAM_COUNTERS(COUNTER)
	SIM_FILE_COUNTERS(COUNTER)
#undef COUNTER
};

void sim_counters_add(struct sim_counters *to, const struct sim_counters *from);
/* Prints those of the kinds in `covers` (bits of enum sim_cover), some a line,
 * to stdout. */
void sim_counters_print(const struct sim_counters *counters, unsigned covers);
/* The same, one a line. */
void sim_counters_list(const struct sim_counters *counters, unsigned covers);
/* Prints those that are below `least`; how many there are. */
unsigned sim_counters_missing(
    const struct sim_counters *counters, unsigned covers, uint64_t least);

/* By number, in the order above; -1: there is none of that name. */
int sim_counters_find(const char *name);
const char *sim_counters_name(unsigned number);
uint64_t sim_counters_get(const struct sim_counters *counters, unsigned number);

#endif
