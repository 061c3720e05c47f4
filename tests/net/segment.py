"""segment.py HOST CASE: datagrams through this machine's kernel to a server that gives them back in the same pieces
(segment.c). Exit status 0 if every datagram came back, byte for byte, in its turn."""
import os
import socket
import struct
import sys

HOST = sys.argv[1]
UDP_SEGMENT, UDP_GRO = 103, 104
SIZES = [(1472, 1472 * 44), (1472, 65507), (1472, 1473), (1472, 2944), (1000, 3001), (100, 12800), (1, 128), (2, 255), (513, 40000)]


def udp():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(3)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    s.connect((HOST, 7))
    return s


def pieces():
    """Each piece a datagram of its own, there and back."""
    s = udp()
    for size, n in [(1472, 1), (1472, 1472)] + SIZES:
        data = os.urandom(n)
        s.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, size)
        assert s.send(data) == n
        for at in range(0, n, size):
            got = s.recv(70000)
            assert got == data[at:at + size], (size, n, at, len(got))
    s.settimeout(0.1)
    try:
        s.recv(10)
    except socket.timeout:
        return
    raise AssertionError("a datagram too many")


def together():
    """What comes back in one frame is told to be so, with the size that we chose: the kernel has our size of it."""
    s = udp()
    s.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
    for size, n in SIZES:
        if n > 65000:
            continue  # the kernel's device does not take so much in one
        data = os.urandom(n)
        s.sendmsg([data], [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("H", size))])
        got, control, _, _ = s.recvmsg(70000, 100)
        assert got == data, (size, n, len(got))
        assert control == [(socket.IPPROTO_UDP, UDP_GRO, struct.pack("i", size))], (size, n, control)


def end():
    s = udp()
    s.send(b"end")
    assert s.recv(10) == b"end"


globals()[sys.argv[2]]()
