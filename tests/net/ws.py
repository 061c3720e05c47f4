"""ws.py HOST PORT: WebSocket cases against /ws/echo and /api/ws, with python3-websockets and with raw frames. TAP lines."""
import asyncio
import base64
import hashlib
import json
import os
import resource
import socket
import struct
import subprocess
import sys

import websockets

HOST, PORT = sys.argv[1], int(sys.argv[2])
ECHO = "ws://%s:%d/ws/echo" % (HOST, PORT)
VIEW = "ws://%s:%d/api/ws" % (HOST, PORT)
KEY = base64.b64encode(b"0123456789abcdef").decode()
results = []


def case(name, good, why=""):
    results.append(bool(good))
    print("%s %d - %s" % ("ok" if good else "not ok", len(results), name))
    if not good and why != "":
        print("# got: %r" % (why,))
    sys.stdout.flush()


# ---- Raw

def request(path="/ws/echo", method="GET", version="HTTP/1.1", drop=(), **fields):
    lines = {"Host": HOST, "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": KEY,
             "Sec-WebSocket-Version": "13"}
    lines.update({k.replace("_", "-"): v for k, v in fields.items()})
    text = "%s %s %s\r\n" % (method, path, version)
    return (text + "".join("%s: %s\r\n" % i for i in lines.items() if i[0] not in drop) + "\r\n").encode()


def read_head(s):
    data = b""
    while b"\r\n\r\n" not in data:
        d = s.recv(1)
        if not d:
            break
        data += d
    return data.decode("latin-1")


def handshake(**kw):
    with socket.create_connection((HOST, PORT), 10) as s:
        s.sendall(request(**kw))
        return read_head(s)


def status(head):
    return head.split(" ")[1] if head.startswith("HTTP/1.1 ") else head


def raw(path="/ws/echo"):
    s = socket.create_connection((HOST, PORT), 10)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.sendall(request(path=path))
    assert status(read_head(s)) == "101"
    return s


def frame(opcode, data=b"", fin=True, masked=True, rsv=0, length=None):
    n = len(data) if length is None else length
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    m = 0x80 if masked else 0
    if n < 126:
        head += bytes([m | n])
    elif n < 65536:
        head += bytes([m | 126]) + struct.pack(">H", n)
    else:
        head += bytes([m | 127]) + struct.pack(">Q", n)
    if not masked:
        return head + data
    key = b"\x12\x34\x56\x78"
    return head + key + bytes(b ^ key[i % 4] for i, b in enumerate(data))


def exactly(s, n):
    data = b""
    while len(data) < n:
        d = s.recv(n - len(data))
        if not d:
            raise EOFError
        data += d
    return data


def read_frame(s):
    a, b = exactly(s, 2)
    n = b & 0x7f
    if n == 126:
        n = struct.unpack(">H", exactly(s, 2))[0]
    elif n == 127:
        n = struct.unpack(">Q", exactly(s, 8))[0]
    assert not b & 0x80, "a server masks nothing"
    return a & 0x0f, bool(a & 0x80), exactly(s, n)


def close_code(*frames, path="/ws/echo"):
    """Sends frames; the code of the close frame that comes, and whether the connection ends then."""
    with raw(path) as s:
        for f in frames:
            s.sendall(f)
        try:
            while True:
                op, _, data = read_frame(s)
                if op == 8:
                    break
        except (EOFError, OSError) as e:
            return type(e).__name__
        code = struct.unpack(">H", data[:2])[0] if len(data) >= 2 else None
        try:
            s.sendall(frame(8, data[:2]))
            while s.recv(4096):
                pass
        except OSError:
            pass
        return code


def echoed(*frames):
    with raw() as s:
        s.sendall(b"".join(frames))
        return read_frame(s)


def openings():
    want = base64.b64encode(hashlib.sha1((KEY + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
    head = handshake()
    case("the handshake is 101", status(head) == "101", head)
    case("with the key's answer", "Sec-WebSocket-Accept: %s\r\n" % want in head, head)
    case("and no content length", "content-length" not in head.lower(), head)
    for name, kw, code in (
            ("no Upgrade", {"drop": ("Upgrade",)}, "426"),
            ("another upgrade", {"Upgrade": "h2c"}, "426"),
            ("no Connection: Upgrade", {"drop": ("Connection",)}, "426"),
            ("HTTP/1.0", {"version": "HTTP/1.0"}, "426"),
            ("HEAD", {"method": "HEAD"}, "426"),
            ("version 12", {"Sec_WebSocket_Version": "12"}, "426"),
            ("no version", {"drop": ("Sec-WebSocket-Version",)}, "400"),
            ("no key", {"drop": ("Sec-WebSocket-Key",)}, "400"),
            ("too short a key", {"Sec_WebSocket_Key": "AAAA"}, "400"),
            ("a key that is no base64", {"Sec_WebSocket_Key": "!" * 22 + "=="}, "400"),
            ("POST", {"method": "POST", "Content_Length": "0"}, "405"),
            ("another path", {"path": "/ws/other"}, "404"),
            ("Origin of another host", {"Origin": "http://evil.example"}, "403"),
            ("Origin null", {"Origin": "null"}, "403"),
            ("a name that was made to point here", {"Origin": "http://evil.example", "Host": "evil.example"}, "403"),
            ("our own Origin", {"Origin": "http://" + HOST}, "101"),
            ("the Origin of a local name", {"Origin": "http://stack:8080", "Host": "stack:8080"}, "101"),
            ("a list of upgrades", {"Upgrade": "foo, WebSocket", "Connection": "keep-alive, upgrade"}, "101"),
            ("extensions are not agreed on", {"Sec_WebSocket_Extensions": "permessage-deflate"}, "101")):
        head = handshake(**kw)
        case("handshake: %s is %s" % (name, code), status(head) == code, head)
        if code == "426":
            case("handshake: %s: says version 13" % name, "Sec-WebSocket-Version: 13\r\n" in head and
                 "Upgrade: websocket\r\n" in head, head)
        if "extensions" in name:
            case("handshake: none is named", "extensions" not in head.lower(), head)


def frames():
    case("text comes back", echoed(frame(1, b"hello")) == (1, True, b"hello"))
    case("binary comes back", echoed(frame(2, bytes(range(256)))) == (2, True, bytes(range(256))))
    case("an empty message", echoed(frame(1)) == (1, True, b""))
    case("fragments are joined", echoed(frame(1, b"he", fin=False), frame(0, b"", fin=False), frame(0, b"llo")) ==
         (1, True, b"hello"))
    with raw() as s:
        s.sendall(frame(1, b"a", fin=False) + frame(9, b"in between") + frame(0, b"b"))
        case("a ping between fragments is answered first", read_frame(s) == (10, True, b"in between"))
        case("then the message", read_frame(s) == (1, True, b"ab"))
    case("a ping of 125 bytes", echoed(frame(9, b"p" * 125)) == (10, True, b"p" * 125))
    with raw() as s:
        for b in frame(1, "grüße".encode()):
            s.sendall(bytes([b]))
        case("byte by byte", read_frame(s) == (1, True, "grüße".encode()))
    with raw() as s:
        s.sendall(frame(10, b"nobody asked") + frame(1, b"x"))
        case("an unasked pong is ignored", read_frame(s) == (1, True, b"x"))
    case("UTF-8 across fragments", echoed(frame(1, b"\xe2\x82", fin=False), frame(0, b"\xac")) ==
         (1, True, b"\xe2\x82\xac"))
    for name, sent, code in (
            ("an unmasked frame", [frame(1, b"x", masked=False)], 1002),
            ("an unmasked ping", [frame(9, b"x", masked=False)], 1002),
            ("reserved bits", [frame(1, b"x", rsv=4)], 1002),
            ("an unknown opcode", [frame(3, b"x")], 1002),
            ("an unknown control opcode", [frame(11, b"x")], 1002),
            ("a ping of 126 bytes", [frame(9, b"p" * 126)], 1002),
            ("a fragmented ping", [frame(9, b"p", fin=False)], 1002),
            ("a continuation of nothing", [frame(0, b"x")], 1002),
            ("a new message amid another", [frame(1, b"x", fin=False), frame(1, b"y")], 1002),
            ("a length with the top bit", [b"\x82\xff" + b"\xff" * 8 + b"\0" * 4], 1002),
            ("a length that is not the shortest", [b"\x82\xfe\x00\x05" + b"\0" * 9], 1002),
            ("text that is no UTF-8", [frame(1, b"\xff\xfe")], 1007),
            ("overlong UTF-8", [frame(1, b"\xc0\xaf")], 1007),
            ("a surrogate", [frame(1, b"\xed\xa0\x80")], 1007),
            ("text that ends amid a character", [frame(1, b"\xe2\x82")], 1007),
            ("too long a frame", [frame(2, b"begin", length=(1 << 20) + 1)], 1009),
            ("too long in fragments", [frame(2, b"x" * 600000, fin=False), frame(0, b"x" * 600000)], 1009),
            ("close 1000", [frame(8, struct.pack(">H", 1000) + b"bye")], 1000),
            ("close 3000", [frame(8, struct.pack(">H", 3000))], 3000),
            ("close without a code", [frame(8)], None),
            ("close with one byte", [frame(8, b"x")], 1002),
            ("close 1005", [frame(8, struct.pack(">H", 1005))], 1002),
            ("close 999", [frame(8, struct.pack(">H", 999))], 1002),
            ("close 1016", [frame(8, struct.pack(">H", 1016))], 1002),
            ("close 5000", [frame(8, struct.pack(">H", 5000))], 1002),
            ("a close whose reason is no UTF-8", [frame(8, struct.pack(">H", 1000) + b"\xff")], 1007)):
        got = close_code(*sent)
        case("%s: %s" % (name, code), got == code, got)
    got = close_code(frame(1, b"do this"), path="/api/ws")
    case("a message to /api/ws: 1003", got == 1003, got)


# ---- The library

async def library():
    async with websockets.connect(ECHO, max_size=None) as w:
        for n in (0, 1, 125, 126, 65535, 65536, 1 << 20):
            data = os.urandom(n)
            await w.send(data)
            got = await asyncio.wait_for(w.recv(), 20)
            case("%d bytes come back" % n, got == data, len(got))
        await w.send(["ein ", "Text ", "in Stücken"])
        case("a text in fragments", await w.recv() == "ein Text in Stücken")
        pong = await w.ping(b"abc")
        await asyncio.wait_for(pong, 10)
        case("ping and pong", True)
        for i in range(300):
            await w.send("%d " % i * 500)
        got = [await asyncio.wait_for(w.recv(), 20) for i in range(300)]
        case("300 messages in a row, in order", got == ["%d " % i * 500 for i in range(300)])
        await w.close(4001, "enough")
        case("closed as asked", w.close_code == 4001, w.close_code)
    w = await websockets.connect(ECHO, compression="deflate")
    await w.send("x")
    case("a client that offers compression", await w.recv() == "x" and w.extensions == [])
    await w.close()


async def many(n):
    gate = asyncio.Semaphore(100)

    async def one(i):
        async with gate:
            return await websockets.connect(ECHO, open_timeout=30, ping_interval=None, compression=None)

    everyone = await asyncio.gather(*(one(i) for i in range(n)))
    case("%d connections at once" % n, len(everyone) == n)

    async def talk(i, w):
        await w.send("I am %d" % i)
        return await asyncio.wait_for(w.recv(), 30) == "I am %d" % i

    good = await asyncio.gather(*(talk(i, w) for i, w in enumerate(everyone)))
    case("each has its own echo", all(good), good.count(False))
    await asyncio.gather(*(w.close() for w in everyone))
    case("all closed in good order", all(w.close_code == 1000 for w in everyone))


async def events():
    async with websockets.connect(VIEW) as w:
        other = socket.create_connection((HOST, 7), 10)
        other.sendall(b"hello")
        other.recv(5)
        other.close()
        subprocess.run(["ping", "-n", "-c", "1", "-W", "2", HOST], stdout=subprocess.DEVNULL, check=False)
        seen = []
        try:
            while True:
                seen.append(json.loads(await asyncio.wait_for(w.recv(), 1.5)))
        except asyncio.TimeoutError:
            pass
        names = {e["name"] for e in seen}
        times = [e["time"] for e in seen if e["name"] != "log:gap"]
        case("events: what happens is told", {"tcp:segment_received", "tcp:segment_sent", "tcp:state_changed",
                                              "icmp:message_received"} <= names, names)
        moves = [(e["data"]["old"], e["data"]["new"]) for e in seen if e["name"] == "tcp:state_changed"]
        case("events: the handshake in order", moves.index(("LISTEN", "SYN-RECEIVED")) <
             moves.index(("SYN-RECEIVED", "ESTABLISHED")), moves)
        case("events: time goes on", len(times) > 5 and all(a <= b for a, b in zip(times, times[1:])), times)
        data = [e["data"]["len"] for e in seen if e["name"] == "tcp:segment_received" and e["data"]["port"] == 7]
        case("events: the five bytes", 5 in data, data)
        case("events: not those of the viewer", not [e for e in seen if e["data"].get("port") == 80], names)
        case("events: silence when nothing happens", len(seen) < 200, len(seen))


async def slow_viewer():
    """Many events while nobody reads: what is missing is counted, and the stack is not held up."""
    s = raw("/api/ws")
    w = await websockets.connect(VIEW)
    load = await asyncio.create_subprocess_exec("curl", "-sS", "-m", "30", "-o", os.devnull, "-w", "%{size_download}",
                                                "http://%s:%d/bytes/300000000" % (HOST, PORT), stdout=subprocess.PIPE)
    out, _ = await load.communicate()
    case("viewers: a download is not held up", out == b"300000000", out)
    seen, gap = 0, 0
    try:
        while True:
            e = json.loads(await asyncio.wait_for(w.recv(), 2))
            seen += 1
            gap += e["data"]["n"] if e["name"] == "log:gap" else 0
    except asyncio.TimeoutError:
        pass
    case("viewers: some of it is told", seen > 500, seen)
    case("viewers: the rest is counted", gap > 1000, gap)
    await w.close()
    s.close()


def main():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    openings()
    frames()
    asyncio.run(library())
    asyncio.run(events())
    asyncio.run(slow_viewer())
    asyncio.run(many(1000))
    print("1..%d" % len(results))
    return 0 if all(results) else 1


sys.exit(main())
