"""What is measured, on whom, and what is asked of it: the metrics of bench.py, its peers, the bars."""
import json
import os

from space import STACK, Failed, Space

POLL_US = "5000"
GSO_SEGS = 44  # of 1,472 octets: what fits a datagram of 64 KB
BIG_DGRAM = "1472"
HTTP_CONNS = (1, 16, 64, 256)
OVERHEADS = {"none": [], "log": ["--log", "{f}"], "log_all": ["--log", "{f}", "--log-level", "all"],
             "pcap": ["--pcap", "{f}"], "record": ["--record", "{f}"]}
PEER_TEXT = {
    "tapglass": "this stack, tapglass up on a TAP",
    "kernel": "Linux over a veth pair",
    "lwip": "lwIP, Debian's liblwip, raw interface, on a TAP",
    "gvisor": "gVisor's netstack, Debian's package, on a TAP",
    "gvisor_packet": "the same over AF_PACKET with GSO, its fastest way",
    "bare": "the TAP with next to no TCP: what the device lets through",
    "nginx": "nginx on Linux over a veth pair",
    "library": "this stack's library alone (stack_serve), on a TAP",
}


class Metric:
    """One figure: for every peer a space, a program for its near end, and where that is pinned."""

    def __init__(self, ident, title, unit, higher=True, digits=2):
        self.ident, self.title, self.unit, self.higher, self.digits = ident, title, unit, higher, digits
        self.runs = []  # (peer, space name, function of (space, settings) -> dict with "value")
        self.skipped = {}  # peer: why it is not measured

    def add(self, peer, space, run):
        self.runs.append((peer, space, run))


class Settings:
    def __init__(self, args, tools):
        self.time_s, self.warm_s, self.megabytes = args.time, args.warm, args.megabytes
        self.tools = tools  # directory of our programs
        cpus = sorted(os.sched_getaffinity(0))
        self.load_cpus, self.stack_cpus = {cpus[0]}, {cpus[-1]}
        self.all_cpus = set(cpus)
        self.quick = args.quick


def load(mode, *more, where="load"):
    """A run of our load generator."""
    def run(space, st):
        cpus = {"load": st.load_cpus, "stack": st.stack_cpus, "any": st.all_cpus}[where]
        argv = [os.path.join(st.tools, "load"), mode, STACK, "--time", str(st.time_s), "--warm", str(st.warm_s)]
        if mode not in ("udp-send", "udp-recv"):
            argv += ["--cc", "cubic"]
        return json.loads(space.client(argv + list(more), cpus))
    return run


def wrk(conns, path):
    def run(space, st):
        seconds = max(1, round(st.time_s))
        out = space.client(["wrk", "-t1", "-c%d" % conns, "-d%d" % seconds, "http://%s%s" % (STACK, path)],
                           st.load_cpus)
        found = [line.split() for line in out.splitlines()]
        bad = [" ".join(f) for f in found if f[:1] == ["Non-2xx"] or f[:2] == ["Socket", "errors:"]]
        rate = [float(f[1]) for f in found if f[:1] == ["Requests/sec:"]]
        if bad or not rate:
            raise Failed("wrk: %s" % (bad[0] if bad else "no figure"))
        total = [int(f[0]) for f in found if f[1:3] == ["requests", "in"]]
        return {"value": rate[0], "total": total[0]}
    return run


def iperf3(*more):
    def run(space, st):
        seconds = max(1, round(st.time_s))
        out = json.loads(space.client(["iperf3", "-c", STACK, "-J", "-t", str(seconds), "-C", "cubic"] + list(more),
                                      st.load_cpus))
        if "error" in out:
            raise Failed("iperf3: " + out["error"])
        return {"value": out["end"]["sum_received"]["bits_per_second"] / 1e9,
                "total": out["end"]["sum_received"]["bytes"],
                "retrans": out["end"]["sum_sent"].get("retransmits")}
    return run


def overhead(mode, program, tail):
    """The same octets with and without; the stack is started for each run, as its files are new."""
    def run(space, st):
        path = os.path.join(space.work, "overhead.out")
        space.programs = [program + [a.replace("{f}", path) for a in tail]]
        try:
            space.start()
            return json.loads(space.client([os.path.join(st.tools, "load"), mode, STACK, "--cc", "cubic", "--bytes",
                                            str(st.megabytes << 20)], st.load_cpus, limit_s=60))
        finally:
            space.stop()
            if os.path.exists(path):
                os.unlink(path)
    return run


def spaces(st, work, tapglass):
    """Every space by name: all of them are there from beginning to end, those that are not measured asleep."""
    def tool(name, *more):
        return [[os.path.join(st.tools, name)] + list(more)]

    def up(name, *more):
        return [[tapglass, "up", "-q", "--link", "tap:tap0", "--name", name, "--ready-fd", "1"] + list(more)]
    nginx = ["nginx", "-c", os.path.join(work, "nginx.conf"), "-e", os.path.join(work, "nginx.err")]
    cpu, every = st.stack_cpus, st.all_cpus
    listed = [
        Space("tapglass", "tap", up("bench"), cpu, work, port=9),
        Space("tapglass_any", "tap", up("bench_any"), every, work, port=9),
        Space("tapglass_big", "tap", up("bench_big", "--big-tcp"), cpu, work, port=9),
        Space("tapglass_big_any", "tap", up("bench_big_any", "--big-tcp"), every, work, port=9),
        Space("tapglass_plain", "tap", up("bench_plain", "--plain"), cpu, work, port=9),
        Space("tapglass_poll", "tap", up("bench_poll", "--busy=" + POLL_US), cpu, work, port=9),
        Space("tapglass_iperf3", "tap", [[tapglass, "iperf3", "-s", "--link", "tap:tap0"]], cpu, work, port=5201),
        Space("library", "tap", tool("stack_serve"), cpu, work, port=9),
        Space("overhead", "tap", [], cpu, work, port=9),
        Space("kernel", "veth", tool("kernel_serve"), cpu, work, port=9),
        Space("nginx", "veth", [nginx], cpu, work, port=80),
        Space("kernel_any", "veth", tool("kernel_serve"), every, work, port=9),
        Space("kernel_plain", "veth", tool("kernel_serve"), cpu, work, offloads=False, port=9),
        Space("kernel_plain_any", "veth", tool("kernel_serve"), every, work, offloads=False, port=9),
        Space("kernel_poll", "veth", tool("kernel_serve", "--busy", POLL_US), cpu, work, port=9),
        Space("kernel_iperf3", "veth", [["iperf3", "-s"]], cpu, work, port=5201),
        Space("lwip", "tap", tool("lwip_host"), cpu, work, port=9),
        Space("lwip_poll", "tap", tool("lwip_host", "--busy", POLL_US), cpu, work, port=9),
        Space("gvisor", "tap", tool("gvisor_host"), cpu, work, port=9),
        Space("gvisor_packet", "packet", tool("gvisor_host", "-link", "packet:stack0"), cpu, work, port=9),
        Space("bare", "tap", tool("bare"), cpu, work, port=9),
        Space("bare_plain", "tap", tool("bare", "--plain"), cpu, work, port=9),
        Space("bare_poll", "tap", tool("bare", "--busy", POLL_US), cpu, work, port=9),
    ]
    return {s.name: s for s in listed}


def write_nginx_conf(work):
    """One worker, the answer from memory: the fastest nginx has for a small answer. In a user namespace it can be nobody
    but root."""
    with open(os.path.join(work, "nginx.conf"), "w", encoding="ascii") as f:
        f.write("user root root; daemon off; master_process off; worker_processes 1;\n"
                "pid %s/nginx.pid; error_log stderr crit;\nevents { worker_connections 4096; }\n"
                "http { access_log off; keepalive_requests 1000000000; tcp_nodelay on;\n"
                "client_body_temp_path %s/body; proxy_temp_path %s/proxy; fastcgi_temp_path %s/fcgi;\n"
                "uwsgi_temp_path %s/uwsgi; scgi_temp_path %s/scgi;\n"
                "server { listen 80 reuseport; location / { default_type text/plain; return 200 '%s'; } } }\n"
                % (work, work, work, work, work, work, "x" * 1024))


def bulk_metrics():
    """Where the two ends run makes more of a difference than anything else: each on a CPU of its own (no suffix), both on
    one (" one"), both where the scheduler puts them (" any"). Compared is what runs in the same way."""
    out = []
    for way, mode in (("in", "send"), ("out", "recv")):
        for kind in ("gso", "plain"):
            for n in (1, 8):
                m = Metric("tcp_%s_%s_%d" % (way, kind, n), "TCP %s, %s, %s" % (
                    "host → stack" if way == "in" else "stack → host", "%d connection%s" % (n, "s" * (n > 1)),
                    "offloads" if kind == "gso" else "plain 1,500-byte frames"), "Gbit/s")
                (bulk_gso if kind == "gso" else bulk_plain)(m, way, mode, n)
                out.append(m)
    return out


def bulk_gso(m, way, mode, n):
    more = ["--conns", str(n)]
    m.add("tapglass", "tapglass", load(mode, *more))
    m.add("tapglass one", "tapglass", load(mode, *more, where="stack"))
    m.add("kernel one", "kernel", load(mode, *more, where="stack"))
    if way == "in":
        m.add("kernel", "kernel", load(mode, *more))
    else:  # on two CPUs its backlogs reorder: an artefact of veth
        m.add("tapglass any", "tapglass_any", load(mode, *more, where="any"))
        m.add("kernel any", "kernel_any", load(mode, *more, where="any"))
        m.add("tapglass big one", "tapglass_big", load(mode, *more, where="stack"))
        m.add("tapglass big any", "tapglass_big_any", load(mode, *more, where="any"))
    if n == 1:
        m.add("bare", "bare", load(mode, *more))
        m.add("bare one", "bare", load(mode, *more, where="stack"))
        m.add("gvisor_packet", "gvisor_packet", load(mode, *more))


def bulk_plain(m, way, mode, n):
    more = ["--conns", str(n)]
    m.add("tapglass", "tapglass_plain", load(mode, *more))
    m.add("lwip", "lwip", load(mode, *more))
    m.add("gvisor", "gvisor", load(mode, *more))
    if way == "in":
        m.add("kernel", "kernel_plain", load(mode, *more))
    else:
        m.add("kernel any", "kernel_plain_any", load(mode, *more, where="any"))
    if n == 1:
        m.add("bare", "bare_plain", load(mode, *more))


def iperf3_metrics():
    out = []
    for way, reverse in (("in", []), ("out", ["-R"])):
        for n in (1, 8):
            m = Metric("iperf3_%s_%d" % (way, n), "iperf3, %s, %d connection%s, offloads" % (
                "host → stack" if way == "in" else "stack → host", n, "s" * (n > 1)), "Gbit/s")
            m.add("tapglass", "tapglass_iperf3", iperf3("-P", str(n), *reverse))
            m.add("kernel", "kernel_iperf3", iperf3("-P", str(n), *reverse))
            out.append(m)
    return out


def small_metrics():
    sleep = Metric("rtt_sleep", "one octet there and back, both asleep: median", "µs", False)
    poll = Metric("rtt_poll", "one octet there and back, both polling: median", "µs", False)
    one = Metric("rtt_one_cpu", "one octet there and back, on one CPU: median", "µs", False)
    cps = Metric("cps_sleep", "connections per second, asleep", "1/s", digits=0)
    cps_poll = Metric("cps_poll", "connections per second, the stack polling", "1/s", digits=0)
    for peer in ("tapglass", "kernel", "lwip", "gvisor", "bare"):
        sleep.add(peer, peer, load("ping"))
        one.add(peer, peer, load("ping", where="stack"))
        cps.add(peer, peer, load("cycle"))
        if peer != "gvisor":
            poll.add(peer, peer + "_poll", load("ping", "--busy"))
            cps_poll.add(peer, peer + "_poll", load("cycle"))
    return [sleep, poll, one, cps, cps_poll]


def http_metrics():
    out = []
    for n in HTTP_CONNS:
        m = Metric("http_%d" % n, "HTTP requests per second, 1 KiB, keep-alive, %d connection%s" % (n, "s" * (n > 1)),
                   "1/s", digits=0)
        m.add("tapglass", "tapglass", wrk(n, "/bytes/1024"))
        m.add("nginx", "nginx", wrk(n, "/"))
        m.add("lwip", "lwip", wrk(n, "/"))
        m.add("gvisor", "gvisor", wrk(n, "/"))
        m.add("bare", "bare", wrk(n, "/"))
        out.append(m)
    return out


def udp_metrics():
    into = Metric("udp_in", "UDP host → stack, 64 octets, delivered", "1/s", digits=0)
    out = Metric("udp_out", "UDP stack → host, 64 octets, received", "1/s", digits=0)
    into_uso = Metric("udp_in_uso", "UDP host → stack, 1,472 octets by USO, delivered", "1/s", digits=0)
    for peer, space in (("tapglass", "library"), ("kernel", "kernel"), ("lwip", "lwip"), ("gvisor", "gvisor")):
        into.add(peer, space, load("udp-send"))
        out.add(peer, space, load("udp-recv"))
    out_uso = Metric("udp_out_uso", "UDP stack → host, 1,472 octets by USO, received", "1/s", digits=0)
    uso = ["--size", BIG_DGRAM, "--segs", str(GSO_SEGS)]
    into_uso.add("tapglass", "library", load("udp-send", *uso))
    into_uso.add("kernel", "kernel", load("udp-send", *uso))
    out_uso.add("tapglass", "library", load("udp-recv", *uso))
    out_uso.add("kernel", "kernel", load("udp-recv", *uso))
    return [into, out, into_uso, out_uso]


def overhead_metrics(st, tapglass):
    out = []
    base = [tapglass, "up", "-q", "--link", "tap:tap0", "--name", "bench_overhead", "--ready-fd", "1"]
    serve = [os.path.join(st.tools, "stack_serve"), "--trace"]
    for way, mode in (("in", "send"), ("out", "recv")):
        m = Metric("overhead_" + way, "TCP %s, %d MB, by what watches" % (
            "host → stack" if way == "in" else "stack → host", st.megabytes), "Gbit/s")
        for name, tail in OVERHEADS.items():
            m.add(name, "overhead", overhead(mode, base, tail))
        m.add("library", "overhead", overhead(mode, serve, ["4096"]))
        m.add("library_no_trace", "overhead", overhead(mode, serve, ["0"]))
        out.append(m)
    return out


def metrics(st, tapglass):
    return (bulk_metrics() + iperf3_metrics() + small_metrics() + http_metrics() + udp_metrics() +
            overhead_metrics(st, tapglass))
