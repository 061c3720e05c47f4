#!/bin/bash
# The core cases again without any offload: frames of the MTU, checksums in software. timeout: 300
. "$(dirname "$0")/lib.sh"

head -c 50000000 /dev/urandom >"$work/up.bin"
start_stack -q --plain
check "ping" ping -n -c 1 -W 2 $STACK
check "ping in fragments" ping -n -c 2 -i 0.1 -W 2 -s 65507 $STACK
check "HTTP" curl -sSf -m 10 -o /dev/null http://$STACK/ http://$STACK/bytes/100000
fetch "200 MB from the stack" 200000000
echo_file "50 MB to the stack and back" "$work/up.bin"
check "UDP of every size" python3 tests/net/udp.py $STACK echo
check "UDP port unreachable" python3 tests/net/udp.py $STACK unreachable
check "a reader that sleeps" python3 tests/net/stream.py $STACK sleeping_reader
check "the stack's own window closes and opens again" python3 tests/net/stream.py $STACK sleeping_echo
check "500 connections at once" "$LOAD" hold $STACK 7 500
stop_stack

start_stack -q --plain --drop 2% --reorder 1% --dup 1% --corrupt .1% --seed 11
head -c 10000000 "$work/up.bin" >"$work/10.bin"
fetch "10 MB over a bad link" 10000000
echo_file "10 MB to the stack and back over a bad link" "$work/10.bin"
stop_stack
finish
