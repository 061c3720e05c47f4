#!/bin/bash
# Coming up, going away, and the messages when it cannot be. timeout: 180
. "$(dirname "$0")/lib.sh"

ifaces() {
	ip -o link | sed 's/^[0-9]*: \([^:@]*\).*/\1/' | sort | xargs
}

# ---- Up and down
before=$(ifaces)
start_stack
matches "the banner says who is who" "$stack_log" "$STACK"
check "ping" ping -n -c 1 -W 2 $STACK
curl -sS -m 10 -o /dev/null http://$STACK/
sleep 0.3
matches "the log tells of the ping" "$stack_log" "icmp.*echo request"
matches "of the state changes" "$stack_log" "SYN-RECEIVED → ESTABLISHED"
matches "of the request" "$stack_log" "http.*GET /.*200"
lacks "and there is no colour in a file" "$stack_log" "$(printf '\033')"
stop_stack
matches "the closing summary counts segments" "$stack_log" "segments"
matches "and retransmissions" "$stack_log" "retransm"
matches "and drops" "$stack_log" "drop"
equal "the interface is gone with it" "$(ifaces)" "$before"

start_stack
STOP_WITH=INT stop_stack
start_stack -q
check "curl" curl -sSf -m 10 -o /dev/null http://$STACK/
stop_stack
lacks "-q: no line of the log" "$stack_log" "LISTEN → SYN-RECEIVED|echo request|GET /"
start_stack
curl -s -m 10 http://$STACK/bytes/100000000 -o /dev/null --limit-rate 5M &
sleep 0.5
stop_stack
wait

start_stack
ping -n -c 1 -W 2 -q $STACK >/dev/null 2>&1
sleep 3 # time for the host's router solicitations and reports
ip=$(ip -6 -o addr show scope link | grep -c tap)
stop_stack
lacks "the host's IPv6 chatter is not logged" "$stack_log" "[0-9] +ip6|drop.*IPv6"
if [ "$ip" -gt 0 ]; then
	matches "but counted" "$stack_log" "ip6_ignored|IPv6"
fi

# A log that nobody reads any more, or a closed one, does not stop the stack.
rm -f "$work/ready"
mkfifo "$work/ready"
"$TAPGLASS" up --ready-fd 9 9>"$work/ready" 2>/dev/null </dev/null | head -n 1 >/dev/null &
IFS= read -r -t 10 -n 1 _ <"$work/ready"
for _ in 1 2 3 4 5; do curl -sS -m 5 -o /dev/null http://$STACK/; done
check "it lives on when its log's reader is gone" curl -sSf -m 10 -o /dev/null http://$STACK/
pid=$(pgrep -x tapglass)
kill -TERM "$pid"
wait

# ---- Arguments: status 2, and a word about it
usage() {
	local name=$1 status
	shift
	timeout 10 "$TAPGLASS" "$@" >"$work/out" 2>"$work/err" </dev/null
	status=$?
	if [ $status = 2 ] && grep -q '^tapglass: ' "$work/err"; then
		ok "usage: $name"
	else
		echo "# exit status $status"
		not_ok "usage: $name" "$work/err"
	fi
}
usage "unknown verb" nonsense
usage "unknown option" up --nonsense
usage "a stray argument" up stray
usage "no percentage" up --drop many
usage "more than all" up --drop 101%
usage "a negative one" up --dup -1%
usage "no rate" up --rate fast
usage "no delay" up --delay 5
usage "no network" up --net 300.1.2.0/24
usage "a prefix that leaves no room" up --net 192.0.2.0/31
usage "no such link" up --link carrier-pigeon
usage "no descriptor" up --ready-fd x
usage "a missing value" up --pcap
usage "ping without an address" ping
check "--help" "$TAPGLASS" --help
check "up --help" "$TAPGLASS" up --help
check "--version" "$TAPGLASS" --version

# ---- The environment: a message in four parts, status 3
# environment NAME PATTERN CMD...
environment() {
	local name=$1 pattern=$2 status
	shift 2
	timeout 10 "$@" >"$work/out" 2>"$work/err" </dev/null
	status=$?
	if [ $status = 3 ] && grep -qE -- "$pattern" "$work/err" && grep -q '^  why: ' "$work/err" &&
		grep -q '^  fix: ' "$work/err"; then
		ok "environment: $name"
	else
		echo "# exit status $status, wanted 3, /$pattern/, why: and fix:"
		not_ok "environment: $name" "$work/err"
	fi
}
ip tuntap add dev tgx mode tap
ip addr add $HOST/24 dev tgx
ip link set tgx up
start_stack -q --link tap:tgx
check "an existing TAP is taken as it is" ping -n -c 1 -W 2 $STACK
environment "a busy TAP" EBUSY "$TAPGLASS" up --name two --link tap:tgx
environment "a name that is taken" EADDRINUSE "$TAPGLASS" up --link tap:tgx
check "the first one is not disturbed" ping -n -c 1 -W 2 $STACK
stop_stack
equal "an existing TAP stays" "$(ifaces)" "lo tgx"
ip link del tgx
environment "no privilege for a TAP" "EPERM|EACCES" setpriv --bounding-set=-all --inh-caps=-all \
	--reuid=65534 --regid=65534 --clear-groups "$TAPGLASS" up --link tap:tgy
"$TAPGLASS" up --pcap /nowhere/x.pcapng >"$work/out" 2>"$work/err" </dev/null
status=$?
if [ $status != 0 ] && grep -q "^tapglass: " "$work/err" && grep -q ENOENT "$work/err"; then
	ok "a capture file that cannot be"
else
	not_ok "a capture file that cannot be (status $status)" "$work/err"
fi
"$TAPGLASS" up --www /nowhere >"$work/out" 2>"$work/err" </dev/null
status=$?
if [ $status != 0 ] && grep -q "^tapglass: " "$work/err"; then ok "--www without the directory"; else
	not_ok "--www without the directory (status $status)" "$work/err"; fi

# ---- Other ways up
start_stack -q --net 198.51.100.0/24
check "--net: another network" ping -n -c 1 -W 2 198.51.100.2
stop_stack
start_stack -q --mtu 1000
check "--mtu 1000: ping in fragments" ping -n -c 1 -W 2 -s 3000 $STACK
check "--mtu 1000: a download" curl -sSf -m 10 -o /dev/null http://$STACK/bytes/1000000
stop_stack
check "ping of two stacks on a virtual wire, without any privilege" setpriv --bounding-set=-all \
	--inh-caps=-all --reuid=65534 --regid=65534 --clear-groups "$TAPGLASS" ping --link sim -c 3 -i 0.05 $HOST
finish
