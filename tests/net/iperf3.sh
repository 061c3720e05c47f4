#!/bin/bash
# tapglass iperf3 against Debian's iperf3, as its server and as its client, and against peers that do everything wrong.
# timeout: 400
. "$(dirname "$0")/lib.sh"

helpers=()
end_helpers() {
	[ ${#helpers[@]} -gt 0 ] && kill "${helpers[@]}" 2>/dev/null && wait "${helpers[@]}" 2>/dev/null
	helpers=()
}
trap 'end_helpers; cleanup' EXIT
BAD="python3 tests/net/iperf_bad.py"

listens() {
	local n=0
	until ss -Hltn "sport = :$1" | grep -q . || [ $((n += 1)) -gt 100 ]; do sleep 0.05; done
}

# status NAME WANTED PATTERN CMD...: exit status, and a line of standard output or error
status() {
	local name=$1 wanted=$2 pattern=$3 got
	shift 3
	timeout -k 5 60 "$@" >"$work/out" 2>&1 </dev/null
	got=$?
	if [ $got = "$wanted" ] && { [ -z "$pattern" ] || grep -qE -- "$pattern" "$work/out"; }; then
		ok "$name"
	else
		echo "# exit status $got, wanted $wanted, /$pattern/"
		not_ok "$name" "$work/out"
	fi
}

# holds NAME FILE EXPRESSION: of the JSON in a file, as j (end: e, its first interval: i)
holds() {
	if python3 - "$2" "$3" >"$work/holds" 2>&1 <<'PY'; then
import json, sys
j = json.load(open(sys.argv[1]))
e = j.get("end", {})
i = (j.get("intervals") or [{}])[0]
ok = eval('(' + sys.argv[2] + ')')
if not ok: print(json.dumps(e)[:1500])
sys.exit(not ok)
PY
		ok "$1"
	else
		not_ok "$1" "$work/holds" "$2"
	fi
}

# stock NAME EXPRESSION ARG...: Debian's client to our server; ours NAME EXPRESSION ARG...: our client to Debian's server
stock() {
	local name="stock client: $1" expr=$2
	shift 2
	timeout -k 5 60 iperf3 -c $STACK -p "${PORT:-5201}" -J "$@" >"$work/json" 2>"$work/err" </dev/null
	holds "$name" "$work/json" "'error' not in j and ($expr)"
}
ours() {
	local name="our client: $1" expr=$2
	shift 2
	timeout -k 5 60 "$TAPGLASS" iperf3 -c $HOST -J "$@" >"$work/json" 2>"$work/err" </dev/null
	holds "$name" "$work/json" "'error' not in j and ($expr)"
}

SENT="e['sum_sent']['bytes'] > 1000000 and 0.5 < e['sum_received']['bytes'] / e['sum_sent']['bytes'] <= 1.001"
CPU="e['cpu_utilization_percent']['remote_total'] > 0 and e['cpu_utilization_percent']['host_total'] > 0"

start_stack -q --iperf3
iperf3 -s >"$work/stock.log" 2>&1 &
helpers+=($!)
listens 5201

# ---- Our server, the stock client
stock "TCP" "$SENT and $CPU and e['sender_tcp_congestion'] and e['receiver_tcp_congestion'] == 'cubic'" -t 1
stock "-R: what our sender knows" "$SENT and e['sum_sent']['retransmits'] >= 0 and e['sender_tcp_congestion'] == 'cubic'" -t 1 -R
stock "-P 4" "$SENT and len(e['streams']) == 4 and all(s['receiver']['bytes'] > 0 for s in e['streams'])" -t 1 -P 4
stock "-P 4 -R" "$SENT and len(e['streams']) == 4 and all(s['sender']['bytes'] > 0 for s in e['streams'])" -t 1 -P 4 -R
stock "--bidir" "$SENT and e['sum_received_bidir_reverse']['bytes'] > 1000000" -t 1 --bidir
stock "-n: to the last octet" "e['sum_received']['bytes'] == e['sum_sent']['bytes'] == 3 << 20" -n 3M
stock "-n -R" "e['sum_received']['bytes'] == e['sum_sent']['bytes'] == 3 << 20" -n 3M -R
stock "-k -l" "e['sum_received']['bytes'] == e['sum_sent']['bytes'] == 7000" -k 7 -l 1000
stock "-b" "4e6 < e['sum_received']['bits_per_second'] < 13e6" -t 2 -b 10M
stock "-b -R" "4e6 < e['sum_received']['bits_per_second'] < 13e6" -t 2 -b 10M -R
stock "-O" "e['sum_received']['bytes'] > 1000000 and j['intervals'][0]['sum']['omitted'] and not j['intervals'][-1]['sum']['omitted']" -t 1 -O 1
stock "-w -M -N -S -C" "$SENT" -t 1 -w 100K -M 1000 -N -S 16 -C reno -R
equal "-C: our sender's" "$(python3 -c 'import json,sys; print(json.load(open(sys.argv[1]))["end"]["sender_tcp_congestion"])' "$work/json")" reno
UDP="e['sum']['packets'] > 100 and e['sum']['lost_percent'] < 20 and e['sum']['jitter_ms'] >= 0"
stock "UDP" "$UDP and e['streams'][0]['udp']['out_of_order'] == 0 and e['sum_received']['bytes'] > 500000" -u -b 10M -t 1
stock "UDP -R" "$UDP and e['sum_received']['bytes'] > 500000" -u -b 10M -t 1 -R
stock "UDP --bidir -P 2" "$UDP and e['sum_bidir_reverse']['packets'] > 100" -u -b 5M -t 1 --bidir -P 2 -l 500
stock "UDP, 64 bits" "$UDP" -u -b 10M -t 1 --udp-counters-64bit
stock "UDP -k -R" "e['sum']['packets'] == 20 and e['sum']['lost_packets'] == 0" -u -k 20 -l 400 -R -b 10M
stock "UDP of 30000 octets" "e['sum']['packets'] >= 10" -u -k 10 -l 30000 -b 100M

# one in the running stack, beside that of `up`
"$TAPGLASS" iperf3 -s -p 5300 >"$work/server.log" 2>&1 </dev/null &
pid=$!
sleep 0.5
iperf3 -c $STACK -p 5300 -t 2 -R --get-server-output >"$work/out" 2>&1
equal "the stock client is content" $? 0
matches "it prints our report" "$work/out" "^Accepted connection from $HOST"
matches "with cwnd" "$work/out" "^\[  1\]   0.00-[0-9.]+ +sec .*/sec +[0-9]+ +[0-9.]+ [KM]Bytes"
matches "retransmits in its own" "$work/out" "^\[  5\]   0.00-.*/sec +[0-9]+ +sender"
iperf3 -c $STACK -p 5300 -t 3 -b 1M >"$work/first" 2>&1 &
first=$!
sleep 1
status "a second client is told that the server is busy" 1 "busy" iperf3 -c $STACK -p 5300 -t 1
wait $first
equal "which the first does not notice" $? 0
iperf3 -c $STACK -p 5300 -t 20 >/dev/null 2>&1 &
first=$!
sleep 1
kill -KILL $first
wait $first 2>/dev/null
sleep 0.5
matches "a client that is killed" "$work/server.log" "^tapglass: iperf3: (the client has closed|control connection|stream 1: )"
timeout 20 iperf3 -c $STACK -p 5300 -t 20 -R >"$work/first" 2>&1 &
first=$!
sleep 1
kill -INT $pid
wait $pid
equal "Ctrl-C in a test: status 1" $? 1
wait $first
matches "its client is told" "$work/first" "the server has terminated"
matches "the server too" "$work/server.log" "interrupted: the server has terminated"
"$TAPGLASS" iperf3 -s -p 5300 -1 -J >"$work/server.json" 2>&1 </dev/null &
pid=$!
sleep 0.5
PORT=5300 stock "with a server that answers in JSON" "'server_output_json' in j and j['server_output_json']['end']['streams']" \
	-t 1 -R --get-server-output
wait $pid
equal "-1: over after one" $? 0
holds "-s -J" "$work/server.json" "e['streams'][0]['sender']['max_snd_cwnd'] > 0 and j['start']['accepted_connection']['host'] == '$HOST'"
status "a port that is taken" 1 "unable to listen on port 5201: Address already in use" "$TAPGLASS" iperf3 -s
"$TAPGLASS" iperf3 -s -p 5300 >"$work/out" 2>&1 </dev/null &
pid=$!
sleep 0.5
kill -INT $pid
wait $pid
equal "Ctrl-C between tests: status 0" $? 0

# ---- Our client, the stock server
ours "TCP" "$SENT and $CPU and e['sender_tcp_congestion'] == 'cubic'" -t 1
holds "retransmits, cwnd and rtt of our sender" "$work/json" "(s := e['streams'][0]['sender'])['retransmits'] >= 0 and
 s['max_snd_cwnd'] > 10000 and s['max_snd_wnd'] > 0 and s['min_rtt'] > 0 and s['mean_rtt'] > 0 and s['max_rtt'] > 0"
holds "and in intervals" "$work/json" "i['streams'][0]['snd_cwnd'] > 10000 and i['sum']['bytes'] > 0 and i['streams'][0]['pmtu'] == 1500"
holds "what was to be done" "$work/json" "j['start']['test_start']['protocol'] == 'TCP' and
 j['start']['connecting_to'] == {'host': '$HOST', 'port': 5201} and len(j['start']['cookie']) == 36"
ours "-R" "$SENT and $CPU and e['sum_sent']['retransmits'] >= 0 and e['receiver_tcp_congestion'] == 'cubic'" -t 1 -R
ours "-P 4" "$SENT and len(e['streams']) == 4 and all(s['receiver']['bytes'] > 0 for s in e['streams'])" -t 1 -P 4
ours "-P 4 -R" "$SENT and all(s['sender']['bytes'] > 0 for s in e['streams'])" -t 1 -P 4 -R
ours "--bidir" "$SENT and e['sum_received_bidir_reverse']['bytes'] > 1000000" -t 1 --bidir
ours "-n: all of it arrives" "e['sum_received']['bytes'] == e['sum_sent']['bytes'] == 3 << 20" -n 3M
# The stock server looks whether it is enough when a block has gone: one more may be under way.
ours "-n -R" "3 << 20 <= e['sum_received']['bytes'] <= e['sum_sent']['bytes'] <= (3 << 20) + (1 << 18)" -n 3M -R
ours "-k -l" "e['sum_received']['bytes'] == e['sum_sent']['bytes'] == 7000" -k 7 -l 1000
ours "-b" "4e6 < e['sum_received']['bits_per_second'] < 13e6" -t 2 -b 10M
ours "-b with bursts" "4e6 < e['sum_received']['bits_per_second'] < 13e6" -t 2 -b 10M/10 -l 10000
ours "-O" "e['sum_received']['bytes'] > 1000000 and j['intervals'][0]['sum']['omitted'] and not j['intervals'][-1]['sum']['omitted']" -t 1 -O 1
ours "-i 0" "$SENT and j['intervals'] == []" -t 1 -i 0
ours "-i" "len(j['intervals']) >= 3" -t 2 -i 0.5
ours "-w -M -N -S -C" "$SENT and e['sender_tcp_congestion'] == 'reno' and j['start']['tcp_mss_default'] <= 1000 and
 j['start']['sock_bufsize'] == 102400" -t 1 -w 100K -M 1000 -N -S 0x10 -C reno
ours "UDP" "$UDP and e['sum_received']['bytes'] > 500000 and e['sum']['packets'] == e['sum_sent']['packets']" -u -b 10M -t 1
ours "UDP -R" "$UDP and e['sum_received']['bytes'] > 500000" -u -b 10M -t 1 -R
ours "UDP --bidir -P 2" "$UDP and e['sum_bidir_reverse']['packets'] > 100" -u -b 5M -t 1 --bidir -P 2 -l 500
ours "UDP, 64 bits" "$UDP" -u -b 10M -t 1 --udp-counters-64bit
ours "UDP: 1 Mbit/s unless told" "500e3 < e['sum']['bits_per_second'] < 1500e3" -u -t 2
ours "UDP as fast as possible" "e['sum_sent']['packets'] > 10000" -u -t 1 -b 0
ours "--extra-data, -T" "j['extra_data'] == 'more' and j['title'] == 'a title'" -n 1K --extra-data more -T "a title"
ours "--get-server-output" "'receiver' in j['server_output_text']" -t 1 --get-server-output
status "as text" 0 "^\[  1\]   0.00-[0-9.]+ +sec .*/sec +[0-9]+ +[0-9.]+ [KM]Bytes" "$TAPGLASS" iperf3 -c $HOST -t 1 -V -f m
matches "Mbit/s: -f" "$work/out" " [0-9.]+ Mbits/sec"
matches "the receiver's line" "$work/out" "receiver$"
matches "the CPU's share, here and there" "$work/out" "^CPU utilization: there [0-9.]+%"
matches "the end" "$work/out" "^iperf Done."

# ---- Both ends ours, over the stack's own loopback
status "our client, our server" 0 "receiver$" "$TAPGLASS" iperf3 -c $STACK -t 1 -P 2 --bidir
status "UDP" 0 "receiver$" "$TAPGLASS" iperf3 -c $STACK -u -b 20M -t 1 --bidir
for args in "-s -c 1.2.3.4" "" "-c localhost" "-c 192.0.2.1 -t 1 -n 1" "-c 192.0.2.1 -R --bidir" "-c 192.0.2.1 -P 0" \
	"-c 192.0.2.1 -b x" "-c 192.0.2.1 -C bbr" "-c 192.0.2.1 -u -l 70000" "-c 192.0.2.1 -l 2M" "-c 192.0.2.1 -f x" \
	"-c 192.0.2.1 -i 0.01" "-s x" "-s -p 0" "-c 192.0.2.1 -1" "-c 192.0.2.1 -S 256"; do
	# shellcheck disable=SC2086
	status "usage: $args" 2 "^tapglass: " "$TAPGLASS" iperf3 $args
done
status "nobody listens" 1 "unable to connect to $HOST:5999: Connection refused" "$TAPGLASS" iperf3 -c $HOST -p 5999
status "nobody is there" 1 "unable to connect to 192.0.2.77:5201: " "$TAPGLASS" iperf3 -c 192.0.2.77 --connect-timeout 500
"$TAPGLASS" iperf3 -c $HOST -p 5999 -J >"$work/json" 2>&1
holds "-J: the error is in it" "$work/json" "'Connection refused' in j['error']"
iperf3 -c $HOST -t 3 -b 1M >/dev/null 2>&1 &
first=$!
sleep 0.7
status "a server that is busy" 1 "busy running a test" "$TAPGLASS" iperf3 -c $HOST -t 1
wait $first
"$TAPGLASS" iperf3 -c $HOST -t 20 >"$work/out" 2>&1 </dev/null &
pid=$!
sleep 1.5
kill -INT $pid
wait $pid
equal "Ctrl-C: status 1" $? 1
matches "what there was" "$work/out" "sender$"
matches "and why" "$work/out" "interrupted: the client has terminated"
sleep 0.5
matches "the stock server is told" "$work/stock.log" "client has terminated"
stop_stack

# ---- Those that do everything wrong, with the sanitizers if that program has been built
[ -x build/asan/tapglass ] && TAPGLASS=build/asan/tapglass
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=halt_on_error=1
start_stack -q
"$TAPGLASS" iperf3 -s -p 5201 --rcv-timeout 700 >>"$work/server.log" 2>&1 </dev/null &
pid=$!
sleep 1

# bad NAME WHAT SAID HEARD: the server's line, what the client heard
bad() {
	: >"$work/server.log"
	timeout 30 $BAD client $STACK 5201 "$1" >"$work/heard" 2>&1 </dev/null
	local n=0
	while [ -n "$2" ] && ! grep -qE "$2" "$work/server.log" && [ $((n += 1)) -lt 60 ]; do sleep 0.05; done
	[ -z "$2" ] || matches "server: $1" "$work/server.log" "$2"
	[ -z "${3-}" ] || matches "and its client: $1" "$work/heard" "$3"
}
bad close-at-once "" ""
bad half-cookie "" ""
bad close-params "the client has closed the control connection"
bad reset-params "control connection: Connection reset"
bad silent-params "waited too long for the parameters" "^\[254, 0, 0, 0, 144, .*END"
bad long-cookie "too long a message" "END|RESET"
bad huge-json "too long a message" "254, 0, 0, 0, 114.*END"
bad large-json "too long a message" "254, 0, 0, 0, 114.*END"
bad no-json "too long a message" "254.*END"
bad not-json "the parameters are not JSON" "254, 0, 0, 0, 114.*END"
bad deep-json "the parameters are not JSON" "254, 0, 0, 0, 114.*END"
bad not-params "neither TCP nor UDP" "254, 0, 0, 0, 114.*END"
bad bad-params "out of range" "254, 0, 0, 0, 114.*END"
bad no-such-cc "no congestion control \"bbr\"" "254, 0, 0, 0, 134.*END"
bad half-json "has closed the control connection"
bad json-and-more "which was not its turn" "state|254|END"
bad close-create "has closed the control connection"
bad silent-create "waited too long for the streams" "254, 0, 0, 0, 144.*END"
bad wrong-cookie "the client has terminated" "^\[255\] END"
matches "the right cookie counts after a wrong one" "$work/heard" running
bad close-running "has closed the control connection"
bad reset-running "Connection reset"
bad reset-stream "stream 1: cannot receive: Connection reset" "254.*END"
bad silent-running "nothing has moved" "254, 0, 0, 0, 144.*END"
bad wrong-state "the client said 13, which was not its turn" "254, 0, 0, 0, 110.*END"
bad reverse-stuck "nothing has moved" "254.*(END|RESET)"
bad reverse-vanish "has closed the control|cannot send|Connection reset"
bad udp-garbage "receiver" "^1$"
bad udp-silent "nothing has moved" "254"
bad close-results "has closed the control connection"
bad silent-results "waited too long for the results" "254.*END"
bad huge-results "too long a message" "254, 0, 0, 0, 117.*END"
bad bad-results "the results are malformed" "254, 0, 0, 0, 117.*END"
bad not-results "the results are not JSON" "254, 0, 0, 0, 117.*END"
bad silent-end "waited too long for the end" "254.*END"
bad close-end "receiver"
# 100 that never say who they are, more than may wait at once: whoever comes behind them waits until some have gone.
cat >"$work/crowd.py" <<'PY'
import socket, sys, time
s = [socket.create_connection((sys.argv[1], 5201), timeout=20) for _ in range(100)]
open(sys.argv[2], "w").close()
time.sleep(2)
PY
timeout 30 python3 "$work/crowd.py" $STACK "$work/crowded" &
crowd=$!
n=0
until [ -e "$work/crowded" ] || [ $((n += 1)) -gt 200 ]; do sleep 0.05; done
stock "after all this, and behind a crowd" "$SENT" -t 1
wait $crowd
kill -INT $pid
wait $pid
equal "the server ends with status 0" $? 0

# oops WHAT SAID: a server that misbehaves, and what our client says
oops() {
	timeout 40 $BAD server 5400 "$1" >"$work/bad.log" 2>&1 </dev/null &
	local srv=$!
	listens 5400
	status "client: $1" "${3:-1}" "$2" "$TAPGLASS" iperf3 -c $HOST -p 5400 -t 1 --rcv-timeout 700
	kill $srv 2>/dev/null
	wait $srv 2>/dev/null
}
oops close-at-once "has closed the control connection|control connection: Connection reset"
oops close "has closed the control connection"
oops silent "waited too long for an answer"
oops denied "busy running a test"
oops garbage "the server said 119, which was not its turn"
oops running "the server said 2, which was not its turn"
oops results "the server said 13, which was not its turn"
oops show "the server said 14, which was not its turn"
oops error "the server says: it did not accept the parameters"
oops unknown-error "error 4711"
oops half-error "the server reports its error"
oops terminate "the server has terminated"
oops twice "the server said 9, which was not its turn"
oops close-params "has closed the control connection"
oops no-streams "stream 1: (cannot connect: Connection refused|was lost: Connection reset)"
oops silent-streams "waited too long"
oops close-running "has closed the control|control connection|stream 1"
oops terminate-running "the server has terminated"
oops reset-stream "stream 1: cannot send: Connection reset|has closed|control connection"
oops stuck "nothing has moved"
oops silent-end "waited too long for the results"
oops huge-results "too long a message"
oops bad-results "the results are malformed"
oops deep-results "the results are not JSON"
oops half-results "has closed the control connection"
oops no-show "waited too long for the results"
oops nothing "^iperf Done" 0
lacks "no escape sequence gets through" "$work/out" $'\e'
n=0
while "$TAPGLASS" ss -tHn >"$work/out" && grep -qv -e FIN -e TIME -e LAST "$work/out" && [ $((n += 1)) -lt 50 ]; do sleep 0.1; done
lacks "nothing of all this is left" "$work/out" "ESTAB|SYN|CLOSE-WAIT"
stop_stack
lacks "the sanitizers have nothing to say" "$stack_log" "Sanitizer|runtime error"

# ---- On a link of its own, with losses
iperf3 -s -p 5500 >"$work/stock2.log" 2>&1 &
helpers+=($!)
listens 5500
timeout 60 "$TAPGLASS" iperf3 -c $HOST -p 5500 -J -t 2 -b 20M --drop 1% >"$work/json" 2>"$work/err"
holds "losses: our sender counts what it sent again" "$work/json" "e['sum_sent']['retransmits'] > 0 and e['sum_received']['bytes'] > 100000"
timeout 60 "$TAPGLASS" iperf3 -c $HOST -p 5500 -J -t 2 -u -b 5M -R --drop-in 10% >"$work/json" 2>"$work/err"
holds "losses: our receiver counts them" "$work/json" "4 < e['sum']['lost_percent'] < 16"
finish
