# shellcheck shell=bash
# Shared by tests/net/*.sh: TAP lines, and a stack to talk to. A script runs in a network namespace of its own
# (scripts/netns.sh tests/net/NAME.sh) and refuses to run elsewhere.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

TAPGLASS=${TAPGLASS:-build/tapglass}
# shellcheck disable=SC2034
HOST=192.0.2.1
STACK=192.0.2.2
# shellcheck disable=SC2034
LOAD=build/release/tests/net/load
PATTERN="python3 tests/net/pattern.py"
export LC_ALL=C PYTHONDONTWRITEBYTECODE=1
PATH=$PATH:/usr/sbin:/sbin

if ip -o link | grep -qvE '^[0-9]+: (lo|tunl0|sit0|gre0|gretap0|erspan0|ip_vti0|ip6_vti0|ip6tnl0|ip6gre0)[:@]'; then
	echo "this test makes interfaces and traffic: run it through scripts/netns.sh" >&2
	exit 3
fi

work=$(mktemp -d)
# Control sockets of this script's stacks, apart from those of scripts that run at the same time.
mkdir -m 700 "$work/run"
export XDG_RUNTIME_DIR=$work/run
cases=0 failures=0 stack_pid=
stack_log=$work/stack.log

cleanup() {
	if [ -n "$stack_pid" ]; then
		kill -KILL "$stack_pid" 2>/dev/null
		wait "$stack_pid" 2>/dev/null
	fi
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 143' TERM INT

ok() {
	cases=$((cases + 1))
	echo "ok $cases - $1"
}

# not_ok NAME [FILE...]: the files' last lines tell why.
not_ok() {
	local name=$1 f
	shift
	cases=$((cases + 1))
	failures=$((failures + 1))
	echo "not ok $cases - $name"
	for f in "$@"; do
		[ -s "$f" ] && tail -n 25 "$f" | sed 's/^/# /'
	done
}

# check NAME CMD...: the command succeeds within 60 s (LIMIT_S).
check() {
	local name=$1
	shift
	if timeout -k 5 "${LIMIT_S:-60}" "$@" >"$work/check.out" 2>&1 </dev/null; then
		ok "$name"
	else
		echo "exit status $? of: $*" >>"$work/check.out"
		not_ok "$name" "$work/check.out"
	fi
}

# equal NAME GOT WANTED
equal() {
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		printf 'got:    %s\nwanted: %s\n' "$2" "$3" >"$work/equal.out"
		not_ok "$1" "$work/equal.out"
	fi
}

# matches NAME FILE REGEX: some line of the file does.
matches() {
	if grep -qE -- "$3" "$2"; then
		ok "$1"
	else
		echo "# no line matches: $3"
		not_ok "$1" "$2"
	fi
}

lacks() {
	if grep -E -- "$3" "$2" >"$work/lacks.out"; then
		echo "# should not be there: $3"
		not_ok "$1" "$work/lacks.out"
	else
		ok "$1"
	fi
}

# start_stack [ARG...]: `tapglass up ARG...`, ready when this returns. READY_S: how long that may take.
# shellcheck disable=SC2120
start_stack() {
	rm -f "$work/ready"
	mkfifo "$work/ready"
	# shellcheck disable=SC2086
	${WRAP-} "$TAPGLASS" up --ready-fd 9 "$@" 9>"$work/ready" >"$stack_log" 2>&1 </dev/null &
	stack_pid=$!
	if IFS= read -r -t "${READY_S:-10}" -n 1 _ <"$work/ready"; then
		return 0
	fi
	not_ok "tapglass up $* is ready" "$stack_log"
	stop_stack quietly
	finish
}

# stop_stack [quietly]: SIGTERM (STOP_WITH), which it has to obey within 5 s (STOP_S) with status 0.
stop_stack() {
	local status n=0
	[ -n "$stack_pid" ] || return 0
	kill "-${STOP_WITH:-TERM}" "$stack_pid" 2>/dev/null
	while kill -0 "$stack_pid" 2>/dev/null && [ $n -lt $((${STOP_S:-5} * 20)) ]; do
		sleep 0.05
		n=$((n + 1))
	done
	kill -KILL "$stack_pid" 2>/dev/null
	wait "$stack_pid" 2>/dev/null
	status=$?
	stack_pid=
	[ "${1-}" = quietly ] && return 0
	equal "the stack ends on SIG${STOP_WITH:-TERM} with status 0" "$status" 0
	if [ "$status" != 0 ]; then
		tail -n 25 "$stack_log" | sed 's/^/# /'
	fi
}

finish() {
	echo "1..$cases"
	[ "$failures" = 0 ]
	exit
}

sha() {
	sha256sum | cut -d ' ' -f 1
}

# fetch NAME BYTES: GET of /bytes/N compared with the pattern made independently.
fetch() {
	local got
	got=$(timeout -k 5 "${LIMIT_S:-120}" curl -sS --fail "http://$STACK/bytes/$2" 2>"$work/curl.err" | sha)
	if [ "$got" = "$($PATTERN "$2" | sha)" ]; then
		ok "$1"
	else
		not_ok "$1" "$work/curl.err"
	fi
}

# echo_file NAME FILE: sends the file to the echo port, ends the sending side, compares what comes back.
echo_file() {
	local got
	got=$(timeout -k 5 "${LIMIT_S:-120}" nc -N "$STACK" 7 <"$2" 2>"$work/nc.err" | sha)
	if [ "$got" = "$(sha <"$2")" ]; then
		ok "$1"
	else
		not_ok "$1" "$work/nc.err"
	fi
}
