#!/bin/bash
# Real clusters under several faults at once; --help tells more. Installs what
# is missing, builds, and prints 'N passed, N failed' at the end.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

install_packages build test || exit 1
make -s "-j$(nproc)" all fnet check-history >/dev/null || exit 1
exec python3 tests/torture/torture.py "$@"
