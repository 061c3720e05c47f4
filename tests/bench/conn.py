"""What connections cost, for bench.py: conn_cost's figures without a device, memory over the TAP, and Linux's beside."""
import json
import os
import select
import subprocess
import time

from report import name, number
from space import STACK, Failed, Space, enter, run_in

HOLD_EACH = 5000  # connections of one process: descriptors are limited, and several are faster
HOLD_S = 120  # for all of them to be there
QUICK_EVENTS, QUICK_MEMORY = ["10", "10000", "1000000"], ["1000", "100000"]
LIMIT_S = {True: 90, False: 420}
SLABS = {"established": ("TCP", "sock_inode_cache", "filp", "dentry"), "half_open": ("request_sock_TCP",),
         "time_wait": ("tw_sock_TCP",)}


def conn_cost(exe, quick):
    """Its JSON."""
    if not os.path.exists(exe):
        raise Failed("conn_cost is not there")
    runs = [["--memory"] + QUICK_MEMORY, ["--events"] + QUICK_EVENTS] if quick else [[]]
    out, end = {}, time.monotonic() + LIMIT_S[quick]
    for more in runs:
        try:
            p = subprocess.run([exe, "--json"] + more, capture_output=True, text=True, check=False,
                               timeout=max(1, end - time.monotonic()))
            out.update(json.loads(p.stdout))
        except subprocess.TimeoutExpired:
            raise Failed("conn_cost: not done within %d s" % LIMIT_S[quick]) from None
        except ValueError:
            raise Failed("conn_cost: %s" % (p.stderr.strip() or "exit status %d" % p.returncode)) from None
    return out


def stat_bytes(tapglass, s):
    p = subprocess.run([tapglass, "stat", "-j", "--name", "bench_idle"], capture_output=True, text=True, check=False,
                       env=dict(os.environ, XDG_RUNTIME_DIR=s.work))
    if p.returncode != 0:
        raise Failed("tapglass stat: " + p.stderr.strip())
    return json.loads(p.stdout)["memory"]["page_bytes"]


def resident_bytes(s):
    with open("/proc/%d/status" % s.running[0].pid, encoding="ascii") as f:
        return [int(line.split()[1]) << 10 for line in f if line.startswith("VmRSS:")][0]


def hold(st, s, count, address):
    argv = [os.path.join(st.tools, "load"), "hold", STACK, "--conns", str(count), "--time", "300", "--from", address]
    return subprocess.Popen(argv, preexec_fn=enter(s.near, st.load_cpus), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def over_tap(st, tapglass, work, count, rest_s):
    """Octets of each of so many idle connections with the kernel: of the instance's memory, of the process's; once they are all
    there, and after they have come to rest."""
    s = Space("idle", "tap", [[tapglass, "up", "-q", "--link", "tap:tap0", "--name", "bench_idle", "--ready-fd", "1"]],
              st.stack_cpus, work, port=9)
    holders = []
    try:
        s.start()
        before = stat_bytes(tapglass, s), resident_bytes(s)
        for first in range(0, count, HOLD_EACH):
            # of an address of its own: all 64,512 ports of one are slow to find
            address = "192.0.2.%d" % (100 + first // HOLD_EACH)
            run_in(s.near, ["ip", "addr", "add", address + "/24", "dev", "tap0"])
            holders.append(hold(st, s, min(HOLD_EACH, count - first), address))
        end = time.monotonic() + HOLD_S
        for p in holders:
            if not select.select([p.stdout], [], [], max(0, end - time.monotonic()))[0]:
                raise Failed("%d connections were not there within %d s" % (count, HOLD_S))
            if not p.stdout.readline():
                raise Failed(p.stderr.read().strip())
        at_once = stat_bytes(tapglass, s), resident_bytes(s)
        time.sleep(rest_s)
        rested = stat_bytes(tapglass, s), resident_bytes(s)
        return {"connections": count, "rest_s": rest_s,
                "established": [(a - b) / count for a, b in zip(at_once, before)],
                "at_rest": [(a - b) / count for a, b in zip(rested, before)]}
    finally:
        for p in holders:
            p.kill()
            p.communicate()
        s.close()


def linux_bytes():
    """Sizes of the objects that Linux's slab allocator holds for each; None without the privilege."""
    try:
        with open("/proc/slabinfo", encoding="ascii") as f:
            size = {line.split()[0]: int(line.split()[3]) for line in f if not line.startswith(("#", "slabinfo"))}
        return {what: sum(size[o] for o in objects) for what, objects in SLABS.items()}
    except (OSError, KeyError):
        return None


def measure(args, st, tapglass, work):
    out, skipped = {}, {}
    for what, run in (
            ("conn_cost", lambda: conn_cost(os.path.join(args.tools, "conn_cost"), args.quick)),
            ("over_tap", lambda: over_tap(st, tapglass, work, args.idle, args.rest))):
        try:
            out[what] = run()
        except (Failed, OSError) as e:
            skipped[what] = str(e)
    out["linux_bytes"] = linux_bytes()
    return out, skipped


def bar_figures(cost):
    """What the bars want to know, of the largest number of connections there is a figure for."""
    out, own = {}, cost.get("conn_cost", {})
    rows = own.get("memory_bytes")
    if rows:
        last = max(rows, key=lambda r: r["connections"])
        out = {"idle_bytes": last["at_rest"], "half_open_bytes": last["half_open"], "time_wait_bytes": last["time_wait"]}
    # of so many connections so many get events, at random; without "in_use" all of them
    ns = {(r["connections"], r.get("in_use", r["connections"])): r for r in own.get("event_ns", [])}
    for what in ("lookup", "timer"):
        for tail, row in (("_growth", (1000000, 1000000)), ("_growth_in_use", (1000000, 10000))):
            if row in ns and (10000, 10000) in ns:
                out[what + tail] = ns[row][what] / ns[10000, 10000][what]
    return out


def print_rows(rows, title, out):
    print("\n" + title, file=out)
    columns = [c for c in rows[0] if c != "connections"]
    print("  %12s" % "connections" + "".join("%14s" % name(c) for c in columns), file=out)
    for r in rows:
        print("  %12s" % number(r["connections"], 0) + "".join("%14.1f" % r[c] for c in columns), file=out)


def print_cost(cost, skipped, out):
    own = cost.get("conn_cost", {})
    if "memory_bytes" in own:
        print_rows(own["memory_bytes"], "memory of a connection, in the simulator (octets, less is better)", out)
    if "over_tap" in cost:
        t = cost["over_tap"]
        print("\nmemory of an idle connection over the TAP, %s of them (octets, less is better)" % number(
            t["connections"], 0), file=out)
        for when, text in (("established", "established just now"), ("at_rest", "after %d s" % t["rest_s"])):
            print("  %-22s %7.0f of the instance, %7.0f of the process" % (text, *t[when]), file=out)
    if cost.get("linux_bytes"):
        print("  Linux, its objects:    %7d established with its file, %d half-open, %d TIME-WAIT" % tuple(
            cost["linux_bytes"][k] for k in ("established", "half_open", "time_wait")), file=out)
    if "event_ns" in own:
        print_rows(own["event_ns"], "cost of an event (ns, less is better)", out)
    if "event_instructions" in own:
        print_rows(own["event_instructions"], "the same in instructions of the stack, which no cache and no neighbour disturbs", out)
    elif "event_ns" in own:
        print("  instructions are not counted: this machine lets nobody read the processor's counters", file=out)
    for what, why in skipped.items():
        print("\n%s skipped: %s" % (what, why), file=out)
