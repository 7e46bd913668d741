#!/bin/bash
# The long proofs, a piece at a time: what is done adds up over runs, machines
# that stop and commits, and a table says how much of each was done, on what.
#
#   scripts/prove.sh [PART...]    goes on with these parts, or all of them, until
#                                 each has reached its goal
#   scripts/prove.sh --status     the table alone
#   scripts/prove.sh --seconds N  begins no piece after so long; one takes half a
#                                 minute to some minutes, of valgrind an hour
#
# Results are lines of build/prove/results (or $PROVE): time, commit, part, what
# was done, what failed, seconds. Each piece's output is beside them. A tree
# with changes is named by its commit, '+' and a sum of them; when the tree
# changes, the run ends, as what it has built is of the former one.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

directory=${PROVE:-build/prove}
results=$directory/results
jobs=$(nproc)

name_tree() {
	local commit

	commit=$(git rev-parse --short HEAD 2>/dev/null || echo none)
	[ -z "$(git status --porcelain 2>/dev/null)" ] ||
		commit+=+$(git diff HEAD | cksum | cut -d' ' -f1)
	echo "$commit"
}

profiles=(mix snapshot churn disk net clock)

# ---- Parts: what one piece of each runs, given how much was done before (and,
# in `pieces`, in how many) ----
#
# A piece says what it did in its last line 'DONE n': seeds, hours, images ...

# seeds COMMAND DONE COUNT: the next COUNT seeds. Each profile gets its own, so
# that those of a piece are new ones in any order of the pieces.
seeds() {
	local program=$1 begun=$2 count=$3
	local profile=${profiles[begun / count % ${#profiles[@]}]}

	shift 3
	"$program" "$@" --profile "$profile" --jobs "$jobs" \
		--seeds "$((begun + 1))-$((begun + count))" &&
		echo "DONE $count"
}

piece_struct() { seeds build/sim "$1" 500; }
piece_bytes() { seeds build/sim-real "$1" 125 --messages bytes; }
piece_lmdb() { seeds build/sim-real "$1" 125 --disks lmdb; }

# Seeds above those of piece_struct, for the time that they simulate.
piece_hours() {
	local first=$((pieces * 1000 + 2000000))

	build/sim --profile mix --jobs "$jobs" \
		--seeds "$first-$((first + 999))" |
		awk '{ print } / simulated hours / { hours = $1 }
			END { print "DONE", hours }'
}

piece_mutants() {
	tests/mutants/mutants.py --jobs "$jobs" |
		awk '{ print } END { print "DONE", $1 }'
}

piece_cuts() {
	tests/proc/power_cuts.py --images 1000 --seed "$((pieces + 1))" |
		awk '{ print } /^[0-9]+ images/ { images = $1 }
			END { print "DONE", images }'
}

piece_calls() {
	tests/proc/call_errors.py | awk '{ print } END { print "DONE", $1 }'
}

piece_allocations() {
	tests/proc/alloc_errors.py | awk '{ print } END { print "DONE", $1 }'
}

piece_torture() {
	scripts/torture.sh --seconds 60 --count 2 --seed "$((pieces + 1))" |
		awk '{ print } END { print "DONE", $1 }'
}

piece_kills() {
	tests/proc/leader_kills.py --count 50 && echo "DONE 50"
}

piece_fuzz() {
	scripts/fuzz.sh 60 | awk '{ print } END { print "DONE", $1 }'
}

piece_analyze() { scripts/analyze.sh && echo "DONE 1"; }
piece_coverage() { scripts/coverage.sh && echo "DONE 1"; }
piece_valgrind() { scripts/valgrind.sh && echo "DONE 1"; }

# part, goal, unit
parts=(
	"struct 20000 seeds of the simulator"
	"bytes 1500 seeds with messages as bytes"
	"lmdb 2000 seeds on real files"
	"hours 300 simulated hours besides"
	"mutants 91 old bugs found again"
	"cuts 10000 images of power cuts"
	"calls 1 system calls that fail"
	"allocations 1000 allocations that fail"
	"torture 24 cells of real faults, 60 s each"
	"kills 1000 leaders killed"
	"fuzz 17 targets, a minute of fuzzing each"
	"analyze 1 static analysis"
	"coverage 1 coverage above its limits"
	"valgrind 1 suites and daemons under valgrind"
)

# ---- Results ----

# done_of PART: how much, on all commits.
done_of() {
	awk -v part="$1" '$3 == part && $5 == 0 { done += $4 }
		END { printf "%.12g\n", done }' "$results"
}

# pieces_of PART: how many passed. One that failed is run again.
pieces_of() {
	awk -v part="$1" '$3 == part && $5 == 0' "$results" | wc -l
}

failures_of() {
	awk -v part="$1" '$3 == part { failures += $5 } END { print failures + 0 }' \
		"$results"
}

print_status() {
	local part goal unit

	printf '%-12s %9s %9s %8s  %s\n' part done goal failed commits
	for line in "${parts[@]}"; do
		read -r part goal unit <<<"$line"
		printf '%-12s %9s %9s %8s  %s\n' "$part" "$(done_of "$part")" \
			"$goal" "$(failures_of "$part")" \
			"$(awk -v part="$part" '$3 == part { print $2 }' \
				"$results" | uniq -c |
				awk '{ printf "%s (%s) ", $2, $1 }')"
	done
}

# run_piece PART: one more piece; false if it failed.
run_piece() {
	local part=$1 begun before count failed=0
	local log pieces

	before=$(done_of "$part")
	pieces=$(pieces_of "$part")
	begun=$SECONDS
	log=$directory/$part.$(grep -c " $part " "$results").log
	echo "== $part, after $before"
	"piece_$part" "$before" >"$log" 2>&1 || failed=1
	count=$(sed -n 's/^DONE //p' "$log" | tail -n 1)
	[[ $count =~ ^[0-9.]*[1-9][0-9.]*$ ]] || { count=0; failed=1; }
	if [ "$(name_tree)" != "$commit" ]; then
		echo "the tree has changed: this piece does not count"
		exit 1
	fi
	echo "$(date -u +%FT%TZ) $commit $part $count $failed" \
		"$((SECONDS - begun))" >>"$results"
	[ "$failed" -eq 0 ] && return
	echo "FAILED, see $log:"
	tail -n 5 "$log"
	return 1
}

is_reached() {
	awk -v done="$(done_of "$1")" -v goal="$2" 'BEGIN { exit done < goal }'
}

# ---- ----

seconds=
wanted=()
status_only=
while [ $# -gt 0 ]; do
	case $1 in
	--status) status_only=1 ;;
	--seconds)
		seconds=${2:-}
		shift
		[[ $seconds =~ ^[0-9]+$ ]] || { echo "--seconds N"; exit 2; }
		;;
	-*) sed -n '2,15s/^# \{0,1\}//p' "$0"; exit 2 ;;
	*) wanted+=("$1") ;;
	esac
	shift
done
mkdir -p "$directory"
touch "$results"
if [ -n "$status_only" ]; then
	print_status
	exit
fi
install_packages build test || exit 1
commit=$(name_tree)
make "-j$jobs" programs >"$directory/build.log" 2>&1 || {
	tail "$directory/build.log"
	exit 1
}
for part in "${wanted[@]}"; do
	printf '%s\n' "${parts[@]}" | grep -q "^$part " || {
		echo "no part '$part'; see --status"
		exit 2
	}
done
failed=0
for line in "${parts[@]}"; do
	read -r part goal _ <<<"$line"
	if [ ${#wanted[@]} -gt 0 ] &&
		[[ " ${wanted[*]} " != *" $part "* ]]; then
		continue
	fi
	until is_reached "$part" "$goal"; do
		[ -z "$seconds" ] || [ "$SECONDS" -lt "$seconds" ] || break
		run_piece "$part" || { failed=1; break; }
	done
done
print_status
exit "$failed"
