"""interop.py rows [full]: the combinations for tests/net/interop.sh, one a line.
interop.py opens|accepts STACK HOST TS SACK WS ECN MTU BUFFERS LINK: the kernel opens a connection to the stack's echo port, or
accepts one from `tapglass nc`; bytes go both ways at once and are compared, and then both ends' views of the connection:
the four options, segment sizes, windows. Exit status 0 if all is as it was asked for."""
import hashlib
import itertools
import json
import os
import random
import select
import socket
import struct
import subprocess
import sys
import time

FACTORS = [("ts", "10"), ("sack", "10"), ("ws", "10"), ("ecn", "10"), ("mtu", ("576", "1500", "9000")),
           ("buffers", ("tiny", "default", "huge")), ("link", ("clean", "bad")), ("side", ("kernel", "stack", "both"))]
BYTES = {"tiny": 200000, "default": 600000, "huge": 1000000}
TINY = 4096
TCPI_OPTIONS = {"ts": 1, "sack": 2, "ws": 4, "ecn": 8}


def pairs_of(row):
    return {((i, row[i]), (j, row[j])) for i in range(len(row)) for j in range(i)}


def all_pairs():
    """Rows such that every pair of values of two factors is in one of them: greedily, always the same."""
    everything = list(itertools.product(*(values for _, values in FACTORS)))
    left = set().union(*(pairs_of(r) for r in everything))
    while left:
        best = max(everything, key=lambda r: len(pairs_of(r) & left))
        left -= pairs_of(best)
        yield best


def every():
    """All combinations of options, MTU and buffers, each over a clean and a bad link."""
    for i, row in enumerate(itertools.product(*(values for _, values in FACTORS[:7]))):
        yield row + (FACTORS[7][1][i % 3],)


class Case:
    def __init__(self, argv):
        self.stack, self.host = argv[:2]
        self.on = {k: v == "1" for k, v in zip(("ts", "sack", "ws", "ecn"), argv[2:6])}
        self.mtu, self.buffers, self.link = int(argv[6]), argv[7], argv[8]
        self.n = BYTES[self.buffers]
        self.wrong, self.opened = [], 0

    def expect(self, what, got, wanted):
        if got != wanted:
            self.wrong.append("%s: %s, wanted %s" % (what, got, wanted))

    def set_buffers(self, s):
        if self.buffers == "tiny":
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, TINY)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, TINY)
        elif self.buffers == "huge":
            s.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
            s.setsockopt(socket.SOL_SOCKET, 32, 16 << 20)  # SO_SNDBUFFORCE

    def see_kernel(self, s, began):
        raw = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        # A SYN that got no answer for a second is repeated without ECN [3168 6.1.1.1].
        repeated = self.link == "bad" and self.opened - began > .9
        for name, bit in TCPI_OPTIONS.items():
            if name == "ecn" and repeated:
                continue
            self.expect("the kernel's view of " + name, bool(raw[5] & bit), self.on[name])
        snd_mss, pmtu, advmss = (struct.unpack_from("I", raw, at)[0] for at in (16, 60, 84))
        mss = self.mtu - 40 - (12 if self.on["ts"] else 0)
        self.expect("the kernel's MTU", pmtu, self.mtu)
        self.expect("the kernel's advertised MSS", advmss, mss)
        if self.buffers != "tiny":  # else it sends halves of a window
            self.expect("the kernel's MSS", snd_mss, mss)
        scale = raw[6] & 15
        if not self.on["ws"]:
            self.expect("scales without window scaling", raw[6], 0)
        elif self.buffers == "huge":
            self.expect("a scale for 16 MiB", scale >= 8, True)

    def see_stack(self, port_here, port_there):
        out = subprocess.run([os.environ.get("TAPGLASS", "build/tapglass"), "ss", "-t", "-a", "-i", "-j"],
                             stdout=subprocess.PIPE, check=True).stdout
        mine = [k for k in json.loads(out)["sockets"]
                if "tcp" in k and k["peer"]["port"] == port_here and k["local"]["port"] == port_there]
        if len(mine) != 1:
            self.wrong.append("the stack's ss has it %d times" % len(mine))
            return
        t = mine[0]["tcp"]
        for name, key in (("ts", "ts"), ("sack", "sack"), ("ws", "wscale")):
            self.expect("the stack's view of " + name, t[key], self.on[name])
        self.expect("the stack's MTU", t["pmtu"], self.mtu)
        self.expect("the stack's MSS", t["mss"], self.mtu - 40 - (12 if self.on["ts"] else 0))
        if self.buffers == "tiny":
            self.expect("a window of %d for the kernel" % t["rcv_wnd"], t["rcv_wnd"] <= TINY, True)
            self.expect("a window of %d for the stack" % t["snd_wnd"], t["snd_wnd"] <= 2 * TINY, True)
        elif not self.on["ws"]:
            self.expect("windows of 16 bits", max(t["rcv_wnd"], t["snd_wnd"]) <= 65535, True)
        elif self.buffers == "huge":
            self.expect("a window of %d for the kernel" % t["rcv_wnd"], t["rcv_wnd"] > 4 << 20, True)

    def swap(self, s, out, expected):
        """Sends out and reads at the same time, until so many bytes have come."""
        s.setblocking(False)
        sent, got = 0, bytearray()
        ended = False
        while sent < len(out) or len(got) < expected:
            r, w, _ = select.select([] if ended else [s], [s] if sent < len(out) else [], [], 30)
            if not r and not w:
                raise SystemExit("nothing moves for 30 s: %d of %d sent, %d of %d came"
                                 % (sent, len(out), len(got), expected))
            if r:
                d = s.recv(1 << 16)
                ended = not d
                if ended and len(got) < expected:
                    raise SystemExit("the end after %d of %d bytes" % (len(got), expected))
                got += d
            if w:
                sent += s.send(out[sent:sent + (1 << 16)])
        s.setblocking(True)
        return bytes(got)

    def bytes_are(self, got, wanted):
        self.expect("sha256 of what came", hashlib.sha256(got).hexdigest(), hashlib.sha256(wanted).hexdigest())

    def opens(self):
        s = socket.socket()
        s.settimeout(20)
        self.set_buffers(s)
        began = time.monotonic()
        s.connect((self.stack, 7))
        self.opened = time.monotonic()
        data = random.Random(7).randbytes(self.n)
        self.bytes_are(self.swap(s, data, self.n), data)
        self.see_kernel(s, began)
        self.see_stack(s.getsockname()[1], 7)
        s.shutdown(socket.SHUT_WR)
        s.settimeout(30)
        self.expect("what follows", s.recv(10), b"")

    def accepts(self):
        up, down = random.Random(8).randbytes(self.n), random.Random(9).randbytes(self.n)
        listener = socket.socket()
        self.set_buffers(listener)
        listener.bind((self.host, 0))
        listener.listen(1)
        listener.settimeout(20)
        port = listener.getsockname()[1]
        began = time.monotonic()
        nc = subprocess.Popen([os.environ.get("TAPGLASS", "build/tapglass"), "nc", "-N", self.host, str(port)],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        feeder = os.fork()
        if feeder == 0:
            nc.stdout.close()
            nc.stdin.write(up)
            nc.stdin.close()
            os._exit(0)
        nc.stdin.close()
        reader_r, reader_w = os.pipe()
        reader = os.fork()
        if reader == 0:
            os.write(reader_w, hashlib.sha256(nc.stdout.read()).hexdigest().encode())
            os._exit(0)
        nc.stdout.close()
        os.close(reader_w)
        s, peer = listener.accept()
        self.opened = time.monotonic()
        self.bytes_are(self.swap(s, down, self.n), up)
        self.see_kernel(s, began)
        self.see_stack(port, peer[1])
        s.shutdown(socket.SHUT_WR)
        s.settimeout(30)
        self.expect("what follows", s.recv(10), b"")
        self.expect("sha256 of what nc wrote", os.read(reader_r, 100).decode(), hashlib.sha256(down).hexdigest())
        self.expect("exit status of nc", nc.wait(30), 0)
        os.waitpid(feeder, 0)
        os.waitpid(reader, 0)


def main():
    if sys.argv[1] == "rows":
        for row in every() if sys.argv[2:] == ["full"] else all_pairs():
            print(*row)
        return
    case = Case(sys.argv[2:])
    {"opens": case.opens, "accepts": case.accepts}[sys.argv[1]]()
    if case.wrong:
        raise SystemExit("\n".join(case.wrong))


main()
