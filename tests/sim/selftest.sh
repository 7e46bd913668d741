#!/bin/bash
# What the simulator says of runs that are known to be bad: each of its ways to
# fail, by a planted failure. The last line is 'N passed, N failed'.
# usage: tests/sim/selftest.sh [PROGRAM]
set -u
cd "$(dirname "$0")/../.." || exit 1

sim=${1:-build/sim}
passed=0
failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# expect NAME STATUS TEXT ARGUMENT...: exits so, and says so.
expect() {
	local name=$1 status=$2 text=$3 got=0

	shift 3
	"$sim" "$@" >"$work/out" 2>&1 || got=$?
	if [ "$got" -eq "$status" ] && grep -q -- "$text" "$work/out"; then
		passed=$((passed + 1))
		return
	fi
	failed=$((failed + 1))
	echo "FAIL $name: $sim $*: exit status $got, not $status," \
		"or nothing of '$text' in"
	tail -n 5 "$work/out"
}

planted=(--fail-if leaders_isolated --time 6)

expect 'a failure names its seed' 1 '^FAILED seed ' \
	--seeds 1..30 "${planted[@]}"
seed=$(sed -n 's/^FAILED seed \([0-9]*\):.*/\1/p' "$work/out")
expect 'it is the same again' 1 '^FAILED: there are leaders_isolated' \
	--seed "${seed:-0}" "${planted[@]}"
expect 'it is made small' 0 ' events instead of ' \
	--shrink "${seed:-0}" "${planted[@]}"
read -r small _ _ _ large < <(grep 'events instead of' "$work/out")
[ "${small:-1}" -lt "$((${large:-0} / 10))" ] || {
	failed=$((failed + 1))
	echo "FAIL ${small:-no} events are not few, of ${large:-none}"
}
read -r -a repeat < <(sed -n 's|^repeat: [^ ]* ||p' "$work/out")
expect 'the small one fails' 1 '^FAILED: there are leaders_isolated' \
	"${repeat[@]:-none}"
expect 'what does not fail is not made small' 1 'does not fail' \
	--shrink "${seed:-0}" --time 6
expect 'runs that show nothing fail together' 1 'runs showed nothing' \
	--seeds 20 --time 0.1
expect 'so do those that cover too little' 1 '^happened 0 times, not 1: ' \
	--seeds 2 --require-coverage 1
printf '# none\n\n' >"$work/list"
expect 'a list of no regressions fails' 1 '^0 runs that failed once' \
	--regressions "$work/list"
printf -- '--seed %s %s # planted\n' "${seed:-0}" "${planted[*]}" >"$work/list"
expect 'one that fails again fails the list' 1 '1 fail again' \
	--regressions "$work/list"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
