#!/bin/bash
# [4987 3.6] A flood of SYNs from twenty thousand addresses, while this machine's own kernel connects and transfers. timeout: 120
. "$(dirname "$0")/lib.sh"

FLOOD="python3 tests/net/syn_flood.py"
SYNS=20000 PER_SECOND=2500 ROOM=128 FORGED=500

# counter NAME: of the running stack, 0 if it is not there.
counter() {
	"$TAPGLASS" stat -a -j >"$work/stat" && python3 -c '
import json, sys
def find(o):
    if isinstance(o, dict):
        for k, v in o.items():
            if k == sys.argv[2] and isinstance(v, int):
                return v
            r = find(v)
            if r is not None:
                return r
    if isinstance(o, list):
        for v in o:
            r = find(v)
            if r is not None:
                return r
    return None
print(find(json.load(open(sys.argv[1]))) or 0)' "$work/stat" "$1"
}

# at_least NAME GOT LEAST
at_least() {
	if [ "$2" -ge "$3" ]; then
		ok "$1 ($2)"
	else
		printf 'got:      %s\nat least: %s\n' "$2" "$3" >"$work/least.out"
		not_ok "$1" "$work/least.out"
	fi
}

# lost: frames that found the queue towards the stack full.
lost() {
	ip -s -j link show "$dev" | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["stats64"]["tx"]["dropped"])'
}

start_stack -q --sysctl net.ipv4.tcp_max_syn_backlog=$ROOM
ping -nqc 1 -W 5 $STACK >/dev/null
dev=$(ip -o route get $STACK | sed -n 's/.* dev \([^ ]*\).*/\1/p')

calm=$($FLOOD hold $STACK 7 100000)
matches "the kernel agrees on timestamps, SACK and window scaling" <(echo "$calm") "^ts sack ws "
equal "without a flood no cookie is sent" "$(counter TcpSyncookiesSent)" 0

$FLOOD syns "$dev" $STACK 7 $SYNS $PER_SECOND >"$work/flood7" 2>&1 &
flood7=$!
$FLOOD syns "$dev" $STACK 80 $SYNS $PER_SECOND >"$work/flood80" 2>&1 &
flood80=$!
for _ in $(seq 100); do
	[ "$(counter TcpSyncookiesSent)" -gt 100 ] && break
	sleep 0.1
done
equal "in the flood: the same options, kept in the timestamp" "$($FLOOD hold $STACK 7 300000)" "$calm"
fetch "curl fetches 3 MB" 3000000
head -c 1000000 /dev/urandom >"$work/f"
echo_file "nc sends 1 MB and gets it back" "$work/f"
check "ten more connections" timeout 30 bash -c "for i in 1 2 3 4 5 6 7 8 9 10; do
	curl -sSf -m 10 -o /dev/null http://$STACK/ || exit 1; done"
if kill -0 $flood7 2>/dev/null && kill -0 $flood80 2>/dev/null; then
	ok "all that while the flood went on"
else
	not_ok "all that while the flood went on" "$work/flood7" "$work/flood80"
fi
received=$(counter TcpSyncookiesRecv)
at_least "these connections came by cookies" "$received" 13
wait $flood7 $flood80
equal "the floods are over" "$(cat "$work/flood7" "$work/flood80")" "sent $SYNS
sent $SYNS"

lost=$(lost)
echo "# $lost frames were lost before they reached the stack"
at_least "whatever had no room was answered by a cookie" "$(counter TcpSyncookiesSent)" \
	$((2 * SYNS - 2 * ROOM - lost))
equal "no forged one yet" "$(counter TcpSyncookiesFailed)" 0
check "forged ACKs" $FLOOD acks "$dev" $STACK 80 $FORGED
lost=$(($(lost) - lost))
for _ in $(seq 50); do
	[ "$(counter TcpSyncookiesFailed)" -ge $((FORGED - lost)) ] && break
	sleep 0.1
done
equal "are all refused, for their own reason" "$(counter tcp_syn_cookie)" $((FORGED - lost))
"$TAPGLASS" stat >"$work/stat.text"
matches "stat says so in words" "$work/stat.text" "forged or stale SYN cookie"
matches "and counts them" "$work/stat.text" "^TcpSyncookiesFailed +[1-9]"
equal "no connection was made by them" \
	"$(curl -sSf -m 10 http://$STACK/api/sockets | grep -o ESTAB | wc -l)" 1
fetch "it still answers" 100000
stop_stack
finish
