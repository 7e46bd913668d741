#!/bin/bash
# Installs what is missing, builds, and runs every test. The last line is
# 'N passed, N failed'; the exit status is 0 if none failed.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

passed=0
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Adds up what a step printed: Check's summaries and 'N passed, N failed'.
count_log() {
	awk '
	/^[0-9]+%: Checks: / {
		gsub(",", "")
		failed += $5 + $7
		passed += $3 - $5 - $7
		seen = 1
	}
	/^[0-9]+ passed, [0-9]+ failed$/ {
		passed += $1
		failed += $3
		seen = 1
	}
	END { print passed + 0, failed + 0, seen + 0 }' "$log"
}

# step DESCRIPTION COMMAND...: a step that counts nothing is itself one test.
step() {
	local name=$1 status=0 step_passed step_failed counted

	shift
	echo "== $name: $*"
	"$@" 2>&1 | tee "$log" || status=1
	read -r step_passed step_failed counted < <(count_log)
	if [ "$status" -ne 0 ] && [ "$step_failed" -eq 0 ]; then
		step_failed=1
	elif [ "$status" -eq 0 ] && [ "$counted" -eq 0 ]; then
		step_passed=1
	fi
	passed=$((passed + step_passed))
	failed=$((failed + step_failed))
	return "$status"
}

install_packages build test || exit 1

step "gcc build" make -j2 all unit sim && step "checks" make check
if [ -e tests/proc/run.py ]; then
	step "real daemons" python3 tests/proc/run.py
	step "HTTP API by curl" python3 tests/proc/conformance.py
fi
san=address,undefined
step "sanitizer build" make -j2 SAN=$san unit &&
	step "sanitizer units" build/san/unit
step "clang build" make -j2 CC=clang all unit sim &&
	step "clang units" build/clang/unit

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
