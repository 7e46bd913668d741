#!/bin/sh
# Format, layers, symbols, and the rules of scripts/lint.py. One line a
# finding; exit status 1 when there is any.
# usage: scripts/lint.sh OBJECT-DIRECTORY
set -u
cd "$(dirname "$0")/.." || exit 1

status=0
find common server tests -name '*.[ch]' -exec \
	clang-format --dry-run -Werror {} + 2>&1 |
	sed -n 's/^\([^: ]*:[0-9]*\):[0-9]*: error: .*/\1: run clang-format -i/p' |
	sort -t : -k 1,1 -u | grep . && status=1
scripts/lint.py "$1" || status=1
exit $status
