#!/usr/bin/env python3
"""Holds many HTTP connections at once: http_held.py ADDRESS COUNT.

Opens COUNT keep-alive connections, asks on each, keeps all of them open, then asks on each a second
time. Prints how many answered both times."""
import resource
import select
import socket
import sys

REQUEST = b"GET /bytes/100 HTTP/1.1\r\nHost: x\r\n\r\n"
BODY = bytes(i % 251 for i in range(100))


def ask(conns):
    """Sends a request on every connection; returns those that answered in full."""
    for s in conns:
        s.sendall(REQUEST)
    good = []
    for s in conns:
        got = b""
        while not got.endswith(BODY):
            ready, _, _ = select_one(s)
            piece = s.recv(4096) if ready else b""
            if not piece:
                break
            got += piece
        if got.startswith(b"HTTP/1.1 200") and got.endswith(BODY):
            good.append(s)
    return good


def select_one(s):
    poll = select.poll()
    poll.register(s, select.POLLIN)
    return poll.poll(10000), None, None


def main():
    address, count = sys.argv[1], int(sys.argv[2])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    conns = []
    for _ in range(count):
        s = socket.socket()
        s.settimeout(10)
        s.connect((address, 80))
        conns.append(s)
    first = ask(conns)
    second = ask(first)
    print(len(first), len(second))


main()
