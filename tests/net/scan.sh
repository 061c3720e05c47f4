#!/bin/bash
# What a port scanner finds: the ports that are open and nothing else; and 10,000 HTTP connections held at once. timeout: 280
. "$(dirname "$0")/lib.sh"

# The open ports in nmap's grepable output, "7 9 19 80".
open_ports() {
	grep -o '[0-9]*/open/' "$1" | cut -d/ -f1 | tr '\n' ' ' | sed 's/ $//'
}

sysctl -qw net.ipv4.ip_local_port_range='1024 65535' 2>/dev/null
start_stack -q
for how in sT sS; do
	check "nmap -$how looks at all ports" nmap -n -Pn -$how -p- -T5 --min-rate 20000 --max-retries 2 \
		-oG "$work/$how" $STACK
	equal "-$how finds 7, 9, 19 and 80 open, no other" "$(open_ports "$work/$how")" "7 9 19 80"
	matches "-$how finds the others closed, not filtered" "$work/$how" "Ignored State: closed \(65531\)"
done
# Unreachables are rate-limited to 100 in a second (RFC 1812 4.3.2.8): all 65,536 would take an hour of nmap's
# patience. The first 300, among which are all that are open, show that what is not is closed, each one.
check "nmap -sU asks the first 300 UDP ports" nmap -n -Pn -sU -p 1-300 -T4 --max-retries 10 -oG "$work/sU" $STACK
equal "-sU finds 7, 9 and 19, of which 9 is silent, no other" \
	"$(grep -o '[0-9]*/open[|a-z]*/' "$work/sU" | tr '\n' ' ')" "7/open/ 9/open|filtered/ 19/open/ "
matches "-sU finds the others closed, not filtered" "$work/sU" "Ignored State: closed \(297\)"
check "nmap -O fingerprints it" nmap -n -Pn -O -p 7,9,81 --osscan-guess -oN "$work/O" $STACK
sed -n 's/^/# /p' "$work/O" | grep -iE "sequence|os|running" | head -5
check "it has survived and answers" curl -sSf -m 10 -o /dev/null http://$STACK/
equal "10,000 HTTP connections at once, each asked twice" \
	"$(timeout 120 python3 tests/net/http_held.py $STACK 10000)" "10000 10000"
check "and it still answers" curl -sSf -m 10 -o /dev/null http://$STACK/
stop_stack
finish
