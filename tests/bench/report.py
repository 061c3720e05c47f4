"""What the runs of bench.py come to: medians, ratios, the bars, as a table and as JSON."""
import statistics

BULK = ("tcp_in_gso_1", "tcp_out_gso_1", "tcp_in_gso_8", "tcp_out_gso_8")
NAMES = {"kernel any": "kernel, not pinned", "kernel one": "kernel, one CPU", "gvisor_packet": "gvisor, AF_PACKET+GSO",
         "none": "nothing", "log": "--log", "log_all": "--log-level all", "pcap": "--pcap", "record": "--record",
         "library": "library, trace", "library_no_trace": "library, no trace"}


def summary(values):
    return {"n": len(values), "median": statistics.median(values), "min": min(values), "max": max(values)}


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
                for tail in ("p99", "p999"):
                    if tail in got[0]:
                        e["peers"][peer][tail] = statistics.median(g[tail] for g in got)
            elif (m.ident, peer) in failed:
                e["skipped"][peer] = failed[m.ident, peer]
        best = [e["peers"][p] for p in ("kernel any", "kernel one") if p in e["peers"]]
        if best:
            e["peers"]["kernel"] = max(best, key=lambda b: b["median"])
        ours = e["peers"].get("tapglass") or e["peers"].get("none")
        for s in e["peers"].values():
            s["ratio"] = ours["median"] / s["median"] if ours and s["median"] else None
        out.append(e)
    return out


class Figures:
    """Medians by metric and peer; None where there is none."""

    def __init__(self, results):
        self.of = {e["id"]: e["peers"] for e in results}

    def get(self, metric, *peers):
        got = [self.of[metric][p]["median"] for p in peers if p in self.of.get(metric, {})]
        return max(got) if got else None


def ratio(a, b):
    return a / b if a is not None and b else None


def bar(out, text, figure, wanted, at_least=True, stretch=None, unit="×"):
    met = None if figure is None else (figure >= wanted if at_least else figure <= wanted)
    far = None if figure is None or stretch is None else (figure >= stretch if at_least else figure <= stretch)
    out.append({"bar": text, "figure": figure, "wanted": wanted, "at_least": at_least, "unit": unit, "met": met,
                "stretch": stretch, "stretch_met": far})


def bars(results, conn_cost):
    f, out = Figures(results), []
    for m in BULK:
        way, n = m.split("_")[1], m.split("_")[3]
        what = "bulk %s, %s connection%s, offloads" % (way, n, "s" * (n != "1"))
        ours = f.get(m, "tapglass")
        bar(out, what + ": to the faster of lwIP and gVisor on the TAP",
            ratio(ours, f.get(m.replace("gso", "plain"), "lwip", "gvisor")), 5)
        if n == "1":
            bar(out, what + ": to the bare device loop", ratio(ours, f.get(m, "bare")), 0.85)
        bar(out, what + ": to the kernel over veth", ratio(ours, f.get(m, "kernel")), 0.85, stretch=1)
    for way, wanted in (("in", 1.3), ("out", 1.2)):
        for n in ("1", "8"):
            m = "tcp_%s_plain_%s" % (way, n)
            bar(out, "bulk %s, %s connection%s, plain frames: to lwIP" % (way, n, "s" * (n != "1")),
                ratio(f.get(m, "tapglass"), f.get(m, "lwip")), wanted, stretch=1.6)
    for m, text, wanted in (("rtt_poll", "both polling", 0.7), ("rtt_one_cpu", "on one CPU", 1),
                            ("rtt_sleep", "both asleep", 1.05)):
        bar(out, "latency, %s: to the kernel over veth" % text,
            ratio(f.get(m, "tapglass"), f.get(m, "kernel")), wanted, at_least=False)
    for m, text in (("cps_sleep", "asleep"), ("cps_poll", "the stack polling")):
        ours, kernel = f.get(m, "tapglass"), f.get(m, "kernel")
        bar(out, "connections per second, %s: to lwIP" % text, ratio(ours, f.get(m, "lwip")), 1)
        bar(out, "connections per second, %s: to the kernel (stretch)" % text, ratio(ours, kernel), 1)
    for n in (16, 64):
        m = "http_%d" % n
        bar(out, "HTTP requests per second, %d connections: to nginx over veth" % n,
            ratio(f.get(m, "tapglass"), f.get(m, "nginx")), 1.9, stretch=2.5)
    for text, key, wanted, unit in (
            ("octets of an idle established connection", "idle_bytes", 512, "B"),
            ("octets of a half-open one", "half_open_bytes", 64, "B"),
            ("octets of a TIME-WAIT entry", "time_wait_bytes", 64, "B"),
            ("lookup at a million connections: to that at ten thousand", "lookup_growth", 1.5, "×"),
            ("timer at a million connections: to that at ten thousand", "timer_growth", 1.5, "×")):
        bar(out, text, (conn_cost or {}).get(key), wanted, at_least=False, unit=unit)
    return out


def number(v, digits):
    return "{:,.{}f}".format(v, digits).replace(",", " ") if digits == 0 else "%.*f" % (digits, v)


def print_table(results, out):
    for e in results:
        if not e["peers"] and not e["skipped"]:
            continue
        print("\n%s (%s, %s is better)" % (e["title"], e["unit"], "more" if e["higher_is_better"] else "less"), file=out)
        for peer, s in e["peers"].items():
            if peer == "kernel" and "kernel any" in e["peers"]:
                continue
            d = e["digits"]
            line = "  %-22s %10s  [%s – %s]" % (NAMES.get(peer, peer), number(s["median"], d), number(s["min"], d),
                                               number(s["max"], d))
            if "p99" in s:
                line += "  p99 %.0f  p99.9 %.0f" % (s["p99"], s["p999"])
            if s["ratio"] is not None and peer not in ("tapglass", "none"):
                line = "%-62s  × %.2f" % (line, s["ratio"])
            print(line, file=out)
        for peer, why in e["skipped"].items():
            print("  %-22s skipped: %s" % (NAMES.get(peer, peer), why), file=out)


def print_bars(listed, out):
    print("\n%-72s %9s %9s  met?" % ("The bars", "figure", "wanted"), file=out)
    for b in listed:
        sign = "≥" if b["at_least"] else "≤"
        figure = "–" if b["figure"] is None else "%.2f" % b["figure"] if b["unit"] == "×" else "%.0f" % b["figure"]
        verdict = "not measured" if b["met"] is None else "yes" if b["met"] else "NO"
        if b["stretch_met"]:
            verdict += ", and the stretch of %g" % b["stretch"]
        print("%-72s %9s %9s  %s" % (b["bar"], figure, "%s %g" % (sign, b["wanted"]), verdict), file=out)
