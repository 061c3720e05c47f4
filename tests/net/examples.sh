#!/bin/bash
# The programs of apps/examples behind a TAP of their own each: TAPGLASS_LINK, and the kernel as the other side.
. "$(dirname "$0")/lib.sh"

dir=build/examples
ip tuntap add dev tg0 mode tap
ip addr add $HOST/24 dev tg0
ip link set tg0 up

# serve PROGRAM [ARG...]: runs it on 192.0.2.2.
serve() {
	TAPGLASS_LINK="tg0,$STACK/24" "$@" >"$work/server.out" 2>&1 </dev/null &
	stack_pid=$!
	for _ in $(seq 50); do
		ping -n -c 1 -W 1 $STACK >/dev/null 2>&1 && return
		sleep 0.05
	done
	not_ok "$* answers" "$work/server.out"
}

end() {
	kill -TERM "$stack_pid"
	wait "$stack_pid" 2>/dev/null
	stack_pid=
}

serve $dir/echo_server 7
equal "echo_server" "$(printf 'hello\nthere\n' | timeout 5 nc -N $STACK 7)" "$(printf 'hello\nthere')"
equal "echo_server, the next client" "$(echo again | timeout 5 nc -N $STACK 7)" again
end

serve $dir/threads_server 4000
timeout 5 nc $STACK 4000 </dev/zero >/dev/null 2>&1 &
idle=$!
equal "threads_server" "$(printf 'abc\n\nhello world\n' | timeout 5 nc -N $STACK 4000 | xargs)" "3 0 11"
kill $idle 2>/dev/null
end

serve $dir/events_server 4001
for i in 1 2 3 4 5 6 7 8; do
	printf 'client %d\n' "$i" | timeout 5 nc -N $STACK 4001 >"$work/client.$i" &
	pids[i]=$!
done
for i in 1 2 3 4 5 6 7 8; do
	wait "${pids[$i]}"
done
equal "events_server, eight at once" "$(cat "$work"/client.? | wc -l)" 8
end

serve $dir/time_server 37
python3 - "$STACK" >"$work/time.out" 2>&1 <<'EOF'
import socket, struct, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(3)
s.sendto(b"?", (sys.argv[1], 37))
told = struct.unpack("!I", s.recv(16))[0] - 2208988800
print("right" if abs(told - time.time()) < 3 else told)
EOF
equal "time_server" "$(cat "$work/time.out")" right
end

# The client and the chat call a server of the kernel's.
python3 - "$HOST" >"$work/py.out" 2>&1 <<'EOF' &
import socket, sys
for port, answer in ((5001, None), (5002, b"hello from outside\n")):
    l = socket.socket()
    l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    l.bind((sys.argv[1], port))
    l.listen(1)
    print("ready", flush=True)
    c, _ = l.accept()
    if answer:
        c.sendall(answer)
    while True:
        data = c.recv(4096)
        if not data:
            break
        if answer is None:
            c.sendall(data)
        else:
            print(data.decode().strip(), flush=True)
    c.close()
EOF
other=$!
sleep 0.5
equal "echo_client" "$(echo 'to and fro' | TAPGLASS_LINK="tg0,$STACK/24" timeout 10 $dir/echo_client $HOST 5001)" "to and fro"
sleep 0.5
equal "chat" "$(echo 'hello from inside' | TAPGLASS_LINK="tg0,$STACK/24" timeout 10 $dir/chat $HOST 5002)" "hello from outside"
sleep 0.2
matches "chat, heard outside" "$work/py.out" "hello from inside"
kill $other 2>/dev/null
finish
