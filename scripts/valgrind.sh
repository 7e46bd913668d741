#!/bin/bash
# scripts/valgrind.sh [SUITE...]: the unit tests, or these suites, and real
# daemons under the HTTP API's tour, under valgrind. Takes most of an hour. A
# suite fails if valgrind has anything to say, or if it ran no test; that tests
# are late, because all is thirty times as slow, is no matter. Leaks are looked
# for in the daemons; in the units AddressSanitizer does that, which knows a
# test's children.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

install_packages build test analyze || exit 1
make "-j$(nproc)" luminousd unit >/dev/null || exit 1
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
export directory

suites=("$@")
if [ ${#suites[@]} -eq 0 ]; then
	mapfile -t suites < <(sed -n 's/^SUITE(\(.*\))$/\1/p' \
		tests/unit/suites.h)
	[ ${#suites[@]} -gt 0 ] || exit 1
fi

# said NAME: what valgrind has to say, if anything.
said() {
	local logs

	logs=$(find "$directory" -name "$1.*" -size +0)
	# Of what never ran, valgrind has nothing to say.
	if ! grep -qE '(Checks: |^)[1-9][0-9]*(,| passed)' "$directory/out.$1"
	then
		echo "FAIL  $1"
		tail -n 20 "$directory/out.$1"
		return
	fi
	if [ -z "$logs" ]; then
		echo "ok    $1"
		return
	fi
	echo "FAIL  $1"
	# shellcheck disable=SC2086 # one each
	head -n 40 $logs
}

run_suite() {
	valgrind -q --suppressions=tests/valgrind.supp \
		--log-file="$directory/$1.%p" build/unit "$1" \
		>"$directory/out.$1" 2>&1
	said "$1"
}

run_daemons() {
	local daemon=$directory/luminousd

	cat >"$daemon" <<-END
		#!/bin/sh
		exec valgrind -q --leak-check=full --log-file=$directory/daemons.%p \
			$PWD/build/luminousd "\$@"
	END
	chmod +x "$daemon"
	LUMINOUSD=$daemon python3 tests/proc/conformance.py \
		>"$directory/out.daemons" 2>&1
	said daemons
}
export -f run_suite said

{
	printf '%s\n' "${suites[@]}" |
		xargs -P "$(nproc)" -I SUITE bash -c 'run_suite SUITE'
	[ $# -gt 0 ] || run_daemons
} | awk -v all=$((${#suites[@]} + ($# == 0))) '
	{ print; passed += /^ok / ; failed += /^FAIL / }
	END { print passed + 0, "passed,", failed + 0, "failed"
		exit passed + failed != all || failed > 0 }'
