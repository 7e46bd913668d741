#!/bin/bash
# Installs what is missing, builds, and runs every test. Before the last line,
# 'N passed, N failed', each step that failed is named, with what it said of
# its failures; the exit status is 0 if none failed.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

passed=0
failed=0
log=$(mktemp)
failures=$(mktemp)
trap 'rm -f "$log" "$failures"' EXIT

# Adds up what a step printed: 'N passed, N failed'.
count_log() {
	awk '
	/^[0-9]+ passed, [0-9]+ failed$/ {
		passed += $1
		failed += $3
		seen = 1
	}
	END { print passed + 0, failed + 0, seen + 0 }' "$log"
}

# The lines that name a failure: of the unit tests, of the other tests, of
# compilers and linters; or the last ones, if the step went wrong otherwise.
name_failures() {
	local names='^[^ ]+:[0-9]+:[FE]:|^FAIL|ERROR: [A-Za-z]*Sanitizer'

	names+='|runtime error: |^[^ ]+:[0-9]+(:[0-9]+)?: |^make.*\*\*\*'
	echo "== FAILED: $1 (exit status $2)"
	if grep -qE "$names" "$log"; then
		grep -E "$names" "$log" | grep -v 'assertion failed' |
			cut -c -300 | tail -n 40
	else
		tail -n 20 "$log"
	fi
}

# step DESCRIPTION COMMAND...: a step that counts nothing is itself one test.
step() {
	local name=$1 status=0 step_passed step_failed counted
	local began=$SECONDS

	shift
	echo "== $name: $*"
	"$@" 2>&1 | tee "$log" || status=$?
	read -r step_passed step_failed counted < <(count_log)
	if [ "$status" -ne 0 ] && [ "$step_failed" -eq 0 ]; then
		step_failed=1
	elif [ "$status" -eq 0 ] && [ "$counted" -eq 0 ]; then
		step_passed=1
	fi
	passed=$((passed + step_passed))
	failed=$((failed + step_failed))
	echo "-- $name: $step_passed passed, $step_failed failed," \
		"$((SECONDS - began)) s"
	if [ "$step_failed" -ne 0 ]; then
		name_failures "$name" "$status" >>"$failures"
	fi
	return "$status"
}

# fails COMMAND...: what has to find something does.
fails() {
	local status=0

	"$@" || status=$?
	[ "$status" -eq 1 ]
}

install_packages build test || exit 1

jobs=-j$(nproc)
san=address,undefined
# For each target; two run at a time. scripts/prove.sh gives them a minute: here
# that would bring all of this too near to 25 minutes.
fuzz_seconds=${FUZZ_SECONDS:-20}

if step "gcc build" make "$jobs" programs; then
	step "gcc units" build/unit
	step "simulator" build/sim --seeds 50
	step "simulator, messages as bytes" \
		build/sim-real --messages bytes --seeds 20
	step "simulator, planted defects" \
		build/sim-real --messages bytes --seeds 5 --defect all
	step "simulator's old failures" build/sim --regressions \
		tests/sim/regressions
	step "simulator's checks" tests/sim/selftest.sh
	step "simulator, real stores" build/sim-real --disks lmdb --seeds 30
	step "simulator, lying disks" fails build/sim-real --disks lying \
		--seeds 2
	step "fuzz corpus" build/fuzz-replay
	step "lint" make lint
	step "real daemons" python3 tests/proc/run.py
	step "HTTP API by curl" python3 tests/proc/conformance.py
	step "several faults at once" scripts/torture.sh --smoke
fi
if step "sanitizer build" make "$jobs" SAN=$san unit fuzz-replay; then
	step "sanitizer units" build/san/unit
	step "sanitizer fuzz corpus" build/san/fuzz-replay
fi
step "clang build" make "$jobs" CC=clang all unit sim &&
	step "clang units" build/clang/unit
step "fuzz" scripts/fuzz.sh "$fuzz_seconds"

cat "$failures"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
