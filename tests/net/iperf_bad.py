"""iperf_bad.py: peers of iperf3's protocol that do everything wrong.

iperf_bad.py client ADDR PORT WHAT     one connection to a server, misbehaving in the way named; prints what came back
iperf_bad.py server PORT WHAT          serves one client so; says "ready" first
"""
import json, socket, struct, sys, time

COOKIE = b"abcdefghijklmnopqrstuvwxyz0123456789\0"
PARAMS = {"tcp": True, "omit": 0, "time": 1, "num": 0, "blockcount": 0, "parallel": 1, "len": 1000, "pacing_timer": 1000}
RESULTS = {"cpu_util_total": 1, "cpu_util_user": 1, "cpu_util_system": 0, "sender_has_retransmits": 1,
           "streams": [{"id": 1, "bytes": 1000, "retransmits": 0, "jitter": 0, "errors": 0, "packets": 0,
                        "start_time": 0, "end_time": 1}]}
T0, RUN, END, PARAM, CREATE, SRVTERM, CLTERM, RES, SHOW, DONE, ERROR, DENIED = 1, 2, 4, 9, 10, 11, 12, 13, 14, 16, 254, 255


def framed(o):
    text = o if isinstance(o, bytes) else json.dumps(o).encode()
    return struct.pack(">I", len(text)) + text


def want(c, *states):
    for s in states:
        got = c.recv(1)
        if got != bytes([s]):
            print("state", got[0] if got else "END", "instead of", s)
            more = b""
            c.settimeout(1)
            try:
                while b := c.recv(100): more += b
            except OSError: pass
            if got == bytes([ERROR]): print("error", struct.unpack(">I", more[:4])[0])
            sys.exit(0)


def take_json(c):
    n = struct.unpack(">I", c.recv(4, socket.MSG_WAITALL))[0]
    return json.loads(c.recv(n, socket.MSG_WAITALL))


def rest(c):
    """what comes until the other end closes: the time is the other's to keep"""
    out = b""
    c.settimeout(20)
    try:
        while b := c.recv(1000): out += b
        end = "END"
    except ConnectionResetError: end = "RESET"
    except socket.timeout: end = "SILENCE"
    print(list(out[:12]), end)


def reset(c):
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()
    sys.exit(0)


def client(addr, port, what):
    c = socket.create_connection((addr, port), timeout=20)
    if what == "close-at-once": return
    if what == "half-cookie": c.sendall(COOKIE[:20]); return
    if what == "silent-cookie": rest(c); return
    if what == "long-cookie": c.sendall(COOKIE + b"x" * 5000); rest(c); return
    c.sendall(COOKIE)
    want(c, PARAM)
    if what == "close-params": return
    if what == "reset-params": reset(c)
    if what == "silent-params": rest(c); return
    bad = {"huge-json": b"\xff\xff\xff\xff", "large-json": struct.pack(">I", 65537), "no-json": b"\0\0\0\0",
           "not-json": framed(b"\x80\xff{]"), "deep-json": framed(b"[" * 60000), "not-params": framed({"a": 1}),
           "bad-params": framed(dict(PARAMS, parallel=1000)), "no-such-cc": framed(dict(PARAMS, congestion="bbr")),
           "half-json": framed(PARAMS)[:30], "json-and-more": framed(PARAMS) + b"\x55\x66"}
    if what in bad:
        c.sendall(bad[what])
        if what == "half-json": return
        if what == "json-and-more": want(c, CREATE)
        rest(c)
        return
    p = dict(PARAMS)
    if what in ("reverse-vanish", "reverse-stuck"): p["reverse"] = True
    if what.startswith("udp"): p = dict(p, udp=True, tcp=False, bandwidth=1000000, len=1000)
    if what == "udp-reverse-silent": p["reverse"] = True
    c.sendall(framed(p))
    want(c, CREATE)
    if what == "close-create": return
    if what == "silent-create": rest(c); return
    if what == "wrong-cookie":
        d = socket.create_connection((addr, port), timeout=20)
        d.sendall(b"X" + COOKIE[1:])
        rest(d)
        d = socket.create_connection((addr, port), timeout=20)
        d.sendall(COOKIE)  # the right one still counts
        want(c, T0, RUN)
        print("running")
        c.sendall(bytes([CLTERM]))
        return
    if what.startswith("udp"):
        d = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        d.settimeout(10)
        d.connect((addr, port))
        d.send(b"")
        d.send(b"12345")
        d.send(b"9876")
        print(d.recv(10))
    else:
        d = socket.create_connection((addr, port), timeout=20)
        d.sendall(COOKIE)
    want(c, T0, RUN)
    if what == "udp-garbage":
        for n in range(40): d.send(b"\xff" * n)
        for n in (1, 0, 2**64 - 1, 2**31, 5): d.send(struct.pack(">IIQ", 1, 1, n) + b"x" * 100)
        c.sendall(bytes([END]))
        want(c, RES)
        c.sendall(framed(RESULTS))
        print(take_json(c)["streams"][0]["id"])
        return
    if what in ("udp-silent", "udp-reverse-silent"): rest(c); return
    if what == "close-running": return
    if what == "reset-running": reset(c)
    if what == "reset-stream": d.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); d.close(); rest(c); return
    if what == "silent-running": rest(c); return
    if what == "reverse-stuck": rest(c); return
    if what == "reverse-vanish": return
    if what == "wrong-state": c.sendall(bytes([RES])); rest(c); return
    d.sendall(b"x" * 100000)
    c.sendall(bytes([END]))
    want(c, RES)
    if what == "close-results": return
    if what == "silent-results": rest(c); return
    bad = {"huge-results": b"\x7f\xff\xff\xff", "bad-results": framed({"streams": [{"id": -4}]}),
           "not-results": framed(b"[]")}
    if what in bad: c.sendall(bad[what]); rest(c); return
    c.sendall(framed(RESULTS))
    take_json(c)
    want(c, SHOW)
    if what == "silent-end": rest(c); return
    print("closing before the end")


def server(port, what):
    l = socket.create_server(("", port), backlog=8)
    print("ready", flush=True)
    c, _ = l.accept()
    c.settimeout(20)
    if what == "close-at-once": return
    cookie = c.recv(37, socket.MSG_WAITALL)
    assert len(cookie) == 37 and cookie[36] == 0, cookie
    if what == "close": return
    if what == "silent": rest(c); return
    first = {"denied": bytes([DENIED]), "garbage": b"\x77", "error": struct.pack(">BII", ERROR, 114, 0),
             "half-error": bytes([ERROR, 0]), "terminate": bytes([SRVTERM]), "running": bytes([RUN]), "results": bytes([RES]),
             "show": bytes([SHOW]), "unknown-error": struct.pack(">BII", ERROR, 4711, 0)}
    if what in first: c.sendall(first[what]); time.sleep(0.2); return
    c.sendall(bytes([PARAM]))
    p = take_json(c)
    if what == "twice": c.sendall(bytes([PARAM])); rest(c); return
    if what == "close-params": return
    c.sendall(bytes([CREATE]))
    if what == "no-streams": l.close(); rest(c); return
    streams = []
    for _ in range(p["parallel"]):
        d, _ = l.accept()
        d.settimeout(20)
        assert d.recv(37, socket.MSG_WAITALL) == cookie
        streams.append(d)
    if what == "silent-streams": rest(c); return
    c.sendall(bytes([T0, RUN]))
    if what == "close-running": return
    if what == "terminate-running": c.sendall(bytes([SRVTERM])); time.sleep(0.2); return
    if what == "reset-stream": time.sleep(0.2); reset(streams[0])
    if what == "stuck": rest(c); return
    n = 0
    streams[0].settimeout(0.2)
    c.settimeout(0.01)
    while True:
        try:
            if c.recv(1) == bytes([END]): break
        except socket.timeout: pass
        try: n += len(streams[0].recv(1000000))
        except socket.timeout: pass
    c.settimeout(20)
    if what == "silent-end": rest(c); return
    c.sendall(bytes([RES]))
    take_json(c)
    bad = {"huge-results": b"\x7f\xff\xff\xff", "bad-results": framed({"streams": [{"id": "x"}]}),
           "deep-results": framed(b"[" * 100000), "half-results": framed(RESULTS)[:50]}
    if what in bad:
        c.sendall(bad[what])
        if what != "half-results": rest(c)
        return
    c.sendall(framed(dict(RESULTS, server_output_text="\x1b[2Jcleared?\n")))
    if what == "no-show": rest(c); return
    c.sendall(bytes([SHOW]))
    print(list(c.recv(1)))


if sys.argv[1] == "client": client(sys.argv[2], int(sys.argv[3]), sys.argv[4])
else: server(int(sys.argv[2]), sys.argv[3])
