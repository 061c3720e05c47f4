#!/usr/bin/env python3
"""trace_check.py TAPGLASS LOG: what `tapglass trace` makes of a log, compared with the log as json and csv read it."""
import csv
import io
import json
import re
import subprocess
import sys

TAPGLASS, LOG = sys.argv[1:3]


def fail(why, what=""):
    sys.exit("%s: %s %s" % (LOG, why, what))


def run(form):
    r = subprocess.run([TAPGLASS, "trace", form, LOG], capture_output=True, text=True, timeout=60)
    if r.returncode != 0 or r.stderr:
        fail("trace %s: status %d" % (form, r.returncode), r.stderr)
    return r.stdout


with open(LOG, encoding="utf-8") as f:
    events = [json.loads(r) for r in f.read().split("\x1e")[2:]]
segments = [e for e in events if e["name"] in ("tcp:segment_sent", "tcp:segment_received")]

# --csv: a row for each event, in which every field has its value
rows = list(csv.reader(io.StringIO(run("--csv"))))
if len(rows) != len(events) + 1:
    fail("csv: rows", len(rows))
for row, e in zip(rows[1:], events):
    got = dict(zip(rows[0], row))
    want = {k: " ".join(v) if isinstance(v, list) else v for k, v in e["data"].items()}
    want.update(time=e["time"], name=e["name"])
    for k, v in want.items():
        same = float(got[k]) == v if isinstance(v, float) else got[k] == str(v)
        if not same:
            fail("csv: %s is %r in" % (k, got[k]), e)
    if [k for k in got if got[k] != "" and k not in want]:
        fail("csv: more than there is in", e)

# --text: a line for each, the default
lines = run("--text").splitlines()
if len(lines) != len(events):
    fail("text: lines", len(lines))
for line, e in zip(lines, events):
    d = e["data"]
    if "%.6f" % (e["time"] / 1000) != line.split()[0] or line.split()[1] != e["name"]:
        fail("text:", line)
    if d.get("clause", "-") != "-" and not line.endswith("(%s)" % d["clause"]):
        fail("text: no clause:", line)
    if "old" in d and e["name"].startswith("tcp:") and "%s -> %s" % (d["old"], d["new"]) not in line:
        fail("text: no states:", line)

# --ladder: an arrow for each segment
ladder = run("--ladder").splitlines()
sent = [x for x in ladder if re.search(r"^ *[\d.]+  \|<-+ .* --\|", x)]
received = [x for x in ladder if re.search(r"^ *[\d.]+  \|-- .* -+[>X]\|", x)]
if len(sent) != len([e for e in segments if e["name"] == "tcp:segment_sent"]):
    fail("ladder: arrows from the stack:", len(sent))
if not any("X|" in x for x in received) and len(received) != len(segments) - len(sent):
    fail("ladder: arrows to the stack:", len(received))

# --perfetto: flows begin and end, slices do not run backwards, nothing else
items = json.loads(run("--perfetto"))["traceEvents"]
if {i["ph"] for i in items} - set("MXiCsf"):
    fail("perfetto: phases", {i["ph"] for i in items})
if sorted(i["id"] for i in items if i["ph"] == "s") != sorted(i["id"] for i in items if i["ph"] == "f") or \
        len([i for i in items if i["ph"] == "s"]) != len(segments):
    fail("perfetto: flows")
if any(i["dur"] < 0 for i in items if i["ph"] == "X"):
    fail("perfetto: a slice ends before it begins")
moves = [e for e in events if e["name"] == "tcp:state_changed"]
for e in moves:
    if e["data"]["old"] != "CLOSED" and not [i for i in items if i["ph"] == "X" and i.get("cat") == "state" and
                                            i["name"] == e["data"]["old"] and
                                            abs(i["ts"] + i["dur"] - e["time"] * 1000) < 0.01]:
        fail("perfetto: no slice that ends with", e)
