"""What the runs of bench.py come to: medians, ratios, the bars, as a table and as JSON."""
import statistics

BULK = ("tcp_in_gso_1", "tcp_out_gso_1", "tcp_in_gso_8", "tcp_out_gso_8")
NAMES = {"gvisor_packet": "gvisor, AF_PACKET+GSO",
         "none": "nothing", "log": "--log", "log_all": "--log-level all", "pcap": "--pcap", "record": "--record",
         "library": "library, trace", "library_no_trace": "library, no trace"}


def summary(values):
    return {"n": len(values), "median": statistics.median(values), "min": min(values), "max": max(values)}


def cpu(m, got):
    """Processor time of the two ends for each unit, ns: a KiB of bulk, an event of anything else. What the kernel does for
    them in its own threads is not in it. Less disturbed by what else the machine does than any rate."""
    unit = 1024 if m.unit == "Gbit/s" else 1
    return [statistics.median(g[end] * unit / g["total"] for g in got) for end in ("stack_cpu_ns", "load_cpu_ns")]


def ours_for(peer, peers):
    """Whom a peer is compared with: what ran in the same way."""
    same = "tapglass" + peer[len(peer.split()[0]):]
    return same if same in peers else "none" if "none" in peers else "tapglass"


def collect(metrics, runs, failed):
    """runs: {(metric, peer): [dict with "value"]}. One entry for each metric that somebody was measured on."""
    out = []
    for m in metrics:
        e = {"id": m.ident, "title": m.title, "unit": m.unit, "higher_is_better": m.higher, "digits": m.digits,
             "peers": {}, "skipped": dict(m.skipped)}
        for peer, _, _ in m.runs:
            got = runs.get((m.ident, peer), [])
            if got:
                e["peers"][peer] = dict(summary([g["value"] for g in got]), runs=[g["value"] for g in got])
                e["peers"][peer]["cpu"] = cpu(m, got)
                for tail in ("p99", "p999"):
                    if tail in got[0]:
                        e["peers"][peer][tail] = statistics.median(g[tail] for g in got)
            elif (m.ident, peer) in failed:
                e["skipped"][peer] = failed[m.ident, peer]
        for peer, s in e["peers"].items():
            ours = e["peers"].get(ours_for(peer, e["peers"]))
            s["ratio"] = ours["median"] / s["median"] if ours and s["median"] else None
        out.append(e)
    return out


def name(peer):
    if peer in NAMES:
        return NAMES[peer]
    return peer.replace(" one", ", one CPU").replace(" any", ", not pinned").replace(" big", ", --big-tcp")


class Figures:
    """Ratios between peers: of the medians; of the best runs, and of the processor time that both ends took for the same
    work, which a busy machine disturbs less. None where something was not measured, or polls."""

    def __init__(self, results):
        self.of = {e["id"]: e for e in results}

    def get(self, metric, peers, key):
        e = self.of.get(metric, {"peers": {}})
        if key == "best":
            key = "max" if e.get("higher_is_better") else "min"
        if key == "work":  # in a second of processor time; for what less is better of, its reciprocal
            got = [1 / sum(e["peers"][p]["cpu"]) for p in peers if p in e["peers"] and "poll" not in metric]
            got = got if e.get("higher_is_better") else [1 / g for g in got]
        else:
            got = [e["peers"][p][key] for p in peers if p in e["peers"]]
        return max(got) if got else None

    def ratio(self, metric, ours, peers, theirs=None):
        out = []
        for key in ("median", "best", "work"):
            a, b = self.get(metric, [ours], key), self.get(theirs or metric, peers, key)
            out.append(a / b if a is not None and b else None)
        return tuple(out)


def bar(out, text, figures, wanted, at_least=True, stretch=None, unit="×"):
    figure, best, work = figures

    def reached(what):
        return None if figure is None or what is None else figure >= what if at_least else figure <= what
    out.append({"bar": text, "figure": figure, "figure_of_bests": best, "figure_by_cpu": work, "wanted": wanted,
                "at_least": at_least, "unit": unit, "met": reached(wanted), "stretch": stretch, "stretch_met": reached(stretch)})


def bulk_bars(f, out):
    for m in BULK:
        way, n = m.split("_")[1], m.split("_")[3]
        what = "bulk %s, %s connection%s, offloads" % (way, n, "s" * (n != "1"))
        bar(out, what + ": to the faster of lwIP and gVisor on the TAP",
            f.ratio(m, "tapglass", ["lwip", "gvisor"], m.replace("gso", "plain")), 5)
        if n == "1":
            bar(out, what + ": to the bare device loop", f.ratio(m, "tapglass", ["bare"]), 0.85)
        for where, text in ((("", "each on a CPU"),) if way == "in" else ((" one", "both on one CPU"),
                                                                      (" any", "not pinned"))):
            bar(out, "%s: to the kernel over veth, %s" % (what, text),
                f.ratio(m, "tapglass" + where, ["kernel" + where]), 0.85, stretch=1)
            if way == "out":
                bar(out, "the same with --big-tcp", f.ratio(m, "tapglass big" + where, ["kernel" + where]), 0.85, stretch=1)
    for way, wanted in (("in", 1.3), ("out", 1.2)):
        for n in ("1", "8"):
            bar(out, "bulk %s, %s connection%s, plain frames: to lwIP" % (way, n, "s" * (n != "1")),
                f.ratio("tcp_%s_plain_%s" % (way, n), "tapglass", ["lwip"]), wanted, stretch=1.6)


def bars(results, cost):
    f, out = Figures(results), []
    bulk_bars(f, out)
    for m, text, wanted in (("rtt_poll", "both polling", 0.7), ("rtt_one_cpu", "on one CPU", 1),
                            ("rtt_sleep", "both asleep", 1.05)):
        bar(out, "latency, %s: to the kernel over veth" % text, f.ratio(m, "tapglass", ["kernel"]), wanted,
            at_least=False)
    for m, text in (("cps_sleep", "asleep"), ("cps_poll", "the stack polling")):
        bar(out, "connections per second, %s: to lwIP" % text, f.ratio(m, "tapglass", ["lwip"]), 1)
        bar(out, "connections per second, %s: to the kernel (stretch)" % text,
            f.ratio(m, "tapglass", ["kernel"]), 1)
    for n in (16, 64):
        bar(out, "HTTP requests per second, %d connections: to nginx over veth" % n,
            f.ratio("http_%d" % n, "tapglass", ["nginx"]), 1.9, stretch=2.5)
    for text, key, wanted, unit in (
            ("octets of an idle established connection", "idle_bytes", 512, "B"),
            ("octets of a half-open one", "half_open_bytes", 64, "B"),
            ("octets of a TIME-WAIT entry", "time_wait_bytes", 64, "B"),
            ("lookup at a million connections: to that at ten thousand", "lookup_growth", 1.5, "×"),
            ("the same with ten thousand of the million in use", "lookup_growth_in_use", 1.5, "×"),
            ("timer at a million connections: to that at ten thousand", "timer_growth", 1.5, "×"),
            ("the same with ten thousand of the million in use", "timer_growth_in_use", 1.5, "×")):
        bar(out, text, (cost.get(key), None, None), wanted, at_least=False, unit=unit)
    return out


def number(v, digits):
    return "{:,.{}f}".format(v, digits).replace(",", " ") if digits == 0 else "%.*f" % (digits, v)


def print_table(results, out):
    for e in results:
        if not e["peers"] and not e["skipped"]:
            continue
        print("\n%s (%s, %s is better)" % (e["title"], e["unit"], "more" if e["higher_is_better"] else "less"), file=out)
        for peer, s in e["peers"].items():
            d = e["digits"]
            line = "  %-22s %10s  [%s – %s]" % (name(peer), number(s["median"], d), number(s["min"], d),
                                               number(s["max"], d))
            if "p99" in s:
                line += "  p99 %.0f  p99.9 %.0f" % (s["p99"], s["p999"])
            s_ns, l_ns = s["cpu"]
            ratio = "× %.2f" % s["ratio"] if s["ratio"] is not None and peer.split()[0] not in ("tapglass",
                                                                                             "none") else ""
            line = "%-72s %-9s cpu %6.0f + %.0f ns%s" % (line, ratio, s_ns, l_ns, "/KiB" * (e["unit"] == "Gbit/s"))
            print(line, file=out)
        for peer, why in e["skipped"].items():
            print("  %-22s skipped: %s" % (name(peer), why), file=out)


def print_bars(listed, out):
    print("\n%-80s %8s %8s %8s %8s  met?" % ("The bars", "medians", "bests", "by cpu", "wanted"), file=out)
    for b in listed:
        sign = "≥" if b["at_least"] else "≤"
        figures = ["–" if v is None else "%.2f" % v if b["unit"] == "×" else "%.0f" % v
                   for v in (b["figure"], b["figure_of_bests"], b["figure_by_cpu"])]
        verdict = "not measured" if b["met"] is None else "yes" if b["met"] else "NO"
        if b["stretch_met"]:
            verdict += ", and the stretch of %g" % b["stretch"]
        print("%-80s %8s %8s %8s %8s  %s" % (b["bar"], *figures, "%s %g" % (sign, b["wanted"]), verdict), file=out)
