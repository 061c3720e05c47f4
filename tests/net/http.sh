#!/bin/bash
# curl and nc against the HTTP server: methods, statuses, keep-alive, pipelining, files. timeout: 120
. "$(dirname "$0")/lib.sh"

www=$work/www
mkdir -p "$www/sub"
head -c 3000000 /dev/urandom >"$www/random.bin"
echo "<p>hello" >"$www/index.html"
echo "text" >"$www/sub/a b.txt"
: >"$www/empty"
echo secret >"$work/secret"
ln -s "$work/secret" "$www/link"

status() {
	curl -sS -m 10 -o /dev/null -w '%{http_code}' "$@" 2>&1
}

start_stack -q
check "GET / explains itself" sh -c "curl -sSf -m 10 http://$STACK/ | grep -qi tapglass"
equal "HEAD / has no body" "$(curl -sS -m 10 -I -w '%{size_download}' -o /dev/null http://$STACK/)" 0
equal "HEAD / is 200" "$(status -I http://$STACK/)" 200
equal "an unknown path is 404" "$(status http://$STACK/nothing/here)" 404
equal "POST is 405" "$(status -d x=1 http://$STACK/)" 405
equal "405 says what is allowed" \
	"$(curl -sS -m 10 -d x=1 -D - -o /dev/null http://$STACK/ | tr -d '\r' | sed -n 's/^[Aa]llow: *//p')" "GET, HEAD, OPTIONS"
equal "a nonsense length for /bytes is no success" "$(status http://$STACK/bytes/12x | cut -c 1)" 4
equal "/bytes/0 is empty" "$(curl -sS -m 10 -w '%{http_code} %{size_download}' http://$STACK/bytes/0)" "200 0"
equal "HEAD /bytes/N states N" \
	"$(curl -sS -m 10 -I http://$STACK/bytes/12345 | tr -d '\r' | sed -n 's/^[Cc]ontent-[Ll]ength: *//p')" 12345
check "/api/sockets is JSON" sh -c "curl -sSf -m 10 http://$STACK/api/sockets | python3 -m json.tool"
curl -sS -m 10 http://$STACK/api/sockets >"$work/socks" 2>&1
matches "and lists the connection that asks" "$work/socks" "ESTAB"
matches "and the listeners" "$work/socks" "LISTEN"
equal "several URLs share a connection" \
	"$(curl -sS -m 10 -o /dev/null -o /dev/null -o /dev/null -w '%{num_connects} ' \
		http://$STACK/ http://$STACK/nothing http://$STACK/bytes/70000)" "1 0 0 "
equal "HTTP/1.0 ends the connection" \
	"$(curl -sS -m 10 -0 -o /dev/null -o /dev/null -w '%{num_connects} ' http://$STACK/ http://$STACK/)" "1 1 "

{
	for i in 1 2 3 4 5; do printf 'GET /bytes/%d HTTP/1.1\r\nHost: x\r\n\r\n' $((i * 1000)); done
	printf 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
} >"$work/pipeline"
timeout 10 nc -N $STACK 80 <"$work/pipeline" >"$work/answers"
equal "six pipelined requests, six answers" "$(grep -ao 'HTTP/1.1 200 OK' "$work/answers" | wc -l)" 6
equal "in order" "$(tr -d '\r' <"$work/answers" | grep -a '^Content-Length' | head -n 5 | tr -dc '0-9\n' | xargs)" \
	"1000 2000 3000 4000 5000"
# One byte at a time.
python3 - "$STACK" >"$work/slow" 2>&1 <<'PY'
import socket, sys, time
s = socket.create_connection((sys.argv[1], 80), 10)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for b in b"GET /bytes/5 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n":
    s.send(bytes([b])); time.sleep(0.002)
out = b""
while True:
    d = s.recv(4096)
    if not d: break
    out += d
print(out.split(b"\r\n")[0].decode(), len(out.split(b"\r\n\r\n", 1)[1]))
PY
equal "a request that comes byte by byte" "$(cat "$work/slow")" "HTTP/1.1 200 OK 5"

# raw NAME WANTED-STATUS: the request is in $work/raw.
raw() {
	local got
	got=$(timeout 10 nc -N $STACK 80 <"$work/raw" | head -n 1 | cut -d ' ' -f 2 | tr -d '\r')
	equal "$1" "$got" "$2"
}
printf 'NONSENSE\r\n\r\n' >"$work/raw"
raw "a line that is no request is 400" 400
printf 'GET / HTTP/1.1\r\n\r\n' >"$work/raw"
raw "HTTP/1.1 without Host is 400" 400
printf 'GET / HTTP/9.9\r\nHost: x\r\n\r\n' >"$work/raw"
raw "a version from the future is 505" 505
printf 'BREW / HTTP/1.1\r\nHost: x\r\n\r\n' >"$work/raw"
raw "an unknown method is 501" 501
{ printf 'GET /'; head -c 20000 /dev/zero | tr '\0' a; printf ' HTTP/1.1\r\nHost: x\r\n\r\n'; } >"$work/raw"
raw "too long a target is 414" 414
{ printf 'GET / HTTP/1.1\r\nHost: x\r\nA: '; head -c 60000 /dev/zero | tr '\0' a; printf '\r\n\r\n'; } >"$work/raw"
raw "too many header bytes are 431" 431
printf 'GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' >"$work/raw"
raw "a path that climbs out is 400" 400
# Random bytes: whatever the answer, the server lives.
for _ in 1 2 3 4 5; do head -c 5000 /dev/urandom | timeout 10 nc -N $STACK 80 >/dev/null; done
equal "random bytes do it no harm" "$(status http://$STACK/)" 200
stop_stack

start_stack -q --www "$www"
equal "--www: a file as it is" "$(curl -sSf -m 20 http://$STACK/random.bin | sha)" "$(sha <"$www/random.bin")"
equal "--www: an empty file" "$(curl -sS -m 10 -w '%{http_code} %{size_download}' http://$STACK/empty)" "200 0"
equal "--www: a directory's index.html" "$(curl -sSf -m 10 http://$STACK/)" "<p>hello"
equal "--www: a name with a space" "$(curl -sSf -m 10 http://$STACK/sub/a%20b.txt)" "text"
equal "--www: no such file is 404" "$(status http://$STACK/none)" 404
equal "--www: nothing above the directory" "$(status --path-as-is http://$STACK/../secret | cut -c 1)" 4
equal "--www: nothing above it, encoded" "$(status --path-as-is http://$STACK/%2e%2e/secret | cut -c 1)" 4
stop_stack
finish
