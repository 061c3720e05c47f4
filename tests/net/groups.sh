#!/bin/bash
# What a program on BSD sockets sends to groups and by broadcast: as this machine's kernel receives it, and as it does itself.
. "$(dirname "$0")/lib.sh"

ip tuntap add dev tg0 mode tap && ip addr add $HOST/24 brd + dev tg0 && ip link set tg0 up
python3 - >"$work/kernel" <<'PY' &
import select, socket
def receiver(port, group=None):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("", port))
    s.setsockopt(socket.IPPROTO_IP, 12, 1)
    if group:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + socket.inet_aton("192.0.2.1"))
    return s
both = [receiver(4000, "239.1.2.3"), receiver(4001)]
print("ready", flush=True)
while True:
    for s in select.select(both, [], [], 6)[0] or exit():
        data, control, _, peer = s.recvmsg(100, 100)
        print(data.decode(), "port", s.getsockname()[1], "ttl", control[0][2][0], "from", peer[0], flush=True)
PY
kernel=$!
n=0
until grep -q ready "$work/kernel" || [ $((n += 1)) -gt 100 ]; do sleep 0.05; done
TAPGLASS_LINK=tg0,$STACK/24,$HOST timeout 20 build/release/tests/net/groups "hello" >"$work/ours" 2>"$work/err"
equal "the sender ends well" $? 0
n=0
until grep -q "port 4001" "$work/kernel" || [ $((n += 1)) -gt 40 ]; do sleep 0.05; done
kill $kernel
wait $kernel 2>/dev/null
matches "the kernel's member of the group gets it, with its TTL" "$work/kernel" "^hello port 4000 ttl 5 from $STACK$"
matches "and what goes to all hosts" "$work/kernel" "^hello port 4000 ttl 5 from"
lacks "but not what goes to loopback" "$work/kernel" "stays here"
matches "a broadcast" "$work/kernel" "^hello port 4001 ttl 64 from $STACK$"
matches "we have joined no group" "$work/ours" "^group: nothing"
matches "our own of what goes to all hosts" "$work/ours" "^all hosts: hello"
matches "not without IP_MULTICAST_LOOP" "$work/ours" "^all hosts, no loop: nothing"
matches "by loopback alone" "$work/ours" "^loopback: stays here"
matches "our own broadcast" "$work/ours" "^broadcast: hello"
ip link del tg0
finish
