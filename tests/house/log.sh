#!/bin/bash
# The event log: all that can be written is as apps/tapglass-events.cddl says, and nothing there is never written.
. "$(dirname "$0")/lib.sh"

schema=apps/tapglass-events.cddl
cddl() {
	python3 tests/house/cddl.py "$@"
}

build/tapglass up --link sim --relay 0 --log json --name "log$$" --ready-fd 9 9>"$work/ready" >"$work/up.sqlog" 2>"$work/err" &
pid=$!
n=0
while [ ! -s "$work/ready" ] && [ $n -lt 200 ]; do
	sleep 0.05
	n=$((n + 1))
done
kill -TERM $pid
wait $pid
equal "up --log json on a simulated link ends with status 0" "$?" 0
equal "it has no complaint" "$(cat "$work/err")" ""
check "standard output is a log as the schema says" python3 tests/house/cddl.py $schema "$work/up.sqlog"
head -n 1 "$work/up.sqlog" >"$work/all.sqlog"
check "every record that can be written" env TG_EVENTS_OUT="$work/all.sqlog" CK_FORK=no build/release/tests/unit/test_event_json
equal "is as the schema says, and the schema has no others" "$(cddl $schema "$work/all.sqlog" 2>&1)" "$(cddl $schema)"
for bad in 's/"tcp:call"/"tcp:cull"/' 's/"fn":"open"/"fn":"oven"/' 's/"conn":0/"conn":-1/' 's/"peer_port":0,//' \
	's/"op":"request"/"op":"request","more":1/' 's/,"title":"[^"]*"//'; do
	sed "$bad" "$work/all.sqlog" >"$work/bad.sqlog"
	equal "the comparison notices $bad" "$(cddl $schema "$work/bad.sqlog" >/dev/null 2>&1 && echo passed)" ""
done

check "trace: each form says what the log says" python3 tests/house/trace_check.py build/tapglass "$work/up.sqlog"
check "trace: records with the widest values" build/tapglass trace --csv "$work/all.sqlog"

# damage NAME STATUS MESSAGE: what trace says of $work/bad, and that it printed the rest.
damage() {
	local got status
	for form in --text --csv --ladder --perfetto; do
		timeout 20 build/tapglass trace $form "$work/bad" >"$work/out" 2>"$work/err"
		status=$?
		[ "$status:$(cat "$work/err")" = "$2:tapglass: $work/bad: $3" ] || got="$got $form: status $status, $(cat "$work/err")"
	done
	equal "trace: $1" "${got-}" ""
}
log=$work/up.sqlog
lines=$(wc -l <"$log")
head -c $(($(wc -c <"$log") - 20)) "$log" >"$work/bad"
damage "a file that was cut off" 1 "cut off in record $lines"
equal "trace: up to there it is printed" "$(build/tapglass trace "$work/bad" 2>/dev/null | wc -l)" $((lines - 2))
sed '3s/"name"/"na/' "$log" >"$work/bad"
damage "a damaged record" 1 "skipped 1 damaged records, the first of them number 3"
equal "trace: the others are printed" "$(build/tapglass trace "$work/bad" 2>/dev/null | wc -l)" $((lines - 2))
{
	cat "$log"
	printf '\036'
	head -c 200000 /dev/zero | tr '\0' '['
	printf '\n'
} >"$work/bad"
damage "a record without end, nested without end" 1 "skipped 1 damaged records, the first of them number $((lines + 1))"
{
	cat "$log"
	printf '\036{"time":1e999,"name":"x:y","data":{}}\n\036{"time":1,"name":7,"data":{}}\n\036{"time":1,"name":"x:y","data":[]}\n\036[]\n\036\036\n'
} >"$work/bad"
damage "records of other shapes" 1 "skipped 5 damaged records, the first of them number $((lines + 1))"
: >"$work/bad"
damage "an empty file" 1 "not an event log of tapglass"
head -c 5000 build/tapglass >"$work/bad"
damage "something else" 1 "not an event log of tapglass"
{
	head -n 1 "$log"
	printf '\036{"time":1.5,"name":"tcp:call","data":{"peer":"\\u001b[31m","fn":"x\\u0007","seq":"no"}}\n'
} >"$work/esc.sqlog"
equal "trace: nothing reaches a terminal that controls it" \
	"$(build/tapglass trace "$work/esc.sqlog" | tr -d '\n' | tr -d '[:print:]' | wc -c)" 0
equal "trace: a file that is not there is a usage error" "$(build/tapglass trace "$work/none" 2>&1; echo $?)" \
	"tapglass: trace: $work/none: No such file or directory
2"
equal "up: --log-level has two values" "$(build/tapglass up --log-level some 2>&1; echo $?)" \
	"tapglass: --log-level some: not events or all
2"
equal "up: a log that cannot be opened is a usage error" "$(build/tapglass up --name "log$$" --link sim --log "$work/no/dir" 2>&1; echo $?)" \
	"tapglass: --log $work/no/dir: No such file or directory
2"
finish
