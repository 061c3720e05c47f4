#!/bin/bash
# The HTTP server, whole: methods, uploads, ranges, conditions, listings, raw bytes, WebSockets. timeout: 240
. "$(dirname "$0")/lib.sh"

# The python that has Debian's packages.
py=python3
"$py" -c 'import websockets' 2>/dev/null || py=/usr/bin/python3
url=http://$STACK
www=$work/www
mkdir -p "$www/dir/<b>&\"x" "$www/locked"
echo "outside" >"$work/outside"
head -c 5000000 /dev/urandom >"$www/file.bin"
echo "a page" >"$www/page.html"
: >"$www/empty"
echo "1" >"$www/dir/b.txt"
echo "1" >"$www/dir/a: b%.txt"
echo "1" >"$www/dir/.hidden"
ln -s "$work/outside" "$www/dir/out"
ln -s ../page.html "$www/dir/in.html"
ln -s "$work" "$www/up"
mkfifo "$www/fifo"

status() {
	curl -sS -m 20 -o /dev/null -w '%{http_code}' "$@" 2>&1
}

# field NAME CURL-ARG...: a field of the response.
field() {
	local name=$1
	shift
	curl -sS -m 20 -o /dev/null -D - "$@" | tr -d '\r' | sed -n "s/^$name: *//Ip"
}

# run NAME CMD...: a program that prints TAP lines of its own, which are counted here.
run() {
	local line
	timeout -k 5 "${LIMIT_S:-100}" "$@" >"$work/run.out" 2>&1 </dev/null || echo "not ok - exit status $?: $*" >>"$work/run.out"
	while IFS= read -r line; do
		case $line in
		"ok "*) ok "${line#ok * - }" ;;
		"not ok "*) not_ok "${line#not ok * - }" ;;
		1..*) ;;
		*) echo "# $line" ;;
		esac
	done <"$work/run.out"
}

start_stack -q --www "$www"
for t in sockets arp route stat; do
	check "/api/$t is JSON" sh -c "curl -sSf -m 10 $url/api/$t | python3 -m json.tool"
done
curl -sS -m 10 $url/api/arp >"$work/arp"
matches "/api/arp knows the host" "$work/arp" '"address":"192.0.2.1"'
curl -sS -m 10 $url/api/route >"$work/route"
matches "/api/route knows the network" "$work/route" '"destination":"192.0.2.0"'
curl -sS -m 10 $url/api/stat >"$work/stat"
matches "/api/stat counts" "$work/stat" '"TcpPassiveOpens":[1-9]'

# ---- Listing
curl -sS -m 10 $url/dir/ >"$work/list"
equal "a listing: in order, hidden names and links to the outside left out, escaped" \
	"$(sed -n 's/.*href="\([^"]*\)".*/\1/p' "$work/list" | xargs)" \
	"../ ./%3Cb%3E%26%22x/ ./a%3A%20b%25.txt ./b.txt ./in.html"
lacks "a listing: no name becomes markup" "$work/list" '<b>'
equal "a listing: its links lead there" "$(curl -sSf -m 10 "$url/dir/./a%3A%20b%25.txt")" 1
equal "a directory without its slash" "$(field location $url/dir)" "/dir/"
equal "a link to the inside" "$(curl -sSf -m 10 $url/dir/in.html)" "a page"
equal "a link to the outside" "$(status $url/dir/out)" 404
equal "a directory outside" "$(status $url/up/outside)" 404
equal "a FIFO" "$(status $url/fifo)" 404

# ---- Ranges
part() {
	dd if="$www/file.bin" bs=1 skip="$1" count="$2" 2>/dev/null | sha
}
equal "a range: 206" "$(status -r 100-199 $url/file.bin)" 206
equal "a range: its bytes" "$(curl -sSf -r 100-199 $url/file.bin | sha)" "$(part 100 100)"
equal "a range: where it is" "$(field content-range -r 100-199 $url/file.bin)" "bytes 100-199/5000000"
equal "the last bytes" "$(curl -sSf -r -500 $url/file.bin | sha)" "$(part 4999500 500)"
equal "from a byte on" "$(curl -sSf -r 4999990- $url/file.bin | sha)" "$(part 4999990 10)"
equal "a range of /bytes" "$(curl -sSf -r 251-253 $url/bytes/1000 | od -An -tu1 | xargs)" "0 1 2"
equal "beyond the end: 416" "$(status -r 5000000- $url/file.bin)" 416
equal "416 says how long it is" "$(field content-range -r 5000000- $url/file.bin)" "bytes */5000000"
equal "what is no range is ignored" "$(status -H 'Range: bytes=5-2' $url/file.bin)" 200
equal "another unit is ignored" "$(status -H 'Range: lines=1-2' $url/file.bin)" 200
equal "HEAD has no range" "$(status -I -r 0-9 $url/file.bin)" 200
equal "Accept-Ranges" "$(field accept-ranges $url/file.bin)" bytes
cat >"$work/multi.py" <<'PY'
import email, sys
head, body = open(sys.argv[1], "rb").read().split(b"\r\n\r\n", 1)
fields = head.split(b"\r\n", 1)[1]
data = open(sys.argv[2], "rb").read()
length = [l for l in fields.lower().split(b"\r\n") if l.startswith(b"content-length:")][0]
assert int(length.split(b":")[1]) == len(body), (length, len(body))
boundary = b"--" + email.message_from_bytes(fields + b"\r\n\r\n").get_boundary().encode()
pieces = body.split(b"\r\n" + boundary)
assert pieces[0] == b"" and pieces[-1] == b"--\r\n", pieces[-1]
for piece, (first, last) in zip(pieces[1:-1], ((0, 9), (1000, 300999), (4999999, 4999999)), strict=True):
    head, content = piece[2:].split(b"\r\n\r\n", 1)
    assert b"Content-Range: bytes %d-%d/5000000" % (first, last) in head, head
    assert content == data[first:last + 1], len(content)
PY
curl -sS -m 10 -i -r 0-9,1000-300999,-1 $url/file.bin >"$work/multi"
check "several ranges: multipart/byteranges" python3 "$work/multi.py" "$work/multi" "$www/file.bin"
equal "overlapping without end: all of it" \
	"$(status -H "Range: bytes=0-,0-,0-,0-" $url/file.bin)" 200

# ---- Conditions
touch -d '2020-05-06 07:08:09 UTC' "$www/page.html"
tag=$(field etag $url/page.html)
date=$(field last-modified $url/page.html)
equal "Last-Modified" "$date" "Wed, 06 May 2020 07:08:09 GMT"
matches "a strong ETag" <(echo "$tag") '^"[0-9a-f-]+"$'
# cond NAME WANTED CURL-ARG...
cond() {
	local name=$1 want=$2
	shift 2
	equal "condition: $name: $want" "$(status "$@" $url/page.html)" "$want"
}
old='Tue, 05 May 2020 00:00:00 GMT'
cond "If-None-Match, the same" 304 -H "If-None-Match: \"x\", W/$tag"
cond "If-None-Match, another" 200 -H 'If-None-Match: "x"'
cond "If-None-Match: *" 304 -H 'If-None-Match: *'
cond "If-Modified-Since, the same" 304 -H "If-Modified-Since: $date"
cond "If-Modified-Since, older" 200 -H "If-Modified-Since: $old"
cond "If-Modified-Since in the form of RFC 850" 304 -H "If-Modified-Since: Wednesday, 06-May-20 07:08:09 GMT"
cond "If-Modified-Since in asctime's form" 304 -H "If-Modified-Since: Wed May  6 07:08:09 2020"
cond "If-Modified-Since, no date" 200 -H "If-Modified-Since: yesterday"
cond "If-None-Match goes before If-Modified-Since" 200 -H 'If-None-Match: "x"' -H "If-Modified-Since: $date"
cond "If-Match, the same" 200 -H "If-Match: $tag"
cond "If-Match, weak" 412 -H "If-Match: W/$tag"
cond "If-Match, another" 412 -H 'If-Match: "x"'
cond "If-Match: *" 200 -H 'If-Match: *'
cond "If-Unmodified-Since, the same" 200 -H "If-Unmodified-Since: $date"
cond "If-Unmodified-Since, older" 412 -H "If-Unmodified-Since: $old"
cond "If-Match goes before If-Unmodified-Since" 200 -H "If-Match: $tag" -H "If-Unmodified-Since: $old"
cond "412 goes before 304" 412 -H 'If-Match: "x"' -H "If-None-Match: $tag"
cond "If-Range, the same" 206 -r 0-1 -H "If-Range: $tag"
cond "If-Range, another" 200 -r 0-1 -H 'If-Range: "x"'
cond "If-Range, weak" 200 -r 0-1 -H "If-Range: W/$tag"
cond "If-Range, the date" 206 -r 0-1 -H "If-Range: $date"
cond "If-Range, another date" 200 -r 0-1 -H "If-Range: $old"
equal "304 has no content, and the tag" "$(curl -sS -H "If-None-Match: $tag" -D - $url/page.html | tr -d '\r' |
	grep -ciE '^(etag|last-modified|date):|^content-|a page')" 3
equal "what is not there is 404, whatever the condition" "$(status -H 'If-Match: "x"' $url/none)" 404

# ---- Without --allow-put
equal "PUT is 405" "$(status -T "$www/page.html" $url/new)" 405
equal "DELETE is 405" "$(status -X DELETE $url/page.html)" 405
equal "Allow" "$(field allow -X OPTIONS $url/page.html)" "GET, HEAD, OPTIONS"
# shellcheck disable=SC2046
equal "curl -Z: 40 at once" "$(curl -sS --no-progress-meter -Z --parallel-max 20 -m 30 -w '%{http_code}\n' \
	$(for i in $(seq 40); do echo "-o $work/z$i $url/file.bin"; done) 2>/dev/null | sort | uniq -c | xargs)" "40 200"
equal "curl -Z: all the same" "$(cat "$work"/z* | sha)" "$(for i in $(seq 40); do cat "$www/file.bin"; done | sha)"
rm -f "$work"/z*
run $py tests/net/http_raw.py $STACK 80
run $py tests/net/ws.py $STACK 80
check "and it lives" curl -sSf -m 10 -o /dev/null $url/
stop_stack

# ---- With --allow-put
start_stack -q --www "$www" --allow-put
put() {
	status -T "$@"
}
equal "PUT of what is new: 201" "$(put "$www/page.html" $url/new.txt)" 201
equal "PUT of what is there: 204" "$(put "$www/file.bin" $url/new.txt)" 204
equal "PUT: it is there" "$(sha <"$www/new.txt")" "$(sha <"$www/file.bin")"
tag=$(field etag $url/new.txt)
equal "PUT names the tag" "$(field etag -T "$www/file.bin" $url/dir/x)" "$(field etag $url/dir/x)"
equal "PUT in chunks" "$(curl -sS -m 20 -o /dev/null -w '%{http_code}' -T - $url/chunked <"$www/file.bin")" 201
equal "PUT in chunks: it is there" "$(sha <"$www/chunked")" "$(sha <"$www/file.bin")"
equal "PUT of nothing" "$(put /dev/null $url/nothing)" 201
equal "PUT where there is no directory: 409" "$(put "$www/page.html" $url/no/such)" 409
equal "PUT of a directory: 409" "$(put "$www/page.html" $url/dir)" 409
equal "PUT with a slash at the end: 409" "$(status -X PUT --data-binary x $url/dir/)" 409
equal "PUT through a link to the outside: 403" "$(put "$www/page.html" $url/up/new)" 403
equal "PUT over a link: 409" "$(put "$www/page.html" $url/dir/out)" 409
equal "PUT over a FIFO: 409" "$(put "$www/page.html" $url/fifo)" 409
equal "PUT of a temporary name: 403" "$(put "$www/page.html" $url/.tapglass-upload-1)" 403
equal "PUT of a part: 400" "$(put "$www/page.html" -H 'Content-Range: bytes 0-1/7' $url/new.txt)" 400
equal "PUT If-None-Match: *: 412" "$(put "$www/page.html" -H 'If-None-Match: *' $url/new.txt)" 412
equal "PUT If-Match, another: 412" "$(put "$www/page.html" -H 'If-Match: "x"' $url/new.txt)" 412
equal "PUT If-Match, not there: 412" "$(put "$www/page.html" -H 'If-Match: *' $url/none)" 412
equal "PUT If-Match, the same: 204" "$(put "$www/page.html" -H "If-Match: $tag" $url/new.txt)" 204
equal "the outside is as it was" "$(cat "$work/outside")" outside
equal "DELETE If-Match, another: 412" "$(status -X DELETE -H 'If-Match: "x"' $url/new.txt)" 412
equal "DELETE: 204" "$(status -X DELETE $url/new.txt)" 204
equal "DELETE again: 404" "$(status -X DELETE $url/new.txt)" 404
equal "DELETE of a directory: 409" "$(status -X DELETE $url/dir)" 409
equal "DELETE outside: 403" "$(status -X DELETE $url/up/outside)" 403
equal "OPTIONS *" "$(field allow -X OPTIONS --request-target '*' $url)" "GET, HEAD, POST, PUT, DELETE, OPTIONS"

# Two uploads to one place, read meanwhile: always one of them, whole.
head -c 20000000 /dev/zero | tr '\0' a >"$work/a"
head -c 20000000 /dev/zero | tr '\0' b >"$work/b"
put "$work/a" $url/race >/dev/null
writers=()
for f in a b a b; do
	put "$work/$f" --limit-rate 40M $url/race >"$work/put.$f" &
	writers+=($!)
done
for _ in 1 2 3 4 5 6; do
	curl -sSf -m 20 $url/race | tr -d '\n' | fold -w 1000000 | sort -u | wc -l
done >"$work/race"
wait "${writers[@]}"
equal "uploads are seen whole or not at all" "$(sort -u "$work/race")" 1
# An upload that breaks off leaves nothing.
timeout 1 curl -sS --limit-rate 1M -T "$work/a" $url/broken >/dev/null 2>&1
sleep 0.3
equal "an upload that breaks off: nothing there" "$(status $url/broken)" 404
equal "and nothing left" "$(find "$www" -name '.tapglass-upload-*' | wc -l)" 0

# ---- 1 GB each way
head -c 1000000000 /dev/zero | openssl enc -aes-128-ctr -K 00 -iv 00 >"$work/gb" 2>/dev/null ||
	head -c 1000000000 /dev/urandom >"$work/gb"
want=$(sha <"$work/gb")
equal "1 GB up: 201" "$(put "$work/gb" -m 60 $url/gb)" 201
rm "$work/gb"
equal "1 GB up: as it was" "$(sha <"$www/gb")" "$want"
equal "1 GB down" "$(curl -sSf -m 60 $url/gb | sha)" "$want"
rm -f "$www/gb"
run $py tests/net/http_raw.py $STACK 80 put
equal "nothing is left of slow uploads" "$(find "$www" -name '.tapglass-upload-*' -o -name slow | wc -l)" 0
stop_stack
"$TAPGLASS" up --allow-put >"$work/out" 2>"$work/err" </dev/null
equal "--allow-put without --www is a usage error" "$?" 2
finish
