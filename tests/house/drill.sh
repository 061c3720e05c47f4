#!/bin/bash
# `tapglass drill`: many scripts at once print what one after the other would, in order; its options and exit statuses.
. "$(dirname "$0")/lib.sh"

T=build/tapglass

good='0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0 close(3) = 0'
mkdir "$work/set"
for i in $(seq -w 1 60); do
	printf '%s\n' "$good" >"$work/set/$i.pkt"
done
printf '%s\n' "$good" '+0 read(3, ..., 5) = 5' >"$work/set/20.pkt"
printf '%s\n' "$good" 'nonsense' >"$work/set/40.pkt"

# outcome ARG...: exit status and last line of tapglass drill.
outcome() {
	local out
	out=$($T drill "$@" 2>"$work/err")
	echo "$? ${out##*$'\n'}"
}

equal "passes and failures are counted" "$(outcome "$work/set")" "1 58 passed, 2 failed"
equal "a failure tells line and column" "$($T drill -q "$work/set/20.pkt" | head -1)" \
	"FAIL $work/set/20.pkt:3:1: another result than expected"
equal "so does what is not understood" "$($T drill -q "$work/set/40.pkt" | head -1)" \
	"ERROR $work/set/40.pkt:3:1: a time in seconds is expected here"
for n in 2 7 200; do
	check "-j $n prints what -j 1 does" sh -c '$1 drill -v -j 1 "$2" >"$3/one"; $1 drill -v -j $4 "$2" >"$3/many"; cmp "$3/one" "$3/many"' \
		- $T "$work/set" "$work" $n
done
equal "--until-fail ends at the first" "$(outcome -j 4 --until-fail "$work/set")" "1 19 passed, 1 failed"
equal "all good" "$(outcome "$work/set/01.pkt")" "0 1 passed, 0 failed"
equal "a file that is not there" "$(outcome "$work/none" "$work/set/01.pkt")" "2 1 passed, 0 failed"
equal "a file that is too long" "$(head -c 2000000 /dev/zero >"$work/long.pkt"; outcome "$work/long.pkt")" "2 0 passed, 0 failed"
equal "--dry_run reads alone" "$(outcome --dry_run "$work/set")" "1 59 passed, 1 failed"
printf '%s\n' '0 socket(..., KIND, IPPROTO_TCP) = 3' '+0 %{ print("said", 1 + 1) }%' >"$work/word.pkt"
equal "-D gives words a meaning" "$(outcome -D KIND=SOCK_STREAM "$work/word.pkt")" "0 1 passed, 0 failed"
check "what is printed comes with -v" sh -c '$1 drill -v -D KIND=SOCK_STREAM "$2" | grep -qx " *said 2"' - $T "$work/word.pkt"
equal "a bad definition" "$(outcome -D 3 "$work/word.pkt")" "2 "
equal "a bad number of jobs" "$(outcome -j 0 "$work/word.pkt")" "2 "
printf '%s\n' "\`./defaults.sh\`" "$good" >"$work/shell.pkt"
equal "a command is an error" "$(outcome "$work/shell.pkt")" "1 0 passed, 1 failed"
equal "unless it may be skipped" "$(outcome --skip-commands "$work/shell.pkt")" "0 1 passed, 0 failed"
finish
