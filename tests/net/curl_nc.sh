#!/bin/bash
# tapglass curl against nginx and python3's http.server, tapglass nc against the kernel's nc, both ways.
# timeout: 240
. "$(dirname "$0")/lib.sh"

helpers=()
end_helpers() {
	[ ${#helpers[@]} -gt 0 ] && kill "${helpers[@]}" 2>/dev/null && wait "${helpers[@]}" 2>/dev/null
	helpers=()
}
trap 'end_helpers; cleanup' EXIT

# status NAME WANTED PATTERN CMD...: exit status, and a line of standard error
status() {
	local name=$1 wanted=$2 pattern=$3 got
	shift 3
	timeout -k 5 60 "$@" >"$work/out" 2>"$work/err" </dev/null
	got=$?
	if [ $got = "$wanted" ] && { [ -z "$pattern" ] || grep -qE -- "$pattern" "$work/err"; }; then
		ok "$name"
	else
		echo "# exit status $got, wanted $wanted, /$pattern/"
		not_ok "$name" "$work/err"
	fi
}

listens() {
	local n=0
	until ss -Hltn "sport = :$1" | grep -q . || [ $((n += 1)) -gt 100 ]; do sleep 0.05; done
}

# ---- The servers
mkdir "$work/www"
head -c 100000000 /dev/urandom >"$work/www/big"
printf 'hello\n' >"$work/www/hello.txt"
: >"$work/www/empty"
big=$(sha <"$work/www/big")
chmod 711 "$work"
cat >"$work/nginx.conf" <<EOF
daemon off;
pid $work/nginx.pid;
error_log stderr;
worker_processes 1;
events { worker_connections 64; }
http {
	access_log off;
	default_type text/plain;
	client_body_temp_path $work/ngx-body;
	proxy_temp_path $work/ngx-proxy;
	fastcgi_temp_path $work/ngx-fastcgi;
	uwsgi_temp_path $work/ngx-uwsgi;
	scgi_temp_path $work/ngx-scgi;
	client_max_body_size 10m;
	server {
		listen $HOST:8000;
		root $work/www;
		location = /moved { return 302 /hello.txt; }
		location = /none { return 204; }
		location = /gone { return 410 "no longer\n"; }
		location = /post { proxy_pass http://$HOST:8001; proxy_http_version 1.1; }
	}
}
EOF
nginx -c "$work/nginx.conf" >"$work/nginx.log" 2>&1 &
helpers+=($!)
cat >"$work/server.py" <<'PY'
import hashlib, http.server, socketserver, sys

class H(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def __init__(self, *a): super().__init__(*a, directory=sys.argv[2])
    def log_message(self, *a): pass
    def body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            while n := int(self.rfile.readline().split(b";")[0], 16):
                left = n
                while left: b = self.rfile.read(min(left, 65536)); left -= len(b); yield b
                self.rfile.readline()
            self.rfile.readline()
        else:
            left = int(self.headers.get("Content-Length", 0))
            while left and (b := self.rfile.read(min(left, 65536))): left -= len(b); yield b
    def take(self):
        h, n = hashlib.sha256(), 0
        for b in self.body(): h.update(b); n += len(b)
        t = "%s %d %s %s\n" % (self.command, n, h.hexdigest(), self.headers.get("Expect", "-"))
        t = t.encode()
        self.send_response(200); self.send_header("Transfer-Encoding", "chunked"); self.end_headers()
        for i in range(0, len(t), 7): self.wfile.write(b"%x;x=y\r\n%s\r\n" % (len(t[i:i+7]), t[i:i+7]))
        self.wfile.write(b"0\r\nTrailer: x\r\n\r\n")
    do_PUT = do_POST = do_PATCH = take
class S(socketserver.ThreadingMixIn, http.server.HTTPServer): daemon_threads = True
S(("192.0.2.1", int(sys.argv[1])), H).serve_forever()
PY
# Answers that no proper server gives: the path names the answer.
cat >"$work/raw.py" <<'PY'
import socket, struct, threading, time
A = {"/http09": b"hello\n", "/empty": b"", "/half": b"HTTP/1.1 200 OK\r\nContent-Le",
     "/short": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
     "/twice": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
     "/same": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabcd",
     "/nolength": b"HTTP/1.1 200 OK\r\n\r\nto the end", "/lf": b"HTTP/1.0 200 OK\nA: b\n\nto the end",
     "/both": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
     "/badchunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
     "/cutchunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
     "/hints": b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
     "/long": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70000 + b"\r\n\r\n",
     "/many": b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 300 + b"\r\n",
     "/to-relative": b"HTTP/1.1 302 Found\r\nLocation: same\r\nContent-Length: 9\r\n\r\nnot this\n",
     "/to-host": b"HTTP/1.1 301 Moved\r\nLocation: //192.0.2.1:8000/hello.txt\r\n\r\n",
     "/to-itself": b"HTTP/1.1 307 Again\r\nLocation: /to-itself\r\nContent-Length: 0\r\n\r\n",
     "/to-tls": b"HTTP/1.1 302 Found\r\nLocation: https://192.0.2.1/\r\n\r\n",
     "/to-name": b"HTTP/1.1 302 Found\r\nLocation: http://nowhere.test/\r\n\r\n",
     "/to-put": b"HTTP/1.1 308 There\r\nLocation: http://192.0.2.1:8001/put\r\nContent-Length: 0\r\n\r\n",
     "/to-get": b"HTTP/1.1 303 See\r\nLocation: /same\r\nContent-Length: 0\r\n\r\n",
     "/nul": b"HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", "/status": b"HTTP/1.1 2x0 OK\r\n\r\n",
     "/drip": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nslowly"}
def serve(c):
    req = b""
    while b"\r\n\r\n" not in req:
        b = c.recv(4096)
        if not b: return
        req += b
    path = req.split()[1].decode()
    if path == "/silent": time.sleep(30)
    if path == "/reset":
        c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"); time.sleep(0.1)
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); c.close(); return
    out = A.get(path, b"")
    if path == "/drip":
        for i in range(len(out)): c.sendall(out[i:i+1]); time.sleep(0.005)
    else: c.sendall(out)
    c.shutdown(socket.SHUT_WR)
    try:
        while c.recv(4096): pass
    except OSError: pass
    c.close()
l = socket.create_server(("192.0.2.1", 8002), backlog=50)
while True: threading.Thread(target=serve, args=(l.accept()[0],), daemon=True).start()
PY

CURL="$TAPGLASS curl"
NC="$TAPGLASS nc"
N=http://$HOST:8000 P=http://$HOST:8001 R=http://$HOST:8002
start_stack -q
python3 "$work/server.py" 8001 "$work/www" >"$work/py.log" 2>&1 &
helpers+=($!)
python3 "$work/raw.py" >"$work/raw.log" 2>&1 &
helpers+=($!)
ip addr show | grep -q "$HOST" || not_ok "the kernel has $HOST"
for port in 8001 8002; do listens $port; done
# nginx needs the address to be there: it was started before the stack
if ! ss -Hltn "sport = :8000" | grep -q .; then
	nginx -c "$work/nginx.conf" >"$work/nginx.log" 2>&1 &
	helpers+=($!)
	listens 8000
fi

# ---- curl: the running stack
matches "curl /: the stack's own server, through its loopback" <($CURL / 2>&1) "<title>Tapglass"
equal "and POST to it" "$($CURL -d a=1 -d b=2 /echo)" "a=1&b=2"
equal "GET from nginx" "$($CURL $N/hello.txt)" hello
equal "an empty file" "$($CURL -s -w '%{http_code} %{size_download}' $N/empty)" "200 0"
equal "GET from http.server" "$($CURL $P/hello.txt)" hello
$CURL -o "$work/got" -w '%{http_code} %{size_download} %{content_type}\n' $N/big >"$work/out"
equal "100 MB from nginx, by sha256" "$(sha <"$work/got")" "$big"
equal "-w" "$(cat "$work/out")" "200 100000000 text/plain"
equal "100 MB from http.server to a pipe" "$($CURL $P/big | sha)" "$big"
equal "-O" "$(cd "$work" && "$OLDPWD/$TAPGLASS" curl -O $N/hello.txt && cat hello.txt)" hello
printf 'something much longer than that\n' >"$work/got"
$CURL -o "$work/got" $N/hello.txt
equal "-o: what was in the file is gone" "$(cat "$work/got")" hello
status "-f: status 22" 22 "\(22\).* 404" $CURL -f -o "$work/got" $N/nothing
equal "which leaves the file as it was" "$(cat "$work/got")" hello
status "without -f: status 0" 0 "" $CURL $N/gone
matches "and the page" "$work/out" "no longer"
$CURL -I $N/big >"$work/out"
matches "-I: the head" "$work/out" "^Content-Length: 100000000"
equal "and nothing else" "$(wc -l <"$work/out")" "$(tr -d -c '\n' <"$work/out" | wc -c)"
$CURL -i $N/hello.txt >"$work/out"
matches "-i: the head" "$work/out" "^HTTP/1.1 200 OK"
equal "-i: the body" "$(tail -n 1 "$work/out")" hello
status "-v" 0 "^> GET /hello.txt HTTP/1.1" $CURL -v $N/hello.txt
matches "-v: the answer" "$work/err" "^< HTTP/1.1 200 OK"
matches "-v: the fields we send" "$work/err" "^> Host: $HOST:8000"
$CURL -v -H 'X-Mine: yes' -H 'Accept:' -H 'Empty;' $N/hello.txt 2>"$work/err" >/dev/null
matches "-H: a field more" "$work/err" "^> X-Mine: yes"
lacks "-H: a field less" "$work/err" "^> Accept"
matches "-H: an empty field" "$work/err" "^> Empty:$"
# ---- Redirections, bodies from files, who asks
R=http://$HOST:8002
equal "-L follows" "$($CURL -s -L $N/moved)" hello
equal "-L -i: both heads" "$($CURL -s -L -i $N/moved | grep -c ^HTTP/1.1)" 2
equal "-L: a relative place; the body on the way is not printed" "$($CURL -s -L $R/to-relative)" abc
equal "-L: another host's" "$($CURL -s -L -w '%{num_redirects} %{url_effective}' $R/to-host)" \
	"hello
1 http://192.0.2.1:8000/hello.txt"
equal "-L: a file again from its beginning" "$($CURL -s -L -T "$work/www/big" $R/to-put)" "PUT 100000000 $big 100-continue"
equal "-L: 303 makes a GET of a POST" "$($CURL -s -L -v -d x=y $R/to-get 2>&1 | grep -c '^> GET /same ')" 1
status "-L: an endless one ends" 47 "curl: \(47\) more than 50 redirections" $CURL -L $R/to-itself
status "--max-redirs 0" 47 "more than 0" $CURL -L --max-redirs 0 $N/moved
status "-L: not to TLS" 1 "\"https\" is not supported: http is all there is" $CURL -L $R/to-tls
status "-L: not to a name" 6 "is a name" $CURL -L $R/to-name
status "-L: what came through a pipe cannot be sent again" 65 "cannot be sent again" \
	sh -c "head -c 5000000 /dev/zero | $CURL -L -T - $R/to-put"
status "no TLS" 1 "\"https\" is not supported" $CURL -s -S https://$HOST/
printf 'a=1\r\nb=2\n' >"$work/form"
equal "-d @FILE leaves out line ends" "$($CURL -d @"$work/form" $N/post)" "POST 6 $(printf a=1b=2 | sha) -"
equal "--data-binary @FILE" "$($CURL --data-binary @"$work/form" $N/post)" "POST 9 $(sha <"$work/form") -"
equal "-d @-" "$(printf 'in\nput' | $CURL -d @- $N/post)" "POST 5 $(printf input | sha) -"
equal "--data-raw @" "$($CURL --data-raw @x $N/post)" "POST 2 $(printf @x | sha) -"
equal "several are joined" "$($CURL -d x=0 -d @"$work/form" --data-binary @"$work/form" $N/post)" \
	"POST 20 $(printf 'x=0&a=1b=2&a=1\r\nb=2\n' | sha) -"
status "-d @FILE that is not there" 26 "cannot read $work/nothing" $CURL -d @"$work/nothing" $N/post
matches "-A" <($CURL -v -A "me/1" $N/hello.txt 2>&1) "^> User-Agent: me/1"
lacks "-A '': none" <($CURL -v -A "" $N/hello.txt 2>&1) "User-Agent"

equal "no redirect is followed" "$($CURL -s -o /dev/null -w '%{http_code}' $N/moved)" 302
equal "204 has no body" "$($CURL -w '%{http_code} %{size_download}' $N/none)" "204 0"
equal "-d: POST" "$($CURL -d hello $P/)" "POST 5 $(printf hello | sha) -"
equal "-d through nginx, chunked on the way back" "$($CURL -d hello $N/post)" "POST 5 $(printf hello | sha) -"
equal "-X" "$($CURL -X PATCH -d hello $P/)" "PATCH 5 $(printf hello | sha) -"
equal "-T: PUT" "$($CURL -T "$work/www/hello.txt" $P/x)" "PUT 6 $(sha <"$work/www/hello.txt") -"
equal "-T: 100 MB by sha256, after 100 Continue" "$($CURL -T "$work/www/big" $P/x)" "PUT 100000000 $big 100-continue"
equal "-T -: from a pipe, chunked" "$($CURL -T - $P/x <"$work/www/big")" "PUT 100000000 $big 100-continue"
equal "-T -: from a pipe that comes in pieces" \
	"$( (printf he && sleep 0.3 && printf llo) | $CURL -T - $P/x)" "PUT 5 $(printf hello | sha) 100-continue"
equal "-T: an empty file" "$($CURL -T "$work/www/empty" $P/x)" "PUT 0 $(sha </dev/null) -"
equal "-T: one that the server refuses" "$($CURL -s -T "$work/www/big" -o /dev/null -w '%{http_code}' $N/x)" 413

# ---- curl: what can go wrong
status "refused: 7" 7 "Connection refused" $CURL http://$HOST:9/
status "nobody there: 7" 7 "" $CURL http://192.0.2.77/
status "a name: 6" 6 "addresses like 192.0.2.1" $CURL http://localhost/
status "https: 1" 1 "http is all" $CURL https://$HOST/
status "-s" 7 "" $CURL -s http://$HOST:9/
equal "-s: is silent" "$(cat "$work/err")" ""
status "-s -S: is not" 7 "refused" $CURL -s -S http://$HOST:9/
status "--max-time: 28" 28 "timed out after [0-9]+ ms" $CURL --max-time 0.3 $R/silent
status "--connect-timeout: 28" 28 "timed out" $CURL --connect-timeout 0.2 http://192.0.2.78/
status "no answer: 52" 52 "" $CURL $R/empty
status "half a head: 56" 56 "" $CURL $R/half
status "not HTTP: 1" 1 "not HTTP" $CURL $R/http09
status "a body cut short: 18" 18 "7 bytes still" $CURL $R/short
equal "what came is printed" "$(cat "$work/out")" abc
status "a body cut by a reset: 56" 56 "reset" $CURL $R/reset
status "contradicting lengths: 8" 8 "malformed" $CURL $R/twice
equal "the same length twice" "$($CURL $R/same)" abc
equal "until the connection closes" "$($CURL $R/nolength)" "to the end"
equal "lines that end with LF" "$($CURL $R/lf)" "to the end"
equal "chunks override the length" "$($CURL $R/both)" abc
status "malformed chunks: 56" 56 "chunks" $CURL $R/badchunk
status "chunks cut short: 18" 18 "" $CURL $R/cutchunk
equal "103 before 200" "$($CURL $R/hints)" ok
$CURL -i -o "$work/got" $R/hints
equal "both heads with -i -o" "$(grep -c HTTP/1.1 "$work/got") $(tail -n 1 "$work/got")" "2 ok"
equal "byte by byte" "$($CURL $R/drip)" slowl
status "a head without end: 8" 8 "longer than 65536" $CURL $R/long
status "fields without end: 8" 8 "200 fields" $CURL $R/many
status "NUL in the head: 8" 8 "malformed" $CURL $R/nul
status "a status that is none: 1 or 8" 1 "" $CURL $R/status
status "a full disk: 23" 23 "cannot write" $CURL -o /dev/full $N/big
status "a directory for -o: 23" 23 "" $CURL -o "$work" $N/hello.txt
status "no file for -T: 26" 26 "No such file" $CURL -T "$work/nothing" $P/
check "a reader that stops: 23" bash -c "$CURL $N/big | head -c 10; [ \${PIPESTATUS[0]} = 23 ]"
for bad in "" "http://" "http:///x" "http://1.2.3.4:99999/" "http://1.2.3.4:x/" "a b" "http://1.2.3/"; do
	timeout 10 $CURL "$bad" >"$work/out" 2>"$work/err"
	got=$?
	[ $got = 3 ] || [ $got = 6 ] || echo "# $bad: $got"
	[ $got = 3 ] || [ $got = 6 ]
	equal "a bad URL: $bad" $? 0
done
status "-w with an unknown variable: 2" 2 "unknown" $CURL -w '%{nonsense}' /
status "an unknown option: 2" 2 "unknown" $CURL --nonsense /
# What -T left behind in the stack's send buffer may still be on its way.
n=0
while "$TAPGLASS" ss -tHn >"$work/out" && grep -qv -e FIN -e TIME -e LAST "$work/out" && [ $((n += 1)) -lt 50 ]; do sleep 0.1; done
lacks "nothing of all this is left" "$work/out" "ESTAB|SYN|CLOSE-WAIT"

# ---- nc
printf 'hello\n' >"$work/hello"
head -c 20000000 /dev/urandom >"$work/data"
equal "nc -N to the stack's own echo" "$($NC -N $STACK 7 <"$work/data" | sha)" "$(sha <"$work/data")"
# The kernel's nc -l leaves as soon as the other end has ended: this one stays.
cat >"$work/both.py" <<'PY'
import socket, sys, threading, time
c = socket.create_server(("192.0.2.1", int(sys.argv[1]))).accept()[0]
def out():
    time.sleep(float(sys.argv[3])); c.sendall(open(sys.argv[2], "rb").read()); c.shutdown(socket.SHUT_WR)
t = threading.Thread(target=out); t.start()
with open(sys.argv[4], "wb") as f:
    while b := c.recv(65536): f.write(b)
t.join()
PY
python3 "$work/both.py" 5001 "$work/www/big" 0 "$work/there" &
pid=$!
listens 5001
$NC -N $HOST 5001 <"$work/data" >"$work/here"
equal "nc: status" $? 0
wait $pid
equal "nc: 20 MB out while 100 MB come in" "$(sha <"$work/there")" "$(sha <"$work/data")"
equal "nc: and the 100 MB" "$(sha <"$work/here")" "$big"
nc -lN $HOST 5002 <"$work/hello" >"$work/there" &
pid=$!
listens 5002
(sleep 0.5 && cat "$work/data") | $NC -N $HOST 5002 >"$work/here"
wait $pid
equal "nc: the other end has ended, ours goes on" "$(sha <"$work/there")" "$(sha <"$work/data")"
python3 "$work/both.py" 5003 "$work/hello" 1 "$work/there" &
listens 5003
$NC -N $HOST 5003 <"$work/data" >"$work/here"
equal "nc -N: ours has ended, the other end goes on" "$(cat "$work/here")" hello
$NC -l 5004 <"$work/hello" >"$work/here" &
pid=$!
sleep 0.4
equal "nc -l: what it sends" "$(nc -N $STACK 5004 <"$work/data")" hello
wait $pid
equal "nc -l: status" $? 0
equal "nc -l: what it gets" "$(sha <"$work/here")" "$(sha <"$work/data")"
status "nc -l: takes one connection" 1 "" nc -z -w 1 $STACK 5004
$NC -lv $STACK 5005 >"$work/here" 2>"$work/err" </dev/null &
pid=$!
sleep 0.4
nc -N $STACK 5005 <"$work/hello"
wait $pid
matches "nc -lv" "$work/err" "^Connection received on $HOST:"
status "nc: refused" 1 "Connection refused" $NC $HOST 9
status "nc -w: nobody there" 1 "timed out" $NC -w 0.3 192.0.2.79 9
status "nc -z: somebody there" 0 "" $NC -z $HOST 8000
status "nc -z: nobody" 1 "refused" $NC -z $HOST 9
status "nc: a name" 2 "not an address" $NC localhost 9
status "nc: no port" 2 "PORT is missing" $NC $HOST
status "nc: a port that is none" 2 "not a port" $NC $HOST 70000
status "nc -l: an address that is not ours" 1 "Cannot assign" $NC -l $HOST 5006
(nc -lN $HOST 5007 </dev/null >/dev/null) &
listens 5007
started=$(date +%s)
sleep 3 | $NC -w 0.5 $HOST 5007 >/dev/null
equal "nc -w: ends when nothing moves" "$(($(date +%s) - started < 6))" 1
nc -lu $HOST 5008 >"$work/there" &
pid=$!
sleep 0.3
$NC -u -w 0.5 $HOST 5008 <"$work/hello"
kill $pid
wait $pid 2>/dev/null
equal "nc -u: a datagram out" "$(cat "$work/there")" hello
equal "nc -u: and back" "$($NC -u -w 0.5 $STACK 7 <"$work/hello")" hello
$NC -lu -w 1 5009 <"$work/hello" >"$work/here" &
pid=$!
sleep 0.4
equal "nc -lu: answers" "$(echo you | nc -u -w 1 $STACK 5009)" hello
wait $pid
equal "nc -lu: gets" "$(cat "$work/here")" you
status "nc -u: nobody there" 1 "refused" bash -c "(echo a; sleep 0.3; echo b) | $NC -u -w 2 $HOST 9"
python3 -c '
import os, pty, sys, time
pid, fd = pty.fork()
if pid == 0: os.execv(sys.argv[1], [sys.argv[1], "nc", "-N", "192.0.2.2", "7"])
time.sleep(0.3); os.write(fd, b"typed\n"); time.sleep(0.3); os.write(fd, b"\x04")
out = b""
try:
    while b := os.read(fd, 1000): out += b
except OSError: pass
print(out, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))' "$TAPGLASS" >"$work/out"
matches "nc at a terminal: echo, Ctrl-D ends it" "$work/out" 'typed\\r\\ntyped\\r\\n. 0$'
$NC $STACK 7 < <(sleep 3) >/dev/null &
pid=$!
sleep 0.3
kill -INT $pid
wait $pid
equal "nc: Ctrl-C ends it" $? 1
check "the stack lives" "$TAPGLASS" ping -c 1 $HOST
stop_stack

# ---- On a link of its own. The TAP is gone with the stack, and the servers' address with it; wildcards stay.
python3 -m http.server -d "$work/www" 8003 >"$work/py3.log" 2>&1 &
helpers+=($!)
listens 8003
equal "curl on a link of its own: 100 MB" "$($CURL http://$HOST:8003/big | sha)" "$big"
equal "curl: /PATH is the other end's" "$($CURL --link sim -s -w '%{http_code} %{remote_ip}' / ; echo " $?")" "000 $HOST 7"
nc -lN 5010 >"$work/there" </dev/null &
pid=$!
listens 5010
$NC -N $HOST 5010 <"$work/data"
equal "nc on a link of its own" $? 0
wait $pid
equal "all of it arrived" "$(sha <"$work/there")" "$(sha <"$work/data")"
nc -lN 5011 >"$work/there" <"$work/hello" &
pid=$!
listens 5011
equal "with losses" "$(head -c 300000 "$work/data" | $NC -N --drop 5% $HOST 5011)" hello
wait $pid
equal "all of it arrived, too" "$(sha <"$work/there")" "$(head -c 300000 "$work/data" | sha)"
finish
