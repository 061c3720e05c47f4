#!/bin/bash
# Datagrams several in one call (UDP_SEGMENT, UDP_GRO), between this machine's kernel and ours, both ways. timeout: 120
. "$(dirname "$0")/lib.sh"

# serve [ARG...]: the server on a TAP of its own.
serve() {
	build/release/tests/net/segment "$@" >"$work/server" 2>"$work/server.err" </dev/null &
	stack_pid=$!
	for _ in $(seq 100); do
		grep -q ready "$work/server" && return
		sleep 0.05
	done
	not_ok "the server is ready" "$work/server.err"
	finish
}

# end NAME: the word ends the server.
end() {
	check "$1: a single datagram comes back" python3 tests/net/segment.py $STACK end
	wait "$stack_pid"
	equal "$1: the server ends well" $? 0
	stack_pid=
}

serve --pcap "$work/a.pcapng"
check "offloads: every piece comes back" python3 tests/net/segment.py $STACK pieces
check "offloads: the kernel gets ours in one" python3 tests/net/segment.py $STACK together
matches "offloads: ours got the kernel's in one" "$work/server" "^64768 in 1472$"
end "offloads"
tshark -o ip.check_checksum:TRUE -o udp.check_checksum:TRUE -r "$work/a.pcapng" \
	-Y '_ws.malformed || ip.checksum.status == 0 || udp.checksum.status == 0 || frame.len > 1514' >"$work/bad" 2>/dev/null
if [ -s "$work/bad" ]; then not_ok "the capture has datagrams as on the wire" "$work/bad"; else
	ok "the capture has datagrams as on the wire"; fi
equal "as many as were sent, of the largest size" "$(tshark -r "$work/a.pcapng" -Y "ip.src == $STACK && udp.length == 1480" \
	2>/dev/null | wc -l)" $((1 + 44 + 44 + 1 + 2 + 44 + 1 + 2))
serve --plain
check "plain: every piece comes back" python3 tests/net/segment.py $STACK pieces
lacks "plain: nothing came together" "$work/server" " in [1-9]"
end "plain"
finish
