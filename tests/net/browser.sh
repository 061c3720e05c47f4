#!/bin/bash
# A browser: headless Chromium loads a page from the stack, whose script talks to the WebSockets. timeout: 120
. "$(dirname "$0")/lib.sh"

mkdir -p "$work/www"
cp tests/net/ws_page.html "$work/www/index.html"
start_stack --www "$work/www"
timeout -k 5 60 chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
	--disable-background-networking --disable-component-update --disable-sync \
	--user-data-dir="$work/profile" --remote-debugging-port=0 "http://$STACK/index.html" \
	>"$work/chromium.out" 2>&1 &
browser=$!
for _ in $(seq 250); do
	grep -q 'GET /told/' "$stack_log" && break
	sleep 0.2
done
kill "$browser" 2>/dev/null
wait "$browser" 2>/dev/null
matches "Chromium got the page" "$stack_log" 'GET /(index.html)? '
matches "and text, long text, bytes, a close and an event over WebSockets" "$stack_log" 'GET /told/all-well '
lacks "nothing failed in the page" "$stack_log" 'GET /told/failed'
stop_stack
finish
