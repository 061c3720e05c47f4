#!/usr/bin/env python3
"""bench.py [OPTION]...: Tapglass measured beside its peers, all in one run; see README.md beside this file.

Everything happens in network namespaces of its own and ends with this program. A round measures every metric once on every
peer, peer after peer, so that what else goes on on this machine hits all of them; medians are over the rounds.
--quick: what `make bench-quick` does: short runs, 8 minutes at most. Otherwise as `make bench`: an hour at most.
Exit status: 0 measured, whatever came out; 1 nothing could be measured; 2 usage; 3 no namespaces."""
import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
import conn  # noqa: E402
import plan  # noqa: E402
import plot  # noqa: E402
import report  # noqa: E402
from space import Failed  # noqa: E402

STRIKES = 3  # so many failures in a row, and a peer is left out of a metric from then on


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--quick", action="store_true")
    p.add_argument("--rounds", type=int, help="at most (quick: 5, otherwise 11)")
    p.add_argument("--limit", type=float, help="seconds for the rounds (quick: 370, otherwise 2,700)")
    p.add_argument("--time", type=float, help="seconds of one measurement (quick: 0.3, otherwise 2)")
    p.add_argument("--warm", type=float, help="seconds before it (quick: 0.1, otherwise 0.4)")
    p.add_argument("--megabytes", type=int, help="of a run for the overheads (quick: 128, otherwise 2,048)")
    p.add_argument("--peers", help="only these, with commas between")
    p.add_argument("--metrics", help="only those whose id begins with one of these")
    p.add_argument("--out", default=os.path.join("build", "bench"), help="directory of results.json and results.svg")
    p.add_argument("--tools", default=os.path.join(ROOT, "build", "release", "tests", "bench"),
                   help="directory of the programs")
    p.add_argument("--tapglass", default=os.path.join(ROOT, "build", "tapglass"), help="the program under test")
    p.add_argument("--no-conn-cost", action="store_true", help="without memory and cost of connections")
    p.add_argument("--idle", type=int, help="idle connections over the TAP (quick: 10,000, otherwise 100,000)")
    p.add_argument("--rest", type=float, default=30, help="seconds that they are left alone (30; from 10 on, and when all timers have run out, they cost less)")
    p.add_argument("--inside", action="store_true", help="a namespace has been made already")
    a = p.parse_args()
    for name, quick, full in (("rounds", 5, 11), ("limit", 370, 2700), ("time", 0.3, 2), ("warm", 0.1, 0.4),
                              ("megabytes", 128, 2048), ("idle", 10000, 100000)):
        if getattr(a, name) is None:
            setattr(a, name, quick if a.quick else full)
    return a


class Bench:
    def __init__(self, args, work):
        self.args, self.work = args, work
        self.tapglass = os.path.abspath(args.tapglass)
        self.settings = plan.Settings(args, args.tools)
        self.spaces = plan.spaces(self.settings, work, self.tapglass)
        self.metrics = plan.metrics(self.settings, self.tapglass)
        self.runs, self.failed, self.strikes, self.broken = {}, {}, {}, {}
        self.started, self.loads = set(), []
        self.choose()

    def choose(self):
        """Leaves what was not asked for, and the spaces that nobody needs then."""
        a = self.args
        if a.metrics:
            wanted = tuple(a.metrics.split(","))
            self.metrics = [m for m in self.metrics if m.ident.startswith(wanted)]
        if a.peers:
            peers = set(a.peers.split(","))
            for m in self.metrics:
                if not m.ident.startswith("overhead"):
                    m.runs = [r for r in m.runs if r[0].split()[0] in peers]
        self.needed = {r[1] for m in self.metrics for r in m.runs}

    def missing(self, s):
        """Why a space cannot be had, before it is tried."""
        for argv in s.programs:
            if not shutil.which(argv[0]):
                return "%s is not there" % os.path.basename(argv[0])
        if s.name == "tapglass_iperf3":
            p = subprocess.run([self.tapglass, "iperf3", "--help"], capture_output=True, text=True, check=False)
            if p.returncode != 0:
                return "this tapglass has no iperf3"
        return None

    def start_spaces(self):
        for name in sorted(self.needed):
            s = self.spaces[name]
            why = self.missing(s)
            if not why and s.programs:
                try:
                    s.start()
                except (Failed, OSError) as e:
                    why = str(e)
            if why:
                self.broken[name] = why
                print("  %-18s skipped: %s" % (name, why), flush=True)

    def measure(self, m, peer, space, run):
        key = (m.ident, peer)
        if space in self.broken:
            self.failed[key] = self.broken[space]
            return
        while self.strikes.get(key, 0) < STRIKES and not self.try_once(m, key, space, run):
            pass

    def try_once(self, m, key, space, run):
        try:
            s = self.spaces[space]
            if s.programs and not s.alive() and not m.ident.startswith("overhead"):
                s.stop()
                s.start()
            got = run(s, self.settings)
            if not got["value"] > 0:
                raise Failed("nothing was moved")
            self.runs.setdefault(key, []).append(dict(got, **s.cpu))
            self.strikes[key] = 0
            return True
        except (Failed, OSError, ValueError, KeyError) as e:
            self.strikes[key] = self.strikes.get(key, 0) + 1
            self.failed[key] = str(e)
            return False

    def round(self, n):
        self.loads.append(os.getloadavg()[0])
        for m in self.metrics:
            # who comes first changes from round to round
            at = n % len(m.runs) if m.runs else 0
            for peer, space, run in m.runs[at:] + m.runs[:at]:
                self.measure(m, peer, space, run)

    def rounds(self):
        begin, longest = time.monotonic(), 0.0
        for n in range(self.args.rounds):
            t = time.monotonic()
            if n and t - begin + longest > self.args.limit:
                print("\nstopped after %d of %d rounds: no time for another" % (n, self.args.rounds))
                break
            self.round(n)
            longest = max(longest, time.monotonic() - t)
            print("  round %d of %d: %.0f s, load %.1f" % (n + 1, self.args.rounds, time.monotonic() - t,
                                                          self.loads[-1]), flush=True)

    def close(self):
        for s in self.spaces.values():
            s.close()


def machine():
    model = "?"
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
    return {"kernel": platform.release(), "cpu": model, "cpus": len(os.sched_getaffinity(0))}


def write_results(args, bench, cost, begun):
    results = report.collect(bench.metrics, bench.runs, bench.failed)
    listed = report.bars(results, conn.bar_figures(cost[0]))
    about = dict(machine(), load=[round(v, 2) for v in bench.loads], rounds=len(bench.loads),
                 seconds=round(time.monotonic() - begun, 1))
    with open(os.path.join(args.out, "results.json"), "w", encoding="utf-8") as f:
        json.dump({"version": 1, "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "machine": about,
                   "settings": {"time_s": args.time, "warm_s": args.warm, "quick": args.quick},
                   "peers": plan.PEER_TEXT, "skipped": bench.broken, "metrics": results,
                   "connections": cost[0], "connections_skipped": cost[1], "bars": listed}, f, indent=1, ensure_ascii=False)
        f.write("\n")
    subtitle = "medians of %d rounds, the line from minimum to maximum; %s, Linux %s, %d CPUs, load %.1f–%.1f" % (
        about["rounds"], about["cpu"], about["kernel"], about["cpus"], min(about["load"]), max(about["load"]))
    with open(os.path.join(args.out, "results.svg"), "w", encoding="utf-8") as f:
        f.write(plot.svg(results, subtitle))
    print("\n" + subtitle)
    report.print_table(results, sys.stdout)
    conn.print_cost(*cost, sys.stdout)
    report.print_bars([b for b in listed if b["met"] is not None or not (args.metrics or args.peers)], sys.stdout)
    print("\n%s/results.json, results.svg" % args.out)
    return any(e["peers"] for e in results)


def work_dir():
    """For files that are written to while it is measured: in memory if that can be had."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    return tempfile.mkdtemp(prefix="tapglass-bench-", dir=memory)


def outside():
    """Runs this program once more, in a namespace; what that leaves when it is killed is removed here."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    work = work_dir()
    p = subprocess.Popen([os.path.join(ROOT, "scripts", "netns.sh"), sys.executable, os.path.abspath(__file__), "--inside"] +
                         sys.argv[1:], env=dict(os.environ, TMPDIR=work))
    try:
        return p.wait()
    except KeyboardInterrupt:
        return 130
    finally:
        p.terminate()
        p.wait()
        for _ in range(50):  # what ran in the namespace may still be about to end
            shutil.rmtree(work, ignore_errors=True)
            if not os.path.exists(work):
                break
            time.sleep(0.1)


def main():
    args = options()
    if not args.inside:
        return outside()
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    begun = time.monotonic()
    try:
        os.makedirs(args.out, exist_ok=True)
        open(os.path.join(args.out, "results.json"), "a", encoding="utf-8").close()
    except OSError as e:
        sys.exit("bench.py: %s: %s" % (args.out, e.strerror))
    with tempfile.TemporaryDirectory() as work:
        plan.write_nginx_conf(work)
        bench = Bench(args, work)
        try:
            print("%d metrics, up to %d rounds" % (len(bench.metrics), args.rounds), flush=True)
            bench.start_spaces()
            bench.rounds()
        finally:
            bench.close()
        cost = {}, {}
        if not args.no_conn_cost:
            print("  memory and cost of connections", flush=True)
            cost = conn.measure(args, bench.settings, bench.tapglass, work)
        return 0 if write_results(args, bench, cost, begun) else 1


if __name__ == "__main__":
    sys.exit(main())
