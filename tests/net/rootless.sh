#!/bin/bash
# Without root: the rungs of --link auto that an ordinary user gets, the way in from 127.0.0.1, privileges given up,
# nothing left behind. timeout: 300
. "$(dirname "$0")/lib.sh"

# Where we are root a user without any privilege is made of nobody; otherwise we are such a user already.
as_user="setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all"
chmod 711 "$work"
if [ "$(id -u)" = 0 ] && $as_user true 2>/dev/null; then
	chown 65534:65534 "$work/run"
else
	as_user="setpriv --inh-caps=-all --bounding-set=-all"
fi
install -m 755 "$TAPGLASS" "$work/tapglass"
TAPGLASS=$work/tapglass
WRAP=$as_user
t() { # as that user
	timeout 20 $as_user "$TAPGLASS" "$@"
}
if ! t doctor >"$work/doctor" 2>&1 || ! grep -qE "✓ a (veth pair|private namespace)" "$work/doctor"; then
	echo "ok 1 - no user namespaces here # SKIP"
	sed 's/^/# /' "$work/doctor"
	echo "1..1"
	exit 0
fi

interfaces() { ip -o link | sed 's/^[0-9]*: \([^:@]*\).*/\1/' | sort | xargs; }
before=$(interfaces)

# in_private COMMAND...: where the kernel is the stack's peer
in_private() {
	timeout 60 $as_user "$TAPGLASS" sh -- "$@"
}

# sums NAME URL BYTES: a download compared with the pattern made independently
sums() {
	local got
	got=$(timeout 60 curl -sS --fail "$2" 2>"$work/curl.err" | sha)
	equal "$1" "$got" "$($PATTERN "$3" | sha)"
}

# What every link has to do. trial NAME ARG...
trial() {
	local name=$1 pid url
	shift
	start_stack "$@"
	url=$(sed -n 's/^  Open *\(http:[^ ]*\).*/\1/p' "$stack_log")
	equal "$name: the banner names the way in" "$url" "http://127.0.0.1:8080/"
	matches "$name: nothing was changed, says the banner" "$stack_log" "Nothing on this machine was changed"
	equal "$name: which is true" "$(interfaces)" "$before"
	check "$name: a page through 127.0.0.1" curl -sSf -m 10 "$url"
	sums "$name: 50 MB through it" "${url}bytes/50000000" 50000000
	check "$name: 8 at a time" curl -sSf -m 30 --parallel --parallel-max 8 -o /dev/null "${url}bytes/1000[1-8]"
	equal "$name: a request whose sender says no more" \
		"$(printf 'GET /bytes/5 HTTP/1.0\r\n\r\n' | timeout 10 nc -N 127.0.0.1 8080 | tail -c 5 | od -An -tu1 | xargs)" \
		"0 1 2 3 4"
	check "$name: ss sees port 80" sh -c "timeout 10 $as_user $TAPGLASS ss -tln | grep -q ':80 '"
	check "$name: the stack pings the other end" timeout 20 $as_user "$TAPGLASS" ping -c 2 -i 0.1 $HOST
	pid=$(pgrep -x -f "$TAPGLASS up .*" | head -n 1)
	equal "$name: no capability is left" \
		"$(sed -n 's/^Cap\(Prm\|Eff\|Bnd\|Amb\):\s*//p' "/proc/$pid/status" | sort -u)" 0000000000000000
	equal "$name: and none can be gained" "$(sed -n 's/^NoNewPrivs:\s*//p' "/proc/$pid/status")" 1
}

# And those with a kernel on them.
kernel_trial() {
	local name=$1
	check "$name: sh -- ping, the first one answered" $as_user "$TAPGLASS" sh -- ping -n -c 2 -i 0.2 -W 2 $STACK
	equal "$name: sh is root of a namespace" "$(in_private id -u)" 0
	equal "$name: sh -- curl of 100 MB" "$(in_private curl -sSf -m 30 http://$STACK/bytes/100000000 2>/dev/null | sha)" \
		"$($PATTERN 100000000 | sha)"
	head -c 30000000 /dev/urandom >"$work/random"
	chmod 644 "$work/random"
	equal "$name: 30 MB to the echo port and back" \
		"$(in_private nc -N $STACK 7 <"$work/random" | sha)" "$(sha <"$work/random")"
	check "$name: it is another network" sh -c "! ping -n -c 1 -W 1 $STACK"
	in_private cat /proc/net/if_inet6 >"$work/inet6" 2>/dev/null
	equal "$name: no IPv6 chatter on it" "$(wc -l <"$work/inet6")" 0
}

gone() {
	equal "$1: nothing is left of it" "$(interfaces) $(find "$XDG_RUNTIME_DIR" -mindepth 1)" "$before "
	check "$1: nobody listens any more" sh -c '! nc -z 127.0.0.1 8080'
}

# ---- A veth pair, and the way down to it
start_stack
stop_stack
# shellcheck disable=SC2086
if ! $as_user sh -c '[ -r /dev/net/tun ] && [ -w /dev/net/tun ]'; then
	matches "/dev/net/tun is not ours: said, with why and fix" "$stack_log" "cannot open /dev/net/tun \(E"
	matches "the mode and the owner" "$stack_log" "why: .*(mode 0[0-7]{3}, owner root|missing)"
	matches "what happens meanwhile" "$stack_log" "meanwhile: using a veth pair"
fi
trial veth --link veth
kernel_trial veth
STOP_WITH=INT stop_stack
gone veth
trial "veth without offloads" --link veth --plain
kernel_trial "veth without offloads"
stop_stack
start_stack --link veth --mtu 1000 --drop 1% --pcap "$work/run/x.pcapng"
check "veth: an MTU, losses and a capture" curl -sSf -m 30 -o /dev/null http://127.0.0.1:8080/bytes/3000000
stop_stack
rm -f "$work/run/x.pcapng"

# ---- A TAP in the private namespace: with a node of our own in place of /dev/net/tun
mkdir "$work/dev"
if mount -t tmpfs none "$work/dev" 2>/dev/null && mknod "$work/dev/tun" c 10 200 2>/dev/null &&
	chmod 666 "$work/dev/tun" && mount --bind "$work/dev/tun" /dev/net/tun 2>/dev/null; then
	trial "private TAP"
	matches "private TAP: the banner says so" "$stack_log" "link +private namespace \+ tap0"
	lacks "private TAP: no complaint" "$stack_log" "tapglass: |meanwhile"
	kernel_trial "private TAP"
	stop_stack
	gone "private TAP"
	umount /dev/net/tun
else
	ok "private TAP # SKIP no device node can be made here"
fi
umount "$work/dev" 2>/dev/null

# ---- No kernel at all
trial sim --link sim
check "sim: sh has nowhere to go, and says so" sh -c "timeout 10 $as_user $TAPGLASS sh -- true 2>&1 | grep -q 'sim link'"
stop_stack
gone sim

# ---- No namespaces either: the limit of an outer one is set to 0
if timeout 20 unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_user_namespaces' 2>/dev/null; then
	chmod 711 "$work/run"
	# shellcheck disable=SC2016
	timeout -s INT 2 unshare -Ur sh -c 'echo 0 >/proc/sys/user/max_user_namespaces
		exec setpriv --inh-caps=-all --bounding-set=-all "$0" up --name limit' "$TAPGLASS" >"$work/out" 2>&1
	equal "no user namespaces: it runs all the same" $? 124
	matches "no user namespaces: said" "$work/out" "cannot make a user and network namespace \(ENOSPC\)"
	matches "no user namespaces: why" "$work/out" "why: user namespaces are switched off"
	matches "no user namespaces: what happens meanwhile" "$work/out" "meanwhile: using the sim link"
	matches "no user namespaces: the way in" "$work/out" "Open +http://127.0.0.1:8080/"
else
	ok "no user namespaces # SKIP they cannot be limited here"
fi

# ---- The way in when its port is taken
python3 -c '
import socket, time
s = socket.create_server(("127.0.0.1", 8080)); time.sleep(60)' &
taker=$!
sleep 0.5
start_stack --link sim
matches "a taken port: said" "$stack_log" "127.0.0.1:8080 is taken by .*EADDRINUSE"
matches "the next one is used" "$stack_log" "using 8081"
matches "and shown" "$stack_log" "Open +http://127.0.0.1:8081/"
check "and works" curl -sSf -m 10 -o /dev/null http://127.0.0.1:8081/
stop_stack
t up --link sim --relay 8080 >"$work/out" 2>&1
equal "--relay 8080 means that one: status" $? 3
start_stack --link sim --relay 0
lacks "--relay 0: none" "$stack_log" "Open"
stop_stack
kill $taker
wait $taker 2>/dev/null

# ---- Many, and slow ones: bounded, and none is lost
start_stack --link veth -q
for i in $(seq 1 200); do
	curl -sS -m 40 -o /dev/null "http://127.0.0.1:8080/bytes/100$i" || echo failed
done >"$work/many" 2>&1
equal "200 connections one after the other" "$(wc -l <"$work/many")" 0
for i in $(seq 1 150); do
	curl -sS -m 50 --limit-rate 20k -o /dev/null http://127.0.0.1:8080/bytes/30000 || echo failed &
	slow[i]=$!
done >"$work/many" 2>&1
wait "${slow[@]}"
equal "150 slow ones at once, past the limit of 128" "$(cat "$work/many")" ""
check "and then another" curl -sSf -m 10 -o /dev/null http://127.0.0.1:8080/
stop_stack
finish
