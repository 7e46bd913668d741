/*
 * The suites of build/unit, one a line: SUITE(name) stands for the function
 * `Suite *name_suite(void)` in tests/unit/test_name.c. Included as it is, this
 * file declares them all; the runner makes its table with a SUITE of its own.
 */
#include <check.h>

#ifndef SUITE
#define SUITE(name) Suite *name##_suite(void);
#endif

SUITE(codec)
SUITE(base64)
SUITE(hash)
SUITE(text)
SUITE(json)
SUITE(metrics)
SUITE(rng)
SUITE(list)
SUITE(log)
SUITE(panic)
SUITE(linear)
SUITE(store)
SUITE(store_mem)
SUITE(store_lmdb)
SUITE(store_dir)
SUITE(kv)
SUITE(kv_faults)
SUITE(raft_random)
SUITE(address)
SUITE(loop)
SUITE(http_uri)
SUITE(http_parse)
SUITE(http_server)
SUITE(http_server_limits)
SUITE(http_client)
SUITE(node)
SUITE(node_log)
SUITE(node_record)
SUITE(api)
SUITE(api_kv)
SUITE(api_leader)
SUITE(raft_quorum)
SUITE(raft_elect)
SUITE(raft_prevote)
SUITE(wire)
SUITE(peer)
SUITE(peer_proof)
SUITE(peer_forward)
SUITE(raft_append)
SUITE(raft_commit)
SUITE(raft_persist)
SUITE(raft_flow)
SUITE(raft_read)
SUITE(raft_golden)
SUITE(raft_members)
SUITE(raft_message)
