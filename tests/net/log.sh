#!/bin/bash
# up --log: what curl, ping and loss leave in the event log; readers that are slow, disks that are full. timeout: 180
. "$(dirname "$0")/lib.sh"

schema=apps/tapglass-events.cddl
# good NAME LOG: every record is as the schema says, every form of trace says the same.
good() {
	check "$1: as the schema says" python3 tests/house/cddl.py $schema "$2"
	check "$1: trace says the same" python3 tests/house/trace_check.py "$TAPGLASS" "$2"
}
# count LOG PYTHON: so many events e for which the expression holds.
count() {
	python3 -c 'import json, sys
n = 0
for r in open(sys.argv[1]).read().split("\x1e")[2:]:
    e = json.loads(r)
    d = e["data"]
    n += bool(eval(sys.argv[2]))
print(n)' "$1" "$2"
}
some() {
	local n
	n=$(count "$2" "$3")
	if [ "$n" -gt 0 ]; then ok "$1"; else not_ok "$1: $3" "$2"; fi
}

a=$work/a.sqlog
start_stack -q --log "$a"
ping -n -c 1 $STACK >/dev/null
curl -sS -m 20 http://$STACK/bytes/20000000 http://$STACK/ >/dev/null
curl -sS -m 5 -o /dev/null http://$STACK:81/ 2>/dev/null
sleep 0.2
stop_stack
good "curl" "$a"
equal "each connection is born" "$(count "$a" 'd.get("new") == "ESTABLISHED"')" 1
equal "and dies" "$(count "$a" 'd.get("port") == 80 and d.get("old") in ("LAST-ACK", "TIME-WAIT") and d["new"] == "CLOSED"')" 1
equal "the calls' bytes are those sent" "$(python3 -c 'import json, sys
print(sum(json.loads(r)["data"]["len"] for r in open(sys.argv[1]).read().split("\x1e")[2:] if "\"fn\":\"send\"" in r) > 20000000)' "$a")" True
some "a SYN to a closed port is dropped with its clause" "$a" 'd.get("cause") == "tcp_closed" and d["clause"] == "9293 3.10.7.1"'
some "ICMP is in it" "$a" 'e["name"] == "icmp:message_received" and d["type"] == 8'
equal "no segment without SYN, FIN, RST or need is in it" \
	"$(count "$a" 'e["name"] in ("tcp:segment_sent", "tcp:segment_received") and not {"syn", "fin", "rst"} & set(d["flags"]) and "again" not in d')" 0
equal "nothing is missing" "$(count "$a" 'e["name"] == "log:gap"')" 0

b=$work/b.sqlog
start_stack -q --log "$b" --log-level all --drop 3% --delay 2ms --seed 7
curl -sS -m 60 -o /dev/null http://$STACK/bytes/3000000
sleep 0.2
stop_stack
good "loss" "$b"
some "losses" "$b" 'e["name"] == "tcp:loss_detected" and "clause" in d'
some "retransmissions" "$b" 'd.get("again") == "retransmission"'
some "impairments" "$b" 'e["name"] == "link:impaired" and d["what"] == "drop"'
some "measures" "$b" 'e["name"] == "tcp:metrics_updated" and d.get("srtt", 0) >= 1'
some "every segment" "$b" 'e["name"] == "tcp:segment_sent" and d["len"] > 0 and "again" not in d'

# A reader that stops reading holds up nothing, and learns how much it missed.
mkfifo "$work/pipe"
(
	exec 8<"$work/pipe"
	until [ -e "$work/go" ]; do sleep 0.1; done
	cat <&8 >"$work/c.sqlog"
) &
start_stack -q --log "$work/pipe" --log-level all
fetch "20 MB while nobody reads the log" 20000000
fetch "again" 20000000
touch "$work/go"
sleep 0.5
fetch "and while it is read" 100000
sleep 0.2
stop_stack
wait
good "slow reader" "$work/c.sqlog"
some "it is told what it missed" "$work/c.sqlog" 'e["name"] == "log:gap" and d["n"] > 100'
some "and gets what came after" "$work/c.sqlog" 'd.get("new") == "CLOSED" and d.get("port") == 80'

# A full disk: a file system of 64 kB, which gets room again.
mkdir "$work/small"
if mount -t tmpfs -o size=64k none "$work/small" 2>/dev/null; then
	start_stack -q --log "$work/small/d.sqlog" --log-level all
	fetch "20 MB while the disk is full" 20000000
	fetch "again" 20000000
	equal "the disk is full" "$(stat -c %s "$work/small/d.sqlog")" 65536
	mount -o remount,size=64m "$work/small"
	sleep 0.3
	fetch "and with room again" 1000000
	sleep 0.2
	stop_stack
	good "full disk" "$work/small/d.sqlog"
	some "the log says what it missed" "$work/small/d.sqlog" 'e["name"] == "log:gap" and d["n"] > 100'
	umount "$work/small"
else
	ok "a full disk # SKIP no file system can be mounted here"
fi
start_stack -q --log /dev/full
fetch "onto /dev/full" 20000000
stop_stack
matches "the end says that the log is incomplete" "$stack_log" "events could not be written"
finish
