#!/bin/bash
# How much of the replica the unit tests and the simulator run: lines, and
# branches outside assertions, of raft, kv, node and store. Fails below the
# limits. scripts/coverage.sh [SEEDS]: of each profile of the simulator.
set -eu -o pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

seeds=${1:-150}
if [[ ! $seeds =~ ^[0-9]+$ ]]; then
	sed -n '2,5s/^# \{0,1\}//p' "$0"
	exit 2
fi
lines_min=95
branches_min=90
build=build/coverage

install_packages build test coverage
# An object that ccache has from another directory counts in that one.
export CCACHE_DISABLE=1
# Without optimization gcc takes every buffer that is filled by a callee for
# one that may be read before.
make "-j$(nproc)" BUILD=$build \
	CFLAGS="-O0 -g --coverage -Wno-maybe-uninitialized" unit sim
find $build -name '*.gcda' -delete
$build/unit
for profile in mix churn snapshot disk net clock; do
	$build/sim --profile $profile --seeds "$seeds" --jobs "$(nproc)"
done

# raft_check.c holds nothing but invariants: its other branches are for bugs.
assertions='.*\b(ASSERT|fatal)\b.*'
gcovr --root . --object-directory $build/obj \
	--filter 'server/(raft|kv|node|store)/' \
	--exclude server/raft/raft_check.c \
	--exclude-lines-by-pattern "$assertions" \
	--exclude-branches-by-pattern "$assertions" \
	--json $build/coverage.json $build/obj
gcovr --root . --add-tracefile $build/coverage.json --txt --branches
gcovr --root . --add-tracefile $build/coverage.json --txt
# Not to /dev/null: gcovr puts a file in its place, if it may.
gcovr --root . --add-tracefile $build/coverage.json --print-summary \
	--fail-under-line $lines_min --fail-under-branch $branches_min \
	--txt $build/coverage.txt
