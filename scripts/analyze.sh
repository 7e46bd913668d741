#!/bin/bash
# Static analysis of the product: gcc's -fanalyzer, clang-tidy (.clang-tidy
# says what is off and why) and cppcheck. Takes minutes; fails on any finding.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

install_packages build analyze || exit 1

passed=0
failed=0
mapfile -t sources < <(find common server -name '*.c' | sort)
flags=(-std=c17 -D_GNU_SOURCE -I. -Iserver '-DLUMINOUS_VERSION="0"')

# each NAME COMMAND...: the command on every source, which it gets as its last
# argument but for what comes behind '--'.
each() {
	local name=$1

	shift
	echo "== $name"
	if printf '%s\0' "${sources[@]}" | xargs -0 -n 1 -P "$(nproc)" "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
}

each "gcc -fanalyzer" gcc "${flags[@]}" -O2 -fanalyzer -Werror \
	-c -o /dev/null
each "clang-tidy" sh -c 'flags=$1; shift; exec clang-tidy --quiet "$@" -- $flags' \
	clang-tidy "${flags[*]}"
each "cppcheck" cppcheck --quiet --enable=warning,performance,portability \
	--inline-suppr --suppress=missingIncludeSystem --error-exitcode=1 \
	"${flags[@]/-std=c17/--std=c11}"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
