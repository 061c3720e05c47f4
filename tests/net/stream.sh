#!/bin/bash
# TCP's manners: half-close, refusal, resets, zero windows, small writes. timeout: 240
. "$(dirname "$0")/lib.sh"

# shellcheck disable=SC2120
cases() {
	head -c 3000000 /dev/urandom >"$work/f"
	echo_file "half-close: what was sent comes back after our FIN" "$work/f"
	printf x >"$work/one"
	echo_file "one byte" "$work/one"
	: >"$work/none"
	echo_file "no byte at all" "$work/none"

	nc -v -w 5 $STACK 4444 </dev/null >"$work/refused" 2>&1
	equal "a port nobody listens on: nc fails" $? 1
	matches "because the connection was refused" "$work/refused" "Connection refused"
	curl -sS -m 5 http://$STACK:81/ >"$work/refused" 2>&1
	equal "curl says so too (7)" $? 7

	check "options are negotiated" python3 tests/net/stream.py $STACK info
	check "bytes one by one" python3 tests/net/stream.py $STACK small_writes
	check "2,000 rounds of question and answer" python3 tests/net/stream.py $STACK request_response
	check "resets in mid-stream" python3 tests/net/stream.py $STACK reset
	check "urgent data" python3 tests/net/stream.py $STACK urgent
	check "idle connections" python3 tests/net/stream.py $STACK idle
	check "a reader that sleeps: the stack's probes find the window open again" \
		python3 tests/net/stream.py $STACK sleeping_reader
	check "the stack's own window closes and opens again" \
		python3 tests/net/stream.py $STACK sleeping_echo
}

start_stack -q
cases
stop_stack
finish
