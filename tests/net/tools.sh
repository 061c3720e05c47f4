#!/bin/bash
# The verbs that work on a running stack, and those about the machine: ss arp route stat ping sh wait doctor setup.
# timeout: 180
. "$(dirname "$0")/lib.sh"

interfaces() { ip -o link | sed 's/^[0-9]*: \([^:@]*\).*/\1/' | sort | xargs; }
before=$(interfaces)

# status NAME WANTED PATTERN CMD...: exit status, and a line of standard error
status() {
	local name=$1 wanted=$2 pattern=$3 got
	shift 3
	timeout -k 5 20 "$@" >"$work/out" 2>"$work/err" </dev/null
	got=$?
	if [ $got = "$wanted" ] && { [ -z "$pattern" ] || grep -qE -- "$pattern" "$work/err"; }; then
		ok "$name"
	else
		echo "# exit status $got, wanted $wanted, /$pattern/"
		not_ok "$name" "$work/err"
	fi
}

# show NAME PATTERN CMD...: a line of standard output
show() {
	local name=$1 pattern=$2
	shift 2
	timeout -k 5 20 "$@" >"$work/out" 2>"$work/err" </dev/null
	matches "$name" "$work/out" "$pattern"
}

# ---- Without a stack
for verb in ss arp route stat sh; do
	status "$verb without a stack" 1 'no stack named "default" is running \(ENOENT\)' "$TAPGLASS" $verb
done
status "wait gives up" 1 'no stack named "default"' "$TAPGLASS" wait --timeout 0.2
status "a name that cannot be" 2 "1 to 32 letters" "$TAPGLASS" ss --name ../x
status "ss with an unknown option" 2 "unknown or ambiguous option" "$TAPGLASS" ss --nonsense
show "doctor: the link that carries" "✓ (a TAP in this|a private)" "$TAPGLASS" doctor
show "doctor: what up would use" "^  up  " "$TAPGLASS" doctor
equal "doctor leaves nothing behind" "$(interfaces)" "$before"

# ---- wait
"$TAPGLASS" up -q >"$stack_log" 2>&1 </dev/null &
stack_pid=$!
check "wait returns when the stack is up" "$TAPGLASS" wait --timeout 10
check "and it is" ping -n -c 1 -W 2 $STACK
show "doctor sees it" 'running +"default": pid '"$stack_pid" "$TAPGLASS" doctor

# ---- ss
python3 -c '
import socket, time
s = socket.create_connection(("'$STACK'", 7)); s.sendall(b"x" * 1000); s.recv(2000)
t = socket.create_connection(("'$STACK'", 19)); time.sleep(60)' &
client=$!
sleep 0.7
show "ss: the columns of ss" "^Netid State +Recv-Q +Send-Q +Local Address:Port +Peer Address:Port +Process" "$TAPGLASS" ss
show "ss: a connection" "^tcp +ESTAB +0 +0 +$STACK:7 +$HOST:[0-9]+" "$TAPGLASS" ss
lacks "ss: listeners only with -a or -l" "$work/out" LISTEN
show "ss -l" "^tcp +LISTEN +0 +[0-9]+ +0.0.0.0:80 +0.0.0.0:\*" "$TAPGLASS" ss -l
lacks "ss -l: nothing else" "$work/out" ESTAB
show "ss -tan: no Netid with one kind" "^LISTEN +0 +[0-9]+ +0.0.0.0:80 " "$TAPGLASS" ss -tan
lacks "ss -t: no UDP" "$work/out" "UNCONN"
show "ss -ua" "^UNCONN +0 +0 +0.0.0.0:7 +0.0.0.0:\*" "$TAPGLASS" ss -ua
lacks "ss -H: no heading" <("$TAPGLASS" ss -H) "^(Netid|State)"
show "ss -i: what TCP knows" "ts sack cubic wscale:[0-9]+,[0-9]+ rto:[0-9.]+ rtt:[0-9.]+/[0-9.]+ mss:[0-9]+ .*cwnd:[0-9]+ " \
	"$TAPGLASS" ss -ti
matches "ss -i: bytes" "$work/out" "bytes_sent:1000 bytes_acked:100[01] bytes_received:1000 segs_out:"
matches "ss -i: why the idle one waits" "$work/out" "why:app"
matches "ss -i: why the one that nobody reads waits" "$work/out" "why:(rwnd|cwnd)"
show "ss -m" "skmem:\(r0,rb[0-9]+,t0,tb[0-9]+" "$TAPGLASS" ss -tm
show "ss -e" "conn:[0-9]+ sk:" "$TAPGLASS" ss -te
"$TAPGLASS" ss -tioO >"$work/out"
equal "ss -O: a line each" "$(wc -l <"$work/out")" 3
"$TAPGLASS" ss -j >"$work/json"
check "ss -j: JSON" python3 -c '
import json
d = json.load(open("'"$work"'/json"))
c = [s for s in d["sockets"] if s["local"]["port"] == 7][0]
assert d["total"] == len(d["sockets"]) == 2 and c["state"] == "ESTAB" and c["tcp"]["bytes_sent"] == 1000, d'
show "ss -p: whose they are" "users:\(\(\"tapglass\",pid=[0-9]+\)\)" "$TAPGLASS" ss -tp
# Timers: the one that nobody reads makes its sender probe; a connection that we have closed waits.
show "ss -o: persist" "^ESTAB .* timer:\(persist,[0-9.]+(ms|sec),[0-9]+\)" "$TAPGLASS" ss -to
check "/api/sockets says the same of them" sh -c "curl -sSf http://$STACK/api/sockets | grep -q '\"timer\":\"persist\"'"
curl -sS -o /dev/null -H 'Connection: close' http://$STACK/
show "ss -o: timewait" "^TIME-WAIT .* timer:\(timewait,([0-9]+min)?([0-9.]+sec)?,0\)" "$TAPGLASS" ss -tao
check "a reader that stops does not stop the stack" sh -c "'$TAPGLASS' ss -a | (read -r _; exit 0)"
check "which lives on" ping -n -c 1 -W 2 $STACK

# ---- arp, route, stat
show "arp" "^$HOST +([0-9a-f]{2}:){5}[0-9a-f]{2} +(REACHABLE|STALE) +[0-9.]+s +tap0" "$TAPGLASS" arp
show "route: the link's network" "^192.0.2.0/24 +- +0 +tap0" "$TAPGLASS" route
matches "route: the way to everywhere else" "$work/out" "^default +$HOST +0 +tap0"
show "stat: a MIB name" "^TcpPassiveOpens +[0-9]+$" "$TAPGLASS" stat
lacks "stat: zeros are not shown" "$work/out" "^[A-Za-z]+ +0$"
show "stat -a: all" "^TcpDsacksOut +0$" "$TAPGLASS" stat -a
nc -z -w 1 $STACK 81
show "stat: why it dropped" "^tcp_closed +1 +no connection: answered by a reset \(9293 3.10.7.1\)" "$TAPGLASS" stat
for verb in arp route stat; do
	check "$verb -j: JSON" sh -c "'$TAPGLASS' $verb -j | python3 -m json.tool"
done
kill $client
wait $client 2>/dev/null

# ---- ping, through the running stack
show "ping" "^64 bytes from $HOST: icmp_seq=1 ttl=64 time=" "$TAPGLASS" ping -c 2 -i 0.1 $HOST
matches "ping: statistics" "$work/out" "2 packets transmitted, 2 received, 0% packet loss"
status "ping: an address with nobody" 1 "" "$TAPGLASS" ping -c 1 -W 0.3 192.0.2.77
"$TAPGLASS" ping -i 0.1 $HOST >"$work/out" &
pinger=$!
sleep 0.5
kill -INT $pinger
wait $pinger
equal "ping: Ctrl-C ends it with 0" $? 0
matches "ping: with statistics" "$work/out" "packets transmitted"
show "ping with a link of its own" "64 bytes from $HOST" "$TAPGLASS" ping --link sim -c 1 $HOST
"$TAPGLASS" ping -i 0.1 $HOST >"$work/out" &
pinger=$!
sleep 0.3
kill -KILL $pinger
wait $pinger 2>/dev/null
sleep 0.3
show "one whose asker was killed is gone" "^tcp +LISTEN" "$TAPGLASS" ss -a
lacks "and so is its socket" "$work/out" "^raw"
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
	timeout 10 "$TAPGLASS" ping -q -c 3 -i 0.1 $HOST >>"$work/twelve" &
	pingers[i]=$!
done
wait "${pingers[@]}"
equal "twelve at once" "$(grep -c '3 received' "$work/twelve")" 12

# ---- Hostile requests
python3 - "$XDG_RUNTIME_DIR/tapglass/default.sock" <<'PY'
import random, socket, struct, sys
random.seed(1)
for i in range(300):
    s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
    body = bytes(random.randrange(256) for _ in range(random.randrange(60)))
    if i % 3 == 0: body = b'{"v":1,"argv":[["x"],{}]}'[:random.randrange(30)]
    n = len(body) if i % 2 else random.randrange(1 << 32)
    try:
        s.sendall(struct.pack(">I", n) + body)
        if i % 5 == 0: s.recv(10)
    except OSError: pass
    s.close()
PY
check "the stack survives nonsense on its control socket" "$TAPGLASS" ss -a
equal "the socket is its user's alone" "$(stat -c %a "$XDG_RUNTIME_DIR/tapglass" "$XDG_RUNTIME_DIR/tapglass/default.sock" | xargs)" "700 600"

# ---- sh
equal "sh: the kernel is the peer" "$("$TAPGLASS" sh -- ping -n -q -c 1 -W 2 $STACK | grep -c '1 received')" 1
"$TAPGLASS" sh -- sh -c 'exit 7'
equal "sh: the command's exit status" $? 7
status "sh: a command that is not there" 1 "cannot run" "$TAPGLASS" sh -- /nowhere/x

# ---- Several
status "a second one of the same name" 3 'a stack named "default" is running already \(EADDRINUSE\)' "$TAPGLASS" up
"$TAPGLASS" up -q --name two --link sim >"$work/two.log" 2>&1 &
two=$!
check "--name two" "$TAPGLASS" wait --name two
show "each has its own tables" "^192.0.2.0/24 +- +0 +sim0" "$TAPGLASS" route --name two
show "and the first one its own" "tap0" "$TAPGLASS" route
kill -KILL $two
wait $two 2>/dev/null
status "one that was killed is not running" 1 "no stack named \"two\"" "$TAPGLASS" ss --name two
"$TAPGLASS" up -q --name two --link sim >"$work/two.log" 2>&1 &
two=$!
check "its stale socket is no hindrance" "$TAPGLASS" wait --name two
kill $two
wait $two

# ---- Somebody else's
if [ "$(id -u)" = 0 ] && setpriv --reuid=65534 --regid=65534 --clear-groups true 2>/dev/null; then
	chmod 711 "$work"
	install -m 755 "$TAPGLASS" "$work/tapglass"
	other="env -u XDG_RUNTIME_DIR setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all"
	env -u XDG_RUNTIME_DIR "$TAPGLASS" up -q --name "t$$" --link sim --relay 0 >"$work/other.log" 2>&1 &
	mine=$!
	env -u XDG_RUNTIME_DIR "$TAPGLASS" wait --name "t$$"
	for verb in sh ss ping; do
		[ $verb = ping ] && continue
		status "$verb: another user's stack" 1 'the running stack belongs to root' $other "$work/tapglass" $verb --name "t$$"
	done
	matches "and what to do" "$work/err" "fix: sudo -u root, or start your own"
	check "not even through the socket itself" sh -c "! $other nc -N -U /tmp/tapglass-0/t$$.sock"
	kill $mine
	wait $mine
	equal "and nothing is left in /tmp" "$(ls -d /tmp/tapglass-0/t$$* 2>/dev/null)" ""
else
	ok "other users # SKIP there is only one here"
fi
stop_stack

# ---- setup
if [ "$(id -u)" != 0 ] || [ ! -w /dev/net/tun ]; then
	ok "setup # SKIP no root, or no /dev/net/tun"
	finish
fi
SUDO_UID=65534 "$TAPGLASS" setup >"$work/out" 2>&1
equal "setup: exit status" $? 0
matches "setup: says what it made" "$work/out" "made +TAP tg0, which stays; .*\(uid 65534\) may attach"
matches "setup: says how to undo it" "$work/out" "undo +sudo tapglass setup --undo"
equal "setup: the address" "$(ip -o -4 addr show tg0 | grep -o '192[0-9./]*/24')" 192.0.2.1/24
status "setup: twice" 3 "there is an interface tg0 already" "$TAPGLASS" setup
if [ -n "${other-}" ] && mkdir "$work/dev" && mount -t tmpfs none "$work/dev" 2>/dev/null &&
	mknod "$work/dev/tun" c 10 200 2>/dev/null && chmod 666 "$work/dev/tun" &&
	mount --bind "$work/dev/tun" /dev/net/tun 2>/dev/null; then
	chown -R 65534:65534 "$XDG_RUNTIME_DIR"
	WRAP="setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all"
	TAPGLASS=$work/tapglass start_stack
	matches "own TAP: taken first" "$stack_log" "link +tg0 +was here before, and stays"
	lacks "own TAP: the banner does not claim otherwise" "$stack_log" "Nothing on this machine|tapglass sh"
	check "own TAP: ping from any shell" ping -n -c 1 -W 2 $STACK
	check "own TAP: curl" curl -sSf -m 10 -o /dev/null http://$STACK/bytes/10000000
	status "setup --undo while it is used" 3 "cannot remove TAP tg0 \(EBUSY\)" "$TAPGLASS" setup --undo
	matches "by whom" "$work/err" "why: a process is attached to it: pid [0-9]+ \(tapglass\)"
	"$TAPGLASS" up --name three --link tap:tg0 >"$work/out" 2>"$work/err"
	equal "a second one on it: status" $? 3
	matches "a second one on it: by whom it is held" "$work/err" "why: another process is attached to tg0: pid [0-9]+ \(tapglass\)"
	stop_stack
	WRAP=
	umount /dev/net/tun "$work/dev"
else
	ok "own TAP # SKIP no device node can be made here"
fi
check "setup --undo" "$TAPGLASS" setup --undo
equal "and everything is as before" "$(interfaces)" "$before"
status "setup --undo without one" 3 "there is no TAP of that name" "$TAPGLASS" setup --undo
finish
