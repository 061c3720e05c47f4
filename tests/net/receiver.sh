#!/bin/bash
# The stack's receiver and the kernel's before the same sender: see receiver.c. timeout: 120
. "$(dirname "$0")/lib.sh"

RECEIVER=${RECEIVER:-build/release/tests/net/receiver}
if [ ! -c /dev/net/tun ]; then
	echo "ok 1 - no /dev/net/tun here # SKIP"
	echo "1..1"
	exit 0
fi
# Each segment is to be answered by itself.
echo 0 >/proc/sys/net/ipv4/tcp_invalid_ratelimit
echo 0 >/proc/sys/net/ipv4/tcp_comp_sack_nr
for first in 1 1001 2001 3001 4001; do
	check "the same ACK numbers, bytes and states, scripts from $first on" "$RECEIVER" "$first" 1000
done
finish
