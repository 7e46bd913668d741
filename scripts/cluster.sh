#!/bin/bash
# The local cluster of conf/n1.conf, conf/n2.conf and conf/n3.conf: starts and
# stops its daemons. Pid files, logs, data and the secret are below run/.
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 1

daemon=build/luminousd
nodes=(n1 n2 n3)
start_seconds=15
stop_seconds=20 # a daemon finishes what is under way

usage='usage: scripts/cluster.sh start|stop|status
       scripts/cluster.sh kill|restart|logs NODE      (n1, n2 or n3)'

fail() {
	echo "cluster.sh: $*" >&2
	exit 1
}

misuse() {
	echo "cluster.sh: $*" >&2
	echo "$usage" >&2
	exit 2
}

# The pid of a node's daemon. Fails if there is none, or if its number now
# belongs to something else.
node_pid() {
	local node=$1 pid command

	pid=$(cat "run/$node.pid" 2>/dev/null) || return 1
	[[ $pid =~ ^[0-9]+$ ]] || return 1
	[ "$(cat "/proc/$pid/comm" 2>/dev/null)" = luminousd ] || return 1
	command=$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null)
	[[ $command == *"-c conf/$node.conf "* ]] || return 1
	echo "$pid"
}

node_address() {
	local address

	address=$("$daemon" -c "conf/$1.conf" -T |
		sed -n 's/^node\.listen = \([^ ]*\) .*/\1/p')
	[ -n "$address" ] || fail "conf/$1.conf cannot be used"
	echo "$address"
}

# The socket that listens on a port, by its inode; nothing if the port is free.
port_inode() {
	local hex

	hex=$(printf ':%04X' "$1")
	cat /proc/net/tcp /proc/net/tcp6 2>/dev/null |
		awk -v port="$hex" \
			'$4 == "0A" && substr($2, length($2) - 4) == port {
				print $10
				exit
			}'
}

# Who holds a socket, as far as this user may know.
socket_owner() {
	local found pid

	found=$(find /proc/[0-9]*/fd -lname "socket:\\[$1\\]" -print -quit \
		2>/dev/null)
	pid=${found#/proc/}
	pid=${pid%%/*}
	if [ -n "$pid" ]; then
		echo "process $pid ($(cat "/proc/$pid/comm"))"
	else
		echo "a process of another user"
	fi
}

# wait_for SECONDS COMMAND...: true as soon as the command is.
wait_for() {
	local deadline=$((SECONDS + $1))

	shift
	until "$@"; do
		[ "$SECONDS" -lt "$deadline" ] || return 1
		sleep 0.1
	done
}

is_gone() {
	! node_pid "$1" >/dev/null
}

# Answers, or has ended: then there is nothing to wait for.
is_decided() {
	curl -fs --max-time 1 -o /dev/null "http://$2/livez" || is_gone "$1"
}

make_secret() {
	mkdir -p run || fail "run/ cannot be made"
	[ -w run ] || fail "run/ belongs to $(stat -c %U run)"
	[ -e run/cluster.secret ] && return
	(umask 077 && head -c 32 /dev/urandom | base64 >run/cluster.secret) ||
		fail "run/cluster.secret cannot be made"
	echo "Made run/cluster.secret"
}

check_port() {
	local node=$1 address inode

	node_pid "$node" >/dev/null && return
	address=$(node_address "$node") || exit 1
	inode=$(port_inode "${address##*:}")
	[ -z "$inode" ] || fail "$node cannot listen on $address:" \
		"the port is taken by $(socket_owner "$inode")"
}

launch() {
	local node=$1

	node_pid "$node" >/dev/null && return
	setsid "$daemon" -c "conf/$node.conf" </dev/null >>"run/$node.log" \
		2>&1 &
	echo $! >"run/$node.pid"
}

wait_until_up() {
	local node=$1 address pid note=

	address=$(node_address "$node") || exit 1
	wait_for "$start_seconds" is_decided "$node" "$address" ||
		fail "$node does not answer after $start_seconds seconds;" \
			"see scripts/cluster.sh logs $node"
	if ! pid=$(node_pid "$node"); then
		tail -n 5 "run/$node.log" >&2
		rm -f "run/$node.pid"
		fail "$node ended at once; its last lines are above"
	fi
	[[ $(readlink "/proc/$pid/exe") == *" (deleted)" ]] &&
		note=", of an older build: scripts/cluster.sh restart $node"
	echo "$node runs on $address (process $pid$note)"
}

# end_node NODE SIGNAL: asks or forces; true if there was one to end.
end_node() {
	local node=$1 signal=$2 pid

	pid=$(node_pid "$node") || return 1
	kill -s "$signal" "$pid" || fail "$node (process $pid) is not yours"
	if ! wait_for "$stop_seconds" is_gone "$node"; then
		echo "$node did not stop within $stop_seconds seconds: killed"
		kill -s KILL "$pid"
		wait_for "$stop_seconds" is_gone "$node" ||
			fail "$node (process $pid) cannot be killed"
	fi
	rm -f "run/$node.pid"
}

start_nodes() {
	[ -x "$daemon" ] || fail "$daemon is not there; run make"
	make_secret
	for node; do
		check_port "$node"
	done
	for node; do
		launch "$node"
	done
	for node; do
		wait_until_up "$node"
	done
}

stop_nodes() {
	for node; do
		if end_node "$node" TERM; then
			echo "$node stopped"
		else
			echo "$node is not running"
		fi
	done
}

# What a node says of itself: its role and term, or why it has none. The first
# "state" of the answer is its own.
node_role() {
	local node=$1 address=$2 answer state leader term role=follower

	answer=$(curl -fs --max-time 2 "http://$address/cluster") || {
		echo "does not answer"
		return
	}
	state=$(sed -n 's/^[^[]*"state": *"\([^"]*\)".*/\1/p' <<<"$answer")
	case $state in
	wiped)
		echo "wiped: its directory is empty, but the cluster remembers" \
			"it; see scripts/cluster.sh logs $node"
		return
		;;
	forming)
		echo "waits to form the cluster"
		return
		;;
	esac
	leader=$(sed -n 's/.*"leader": *"\([^"]*\)".*/\1/p' <<<"$answer")
	term=$(sed -n 's/.*"term": *\([0-9]*\).*/\1/p' <<<"$answer")
	if [ -z "$leader" ]; then
		role="no leader"
	elif [ "$leader" = "$node" ]; then
		role=leader
	fi
	echo "$role, term ${term:-unknown}"
}

# Exit status 0 if all nodes run.
show_status() {
	local node address pid all=0

	[ -x "$daemon" ] || fail "$daemon is not there; run make"
	for node; do
		address=$(node_address "$node" 2>/dev/null) || address=-
		if pid=$(node_pid "$node"); then
			printf '%s  %s  process %s  %s\n' "$node" "$address" \
				"$pid" "$(node_role "$node" "$address")"
		else
			printf '%s  %s  not running\n' "$node" "$address"
			all=1
		fi
	done
	return $all
}

show_log() {
	[ -e "run/$1.log" ] || fail "there is no run/$1.log: $1 never ran"
	tail -n 100 "run/$1.log"
}

check_arguments() {
	local command=$1 node=${2-}

	case $command in
	start | stop | status)
		[ $# -eq 1 ] || misuse "$command takes no further argument"
		;;
	kill | restart | logs)
		[ $# -eq 2 ] || misuse "$command takes one node"
		[[ " ${nodes[*]} " == *" $node "* ]] ||
			misuse "there is no node '$node'"
		;;
	*)
		misuse "there is no command '$command'"
		;;
	esac
}

[ $# -gt 0 ] || misuse "what shall be done?"
check_arguments "$@"
case $1 in
start) start_nodes "${nodes[@]}" ;;
stop) stop_nodes "${nodes[@]}" ;;
status) show_status "${nodes[@]}" ;;
kill)
	end_node "$2" KILL || fail "$2 is not running"
	echo "$2 killed"
	;;
restart)
	end_node "$2" TERM && echo "$2 stopped"
	start_nodes "$2"
	;;
logs) show_log "$2" ;;
esac
