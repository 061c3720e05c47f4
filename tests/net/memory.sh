#!/bin/bash
# The whole program under valgrind, and as built with AddressSanitizer. timeout: 400
. "$(dirname "$0")/lib.sh"

session() {
	check "$1: ping" ping -n -c 3 -i 0.2 -W 5 $STACK
	check "$1: ping in fragments" ping -n -c 1 -W 5 -s 20000 $STACK
	check "$1: curl" curl -sSf -m 60 -o /dev/null http://$STACK/ http://$STACK/api/sockets
	LIMIT_S=120 fetch "$1: $2 bytes" "$2"
	head -c 1000000 /dev/urandom >"$work/f"
	echo_file "$1: 1 MB to the stack and back" "$work/f"
	check "$1: UDP" python3 tests/net/udp.py $STACK echo
	check "$1: refusal" python3 tests/net/udp.py $STACK unreachable
	nc -w 5 $STACK 4444 </dev/null 2>/dev/null
	check "$1: resets" python3 tests/net/stream.py $STACK reset
	check "$1: $3 connections at once" "$LOAD" hold $STACK 7 "$3"
	for _ in 1 2 3; do head -c 3000 /dev/urandom | timeout 20 nc -N $STACK 80 >/dev/null; done
}

export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
release=$TAPGLASS
TAPGLASS=build/asan/tapglass
if [ -x $TAPGLASS ]; then
	READY_S=20 start_stack -q --pcap "$work/a.pcapng"
	session "ASan" 20000000 500
	stop_stack
	lacks "ASan, UBSan and LeakSanitizer have nothing to say" "$stack_log" "Sanitizer|runtime error"
else
	not_ok "build/asan/tapglass is there (make CONFIG=asan)"
fi

TAPGLASS=$release
WRAP="valgrind -q --leak-check=full --errors-for-leak-kinds=definite,indirect --error-exitcode=99"
READY_S=60 start_stack -q
session "valgrind" 5000000 100
STOP_S=30 stop_stack
lacks "valgrind has nothing to say" "$stack_log" "^==[0-9]+=="
finish
