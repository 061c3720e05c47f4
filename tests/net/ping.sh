#!/bin/bash
# The host's ping: the first one, every size that matters, a flood. timeout: 120
. "$(dirname "$0")/lib.sh"

# pings NAME ARG...: every echo request is answered.
pings() {
	local name=$1
	shift
	check "$name" sh -c 'out=$(ping -n -W 2 "$@"); echo "$out"; echo "$out" | grep -q " 0% packet loss"' - "$@" $STACK
}

start_stack -q
# Nobody knows anybody's address yet.
pings "the very first ping is answered" -c 1
for size in 0 1 56 1472 1473 8000 65507; do
	pings "three pings of $size bytes" -c 3 -i 0.05 -s $size
done
pings "a whole packet that must not be fragmented" -c 1 -M "do" -s 1472
pings "a pattern comes back as it went" -c 3 -i 0.05 -s 1000 -p 5aa5ff00
pings "a flood of 1,000" -f -c 1000
pings "a flood of 200 in fragments" -f -c 200 -s 4000
pings "with options in the IP header (record route)" -c 2 -i 0.05 -R
pings "with a time-to-live of 1" -c 1 -t 1

ip neigh flush dev "$(ip -o route get $STACK | sed -n 's/.* dev \([^ ]*\).*/\1/p')"
pings "after the host forgot the link address" -c 1
equal "the link address is a locally administered one" \
	"$(ip neigh show $STACK | sed -n 's/.* lladdr \(..\):.*/\1/p')" 02

ping -n -b -c 2 -i 0.1 -W 1 192.0.2.255 >"$work/bcast" 2>&1
matches "a broadcast ping gets no answer" "$work/bcast" "100% packet loss"
ping -n -c 2 -i 0.1 -W 1 192.0.2.77 >"$work/nobody" 2>&1
matches "an address that nobody has gets none either" "$work/nobody" "100% packet loss"
pings "and afterwards all is well" -c 1
stop_stack
finish
