#!/bin/bash
# --record and replay: a live run over a bad link is the same run again; what is damaged is said. timeout: 180
. "$(dirname "$0")/lib.sh"

j=$work/run.tgj
touch "$j"
chmod 644 "$j"
start_stack --record "$j" --drop 2% --dup 1% --reorder 1% --delay 2ms±1 --color never
fetch "3 MB over a link that loses packets" 3000000
head -c 500000 /dev/urandom >"$work/up.bin"
echo_file "500 kB there and back" "$work/up.bin"
ping -n -c 2 -i 0.1 -s 4000 $STACK >/dev/null 2>&1
python3 tests/net/udp.py $STACK echo >/dev/null 2>&1
cp "$stack_log" "$work/live"
stop_stack
equal "only the owner may read a journal" "$(stat -c %a "$j")" 600
check "it is the same run" "$TAPGLASS" replay --check "$j"
matches "all of it was compared" "$work/check.out" "the same run: [0-9]{4,} calls, [0-9]{3,} frames out, [0-9]+ hashes"
"$TAPGLASS" replay "$j" >"$work/again" 2>"$work/again.err"
equal "without --check too" $? 0
# What the log says of connections, without its times.
connections() {
	grep -E 'ESTABLISHED|CLOSED|TIME-WAIT|SYN' "$1" | sed 's/^[ +]*[0-9.:]* *//' | sort
}
check "it logs what happened" test -s "$work/again"
matches "of connections too" <(connections "$work/again") 'SYN-RECEIVED → ESTABLISHED'
equal "and says all that the live log did" "$(comm -13 <(connections "$work/again") <(connections "$work/live"))" ""
"$TAPGLASS" replay --check --until 50 "$j" 2>"$work/until"
matches "--until stops there" "$work/until" "stopped after 50 calls"

size=$(stat -c %s "$j")
head -c $((size / 2)) "$j" >"$work/half"
"$TAPGLASS" replay --check "$work/half" >"$work/out" 2>&1
equal "half a journal: status 4" $? 4
matches "and how far it went" "$work/out" "ends within a record at byte [0-9]+; the [0-9]+ calls before it were replayed"
"$TAPGLASS" replay "$work/half" >"$work/out" 2>&1
equal "without --check: status 1" $? 1
cp "$j" "$work/bad"
printf 'X' | dd of="$work/bad" bs=1 seek=$((size / 2)) conv=notrunc 2>/dev/null
"$TAPGLASS" replay --check "$work/bad" >"$work/out" 2>&1
equal "a changed byte: status 4" $? 4
matches "and where" "$work/out" "(hash does not fit|is impossible|are impossible|ends within a record) at byte [0-9]+; the [0-9]+ calls before"
"$TAPGLASS" replay README.md >"$work/out" 2>&1
equal "what is no journal: status 1" $? 1
matches "and that" "$work/out" "not a journal"
ln -s "$j" "$work/link"
timeout 10 "$TAPGLASS" up --record "$work/link" >"$work/out" 2>&1 </dev/null
equal "a symbolic link is not followed: status 3" $? 3
matches "a recording that cannot begin is said" "$work/out" "cannot record to"

start_stack -q --record /dev/full
fetch "a full disk does not stop the stack" 3000000
stop_stack
matches "but ends the recording with a line" "$stack_log" "the recording /dev/full ends here \(ENOSPC\)"
finish
