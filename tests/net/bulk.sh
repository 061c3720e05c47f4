#!/bin/bash
# Large transfers over a clean link, compared by sha256. timeout: 300
. "$(dirname "$0")/lib.sh"

head -c 200000000 /dev/urandom >"$work/up.bin"
start_stack -q
fetch "1 GB from the stack arrives as it should be" 1000000000
echo_file "200 MB go to the stack and back" "$work/up.bin"
pids=()
for i in 1 2 3 4; do
	timeout 60 curl -sS --fail http://$STACK/bytes/50000000 2>"$work/err$i" | sha >"$work/sum$i" &
	pids+=($!)
done
wait "${pids[@]}"
want=$($PATTERN 50000000 | sha)
equal "four at once, each its own bytes" "$(cat "$work"/sum[1-4] | sort -u)" "$want"
check "200 MB to the discard port" sh -c "nc -N $STACK 9 <'$work/up.bin'"
equal "chargen sends its lines" "$(timeout 20 nc -d $STACK 19 </dev/null 2>/dev/null | head -c 7400000 | tr -d "\r" | awk "NR <= 95 { print length(\$0) }" | sort -u | xargs)" "72"
stop_stack
finish
