"""Network namespaces and the programs in them, for bench.py.

A Space is one stack under test with the host's side that talks to it: a namespace with a TAP, or two joined by a veth pair.
Namespaces are held by descriptors of this process, and programs enter them between fork and exec, so that
nothing is left when this process is gone; it runs in a pid namespace of scripts/netns.sh, which takes the programs along."""
import ctypes
import glob
import os
import resource
import select
import subprocess
import time

CLONE_NEWNET = 0x40000000
HOST, STACK = "192.0.2.1", "192.0.2.2"
READY_S = 10
CONNECT_S = 1
SYSCTLS = {"net.ipv6.conf.all.disable_ipv6": "1", "net.ipv6.conf.default.disable_ipv6": "1",
           # connections one after another: the client's TIME-WAITs must not use up the ports
           "net.ipv4.ip_local_port_range": "1024 65535", "net.ipv4.tcp_max_tw_buckets": "100"}
libc = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """A program or a measurement did not do what it should; the text says what."""


def call(name, *args):
    if getattr(libc, name)(*args) != 0:
        e = ctypes.get_errno()
        raise OSError(e, "%s: %s" % (name, os.strerror(e)))


def netns_new():
    """A descriptor of a new network namespace."""
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        call("unshare", CLONE_NEWNET)
        fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        call("setns", here, CLONE_NEWNET)
    finally:
        os.close(here)
    run_in(fd, ["ip", "link", "set", "lo", "up"])
    run_in(fd, ["sysctl", "-qw"] + ["%s=%s" % kv for kv in SYSCTLS.items()], check=False)
    return fd


def enter(ns, cpus):
    def before_exec():
        call("setns", ns, CLONE_NEWNET)
        if cpus:
            os.sched_setaffinity(0, cpus)
    return before_exec


def run_in(ns, argv, cpus=None, limit_s=30, check=True, keep=()):
    """Standard output of a program in a namespace, on the given CPUs."""
    try:
        p = subprocess.run(argv, preexec_fn=enter(ns, cpus), stdin=subprocess.DEVNULL, capture_output=True,
                           text=True, timeout=limit_s, pass_fds=keep)
    except subprocess.TimeoutExpired:
        raise Failed("%s: not done within %d s" % (os.path.basename(argv[0]), limit_s))
    except OSError as e:
        raise Failed("%s: %s" % (argv[0], e.strerror))
    if check and p.returncode != 0:
        said = (p.stderr or p.stdout).strip().splitlines()
        raise Failed("%s: %s" % (os.path.basename(argv[0]), said[-1] if said else
                                 "exit status %d" % p.returncode))
    return p.stdout


def wait_line(p, name):
    """Until the program writes its first line."""
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        if select.select([p.stdout], [], [], 0.1)[0]:
            if p.stdout.readline():
                return
            break
        if p.poll() is not None:
            break
    p.kill()
    p.wait()
    raise Failed("%s: %s" % (name, last_words(p) or "did not become ready"))


def last_words(p):
    p.said.seek(0)
    lines = p.said.read().strip().splitlines()
    return lines[-1] if lines else ""


class Space:
    """kind 'tap': one namespace, the program makes tap0. 'veth': two; 'packet': two, the far end has no address.
    programs: argv lists, started on the stack's CPUs at the far end; each but nginx and iperf3 says that it is ready."""

    def __init__(self, name, kind, programs, cpus, work, offloads=True, env=None, port=None):
        self.name, self.kind, self.programs, self.cpus = name, kind, programs, cpus
        self.work, self.offloads, self.env, self.port = work, offloads, env, port
        self.near = self.far = None
        self.running, self.cpu = [], {}

    def make_links(self):
        self.near = netns_new()
        if self.kind == "tap":
            self.far = self.near
            return
        self.far = netns_new()
        run_in(self.near, ["ip", "link", "add", "veth0", "type", "veth", "peer", "name", "stack0", "netns",
                           "/proc/self/fd/%d" % self.far], keep=(self.far,))
        ends = [(self.near, "veth0", HOST)]
        ends.append((self.far, "stack0", STACK if self.kind == "veth" else None))
        for ns, dev, ip in ends:
            if ip:
                run_in(ns, ["ip", "addr", "add", ip + "/24", "dev", dev])
            run_in(ns, ["ip", "link", "set", dev, "up"])
            if not self.offloads:
                run_in(ns, ["ethtool", "-K", dev, "tso", "off", "gso", "off", "gro", "off", "tx", "off"])

    def start(self):
        if self.near is None:
            self.make_links()
        for argv in self.programs:
            said = open(os.path.join(self.work, "%s-%s.err" % (self.name, os.path.basename(argv[0]))), "w+")
            env = dict(os.environ, XDG_RUNTIME_DIR=self.work, **(self.env or {}))
            silent = argv[0] == "nginx" or "iperf3" in argv  # says nothing when it is ready
            p = subprocess.Popen(argv, preexec_fn=enter(self.far, self.cpus), stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL if silent else subprocess.PIPE, stderr=said, text=True,
                                 env=env)
            p.said = said
            self.running.append(p)
            if not silent:
                wait_line(p, self.name)
        self.answers()

    def answers(self):
        """Something answers over there; resolves the neighbour, too."""
        if self.port:
            end = time.monotonic() + READY_S
            while True:
                try:
                    run_in(self.near, ["bash", "-c", "exec 3<>/dev/tcp/%s/%d" % (STACK, self.port)],
                           limit_s=CONNECT_S)
                    return
                except Failed:
                    if time.monotonic() > end:
                        raise Failed("%s: nothing answers on port %d" % (self.name, self.port))
                    time.sleep(0.05)

    def alive(self):
        return bool(self.running) and all(p.poll() is None for p in self.running)

    def stop(self):
        for p in self.running:
            if p.poll() is None:
                p.terminate()
        for p in self.running:
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
            if p.stdout:
                p.stdout.close()
            p.said.close()
        self.running = []

    def close(self):
        self.stop()
        for fd in {self.near, self.far} - {None}:
            os.close(fd)
        self.near = self.far = None

    def cpu_ns(self):
        """Processor time of the programs so far, all their threads."""
        total = 0
        for p in self.running:
            for f in glob.glob("/proc/%d/task/*/schedstat" % p.pid):
                with open(f, encoding="ascii") as g:
                    total += int(g.read().split()[0])
        return total

    def client(self, argv, cpus, limit_s=30):
        """A run of the other end: what it printed. self.cpu: processor time of both ends meanwhile, ns."""
        if not self.alive():
            why = [last_words(p) for p in self.running if p.poll() is not None]
            raise Failed("%s has ended%s" % (self.name, ": " + why[0] if why and why[0] else ""))
        before, mine = self.cpu_ns(), resource.getrusage(resource.RUSAGE_CHILDREN)
        out = run_in(self.near, argv, cpus, limit_s)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.cpu = {"stack_cpu_ns": self.cpu_ns() - before,
                    "load_cpu_ns": 1e9 * (after.ru_utime + after.ru_stime - mine.ru_utime - mine.ru_stime)}
        return out
