#!/bin/bash
# Luminous beside what one would pick instead, in one run: three nodes of
# etcd (v2 API, and v3 through its JSON gateway) and, as the ceiling for HTTP,
# one nginx worker that returns 200. Load by wrk with keep-alive, 128-byte
# values, 10,000 keys, at each cluster's leader. Prints one table of medians
# over interleaved rounds; takes under four minutes.
#
#	scripts/bench.sh [ROUNDS [SECONDS [SOAK_SECONDS]]]	default: 3 3 60
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1
# shellcheck source=scripts/packages.sh
. scripts/packages.sh

rounds=${1:-3}
seconds=${2:-3}
soak_seconds=${3:-60}

install_packages build bench || exit 1
make -s -j2 all || exit 1

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
sockets = [socket.socket() for _ in range(13)]
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
		build/luminousd -c "$dir/$name-$i.conf" "$@" &
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

cat >"$dir/put.lua" <<'EOF'
local value = string.rep("x", 128)
local n = 0
function request()
	n = n + 1
	return wrk.format("PUT", "/kv/key" .. n % 10000, nil, value)
end
EOF
cat >"$dir/get.lua" <<'EOF'
local n = 0
function request()
	n = n + 1
	return wrk.format("GET", "/kv/key" .. n % 10000)
end
EOF
sed 's|"/kv/key" .. n % 10000|"/kv/key" .. n % 10000 .. "?consistency=stale"|' \
	"$dir/get.lua" >"$dir/get-stale.lua"
cat >"$dir/v2-put.lua" <<'EOF'
local value = "value=" .. string.rep("x", 128)
local headers = { ["Content-Type"] = "application/x-www-form-urlencoded" }
local n = 0
function request()
	n = n + 1
	return wrk.format("PUT", "/v2/keys/key" .. n % 10000, headers, value)
end
EOF
sed 's|"/kv/key" .. n % 10000|"/v2/keys/key" .. n % 10000 .. "?quorum=true"|' \
	"$dir/get.lua" >"$dir/v2-get.lua"
sed 's|"/kv/key"|"/v2/keys/key"|' "$dir/get.lua" >"$dir/v2-get-local.lua"
cat >"$dir/base64.lua" <<'EOF'
local letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local function letter(n)
	return letters:sub(n + 1, n + 1)
end
local function encode(text)
	local out = {}
	for i = 1, #text, 3 do
		local a, b, c = text:byte(i, i + 2)
		local n = a * 65536 + (b or 0) * 256 + (c or 0)
		out[#out + 1] = letter(math.floor(n / 262144)) ..
			letter(math.floor(n / 4096) % 64) ..
			(b and letter(math.floor(n / 64) % 64) or "=") ..
			(c and letter(n % 64) or "=")
	end
	return table.concat(out)
end
local bodies = {}
local value = encode(string.rep("x", 128))
for i = 0, 9999 do
	bodies[i] = '{"key":"' .. encode("key" .. i) .. '"' ..
		(put and ',"value":"' .. value .. '"' or "") .. "}"
end
local headers = { ["Content-Type"] = "application/json" }
local n = 0
function request()
	n = n + 1
	return wrk.format("POST", put and "/v3/kv/put" or "/v3/kv/range",
		headers, bodies[n % 10000])
end
EOF
{ echo "local put = true"; cat "$dir/base64.lua"; } >"$dir/v3-put.lua"
{ echo "local put = false"; cat "$dir/base64.lua"; } >"$dir/v3-get.lua"
echo >"$dir/nginx.lua"

# measure NAME SCRIPT PORT CONNECTIONS: "NAME rate p50_us p99_us errors"
measure() {
	wrk -t1 -c"$4" -d"${5:-$seconds}s" --latency -s "$dir/$2.lua" \
		"http://127.0.0.1:$3" | awk -v name="$1" '
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
start_luminous rounds "${ports[@]:0:3}"
rounds_pids=("${luminous_pids[@]}")
start_luminous lease "${ports[@]:3:3}" --set raft.lease-reads=yes
start_etcd
start_nginx
rounds_leader=$(find_leader /leader ' 200$' "${ports[@]:0:3}") || exit 1
lease_leader=$(find_leader /leader ' 200$' "${ports[@]:3:3}") || exit 1
etcd_leader=$(find_leader /v2/stats/self '"StateLeader"' \
	"${ports[@]:6:3}") || exit 1
echo "$rounds rounds of $seconds s each, $(nproc) cores;" \
	"a minute of PUTs after them"

for round in $(seq "$rounds"); do
	measure nginx nginx "${ports[12]}" 64
	measure put put "$rounds_leader" 64
	measure v2-put v2-put "$etcd_leader" 64
	measure v3-put v3-put "$etcd_leader" 64
	measure put-1 put "$rounds_leader" 1
	measure v2-put-1 v2-put "$etcd_leader" 1
	measure lease-put put "$lease_leader" 64
	measure get get "$rounds_leader" 64
	measure lease-get get "$lease_leader" 64
	measure get-stale get-stale "$rounds_leader" 64
	measure v2-get v2-get "$etcd_leader" 64
	measure v3-get v3-get "$etcd_leader" 64
	measure v2-get-local v2-get-local "$etcd_leader" 64
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
echo
echo "RSS after it, MB a node:  Luminous $luminous_rss  etcd $etcd_rss"
echo "Luminous idle, CPU a node: $idle %"
