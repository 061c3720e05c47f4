#!/bin/bash
# Many connections: 2,000 at once, 20,000 one after another, and a web load. timeout: 240
. "$(dirname "$0")/lib.sh"

ulimit -n "$(ulimit -Hn)" 2>/dev/null
sysctl -qw net.ipv4.ip_local_port_range='1024 65535' 2>/dev/null
start_stack -q
check "2,000 connections at once" "$LOAD" hold $STACK 7 2000
check "and again" "$LOAD" hold $STACK 7 2000
check "20,000 one after another" "$LOAD" cycle $STACK 7 20000
if timeout 40 wrk -t 2 -c 50 -d 10s http://$STACK/ >"$work/wrk" 2>&1; then
	sed 's/^/# /' "$work/wrk"
	lacks "wrk, 50 connections for 10 s: no error" "$work/wrk" "Socket errors|Non-2xx"
	matches "and many answers" "$work/wrk" "^ *[0-9]{4,} requests in"
else
	not_ok "wrk runs" "$work/wrk"
fi
check "afterwards it still answers" curl -sSf -m 10 -o /dev/null http://$STACK/
equal "and holds no connection but the one that asks" \
	"$(curl -sSf -m 10 http://$STACK/api/sockets | grep -o ESTAB | wc -l)" 1
stop_stack
finish
