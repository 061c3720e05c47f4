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
finish
