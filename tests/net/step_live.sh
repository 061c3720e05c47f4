#!/bin/bash
# step --live: the host's curl is led through a connection, segment by segment, one of them lost; and the stepper on a
# terminal. timeout: 150
. "$(dirname "$0")/lib.sh"

live=$work/live.out tap=
# told NAME REGEX: within 10 s a line that it has said since the last command matches.
told() {
	local n=0
	while ! tail -n "+$from" "$live" | grep -qE -- "$2"; do
		n=$((n + 1))
		if [ $n -gt 100 ] || ! kill -0 "$stack_pid" 2>/dev/null; then
			echo "# no line since $from matches: $2"
			not_ok "$1" "$live"
			return
		fi
		sleep 0.1
	done
	ok "$1"
}
from=1
# do_it COMMAND...
do_it() {
	from=$(($(wc -l <"$live") + 1))
	printf '%s\n' "$*" >&7
}
start_live() {
	rm -f "$work/commands"
	mkfifo "$work/commands"
	: >"$live"
	from=1
	"$TAPGLASS" step --live <"$work/commands" >"$live" 2>&1 &
	stack_pid=$!
	exec 7>"$work/commands"
	told "$1" '^  \(the host has sent nothing: "step" waits for it\)$'
}
# ended NAME: it ends by itself within 5 s, with status 0.
ended() {
	local n=0
	while kill -0 "$stack_pid" 2>/dev/null && [ $n -lt 50 ]; do
		sleep 0.1
		n=$((n + 1))
	done
	kill -KILL "$stack_pid" 2>/dev/null
	wait "$stack_pid"
	equal "$1" $? 0
	stack_pid=
}

# ---- A page, segment by segment

start_live "it begins"
matches "it says where to look" "$live" '^Live: our stack is 192\.0\.2\.2, the host.s kernel is 192\.0\.2\.1\. '
timeout -k 5 60 curl -sS --fail "http://$STACK/bytes/3000" >"$work/page" 2>"$work/curl.err" &
curl_pid=$!
do_it step
told "stopped before the SYN" '^stopped before event [0-9]+ at .*: stack receives #[0-9]+  S 0:0\(0\) '
told "what it will do, relative to what the SYN says" '^  will    stack sends  S\. 0:0\(0\) ack 1 '
do_it step
told "after it" '^  moved   c1 at stack: LISTEN -> SYN-RECEIVED '
told "stopped before the ACK" '^stopped before event [0-9]+ at .*: c1: stack receives #[0-9]+  \. 1:1\(0\) ack 1 '
do_it step
told "ESTABLISHED" '^  moved   c1 at stack: SYN-RECEIVED -> ESTABLISHED '
told "stopped before the application is told" "^stopped before .*: the applications' turn at stack"
do_it step
told "stopped before the request" '^stopped before event [0-9]+ at .*: c1: stack receives #[0-9]+  P\. 1:[0-9]+\('
# On a busy machine the host may have sent it again already, and that is told at once.
echo drop >&7
told "it is dropped" '^event [0-9]+, .*: by hand: drop [0-9]+$'
sleep 0.5
tail -n "+$from" "$live" | sed '1,/by hand: drop/d' | grep -q '^stopped before' || echo step >&7
told "the host sends it again" '^  \(meanwhile the host has sent #[0-9]+ again, as #[0-9]+\)$'
again=$(sed -n 's/^  (meanwhile the host has sent #[0-9]* again, as #\([0-9]*\))$/\1/p' "$live" | head -n 1)
told "and that is where it stops" "^stopped before event [0-9]+ at .*: c1: stack receives #$again  P\\. 1:[0-9]+\\("
do_it print c1.rcv.nxt
told "our end has nothing of it" '^c1\.rcv\.nxt = 1  \(absolute '
do_it back 2
told "back shows the past" '^stopped before event '
do_it step
told "the next step comes back to now" '^  \(back to now\)$'
told "where it stops" '^stopped before event [0-9]+ at .*: c1: stack receives #[0-9]+  P\. 1:[0-9]+\('
do_it run
told "what the host did cannot be done again" '^what the host did cannot be done again: '
do_it break segment F.
told "a breakpoint at the FIN" '^breakpoint 1: segment F\.$'
do_it continue
told "stopped before the host's FIN" '^breakpoint 1: segment F\.$'
told "which is that" '^stopped before event [0-9]+ at .*: c1: stack receives #[0-9]+  F\. '
wait "$curl_pid"
equal "curl is content" $? 0
equal "the page is whole" "$(sha <"$work/page")" "$($PATTERN 3000 | sha)"
do_it step
told "CLOSE-WAIT" '^  moved   c1 at stack: ESTABLISHED -> (CLOSE-WAIT|LAST-ACK) '
do_it tbreak state CLOSED
do_it continue
told "the last ACK" '^breakpoint 2: state CLOSED$'
do_it step
told "CLOSED" '^  moved   c1 at stack: LAST-ACK -> CLOSED '
do_it show ladder
told "the ladder has what both sent" '^ .*\|-- S\. 0:0\(0\) ack 1 .*-->\|$'
exec 7>&-
# The one command that was refused is its status; what counts is that it ends.
n=0
while kill -0 "$stack_pid" 2>/dev/null && [ $n -lt 50 ]; do
	sleep 0.1
	n=$((n + 1))
done
check "the end of input ends it" test $n -lt 50
kill -KILL "$stack_pid" 2>/dev/null
wait "$stack_pid"
equal "and the status tells of what was refused" $? 1
stack_pid=
tap=$(ip -o link | grep -c tap)
equal "the device is gone" "$tap" 0

# ---- Other ends

start_live "again"
do_it quit
exec 7>&-
ended "quit"
start_live "and again"
do_it continue
sleep 0.3
kill -TERM "$stack_pid"
ended "SIGTERM ends it as well, also while it waits"
exec 7>&-
equal "nothing is left to talk to" "$(find "$XDG_RUNTIME_DIR" -type s | wc -l)" 0
timeout -k 5 20 "$TAPGLASS" step --live --link sim >"$work/out" 2>&1 </dev/null
equal "without the host's kernel: status 1" $? 1
matches "and what would do" "$work/out" 'no link to the host.s kernel here .*"tapglass step" is a lab without one'
timeout -k 5 20 "$TAPGLASS" step --live handshake >"$work/out" 2>&1 </dev/null
equal "a live world takes no file: status 2" $? 2

# ---- On a terminal

mkdir "$work/home"
timeout -k 5 100 python3 tests/net/step_live.py "$TAPGLASS" "$work/home" >"$work/terminal" 2>&1
while read -r line; do
	case $line in
	"ok "*) ok "terminal: ${line#* - }" ;;
	"not ok "*) not_ok "terminal: ${line#* - }" "$work/terminal" ;;
	esac
done <"$work/terminal"
check "terminal: all of it" grep -q "to its end" "$work/terminal"
finish
