"""http_raw.py HOST PORT: requests as bytes, and what the HTTP server makes of them: statuses, chunks, slow clients,
/echo. With "put" behind: stores too. TAP lines."""
import http.client
import os
import socket
import sys
import threading
import time

HOST, PORT = sys.argv[1], int(sys.argv[2])
PUT = len(sys.argv) > 3 and sys.argv[3] == "put"
results = []


def case(name, good, why=""):
    results.append(bool(good))
    print("%s %d - %s" % ("ok" if good else "not ok", len(results), name))
    if not good and why != "":
        print("# got: %.300r" % (why,))
    sys.stdout.flush()


def connect(limit=20):
    return socket.create_connection((HOST, PORT), limit)


def rest(s):
    data = b""
    try:
        while True:
            d = s.recv(65536)
            if not d:
                break
            data += d
    except OSError as e:
        data += b"[%s]" % type(e).__name__.encode()
    return data


def talk(data, end=True):
    with connect() as s:
        try:
            s.sendall(data)
            if end:
                s.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        return rest(s)


def answers(data, method="GET"):
    """[(status, {fields}, body)] of a stream of responses."""
    class Fake:
        def __init__(self, raw):
            self.raw = raw

        def makefile(self, *_):
            return self.raw

    import io
    raw = io.BytesIO(data)
    raw.close = lambda: None
    out = []
    while raw.tell() < len(data):
        r = http.client.HTTPResponse(Fake(raw), method=method)
        try:
            r.begin()
            body = r.read()
        except http.client.HTTPException as e:
            out.append((0, {}, repr(e).encode()))
            break
        out.append((r.status, {k.lower(): v for k, v in r.getheaders()}, body))
    return out


H = b"Host: x\r\n"
C = H + b"Transfer-Encoding: chunked\r\n"


def post(body, fields=C, line=b"POST /echo HTTP/1.1\r\n"):
    return line + fields + b"Connection: close\r\n\r\n" + body


def table():
    long_line = b"a" * 9000
    for name, data, want in (
            ("no request line", b"NONSENSE\r\n\r\n", 400),
            ("a blank before the colon", b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
            ("a folded line", b"GET / HTTP/1.1\r\n" + H + b"A: b\r\n c\r\n\r\n", 400),
            ("two lengths", b"POST /echo HTTP/1.1\r\n" + H + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400),
            ("length and chunks", post(b"0\r\n\r\n", C + b"Content-Length: 5\r\n"), 400),
            ("no Host", b"GET / HTTP/1.1\r\n\r\n", 400),
            ("two Hosts", b"GET / HTTP/1.1\r\n" + H + H + b"\r\n", 400),
            ("an encoded slash", b"GET /a%2fb HTTP/1.1\r\n" + H + b"\r\n", 400),
            ("an encoded NUL", b"GET /a%00 HTTP/1.1\r\n" + H + b"\r\n", 400),
            ("a path upwards", b"GET /../etc/passwd HTTP/1.1\r\n" + H + b"\r\n", 400),
            ("a path upwards, encoded", b"GET /x/%2e%2e/%2E%2e/y HTTP/1.1\r\n" + H + b"\r\n", 400),
            ("* for GET", b"GET * HTTP/1.1\r\n" + H + b"\r\n", 400),
            ("nothing there", b"GET /none HTTP/1.1\r\n" + H + b"\r\n", 404),
            ("no such table", b"GET /api/none HTTP/1.1\r\n" + H + b"\r\n", 404),
            ("GET /echo", b"GET /echo HTTP/1.1\r\n" + H + b"\r\n", 405),
            ("POST elsewhere", b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 0\r\n\r\n", 405),
            ("TRACE", b"TRACE / HTTP/1.1\r\n" + H + b"\r\n", 405),
            ("PATCH", b"PATCH / HTTP/1.1\r\n" + H + b"\r\n", 405),
            ("DELETE of what is made up", b"DELETE /api/stat HTTP/1.1\r\n" + H + b"\r\n", 405),
            ("POST without a length", b"POST /echo HTTP/1.1\r\n" + H + b"\r\n", 411),
            ("a body that is too large", b"POST /echo HTTP/1.1\r\n" + H + b"Content-Length: 99999999999\r\n\r\n", 413),
            ("a large body with GET", b"GET / HTTP/1.1\r\n" + H + b"Content-Length: 70000\r\n\r\n", 413),
            ("a long target", b"GET /" + long_line + b" HTTP/1.1\r\n" + H + b"\r\n", 414),
            ("another expectation", b"GET / HTTP/1.1\r\n" + H + b"Expect: wonders\r\n\r\n", 417),
            ("many fields", b"GET / HTTP/1.1\r\n" + H + b"A: b\r\n" * 150 + b"\r\n", 431),
            ("large fields", b"GET / HTTP/1.1\r\n" + H + (b"A: " + b"b" * 8000 + b"\r\n") * 5 + b"\r\n", 431),
            ("an unknown method", b"BREW / HTTP/1.1\r\n" + H + b"\r\n", 501),
            ("an unknown coding", post(b"", H + b"Transfer-Encoding: gzip, chunked\r\n"), 501),
            ("HTTP/2.0", b"GET / HTTP/2.0\r\n" + H + b"\r\n", 505),
            ("a chunk size that is none", post(b"x\r\n"), 400),
            ("an empty chunk size", post(b"\r\n"), 400),
            ("a chunk size too large", post(b"1" + b"0" * 16 + b"\r\n"), 400),
            ("a negative chunk size", post(b"-1\r\n"), 400),
            ("0x in a chunk size", post(b"0x5\r\nhello\r\n0\r\n\r\n"), 400),
            ("LF alone behind a chunk size", post(b"5\nhello\r\n0\r\n\r\n"), 400),
            ("a control character in an extension", post(b"5;a=\x01\r\nhello\r\n0\r\n\r\n"), 400),
            ("endless extensions", post(b"1;" + b"a" * 20000), 400),
            ("a trailer that is none", post(b"0\r\nnot a field\r\n\r\n"), 400),
            ("endless trailers", post(b"0\r\n" + b"A: b\r\n" * 3000), 431)):
        got = answers(talk(data))
        case("%s: %d" % (name, want), len(got) == 1 and got[0][0] == want, got)
        if want == 405:
            case("%s: says what is allowed" % name, "GET" in got[0][1].get("allow", "") or "POST" in got[0][1]["allow"])
    # A chunk that is wrong after the echo has begun cannot be answered, only cut off.
    with connect() as s:
        s.sendall(post(b"5\r\nhello\r\n"))
        first = s.recv(4096)
        s.sendall(b"zzz\r\n")
        got = rest(s)
    case("a wrong chunk amid an echo: cut off", first.startswith(b"HTTP/1.1 200") and b"0\r\n\r\n" not in got, got)


def echo():
    for name, body, want in (
            ("one chunk", b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
            ("no chunk at all", b"0\r\n\r\n", b""),
            ("several, with leading zeros", b"0003\r\nabc\r\nA\r\n0123456789\r\n000\r\n\r\n", b"abc0123456789"),
            ("extensions", b"3 ;a=\"b c\"\r\nabc\r\n0;last\r\n\r\n", b"abc"),
            ("trailers", b"3\r\nabc\r\n0\r\nX-Sum: 12\r\nContent-Length: 99\r\n\r\n", b"abc")):
        raw = talk(post(body))
        got = answers(raw)
        case("echo: %s" % name, len(got) == 1 and got[0][0] == 200 and got[0][2] == want, got)
        case("echo: %s: chunked" % name, got and got[0][1].get("transfer-encoding") == "chunked", got)
    got = answers(talk(post(b"hello", H + b"Content-Length: 5\r\n")))
    case("echo: a known length", got[0][2] == b"hello" and got[0][1].get("content-length") == "5", got)
    got = answers(talk(b"POST /echo HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello"))
    case("echo: HTTP/1.0", got[0][2] == b"hello", got)
    # Requests in one stream: bodies end where they should.
    one = b"POST /echo HTTP/1.1\r\n" + C + b"\r\n3\r\nabc\r\n0\r\nT: u\r\n\r\n"
    two = b"POST /echo HTTP/1.1\r\n" + H + b"Content-Length: 3\r\n\r\nxyz"
    three = b"GET /bytes/4 HTTP/1.1\r\n" + H + b"Content-Length: 5\r\n\r\n12345"
    four = b"GET /bytes/2 HTTP/1.1\r\n" + C + b"\r\n5\r\n12345\r\n0\r\n\r\n"
    last = b"GET /bytes/1 HTTP/1.1\r\n" + H + b"Connection: close\r\n\r\n"
    want = [b"abc", b"xyz", b"\0\1\2\3", b"\0\1", b"\0"]
    stream = one + two + three + four + last
    got = [b for _, _, b in answers(talk(stream))]
    case("echo: five requests in one stream", got == want, got)
    with connect() as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for b in stream:
            s.sendall(bytes([b]))
        got = [b for _, _, b in answers(rest(s))]
    case("echo: the same byte by byte", got == want, got)
    # Both ways at once, much more than any buffer holds.
    total, sums = 60_000_000, []
    with connect() as s:
        block = os.urandom(1_000_000)

        def send():
            s.sendall(b"POST /echo HTTP/1.1\r\n" + C + b"Connection: close\r\n\r\n")
            for _ in range(total // len(block)):
                s.sendall(b"%x\r\n" % len(block) + block + b"\r\n")
            s.sendall(b"0\r\n\r\n")
        t = threading.Thread(target=send)
        t.start()
        got = answers(rest(s))
        t.join()
        sums = got[0][2] == block * (total // len(block))
    case("echo: 60 MB in chunks, both ways at once", sums)


def expectations():
    with connect() as s:
        s.sendall(b"POST /echo HTTP/1.1\r\n" + H + b"Content-Length: 5\r\nExpect: 100-continue\r\n"
                  b"Connection: close\r\n\r\n")
        first = s.recv(4096)
        case("100-continue: asked for", first == b"HTTP/1.1 100 Continue\r\n\r\n", first)
        s.sendall(b"hello")
        got = answers(rest(s))
        case("100-continue: then the answer", got[0][2] == b"hello", got)
    with connect() as s:
        s.sendall(b"PUT /api/stat HTTP/1.1\r\n" + H + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        got = answers(rest(s))
        case("100-continue: refused without the body", len(got) == 1 and got[0][0] == 405 and
             got[0][1].get("connection") == "close", got)
    got = answers(talk(b"OPTIONS * HTTP/1.1\r\n" + H + b"Connection: close\r\n\r\n"))
    case("OPTIONS *", got[0][0] == 204 and "POST" in got[0][1]["allow"] and "content-length" not in got[0][1], got)
    got = answers(talk(b"OPTIONS /echo HTTP/1.1\r\n" + H + b"Connection: close\r\n\r\n"))
    case("OPTIONS of a resource", got[0][0] == 204 and got[0][1]["allow"] == "POST, OPTIONS", got)
    for path in (b"/", b"/bytes/1000", b"/api/sockets", b"/api/arp", b"/api/route", b"/api/stat", b"/none"):
        raw = talk(b"HEAD " + path + b" HTTP/1.1\r\n" + H + b"Connection: close\r\n\r\n")
        case("HEAD %s has no body" % path.decode(), raw.endswith(b"\r\n\r\n") and raw.count(b"\r\n\r\n") == 1, raw)


def slow():
    """Slow clients, all at the same time: each has to be gone in time."""
    def until_end(s):
        began = time.monotonic()
        s.settimeout(40)
        return rest(s), time.monotonic() - began

    def half_a_head(out):
        with connect() as s:
            s.sendall(b"GET / HTTP/1.1\r\nHos")
            out["head"] = until_end(s)

    def dripping_head(out):
        with connect() as s:
            began = time.monotonic()
            try:
                while time.monotonic() - began < 30:
                    s.sendall(b"G" if time.monotonic() - began < 0.1 else b"E")
                    time.sleep(0.5)
            except OSError:
                pass
            out["drip"] = (b"", time.monotonic() - began)

    def nothing(out):
        with connect() as s:
            out["nothing"] = until_end(s)

    def half_a_body(out):
        with connect() as s:
            s.sendall(b"POST /echo HTTP/1.1\r\n" + H + b"Content-Length: 100\r\n\r\n")
            out["body"] = until_end(s)

    def half_an_upload(out):
        with connect() as s:
            s.sendall(b"PUT /slow HTTP/1.1\r\n" + H + b"Content-Length: 100\r\n\r\nhalf")
            out["upload"] = until_end(s)

    out = {}
    todo = [half_a_head, dripping_head, nothing, half_a_body] + ([half_an_upload] if PUT else [])
    threads = [threading.Thread(target=f, args=(out,)) for f in todo]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for name, want in (("head", b"HTTP/1.1 408"), ("nothing", b""), ("body", b"HTTP/1.1 408"),
                       ("upload", b"HTTP/1.1 408")):
        if name in out:
            data, took = out[name]
            case("slow: %s: %s, and closed in time" % (name, want.decode() or "nothing said"),
                 data.startswith(want) and (want or not data) and 8 < took < 20, (data, took))
    case("slow: a dripping head is cut off", 8 < out["drip"][1] < 20, out["drip"])


table()
echo()
expectations()
slow()
print("1..%d" % len(results))
sys.exit(0 if all(results) else 1)
