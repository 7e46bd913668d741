#!/bin/bash
# Luminous beside what one would pick instead, in one run: three nodes of
# etcd (v2 API, and v3 through its JSON gateway) and, as the ceiling for HTTP,
# one nginx worker that returns 200. Load by wrk with keep-alive, 128-byte
# values, 10,000 keys, at each cluster's leader (tests/bench/load.lua); watches
# by tests/bench/fanout.c. Prints one table of medians over interleaved rounds;
# takes about eight minutes.
#
#	scripts/bench.sh [ROUNDS [SECONDS [SOAK_SECONDS]]]	default: 3 3 60
#
# $BESIDE is another luminousd, such as one of before a change: its PUT and GET
# are measured in turns with ours.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

rounds=${1:-3}
seconds=${2:-3}
soak_seconds=${3:-60}
if [[ ! "$rounds $seconds $soak_seconds" =~ ^[0-9]+\ [0-9]+\ [0-9]+$ ]]; then
	sed -n '2,14s/^# \{0,1\}//p' "$0"
	exit 2
fi

install_packages build bench || exit 1
make -s -j2 all fanout || exit 1

dir=$(mktemp -d)
pids=()
cleanup() {
	kill "${pids[@]}" 2>/dev/null
	wait 2>/dev/null
	rm -rf "$dir"
}
trap cleanup EXIT

# ---- Free ports: asked for once, all at the same time ----

mapfile -t ports < <(python3 - <<'EOF'
import socket
sockets = [socket.socket() for _ in range(19)]
for s in sockets:
    s.bind(("127.0.0.1", 0))
print("\n".join(str(s.getsockname()[1]) for s in sockets))
EOF
)

# ---- The servers ----

head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"$dir/secret"
chmod 600 "$dir/secret"

# start_luminous NAME PORT PORT PORT [ARGUMENT...]
start_luminous() {
	local name=$1 n1=$2 n2=$3 n3=$4 i

	shift 4
	for i in 1 2 3; do
		cat >"$dir/$name-$i.conf" <<-EOF
			[cluster]
			name = $name
			secret-file = secret
			[members]
			n1 = 127.0.0.1:$n1
			n2 = 127.0.0.1:$n2
			n3 = 127.0.0.1:$n3
			[node]
			name = n$i
			data-dir = $name-$i
			[log]
			level = err
		EOF
		"$daemon" -c "$dir/$name-$i.conf" "$@" &
		pids+=($!)
		luminous_pids+=($!)
	done
}

start_etcd() {
	local client=("${ports[@]:6:3}") peer=("${ports[@]:9:3}") i
	local cluster="e0=http://127.0.0.1:${peer[0]}"

	cluster+=",e1=http://127.0.0.1:${peer[1]}"
	cluster+=",e2=http://127.0.0.1:${peer[2]}"
	for i in 0 1 2; do
		etcd --name "e$i" --data-dir "$dir/etcd-$i" --enable-v2=true \
			--listen-client-urls "http://127.0.0.1:${client[i]}" \
			--advertise-client-urls "http://127.0.0.1:${client[i]}" \
			--listen-peer-urls "http://127.0.0.1:${peer[i]}" \
			--initial-advertise-peer-urls \
			"http://127.0.0.1:${peer[i]}" \
			--initial-cluster "$cluster" \
			--initial-cluster-state new \
			--log-level error >"$dir/etcd-$i.log" 2>&1 &
		pids+=($!)
		etcd_pids+=($!)
	done
}

start_nginx() {
	cat >"$dir/nginx.conf" <<-EOF
		worker_processes 1;
		pid $dir/nginx.pid;
		error_log $dir/nginx.log;
		events { worker_connections 1024; }
		http {
			access_log off;
			keepalive_requests 1000000000;
			server {
				listen 127.0.0.1:${ports[12]};
				location / {
					return 200 "$(printf 'x%.0s' {1..128})";
				}
			}
		}
	EOF
	nginx -c "$dir/nginx.conf" -g 'daemon off;' &
	pids+=($!)
}

# find_leader PATH EXPRESSION PORT...: the first port whose answer matches.
find_leader() {
	local path=$1 expression=$2 port tries

	shift 2
	for tries in $(seq 300); do
		for port; do
			if curl -s -m 1 -w ' %{http_code}' \
				"http://127.0.0.1:$port$path" |
				grep -q "$expression"; then
				echo "$port"
				return 0
			fi
		done
		read -r -t 0.1 <> <(:) || true
	done
	echo "bench: no leader behind ports $*" >&2
	return 1
}

# ---- The load ----

# measure NAME REQUEST PORT CONNECTIONS: "NAME rate p50_us p99_us errors"
measure() {
	wrk -t1 -c"$4" -d"${5:-$seconds}s" --latency -s tests/bench/load.lua \
		"http://127.0.0.1:$3" -- "$2" | awk -v name="$1" '
	function us(text) {
		if (text ~ /us$/) return text + 0
		if (text ~ /ms$/) return text * 1000
		return text * 1000000
	}
	$1 == "50%" { p50 = us($2) }
	$1 == "99%" { p99 = us($2) }
	/Requests\/sec/ { rate = $2 }
	/Non-2xx/ { errors = $NF }
	/Socket errors/ { errors += $4 + $6 + $8 + $10 }
	END { print name, rate + 0, p50 + 0, p99 + 0, errors + 0 }' \
		>>"$dir/results"
}

# measure_beside REQUEST: of the other luminousd, right behind that of ours
measure_beside() {
	[ -z "${BESIDE:-}" ] || measure "beside-$1" "$1" "$beside_leader" 64
}

# measure_fanout NAME luminous|etcd PORT: events to watchers, not requests
measure_fanout() {
	{ build/fanout "$2" "$3" 1000 "$seconds" || echo 0 0 0 0 1; } |
		awk -v name="$1" '{ print name, $1, $2, $3, $5 }' \
			>>"$dir/results"
}

# fill PORT COUNT: so many keys
fill() {
	python3 -c '
import sys
value = "x" * 128
for i in range(int(sys.argv[1])):
    print(f"{{\"key\":\"key{i}\",\"value\":\"{value}\"}}")' "$2" |
		curl -sS --fail-with-body -T - "http://127.0.0.1:$1/import"
}

rss_mb() {
	local pid

	for pid; do
		awk '/VmRSS/ { printf "%.1f ", $2 / 1024 }' "/proc/$pid/status"
	done
}

ticks() {
	local pid

	for pid; do
		awk '{ print $14 + $15 }' "/proc/$pid/stat"
	done | awk '{ sum += $1 } END { print sum }'
}

luminous_pids=()
etcd_pids=()
if [ -n "${BESIDE:-}" ]; then
	daemon=$BESIDE
	start_luminous beside "${ports[@]:16:3}"
	beside_leader=$(find_leader /leader ' 200$' "${ports[@]:16:3}") ||
		exit 1
fi
daemon=build/luminousd
start_luminous many "${ports[@]:13:3}"
luminous_pids=()
start_luminous rounds "${ports[@]:0:3}"
rounds_pids=("${luminous_pids[@]}")
start_luminous lease "${ports[@]:3:3}" --set raft.lease-reads=yes
start_etcd
start_nginx
many_leader=$(find_leader /leader ' 200$' "${ports[@]:13:3}") || exit 1
rounds_leader=$(find_leader /leader ' 200$' "${ports[@]:0:3}") || exit 1
lease_leader=$(find_leader /leader ' 200$' "${ports[@]:3:3}") || exit 1
etcd_leader=$(find_leader /v2/stats/self '"StateLeader"' \
	"${ports[@]:6:3}") || exit 1
fill "$many_leader" 1000000 || exit 1
echo "$rounds rounds of $seconds s each, $(nproc) cores;" \
	"a minute of PUTs after them"

for round in $(seq "$rounds"); do
	measure nginx nginx "${ports[12]}" 64
	measure put put "$rounds_leader" 64
	measure_beside put
	measure v2-put v2-put "$etcd_leader" 64
	measure v3-put v3-put "$etcd_leader" 64
	measure put-1 put "$rounds_leader" 1
	measure v2-put-1 v2-put "$etcd_leader" 1
	measure lease-put put "$lease_leader" 64
	measure get get "$rounds_leader" 64
	measure_beside get
	measure lease-get get "$lease_leader" 64
	measure get-stale get-stale "$rounds_leader" 64
	measure v2-get v2-get "$etcd_leader" 64
	measure v3-get v3-get "$etcd_leader" 64
	measure v2-get-local v2-get-local "$etcd_leader" 64
	for name in cas txn list ttl; do
		measure $name $name "$rounds_leader" 64
	done
	for name in v2-cas v3-cas v3-txn v3-list v2-ttl; do
		measure $name $name "$etcd_leader" 64
	done
	measure_fanout watch luminous "$rounds_leader"
	measure_fanout v3-watch etcd "$etcd_leader"
	measure put-many put-many "$many_leader" 64
	measure get-many get-many "$many_leader" 64
done
measure soak put "$rounds_leader" 64 "$soak_seconds"
luminous_rss=$(rss_mb "${rounds_pids[@]}")
etcd_rss=$(rss_mb "${etcd_pids[@]}")

# Idle: after the last checkpoint, over five seconds.
read -r -t 3 <> <(:) || true
before=$(ticks "${rounds_pids[@]}")
read -r -t 5 <> <(:) || true
idle=$(awk -v before="$before" -v after="$(ticks "${rounds_pids[@]}")" \
	-v hz="$(getconf CLK_TCK)" \
	'BEGIN { printf "%.2f", (after - before) / hz / 5 / 3 * 100 }')

# ---- The table: medians; ratios to what stands in `base` ----

median() {
	awk -v name="$1" -v column="$2" '$1 == name { print $column }' \
		"$dir/results" | sort -n |
		awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# row NAME LABEL [BASE BASE_LABEL COLUMN]
row() {
	local rate p50 p99 errors ratio=

	rate=$(median "$1" 2)
	p50=$(median "$1" 3)
	p99=$(median "$1" 4)
	errors=$(median "$1" 5)
	if [ $# -ge 4 ]; then
		ratio=$(awk -v a="$(median "$1" "${5:-2}")" \
			-v b="$(median "$3" "${5:-2}")" \
			-v label="$4" 'BEGIN { printf "%.2f x %s", a / b, label }')
	fi
	awk -v label="$2" -v rate="$rate" -v p50="$p50" -v p99="$p99" \
		-v errors="$errors" -v ratio="$ratio" 'BEGIN {
		printf "%-44s %8.0f %8.2f %8.2f %6d  %s\n", label, rate,
			p50 / 1000, p99 / 1000, errors, ratio }'
}

echo
printf '%-44s %8s %8s %8s %6s  %s\n' "" requests/s "p50 ms" "p99 ms" errors \
	ratio
row nginx "nginx, return 200, 64 connections"
row put "Luminous PUT, 64 connections" v2-put "etcd v2 PUT"
row v2-put "etcd v2 PUT, 64 connections"
row v3-put "etcd v3 JSON PUT, 64 connections"
row put-1 "Luminous PUT, 1 connection (p50)" v2-put-1 "etcd v2 p50" 3
row v2-put-1 "etcd v2 PUT, 1 connection"
row get "Luminous GET by quorum rounds, 64" nginx nginx
row lease-get "Luminous GET with lease reads, 64" nginx nginx
row get-stale "Luminous GET consistency=stale, 64" nginx nginx
row v2-get "etcd v2 GET quorum=true, 64"
row v3-get "etcd v3 JSON range, linearizable, 64"
row v2-get-local "etcd v2 GET local, 64"
row soak "Luminous PUT for a minute, 64 connections"
row cas "Luminous PUT If-Match: *, 64" v2-cas "etcd v2 prevExist"
row v2-cas "etcd v2 PUT prevExist=true, 64"
row v3-cas "etcd v3 JSON txn, 1 compare and put, 64"
row txn "Luminous txn of 10 puts, 64" v3-txn "etcd v3 txn"
row v3-txn "etcd v3 JSON txn of 10 puts, 64"
row list "Luminous list of 100 keys, 64" v3-list "etcd v3 range"
row v3-list "etcd v3 JSON range of 100 keys, 64"
row ttl "Luminous PUT with a TTL, 64" v2-ttl "etcd v2 TTL"
row v2-ttl "etcd v2 PUT with a TTL, 64"
row watch "Luminous events to 1,000 watchers" v3-watch "etcd v3 watch"
row v3-watch "etcd v3 JSON events to 1,000 watchers"
row put-many "Luminous PUT, 1,000,000 keys, 64" put "10,000 keys"
row get-many "Luminous GET, 1,000,000 keys, 64" get "10,000 keys"
if [ -n "${BESIDE:-}" ]; then
	row put "Luminous PUT, 64 connections" beside-put "PUT beside"
	row get "Luminous GET by quorum rounds, 64" beside-get "GET beside"
fi
echo
echo "RSS after it, MB a node:  Luminous $luminous_rss  etcd $etcd_rss"
echo "Luminous idle, CPU a node: $idle %"
