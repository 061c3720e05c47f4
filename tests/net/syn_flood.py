#!/usr/bin/env python3
"""syn_flood.py syns DEV STACK PORT N PER_SECOND   SYNs as frames on DEV from addresses of 198.18.0.0/15, no two from one
                                                address and port
syn_flood.py acks DEV STACK PORT N             bare ACKs with numbers that are nobody's
syn_flood.py hold STACK PORT BYTES             connects by the kernel, sends BYTES to an echo service, reads them back, prints
                                                the options agreed as the kernel sees them: "ts sack ws S/R mss M"
The first two end with a line "sent N"."""
import hashlib
import socket
import struct
import subprocess
import sys
import time

OURS = bytes([2, 0, 0, 0, 0, 0x99])
BURST_S = 0.005


def neighbour(dev, stack):
    out = subprocess.run(["ip", "neigh", "show", stack, "dev", dev], stdout=subprocess.PIPE, text=True).stdout.split()
    return bytes(int(b, 16) for b in out[out.index("lladdr") + 1].split(":"))


def fold(n):
    while n >> 16:
        n = (n & 0xffff) + (n >> 16)
    return ~n & 0xffff


def words(b):
    return sum(struct.unpack("!%dH" % (len(b) // 2), b))


def frame(mac, i, stack, port, ack):
    """The i-th: source 198.18.0.1 + i, its port by i."""
    src = struct.pack("!I", 0xc6120001 + i)
    dst = socket.inet_aton(stack)
    number = int.from_bytes(hashlib.sha256(struct.pack("!I", i)).digest()[:8], "big")
    options = b"" if ack else bytes([2, 4, 5, 180, 4, 2, 8, 10]) + struct.pack("!II", i, 0) + bytes([1, 3, 3, 7])
    tcp = struct.pack("!HHIIBBHHH", 1024 + i % 60000, port, number >> 32, number & 0xffffffff if ack else 0,
                      (20 + len(options)) << 2, 0x10 if ack else 2, 65535, 0, 0) + options
    csum = fold(words(src + dst) + 6 + len(tcp) + words(tcp))
    tcp = tcp[:16] + struct.pack("!H", csum) + tcp[18:]
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), i & 0xffff, 0, 64, 6, 0) + src + dst
    ip = ip[:10] + struct.pack("!H", fold(words(ip))) + ip[12:]
    return mac + OURS + b"\x08\x00" + ip + tcp


def send(dev, frames, per_second):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind((dev, 0))
        begun, sent = time.monotonic(), 0
        while sent < len(frames):
            due = min(len(frames), int((time.monotonic() - begun) * per_second) + 1)
            for f in frames[sent:due]:
                s.send(f)
            sent = due
            time.sleep(BURST_S)
    print("sent %d" % sent)


def hold(stack, port, n):
    data = hashlib.shake_128(b"syn flood").digest(n)
    with socket.create_connection((stack, port), 20) as s:
        s.settimeout(30)
        got = b""
        for at in range(0, n, 16384):
            part = data[at:at + 16384]
            s.sendall(part)
            while len(got) < at + len(part):
                more = s.recv(65536)
                if not more:
                    sys.exit("the connection ended after %d of %d bytes" % (len(got), n))
                got += more
        if got != data:
            sys.exit("other bytes came back")
        info = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    bits, scales, mss = info[5], info[6], struct.unpack_from("=I", info, 16)[0]
    words_ = [w for w, bit in (("ts", 1), ("sack", 2), ("ws", 4)) if bits & bit]
    print(" ".join(words_), "%d/%d mss %d" % (scales & 15, scales >> 4, mss))


def main(argv):
    if argv[0] == "hold":
        hold(argv[1], int(argv[2]), int(argv[3]))
        return
    dev, stack, port, n = argv[1], argv[2], int(argv[3]), int(argv[4])
    mac = neighbour(dev, stack)
    # Other sources than the SYNs', so that none finds a half-open connection.
    first = 60000 if argv[0] == "acks" else 0
    frames = [frame(mac, first + i, stack, port, argv[0] == "acks") for i in range(n)]
    send(dev, frames, int(argv[5]) if len(argv) > 5 else 2000)


main(sys.argv[1:])
