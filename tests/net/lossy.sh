#!/bin/bash
# 50 MB both ways while the link drops, reorders, duplicates and corrupts, both ways. timeout: 400
. "$(dirname "$0")/lib.sh"

head -c 50000000 /dev/urandom >"$work/up.bin"
bad=(--drop 2% --reorder 1% --dup 1% --corrupt .1% --seed 7)
export LIMIT_S=150

start_stack -q "${bad[@]}"
fetch "50 MB from the stack" 50000000
echo_file "50 MB to the stack and back" "$work/up.bin"
check "HTTP works" curl -sSf http://$STACK/ http://$STACK/api/sockets
ping -n -q -f -c 500 $STACK >"$work/ping" 2>&1
lacks "pings got lost indeed" "$work/ping" " 0% packet loss"
stop_stack

start_stack -q --delay 5ms±2 --drop .5% --rate 200mbit
fetch "20 MB with delay, jitter, loss and a rate" 20000000
stop_stack
finish
