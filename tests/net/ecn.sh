#!/bin/bash
# What the path tells, against the kernel: ECN agreed on in both roles, marks by a router, path MTU through a narrow
# link in both directions, and the same link as a black hole. timeout: 240
. "$(dirname "$0")/lib.sh"

if ! nft list ruleset >/dev/null 2>&1; then
	echo "ok 1 - no nft here # SKIP"
	echo "1..1"
	exit 0
fi
head -c 3000000 /dev/urandom >"$work/up.bin"

# counter NAME: of the stack's
counter() {
	timeout 10 "$TAPGLASS" stat -a -j | python3 -c 'import json, sys; print(json.load(sys.stdin)["counters"][sys.argv[1]])' "$1"
}
# kernel NAME: of the kernel's (this namespace's)
kernel() {
	python3 - "$1" <<'P'
import sys
lines = [l.split() for l in open("/proc/net/netstat")]
for names, values in zip(lines[::2], lines[1::2]):
    for n, v in zip(names, values):
        if n == sys.argv[1]:
            print(v)
P
}
# more NAME GOT: it is a positive number
more() {
	if [ "${2:-0}" -gt 0 ] 2>/dev/null; then
		ok "$1"
	else
		echo "# got: $2"
		not_ok "$1"
	fi
}
# sink PORT FILE: a server of the kernel's that takes one connection and writes what comes into FILE
sink() {
	python3 - "$1" "$2" <<'P' &
import socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("", int(sys.argv[1])))
s.listen(1)
s.settimeout(20)
c, _ = s.accept()
with open(sys.argv[2], "wb") as f:
    while b := c.recv(1 << 16):
        f.write(b)
P
	sink_pid=$!
	for _ in $(seq 100); do
		ss -ltn "sport = :$1" | grep -q LISTEN && return
		sleep 0.05
	done
}
# same NAME FILE FILE
same() {
	equal "$1" "$(sha <"$2")" "$(sha <"$3")"
}

# ---- ECN: the kernel opens, the stack accepts (its default)
sysctl -qw net.ipv4.tcp_ecn=1
start_stack -q
nft -f - <<'N'
table ip marks {
	chain in {
		type filter hook prerouting priority -150
		iifname "tap0" ip protocol tcp ip ecn ect0 counter
		iifname "tap0" ip protocol tcp ip ecn ect0 numgen random mod 8 0 counter ip ecn set ce
	}
	chain out {
		type filter hook postrouting priority 0
		oifname "tap0" ip protocol tcp ip ecn ect0 numgen random mod 8 0 counter ip ecn set ce
	}
}
N
fetch "marked on the way to the kernel, 20 MB arrive" 20000000
more "some were marked" "$(nft list chain ip marks in | sed -n 's/.*random.* packets \([0-9]*\).*/\1/p')"
more "the stack was told" "$(counter TcpEcnEchoesIn)"
more "and reduced its window" "$(counter TcpEcnReductions)"
delivered=$(kernel TCPDeliveredCE)
echo_file "marked on the way to the stack, 3 MB go there and back" "$work/up.bin"
more "the stack saw marks" "$(counter TcpEcnCeIn)"
more "the kernel was told" $(($(kernel TCPDeliveredCE) - delivered))
stop_stack quietly

# ---- ECN: the stack opens, the kernel accepts (2) or does not (0)
for level in 2 0; do
	sysctl -qw net.ipv4.tcp_ecn=$level
	start_stack -q --sysctl net.ipv4.tcp_ecn=1
	sink 7001 "$work/down.bin"
	timeout 30 "$TAPGLASS" nc -N $HOST 7001 <"$work/up.bin" >/dev/null 2>"$work/nc.err" || cat "$work/nc.err"
	wait $sink_pid
	same "the stack opens, tcp_ecn $level at the kernel: 3 MB arrive" "$work/down.bin" "$work/up.bin"
	if [ $level = 2 ]; then
		more "the stack was told of marks" "$(counter TcpEcnEchoesIn)"
	else
		equal "without agreement nothing is told" "$(counter TcpEcnEchoesIn)" 0
	fi
	stop_stack quietly
done
nft delete table ip marks

# ---- A path: stack, this namespace, a link of 1200 bytes, a router, a kernel at the far end
sysctl -qw net.ipv4.ip_forward=1
unshare -n sleep 200 &
router=$!
unshare -n sleep 200 &
far=$!
at() { # at PID COMMAND...: in that one's namespace
	local pid=$1
	shift
	nsenter -t "$pid" -n "$@"
}
sleep 0.3
ip link add n0 mtu 1200 type veth peer name n1 mtu 1200 netns $router
at $router ip link add f0 type veth peer name f1 netns $far
ip addr add 198.51.100.1/30 dev n0
ip link set n0 up
at $router ip addr add 198.51.100.2/30 dev n1
at $router ip addr add 203.0.113.1/24 dev f0
at $far ip addr add 203.0.113.2/24 dev f1
for l in n1 f0 lo; do at $router ip link set $l up; done
for l in f1 lo; do at $far ip link set $l up; done
at $router sysctl -qw net.ipv4.ip_forward=1
at $router ip route add default via 198.51.100.1
at $far ip route add default via 203.0.113.1
ip route add 203.0.113.0/24 via 198.51.100.2

far_fetch() { # NAME BYTES
	local got
	got=$(timeout 60 nsenter -t $far -n curl -sS --fail "http://$STACK/bytes/$2" 2>"$work/curl.err" | sha)
	if [ "$got" = "$($PATTERN "$2" | sha)" ]; then ok "$1"; else not_ok "$1" "$work/curl.err"; fi
}
far_echo() { # NAME
	timeout 60 nsenter -t $far -n nc -N $STACK 7 <"$work/up.bin" >"$work/back.bin" 2>"$work/nc.err"
	same "$1" "$work/back.bin" "$work/up.bin"
}
cases_of_path() { # NAME
	far_fetch "$1: 5 MB from the stack" 5000000
	far_echo "$1: 3 MB from the far kernel and back"
}

start_stack -q
cases_of_path "fragmentation needed is told"
equal "it was no black hole" "$(counter TcpMtuBlackHoles)" 0
more "the far kernel learnt of 1200 bytes" "$(at $far ip route get $STACK | grep -c 'mtu 1200')"
lost=$(counter TcpTimeouts)
equal "nothing had to time out" "$lost" 0
stop_stack quietly

# Nobody is told any more; the far kernel probes, as the stack does by default.
nft -f - <<'N'
table ip hole {
	chain out {
		type filter hook output priority 0
		icmp type destination-unreachable counter drop
	}
}
N
at $router nft -f - <<'N'
table ip hole {
	chain out {
		type filter hook output priority 0
		icmp type destination-unreachable counter drop
	}
}
N
at $far ip route flush cache
at $far sysctl -qw net.ipv4.tcp_mtu_probing=1
start_stack -q
cases_of_path "black hole"
more "the stack noticed" "$(counter TcpMtuBlackHoles)"
more "and looked for the largest that passes" "$(counter TcpMtuProbesAcked)"
more "nft swallowed what would have told it" "$(nft list table ip hole | grep -o 'packets [0-9]*' | cut -d ' ' -f 2)"
stop_stack quietly
kill $router $far
wait $router $far 2>/dev/null
finish
