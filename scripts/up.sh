#!/bin/bash
# From a fresh Debian 12 to a running cluster of three nodes: installs what is
# missing, builds, starts, writes a key through one node and reads it through
# another. Safe to repeat; scripts/cluster.sh handles the cluster afterwards.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=scripts/packages.sh
. scripts/packages.sh
# shellcheck disable=SC2034  # install_packages reads it
packages[up]=curl

ready_seconds=30
first=127.0.0.1:5864
nodes=("$first" 127.0.0.1:5865 127.0.0.1:5866)
last=${nodes[2]}

fail() {
	echo "up.sh: $*" >&2
	exit 1
}

build() {
	mkdir -p run || fail "run/ cannot be made"
	if ! make -j2 all >run/build.log 2>&1; then
		tail -n 30 run/build.log >&2
		fail "the build failed; all of it is in run/build.log"
	fi
}

# A node is ready once it knows a leader that answers for it.
wait_until_ready() {
	local address=$1 deadline=$((SECONDS + ready_seconds))

	until curl -fs --max-time 2 -o /dev/null "http://$address/readyz"; do
		[ "$SECONDS" -lt "$deadline" ] ||
			fail "$address is not ready after $ready_seconds" \
				"seconds; see scripts/cluster.sh status"
		sleep 0.1
	done
}

write_and_read() {
	local value got

	value="hello from $(hostname)"
	curl -fsS --max-time 10 -o /dev/null -X PUT --data-binary "$value" \
		"http://$first/kv/greeting" || fail "the write failed"
	got=$(curl -fsS --max-time 10 "http://$last/kv/greeting") ||
		fail "the read failed"
	[ "$got" = "$value" ] || fail "wrote '$value' but read '$got'"
	echo "Wrote /kv/greeting through $first, read it through $last: $got"
}

install_packages build up || fail "packages could not be installed"
echo "Building build/luminousd"
build
scripts/cluster.sh start || exit 1
for address in "${nodes[@]}"; do
	wait_until_ready "$address"
done
echo "The cluster is ready"
write_and_read

cat <<EOF

To try next:
  curl -fsS -T - $first/kv/app/host <<< db7    # write
  curl -fsS $last/kv/app/host                  # read, through any node
  curl -fsS -X DELETE $first/kv/app/host       # delete
  curl -fsS $first/cluster                     # who leads
  scripts/cluster.sh kill n1                   # then read and write on
  scripts/cluster.sh restart n1
  scripts/cluster.sh status
  scripts/cluster.sh stop
EOF
