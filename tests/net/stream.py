"""stream.py HOST CASE: what tests/net/stream.sh needs more than nc for. Exit status 0 if it went well."""
import hashlib
import os
import select
import socket
import struct
import sys
import threading
import time

import pattern

HOST = sys.argv[1]


def connect(port, rcvbuf=None, sndbuf=None):
    s = socket.socket()
    s.settimeout(30)
    if rcvbuf:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
    if sndbuf:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sndbuf)
    s.connect((HOST, port))
    return s


def read_all(s, limit=None):
    h, n = hashlib.sha256(), 0
    while limit is None or n < limit:
        d = s.recv(1 << 20)
        if not d:
            break
        h.update(d)
        n += len(d)
    return n, h.hexdigest()


def sleeping_reader():
    """We do not read for a while: the stack meets a zero window, probes, and goes on when it opens."""
    n = 20000000
    s = connect(80, rcvbuf=8192)
    s.send(b"GET /bytes/%d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % n)
    time.sleep(4)
    head = b""
    while b"\r\n\r\n" not in head:
        head += s.recv(1)
    got, digest = read_all(s)
    want = hashlib.sha256()
    for block in pattern.blocks(n):
        want.update(block)
    assert got == n, "%d bytes of %d" % (got, n)
    assert digest == want.hexdigest(), "other bytes"


def sleeping_echo():
    """Nobody reads what the stack echoes: its receive window closes on us, and opens again."""
    n = 40000000
    data = os.urandom(1000000) * (n // 1000000)
    s = connect(7, rcvbuf=65536)
    s.setblocking(False)
    sent, stalled = 0, None
    while sent < n:
        _, w, _ = select.select([], [s], [], 2)
        if not w:
            stalled = sent
            break
        sent += s.send(data[sent:sent + 65536])
    assert stalled is not None, "%d bytes went although nobody reads" % sent
    time.sleep(2)
    s.setblocking(True)
    s.settimeout(30)
    result = {}
    t = threading.Thread(target=lambda: result.update(r=read_all(s)))
    t.start()
    s.sendall(data[sent:])
    s.shutdown(socket.SHUT_WR)
    t.join(60)
    assert "r" in result, "no end"
    assert result["r"] == (n, hashlib.sha256(data).hexdigest()), "other bytes: %d" % result["r"][0]


def small_writes():
    """Byte by byte, Nagle off: all of them, in order."""
    s = connect(7)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    data = bytes(i % 251 for i in range(3000))
    got = b""
    for i in range(len(data)):
        s.send(data[i:i + 1])
    s.shutdown(socket.SHUT_WR)
    while True:
        d = s.recv(65536)
        if not d:
            break
        got += d
    assert got == data, "%d bytes" % len(got)


def request_response():
    """Ping-pong: a quick answer each time, no delayed-ACK stall."""
    s = connect(7)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    began = time.monotonic()
    for i in range(2000):
        m = b"%06d" % i
        s.send(m)
        got = b""
        while len(got) < 6:
            got += s.recv(6 - len(got))
        assert got == m
    took = time.monotonic() - began
    print("%.0f us a round" % (took / 2000 * 1e6))
    assert took < 10, "%.1f s for 2,000 rounds" % took


def reset():
    """We reset in mid-stream, a hundred times; the stack goes on serving."""
    for _ in range(100):
        s = connect(19)
        s.recv(1000)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    s = connect(7)
    s.sendall(b"alive")
    assert s.recv(5) == b"alive"


def urgent():
    """Urgent data does not disturb the stream: the echo of the rest comes back."""
    s = connect(7)
    s.sendall(b"before")
    s.send(b"!", socket.MSG_OOB)
    s.sendall(b"after")
    s.shutdown(socket.SHUT_WR)
    got = b""
    while True:
        d = s.recv(4096)
        if not d:
            break
        got += d
    assert got.replace(b"!", b"") == b"beforeafter", got


def idle():
    """An idle connection stays, and half of one does too."""
    a, b = connect(7), connect(7)
    b.sendall(b"x")
    b.shutdown(socket.SHUT_WR)
    time.sleep(3)
    a.sendall(b"still here")
    assert a.recv(100) == b"still here"
    assert b.recv(100) == b"x" and b.recv(100) == b""


def info():
    """What was negotiated, as the host's kernel sees it: window scaling, SACK, timestamps, MSS."""
    s = connect(7)
    raw = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    options, scales = raw[5], raw[6]
    mss = struct.unpack("I", raw[16:20])[0]
    assert options & 7 == 7, "timestamps, SACK, window scaling: %d" % options
    assert scales >> 4 or scales & 15, "no scale"
    assert mss == 1448, "MSS %d" % mss


globals()[sys.argv[2]]()
