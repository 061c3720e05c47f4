#!/bin/bash
# Frames beyond 64 KB (BIG TCP): what the kernel takes in, forwards, translates; captures, records, bad links; a TAP that is
# somebody else's. timeout: 240
. "$(dirname "$0")/lib.sh"

# average: bytes of a frame that the kernel has taken from the TAP since the last time.
average() {
	local b p
	read -r b p _ < <(ip -s link show "$TAP" | sed -n '/RX:/{n;p}')
	echo $(((b - bytes) / (p - packets > 0 ? p - packets : 1)))
	bytes=$b packets=$p
}

# is_big NAME / is_not_big NAME: the frames since the last time.
is_big() {
	local n
	n=$(average)
	[ "$n" -gt 70000 ] && ok "$1" || not_ok "$1 ($n bytes a frame)"
}

is_not_big() {
	local n
	n=$(average)
	[ "$n" -le 65550 ] && ok "$1" || not_ok "$1 ($n bytes a frame)"
}

# allow BYTES: gro_ipv4_max_size of the TAP, which not every ip(8) knows; says what it was.
allow() {
	python3 - "$TAP" "$1" <<-'EOF'
		import socket, struct, sys
		index, size = socket.if_nametoindex(sys.argv[1]), int(sys.argv[2])
		s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
		def ask(kind, flags, attr):
		    body = struct.pack("BxHiII", 0, 0, index, 0, 0) + attr
		    s.send(struct.pack("IHHII", 16 + len(body), kind, 1 | flags, 1, 0) + body)
		    return s.recv(65536)
		got, at, was = ask(18, 0, b""), 32, 0
		while at + 4 <= len(got):
		    n, kind = struct.unpack_from("HH", got, at)
		    if kind == 64:
		        was = struct.unpack_from("I", got, at + 4)[0]
		    at += (max(n, 4) + 3) & ~3
		print(was)
		if size:
		    sys.exit(-struct.unpack_from("i", ask(16, 4, struct.pack("HHI", 8, 64, size)), 16)[0])
	EOF
}

TAP=lo
if [ "$(allow 0)" = 0 ]; then
	echo "ok 1 - this kernel takes 64 KB at most # SKIP"
	echo "1..1"
	exit 0
fi

start_stack -q --big-tcp
TAP=$(ip -o link | sed -n 's/^[0-9]*: \(tap[^:@]*\)[:@].*/\1/p')
bytes=0 packets=0
average >/dev/null
equal "the host is told that it may" "$(allow 0)" 196608
fetch "300 MB arrive as they should" 300000000
is_big "in large frames"
equal "none of them is dropped" "$(ip -s link show "$TAP" | sed -n '/RX:/{n;p}' | tr -s ' ' | cut -d ' ' -f 5)" 0

# Behind a router, and one that translates addresses: its veth takes 64 KB.
unshare -n sleep 200 &
far=$!
pids=$far
trap 'kill $pids; cleanup' EXIT
sleep 0.2
echo 1 >/proc/sys/net/ipv4/ip_forward
ip link add near0 type veth peer name far0 netns $far
ip addr add 198.51.100.1/24 dev near0
ip link set near0 up
nsenter -t $far -n sh -c 'ip addr add 198.51.100.2/24 dev far0; ip link set far0 up; ip link set lo up; ip route add default via 198.51.100.1'
want=$($PATTERN 100000000 | sha)
if nft -f - <<-EOF 2>/dev/null; then
	table ip nat {
		chain post { type nat hook postrouting priority 100; oifname "$TAP" masquerade; }
	}
EOF
	equal "through a router that translates" \
		"$(nsenter -t $far -n timeout 60 curl -sS --fail http://$STACK/bytes/100000000 2>&1 | sha)" "$want"
	is_big "the router has taken large frames"
	nsenter -t $far -n ethtool -K far0 gro off tso off gso off >/dev/null 2>&1
	ethtool -K near0 tso off gso off tx off >/dev/null 2>&1
	equal "and cuts them where nothing else can" \
		"$(nsenter -t $far -n timeout 60 curl -sS --fail http://$STACK/bytes/100000000 2>&1 | sha)" "$want"
fi
stop_stack

start_stack -q --big-tcp --pcap "$work/a.pcapng" --record "$work/a.tgj"
bytes=0 packets=0
fetch "while it is captured and recorded" 20000000
is_big "large frames all the same"
stop_stack
equal "a capture has packets of the wire" "$(tcpdump -nr "$work/a.pcapng" 'greater 1515 or ip[2:2] = 0' 2>/dev/null | wc -l)" 0
check "all of them with the right checksums" sh -c "! tcpdump -vvnr '$work/a.pcapng' 2>/dev/null | grep -q 'incorrect'"
check "the record is the same run again" "$TAPGLASS" replay --check "$work/a.tgj"
timeout 60 "$TAPGLASS" step "$work/a.tgj" >"$work/step" 2>&1 <<<'step 1000'
matches "which can be stepped through" "$work/step" 'sent +stack sends .*\(1[0-9]{5}\) ack '
lacks "and is understood" "$work/step" malformed

start_stack -q --big-tcp --drop 0.5% --delay 1ms
fetch "over a bad link, which is given packets" 20000000
stop_stack

start_stack -q
bytes=0 packets=0
TAP=$(ip -o link | sed -n 's/^[0-9]*: \(tap[^:@]*\)[:@].*/\1/p')
average >/dev/null
fetch "if nobody asked for it" 50000000
is_not_big "it is 64 KB at most"
equal "and the TAP as the host makes it" "$(allow 0)" 65536
stop_stack

# What somebody else has prepared stays as it is.
ip tuntap add dev tap7 mode tap vnet_hdr
TAP=tap7
start_stack -q --big-tcp --link tap:tap7
bytes=0 packets=0
fetch "a TAP that was there" 50000000
is_not_big "gets no frame beyond 64 KB"
equal "and is not changed" "$(allow 0)" 65536
stop_stack
allow 262144 >"$work/allowed"
equal "its maker may allow it" "$?" 0
start_stack -q --link tap:tap7
average >/dev/null
fetch "then it works too" 50000000
is_big "in large frames there too"
stop_stack
finish
