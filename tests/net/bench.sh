#!/bin/bash
# The benchmarks' harness runs, its results have the shape they should have; no time is asserted. timeout: 300
. "$(dirname "$0")/lib.sh"

# ask EXPRESSION: python's value of it, with r the results.
ask() {
	python3 -c 'import json, sys; r = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$work/out/results.json" "$1"
}
tiny=(--inside --quick --rounds 1 --limit 120 --time 0.2 --warm 0.02 --megabytes 8 --out "$work/out")

LIMIT_S=200 check "a run of one round ends, on this stack and the kernel" tests/bench/bench.py "${tiny[@]}" \
	--no-conn-cost --peers tapglass,kernel,bare --metrics tcp_,rtt_,cps_,udp_,overhead
cp "$work/check.out" "$work/said"
equal "every metric that was asked for is there" "$(ask 'sorted({m["id"].split("_")[0] for m in r["metrics"]})')" \
	"['cps', 'overhead', 'rtt', 'tcp', 'udp']"
equal "nobody was left out" "$(ask '[(m["id"], m["skipped"]) for m in r["metrics"] if m["skipped"]]')" "[]"
equal "this stack was measured on each metric" \
	"$(ask '[m["id"] for m in r["metrics"] if not {"tapglass", "none"} & set(m["peers"])]')" "[]"
equal "each figure is positive, between its minimum and its maximum" \
	"$(ask 'all(0 < p["min"] <= p["median"] <= p["max"] and p["n"] == 1 == len(p["runs"]) for m in r["metrics"] for p in m["peers"].values())')" True
equal "each peer has its ratio to us" \
	"$(ask 'all(p["ratio"] > 0 for m in r["metrics"] for p in m["peers"].values())')" True
equal "latencies have their percentiles" \
	"$(ask 'all(p["median"] <= p["p99"] <= p["p999"] for m in r["metrics"] if m["id"][:3] == "rtt" for p in m["peers"].values())')" True
equal "processor time of both ends is known" \
	"$(ask 'all(len(p["cpu"]) == 2 and min(p["cpu"]) > 0 for m in r["metrics"] for p in m["peers"].values())')" True
equal "a bar is met, missed or not measured" \
	"$(ask 'all(b["met"] in (True, False) if b["figure"] else b["met"] is None for b in r["bars"]) and len(r["bars"]) > 20')" True
equal "the machine's load is on record" "$(ask 'len(r["machine"]["load"]) == r["machine"]["rounds"] == 1')" True
check "the plot is well-formed" python3 -c 'import sys, xml.dom.minidom as m; m.parse(sys.argv[1])' "$work/out/results.svg"
matches "the terminal gets the bars" "$work/said" "^The bars .* wanted"

# What cannot be had is skipped with a reason, and the rest goes on.
mkdir "$work/tools"
cp build/release/tests/bench/load "$work/tools/"
check "peers that are not there are skipped" tests/bench/bench.py "${tiny[@]}" --metrics cps_sleep --tools "$work/tools" \
	--peers tapglass,lwip,gvisor --idle 200 --rest 0.1
equal "with the reason" "$(ask 'r["metrics"][0]["skipped"]')" \
	"{'lwip': 'lwip_host is not there', 'gvisor': 'gvisor_host is not there'}"
equal "idle connections are counted over the TAP, their cost without it is skipped" \
	"$(ask 'r["connections"]["over_tap"]["established"][0] > 100, r["connections_skipped"]')" \
	"(True, {'conn_cost': 'conn_cost is not there'})"
equal "the others are measured" "$(ask 'list(r["metrics"][0]["peers"])')" "['tapglass']"
printf '#!/bin/sh\necho "no such device" >&2\nexit 1\n' >"$work/tools/lwip_host"
printf '#!/bin/sh\necho ready\nsleep 100\n' >"$work/tools/gvisor_host"
chmod +x "$work/tools/lwip_host" "$work/tools/gvisor_host"
check "peers that end or do not answer are skipped" tests/bench/bench.py "${tiny[@]}" --metrics cps_sleep \
	--no-conn-cost --tools "$work/tools" --peers tapglass,lwip,gvisor
equal "with what they said, or did not do" "$(ask 'r["metrics"][0]["skipped"]')" \
	"{'lwip': 'lwip: no such device', 'gvisor': 'gvisor: nothing answers on port 9'}"
equal "nothing of it is left" "$(pgrep -f "$work/tools" | wc -l)" 0

# What connections cost, of a few of them.
check "memory and events of a few connections are measured" build/release/tests/bench/conn_cost --json 64
cp "$work/check.out" "$work/cost"
equal "each kind of memory, each kind of event" "$(python3 -c 'import json, sys
r = json.load(open(sys.argv[1]))
print(min(v for k, v in r["memory_bytes"][0].items()) > 0, sorted(k for k, v in r["event_ns"][0].items() if v > 0),
    "event_instructions" not in r or min(v for k, v in r["event_instructions"][0].items() if k != "wake") > 0)' "$work/cost")" \
	"True ['ack', 'connections', 'in_use', 'lookup', 'receive', 'send', 'timer'] True"

# Ended from outside while it measures.
left() { find /dev/shm "$work" -maxdepth 1 -name 'tapglass-bench-*' -newer "$work/said" 2>/dev/null | wc -l; }
ended() {
	TMPDIR=$work timeout -s TERM "$1" tests/bench/bench.py --quick --rounds 9 --metrics cps_sleep --peers tapglass \
		--time 5 --no-conn-cost --out "$work/ended" >/dev/null 2>&1
	local status=$?
	for _ in 1 2 3 4 5 6 7 8 9 10; do # what it started in its namespace ends a little later
		[ "$(left)" -eq 0 ] && break
		sleep 0.5
	done
	echo "$status $(left)"
}
equal "SIGTERM ends it, and nothing is left" "$(ended 4)" "124 0"
equal "bench.py: bad usage is status 2" "$(tests/bench/bench.py --nonsense >/dev/null 2>&1; echo $?)" 2
finish
