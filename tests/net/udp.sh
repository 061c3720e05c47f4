#!/bin/bash
# UDP through the host's kernel: echo of every size, fragments, port unreachable. timeout: 120
. "$(dirname "$0")/lib.sh"

start_stack -q
check "datagrams of 0 to 65,507 bytes come back" python3 tests/net/udp.py $STACK echo
check "bursts come back" python3 tests/net/udp.py $STACK burst
check "a port nobody has: ECONNREFUSED" python3 tests/net/udp.py $STACK unreachable
check "discard says nothing" python3 tests/net/udp.py $STACK discard
check "chargen answers with up to 512 bytes" python3 tests/net/udp.py $STACK chargen
check "thousands of unfinished datagrams block nobody" python3 tests/net/udp.py $STACK big_fragments_lost
check "a datagram from chargen's port" python3 tests/net/udp.py $STACK echo_does_not_loop
stop_stack
finish
