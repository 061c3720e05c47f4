#!/bin/bash
# Several queues of a TAP, a stack each, one address: whatever comes by whichever queue arrives where it belongs, with
# the kernel told the queue of each flow (BPF, where that is allowed) and left to learn it. timeout: 300
. "$(dirname "$0")/lib.sh"

OPENER=build/release/tests/net/opener
PY="python3 tests/net/queues.py"

# number NAME: of `stat -j`'s counters
number() {
	python3 -c 'import json, sys; print(json.load(sys.stdin)["counters"].get(sys.argv[1], 0))' "$1" <"$work/stat"
}

discards() {
	python3 -c 'import json, sys; s = json.load(sys.stdin)
print(s["discards"].get(sys.argv[1], 0) + s["drops"].get(sys.argv[1], 0))' "$1" <"$work/stat"
}

# both_ways N HOW: everything against a stack with so many queues
both_ways() {
	local n=$1 how=$2 name="$1 queues${2:+, learned}" before after
	start_stack -q --link tap:tap0 --queues "$n${how:+,$how}"
	check "$name: the stack answers a ping" ping -n -c 3 -i 0.1 -W 2 $STACK
	check "$name: a ping in fragments" ping -n -c 3 -i 0.1 -W 2 -s 20000 $STACK
	$PY streams $STACK 40 100000 5 >"$work/streams" 2>&1 &
	local streams=$!
	sleep 2
	"$TAPGLASS" ss -j -t >"$work/ss"
	"$TAPGLASS" stat -a -j >"$work/stat"
	before=$(number FramesPassedOn)
	if [ "$n" = 1 ]; then
		lacks "$name: nothing is said of queues" "$work/ss" queue
	else
		check "$name: connections are in every one" $PY spread "$work/ss" "$n"
	fi
	wait $streams
	equal "$name: 40 streams, idle for 5 s between, bring back each byte" "$?$(cat "$work/streams")" 0
	"$TAPGLASS" stat -a -j >"$work/stat"
	after=$(number FramesPassedOn)
	if [ "$n" != 1 ] && [ "$how" = learn ]; then
		check "$name: frames crossed" test "$before" -gt 0
		check "$name: and again when the kernel had forgotten" test "$after" -gt "$before"
	fi
	check "$name: 300 connections, one after the other" $PY short $STACK 300
	fetch "$name: 20 MB by HTTP" 20000000
	check "$name: UDP echo, fragments too" python3 tests/net/udp.py $STACK echo
	check "$name: UDP in bursts" python3 tests/net/udp.py $STACK burst
	check "$name: a UDP port nobody has" python3 tests/net/udp.py $STACK unreachable
	singular "$name"
	"$TAPGLASS" stat -a -j >"$work/stat"
	equal "$name: no ring was ever full" "$(discards pass_queue_full)" 0
	equal "$name: every frame passed on was taken over" \
		"$((n == 1 || $(number FramesTakenOver) >= $(number FramesPassedOn)))" 1
	stop_stack
}

# Sockets that are at one of the instances only: those of the verbs.
singular() {
	local name=$1 i
	for i in 1 2 3 4; do
		"$TAPGLASS" nc -l 5000 >"$work/nc.got" 2>"$work/nc.err" </dev/null &
		local nc=$!
		for _ in $(seq 50); do
			"$TAPGLASS" ss -tl -H | grep -q ':5000 ' && break
			sleep 0.05
		done
		echo "hello $i" | timeout 5 nc -N $STACK 5000 >/dev/null 2>&1
		wait $nc
		[ "$(cat "$work/nc.got")" = "hello $i" ] || break
	done
	equal "$name: a listener that only one of them has" "$(cat "$work/nc.got")" "hello 4"
	timeout 10 nc -l 5001 >"$work/nc.got" 2>&1 &
	sleep 0.3
	echo "there" | timeout 10 "$TAPGLASS" nc -N $HOST 5001 >/dev/null 2>&1
	wait $!
	equal "$name: a verb's connection to the host" "$(cat "$work/nc.got")" there
	timeout 5 "$TAPGLASS" nc $HOST 5002 </dev/null >"$work/out" 2>&1
	matches "$name: a refused one is told at once" "$work/out" "refused"
	check "$name: a ping from the stack" "$TAPGLASS" ping -c 2 -i 0.1 $HOST
}

both_ways 1 ""
both_ways 2 learn
both_ways 4 learn
both_ways 2 ""
both_ways 4 ""

# ---- Active OPENs of every instance
$PY serve 7007 >"$work/serve" 2>&1 &
serve=$!
sleep 0.7
for how in steer learn; do
	for n in 2 4; do
		check "$n queues, $how: 20 active OPENs of each, idle for 5 s between" \
			$OPENER tap7 $n $how 20 100000 5
	done
done
kill $serve
wait $serve 2>/dev/null

# ---- Journals: one an instance
start_stack -q --link tap:tap0 --queues 2,learn --record "$work/j"
check "recorded: 40 streams" $PY streams $STACK 40 20000
check "recorded: a ping in fragments" ping -n -c 3 -i 0.1 -W 2 -s 4000 $STACK
stop_stack
for f in "$work/j" "$work/j.1"; do
	check "the journal of ${f##*/} is the same run" "$TAPGLASS" replay --check "$f"
done

# ---- Captures: a file for all, written by every thread
# pairs FILE: (interface, flow) of the segments in a capture
pairs() {
	tshark -n -r "$1" -Y tcp -T fields -e frame.interface_name -e tcp.stream 2>/dev/null | sort -u
}
start_stack -q --link tap:tap0 --queues 2 --pcap "$work/a.pcapng"
"$TAPGLASS" cap -w "$work/b.pcapng" 2>"$work/cap.err" </dev/null &
cap=$!
sleep 0.5
check "captured: 40 streams" $PY streams $STACK 40 20000
kill -INT $cap
wait $cap
check "captured: 100 connections" $PY short $STACK 100
stop_stack
for f in a b; do
	check "the capture $f is whole" capinfos "$work/$f.pcapng"
	pairs "$work/$f.pcapng" >"$work/pairs"
	matches "$f: queue 0" "$work/pairs" "^tap0 queue 0"
	matches "$f: queue 1" "$work/pairs" "^tap0 queue 1"
done
equal "b has the connections of its time" "$(cut -f 2 "$work/pairs" | sort -u | wc -l)" 40
pairs "$work/a.pcapng" >"$work/pairs"
equal "a has all of them" "$(cut -f 2 "$work/pairs" | sort -u | wc -l)" 140
lacks "no packet was left out" "$work/cap.err" "[1-9][0-9]* packets left out"

# ---- What cannot be
refused() {
	local name=$1 wanted=$2 pattern=$3 got
	shift 3
	timeout -k 5 20 "$TAPGLASS" up -q "$@" >"$work/out" 2>&1 </dev/null
	got=$?
	equal "$name: status" $got "$wanted"
	matches "$name: is told" "$work/out" "$pattern"
}
ip tuntap add dev one mode tap
ip tuntap add dev more mode tap multi_queue
refused "a TAP made for one queue" 3 'made for one queue, not 2' --link tap:one --queues 2
start_stack -q --link tap:more
refused "a TAP that somebody else has" 3 'another process is attached' --link tap:more --queues 2 --name two
stop_stack
start_stack -q --link tap:more --queues 2
check "one made for several" ping -n -c 2 -i 0.1 -W 2 $STACK
"$TAPGLASS" ss -tl >"$work/out"
matches "ss tells the queue" "$work/out" 'LISTEN .*:80 .* queue:1$'
"$TAPGLASS" arp >"$work/out"
matches "arp too" "$work/out" "^$HOST .* more  1$"
"$TAPGLASS" arp -j >"$work/out"
matches "in JSON" "$work/out" '"queue": ?1'
"$TAPGLASS" stat >"$work/out"
matches "stat has a line for each" "$work/out" '^1( +[0-9]+){6}$'
matches "and sums" "$work/out" '^FramesPassedOn +[1-9]'
"$TAPGLASS" stat -j >"$work/out"
matches "in JSON too" "$work/out" '"passed_on": ?[1-9]'
stop_stack
refused "no TAP" 2 'only a TAP has several queues' --link sim --queues 2
refused "impairments" 2 'a link that is impaired has one queue' --queues 2 --drop 1%
refused "too many" 2 'not 1 to 16' --queues 17
finish
