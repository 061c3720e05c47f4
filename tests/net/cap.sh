#!/bin/bash
# tapglass cap on a running stack: every field read back by tshark, several at once, readers that are slow, stop or go.
# timeout: 180
. "$(dirname "$0")/lib.sh"

# fields FILE [FILTER] FIELD...: a line per packet, tab-separated.
fields() {
	local file=$1 f args=()
	shift
	for f; do args+=(-e "$f"); done
	tshark -N n -r "$file" -T fields "${args[@]}" 2>/dev/null
}

# capture FILE [ARG...]: starts tapglass cap -w FILE; its pid in cap_pid. It has begun when this returns.
capture() {
	local file=$1 n=0
	shift
	rm -f "$file"
	"$TAPGLASS" cap -w "$file" "$@" 2>"$file.err" </dev/null &
	cap_pid=$!
	until [ -s "$file" ] || [ $n -ge 100 ]; do
		sleep 0.05
		n=$((n + 1))
	done
}

# captured NAME PID: it is asked to end, and does.
captured() {
	kill -INT "$2"
	wait "$2"
	equal "$1 ends on SIGINT with status 0" $? 0
}

timeout 10 "$TAPGLASS" cap -w "$work/no.pcapng" 2>"$work/err"
equal "cap without a stack" "$? $(grep -c 'no stack named "default" is running' "$work/err")" "1 1"
check "and makes no file" test ! -e "$work/no.pcapng"

# ---- Fields
start_stack -q --name default
capture "$work/a.pcapng"
first=$cap_pid
capture "$work/b.pcapng" -s 60
second=$cap_pid
ping -n -c 2 -i 0.1 $STACK >/dev/null
curl -sS -m 20 -o /dev/null http://$STACK/bytes/100000
nc -z -w 1 $STACK 81
captured "a capture" $first
captured "one beside it" $second
matches "it tells how many" "$work/a.pcapng.err" '^[0-9]+ packets captured$'
matches "and that none is missing" "$work/a.pcapng.err" '^0 packets left out$'
equal "as many as are in the file" "$(fields "$work/a.pcapng" frame.number | wc -l)" \
	"$(sed -n 's/ packets captured$//p' "$work/a.pcapng.err")"

fields "$work/a.pcapng" frame.interface_name | sort -u >"$work/out"
equal "without impairments there is one interface" "$(cat "$work/out")" tap0
fields "$work/a.pcapng" frame.time_epoch >"$work/out"
matches "times are nanoseconds" "$work/out" '\.[0-9]{6}([1-9][0-9][0-9]|0[1-9][0-9]|00[1-9])$'
equal "and do not run backwards" "$(sort -n -c "$work/out" 2>&1)" ""
now=$(date +%s)
equal "and are of today" "$(awk -v now="$now" '{ if (now - $1 > 60 || $1 - now > 1) n++ } END { print n + 0 }' "$work/out")" 0
fields "$work/a.pcapng" frame.packet_id >"$work/out"
lacks "each packet has an id" "$work/out" '^$'
equal "of its own" "$(sort "$work/out" | uniq -d)" ""
fields "$work/a.pcapng" ip.src frame.packet_flags_direction | grep '^1' | sort -u >"$work/out"
equal "directions are right" "$(xargs <"$work/out")" "$HOST 0x00000001 $STACK 0x00000002"
fields "$work/a.pcapng" ip.src_host ip.dst_host | grep -E 'stack' | sort -u >"$work/out"
equal "addresses have names" "$(xargs <"$work/out")" "host stack stack host"
fields "$work/a.pcapng" tcp.flags.str frame.comment | tr -d '·' >"$work/out"
matches "a SYN's comment" "$work/out" '^S'$'\t''LISTEN -> SYN-RECEIVED \(9293 3\.10\.7\.2\)$'
matches "the third segment's" "$work/out" '^A'$'\t''SYN-RECEIVED -> ESTABLISHED \(9293 3\.10\.7\.4-5\)$'
matches "a FIN's" "$work/out" '^A?F?A?F?'$'\t''ESTABLISHED -> CLOSE-WAIT \(9293 3\.10\.7\.4-8\)$'
matches "our FIN's, which a call led to" "$work/out" '^AF?'$'\t''CLOSE-WAIT -> LAST-ACK \(9293 3\.10\.4\)$'
matches "that of what was dropped" "$work/out" '^S'$'\t''dropped: no connection: answered by a reset \(9293 3\.10\.7\.1\)$'
equal "-s: no packet is longer" "$(fields "$work/b.pcapng" frame.cap_len | sort -n | tail -n 1)" 60
equal "but its length is told" "$(fields "$work/b.pcapng" frame.len | sort -n | tail -n 1)" 1514
equal "both have seen the same" "$(fields "$work/b.pcapng" frame.packet_id tcp.seq_raw frame.comment | tail -n 50 | sha)" \
	"$(fields "$work/a.pcapng" frame.packet_id tcp.seq_raw frame.comment | tail -n 50 | sha)"
capinfos "$work/a.pcapng" >"$work/out" 2>/dev/null
matches "statistics are there" "$work/out" 'Number of stat entries = 1'

# ---- Readers
(sleep 0.5; exec ping -n -c 4 -i 0.1 $STACK >/dev/null) &
timeout 20 "$TAPGLASS" cap -c 4 2>"$work/err" | tshark -r - -T fields -e frame.comment -e frame.interface_name >"$work/out" 2>/dev/null
equal "a pipe into tshark, -c 4" "$(grep -c tap0 "$work/out")" 4
matches "ended by itself" "$work/err" '^4 packets captured$'
wait $!

LIMIT_S=5 check "a reader that goes ends the capture, though nothing arrives" sh -c "'$TAPGLASS' cap 2>/dev/null | head -c 50 >/dev/null"
capture "$work/c.pcapng"
kill -KILL $cap_pid
wait $cap_pid 2>/dev/null
sleep 0.3
check "after kill -9 the file is whole" sh -c "capinfos '$work/c.pcapng' | grep -q 'stat entries = 1'"
timeout 10 "$TAPGLASS" cap -w /dev/full 2>"$work/err" &
cap_pid=$!
sleep 0.3
ping -n -c 1 $STACK >/dev/null
wait $cap_pid
equal "a full disk is an error" "$? $(grep -c 'cannot write: No space left on device' "$work/err")" "1 1"

mkfifo "$work/fifo"
sleep 60 3<"$work/fifo" &
sleeper=$!
timeout 60 "$TAPGLASS" cap >"$work/fifo" 2>"$work/err" &
cap_pid=$!
exec 7<"$work/fifo"
sleep 0.3
LIMIT_S=20 fetch "beside a reader that sleeps, 50 MB arrive" 50000000
LIMIT_S=10 fetch "and once more" 50000000
check "and the stack answers" ping -n -c 1 -W 1 $STACK
kill $sleeper
cat <&7 >"$work/slow.pcapng" &
reader=$!
exec 7<&-
sleep 1
ping -n -c 1 $STACK >/dev/null
sleep 0.3
kill -INT "$(pgrep -P $cap_pid)"
wait $cap_pid $reader
matches "packets that found no room are counted" "$work/err" '^[1-9][0-9]* packets left out: the reader was too slow$'
tshark -r "$work/slow.pcapng" -T fields -e frame.drop_count >"$work/out" 2>"$work/tshark.err"
lacks "what did is whole" "$work/tshark.err" "cut short|appears to be damaged|isn't a"
equal "and their number stands in the file" "$(awk '{ n += $1 } END { print n }' "$work/out")" "$(sed -n 's/ packets left out.*//p' "$work/err")"
stop_stack

# ---- Impairments
start_stack -q --name default --drop-in 10% --drop-out 3% --dup-in 5% --seed 7
capture "$work/d.pcapng"
head -c 300000 /dev/urandom >"$work/data"
echo_file "300 kB there and back" "$work/data"
fields "$work/d.pcapng" frame.number >/dev/null
captured "the capture of an impaired link" $cap_pid
fields "$work/d.pcapng" frame.interface_name frame.packet_id frame.packet_flags_direction frame.comment tcp.seq_raw tcp.len >"$work/out"
equal "there are two interfaces" "$(cut -f 1 "$work/out" | sort -u | xargs)" "stack tap0"
# id -> what each interface has of it; a drop is on one side alone, and says so
awk -F '\t' '
	{ key = $2; n[$1, key]++; text[$1, key] = text[$1, key] $4; dir[key] = $3; what[$1, key] = $5 "/" $6; ids[key] }
	END {
		for (k in ids) {
			from = dir[k] == "0x00000001" ? "tap0" : "stack"; to = from == "tap0" ? "stack" : "tap0"
			if (n[from, k] != 1) odd++
			if (n[to, k] && what[from, k] != what[to, k]) differ++
			if (n[to, k] == 2 && from == "tap0") { twice++; if (text[from, k] !~ /link: duplicated/) silent++ }
			if (!n[to, k] && from == "tap0") { gone++; if (text[from, k] !~ /link: dropped/) silent++ }
			if (n[to, k] == 1 && from == "tap0" && text[from, k] ~ /link: dropped/) silent++
		}
		print odd + 0, differ + 0, silent + 0, (gone > 5), (twice > 2)
	}' "$work/out" >"$work/judged"
equal "the same packet has the same id on both; what was dropped or doubled says so" "$(cat "$work/judged")" "0 0 0 1 1"
cut -f 1,3,4 "$work/out" >"$work/comments"
matches "a state change is told at the stack" "$work/comments" '^stack'$'\t''0x00000001'$'\t''.*LISTEN -> SYN-RECEIVED'
lacks "and not on the link" "$work/comments" '^tap0.*(->|dropped: )'
matches "why it is sent again" "$work/comments" '^stack'$'\t''0x00000002'$'\t''.*retransmission: (timeout \(6298 5\.4\)|found lost \(5681 3\.2\))'
stop_stack
finish
