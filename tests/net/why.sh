#!/bin/bash
# What senders of a live stack wait for, as `tapglass ss` and /api/sockets say it, where each reason holds; and the
# counters of `tapglass stat`. timeout: 120
. "$(dirname "$0")/lib.sh"

# A client of the stack's port that never reads, or reads all that comes.
client() {
	python3 -c '
import socket, sys, time
s = socket.create_connection(("'$STACK'", int(sys.argv[1])))
if sys.argv[2] == "idle": s.sendall(b"hello"); s.recv(5)
while True:
    time.sleep(9) if sys.argv[2] != "reads" else s.recv(1 << 20) or sys.exit()' "$@" &
	client=$!
}

end_client() {
	kill "$client"
	wait "$client" 2>/dev/null
}

# waits NAME ADDRESS:PORT REASON [TIMER]: looks for at most 6 s.
waits() {
	local end=$((SECONDS + 6))
	while [ $SECONDS -le $end ]; do
		"$TAPGLASS" ss -tinmoO >"$work/ss"
		if grep -qE "$2 .*${4-}.* why:$3\b" "$work/ss"; then
			ok "$1"
			return
		fi
		sleep 0.02
	done
	not_ok "$1" "$work/ss"
}

# json NAME EXPRESSION: over d, what ss -j or stat -j printed.
json() {
	check "$1" python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); sys.exit(0 if ('"$2"') else repr(d)[:2000])' "$work/json"
}

start_stack -q
client 7 idle
waits "an idle one waits for its application" $STACK:7 app
equal "-tinmo: buffers, timer and why on one line" \
	"$(grep -cE "$STACK:7 .* skmem:\(r0,rb[0-9]+,.* cubic .* rtt:.* why:app" "$work/ss")" 1
"$TAPGLASS" ss -j >"$work/json"
json "ss -j says it too" 'd["sockets"][0]["tcp"]["why"] == "app"'
end_client
client 19 stops
waits "a receiver that does not read: the window, and a probe later" $STACK:19 rwnd "timer:\(persist,"
curl -sSf "http://$STACK/api/sockets" >"$work/json"
json "/api/sockets says it too" '"rwnd" in [s.get("tcp", {}).get("why") for s in d["sockets"]]'
end_client
stop_stack

start_stack -q --delay 30ms --drop-out 3% --drop-in 3% --seed 5
client 19 reads
sleep 1
waits "losses keep cwnd small: cwnd" $STACK:19 cwnd
end_client
"$TAPGLASS" stat >"$work/stat"
matches "stat: what was sent again, by its MIB name" "$work/stat" "^TcpRetransSegs +[1-9][0-9]*$"
lacks "stat: nothing that is zero" "$work/stat" "^[A-Za-z0-9_]+ +0( |$)"
nc -z -w 2 $STACK 81
python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(("'$STACK'", 4444)); s.send(b"x")'
sleep 0.2
"$TAPGLASS" stat >"$work/stat"
"$TAPGLASS" stat -j >"$work/json"
matches "stat: a drop reason, with its clause" "$work/stat" "^(tcp_closed|udp_no_port) +[1-9].*\(.*[0-9]\)"
json "stat -j: the counters by the same names" 'any("TcpRetransSegs" in v for v in d.values() if isinstance(v, dict))'
json "stat -j: the same reasons, none of them zero" '
sorted(d["drops"]) == sorted(
	l.split()[0] for l in open("'"$work"'/stat") if "_" in l.split(" ")[0]) and 0 not in d["drops"].values()'
stop_stack

start_stack -q --delay 20ms --rate 30mbit --pacing
client 19 reads
waits "its time has not come: pacing" $STACK:19 pacing
end_client
stop_stack

# A small write while another is not acknowledged. The stack's own nc is the sender.
start_stack -q --delay 700ms
nc -l -p 9999 >/dev/null &
listener=$!
(printf one; sleep 2.5; printf two; sleep 0.2; printf three; sleep 8) | "$TAPGLASS" nc -w 9 $HOST 9999 >/dev/null 2>&1 &
sender=$!
waits "less than a segment, and an ACK is on its way: nagle" $HOST:9999 nagle
kill $sender $listener
wait $sender $listener 2>/dev/null
stop_stack
finish
