"""udp.py HOST CASE: UDP through the host's kernel. Exit status 0 if it went well."""
import errno
import os
import socket
import sys
import time

HOST = sys.argv[1]


def udp(port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(3)
    s.connect((HOST, port))
    return s


def echo():
    s = udp(7)
    for n in (0, 1, 2, 511, 1471, 1472, 1473, 2944, 8000, 60000, 65507):
        data = os.urandom(n)
        s.send(data)
        assert s.recv(70000) == data, n


def burst():
    """Fifty in flight at a time: each comes back whole."""
    s = udp(7)
    for _ in range(40):
        sent = {os.urandom(64) for _ in range(50)}
        for d in sent:
            s.send(d)
        got = {s.recv(2000) for _ in range(50)}
        assert got == sent


def unreachable():
    s = udp(4445)
    s.send(b"anybody?")
    try:
        s.recv(10)
    except ConnectionRefusedError:
        return
    raise AssertionError("no ECONNREFUSED")


def discard():
    s = udp(9)
    s.settimeout(0.5)
    s.send(b"gone")
    try:
        s.recv(10)
    except socket.timeout:
        return
    raise AssertionError("an answer from discard")


def chargen():
    s = udp(19)
    s.send(b"")
    n = len(s.recv(2000))
    assert 0 < n <= 512, n


def big_fragments_lost():
    """Many half datagrams (raw fragments without an end) do not keep whole ones from passing."""
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    dst = socket.inet_aton(HOST)
    src = socket.inet_aton("192.0.2.1")
    for i in range(4000):
        head = (b"\x45\x00" + (1420).to_bytes(2, "big") + i.to_bytes(2, "big") +
                b"\x20\x00\x40\x11\x00\x00" + src + dst)
        raw.sendto(head + b"x" * 1400, (HOST, 0))
    time.sleep(0.3)
    s = udp(7)
    s.send(b"small")
    assert s.recv(100) == b"small"
    data = os.urandom(30000)
    for _ in range(3):
        s.send(data)
        try:
            assert s.recv(70000) == data
            return
        except socket.timeout:
            pass
    raise AssertionError("no fragmented datagram passes any more")


def echo_does_not_loop():
    """A datagram from port 7 to port 7 would bounce for ever between two echo servers."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(0.5)
    s.bind(("", 19))
    s.sendto(b"loop", (HOST, 7))
    try:
        s.recv(100)
    except socket.timeout:
        pass
    t = udp(7)
    t.send(b"ok")
    assert t.recv(10) == b"ok"


globals()[sys.argv[2]]()
