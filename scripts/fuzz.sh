#!/bin/bash
# scripts/fuzz.sh [SECONDS] [TARGET...]: runs the fuzz targets, all of them if
# none is named, for so many seconds each (60), two at a time. Needs clang.
# They begin with tests/fuzz/corpus/TARGET and what earlier runs found, which is
# kept in build/fuzz/corpus/TARGET. A table, and 'N passed, N failed': a target
# fails that crashes, hangs, leaks or has run nothing. Its input is named; put
# it into tests/fuzz/corpus/TARGET with the fix.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1

seconds=60
if [[ ${1:-} =~ ^[0-9]+$ ]]; then
	seconds=$1
	shift
fi
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
	for corpus in tests/fuzz/corpus/*/; do
		targets+=("$(basename "$corpus")")
	done
fi
for target in "${targets[@]}"; do
	if [ ! -d "tests/fuzz/corpus/$target" ]; then
		echo "no target '$target'; there are:" tests/fuzz/corpus/*/
		exit 2
	fi
done
build=${BUILD:-build}/fuzz
jobs=${FUZZ_JOBS:-2}

make -j"$(nproc)" fuzz >"$build.log" 2>&1 || {
	tail -n 20 "$build.log"
	echo "0 passed, 1 failed"
	exit 1
}
# Those that use files use many, and who crashes leaves them.
if [ -w /dev/shm ]; then
	export TMPDIR=/dev/shm
fi
TMPDIR=$(mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
mkdir -p "$build/corpus" "$build/crashes" "$build/logs"

run() {
	local target=$1 found=$build/corpus/$1 options=()

	mkdir -p "$found"
	if [ -e "tests/fuzz/$target.dict" ]; then
		options+=("-dict=tests/fuzz/$target.dict")
	fi
	FUZZ_TARGET=$target "$build/fuzzer" "$found" \
		"tests/fuzz/corpus/$target" -max_total_time="$seconds" \
		-max_len=4096 -timeout=20 -rss_limit_mb=2048 \
		-print_final_stats=1 "${options[@]}" \
		-artifact_prefix="$build/crashes/$target-" \
		>"$build/logs/$target.log" 2>&1
	echo $? >"$build/logs/$target.status"
}

for target in "${targets[@]}"; do
	while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do
		wait -n
	done
	run "$target" &
done
wait

passed=0
failed=0
printf '%-15s %12s %9s %9s  %s\n' target executions coverage features outcome
for target in "${targets[@]}"; do
	log=$build/logs/$target.log
	executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
	read -r coverage features < <(awk '/ cov: / {
		for (i = 1; i < NF; i++) {
			if ($i == "cov:") coverage = $(i + 1)
			if ($i == "ft:") features = $(i + 1)
		}
	} END { print coverage + 0, features + 0 }' "$log")
	outcome=ok
	if [ "$(cat "$build/logs/$target.status")" != 0 ]; then
		outcome="FAIL: $(sed -n 's/.*Test unit written to //p' "$log" |
			tail -n 1), see $log"
	elif [ "${executions:-0}" -eq 0 ] || [ "$coverage" -eq 0 ]; then
		outcome="FAIL: nothing was run, see $log"
	fi
	printf '%-15s %12s %9s %9s  %s\n' "$target" "${executions:-0}" \
		"$coverage" "$features" "$outcome"
	if [ "$outcome" = ok ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		grep -hE '^assertion failed|^==[0-9]+== *ERROR|^SUMMARY' "$log" |
			head -n 4
	fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
