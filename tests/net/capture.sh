#!/bin/bash
# --pcap FILE: what tshark and tcpdump think of it. timeout: 180
. "$(dirname "$0")/lib.sh"

verify=(-o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE -o udp.check_checksum:TRUE)

# judge NAME FILE: nothing malformed, no bad checksum, packets as on the wire.
judge() {
	local n
	tshark "${verify[@]}" -r "$2" -Y '_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0 ||
		udp.checksum.status == 0 || icmp.checksum.status == 0' >"$work/bad" 2>"$work/bad.err"
	if [ -s "$work/bad" ]; then not_ok "$1: nothing malformed, no bad checksum" "$work/bad"; else
		ok "$1: nothing malformed, no bad checksum"; fi
	lacks "$1: tshark reads it to its end" "$work/bad.err" "cut short|appears to be damaged|isn't a"
	n=$(tshark -r "$2" -Y 'frame.len > 1514' 2>/dev/null | wc -l)
	equal "$1: no frame is longer than the link's" "$n" 0
	for p in arp icmp tcp udp; do
		n=$(tshark -r "$2" -Y $p 2>/dev/null | wc -l)
		if [ "$n" -gt 1 ]; then ok "$1: $p in both directions"; else not_ok "$1: only $n $p frames"; fi
	done
	check "$1: tcpdump reads it too" sh -c "tcpdump -n -r '$2' | grep -q 'Flags \[S'"
}

traffic() {
	ping -n -c 2 -i 0.1 -s 4000 $STACK >/dev/null 2>&1
	curl -sS -m 20 http://$STACK/ http://$STACK/bytes/3000000 >/dev/null
	head -c 2000000 /dev/urandom | timeout 20 nc -N $STACK 7 >/dev/null
	python3 tests/net/udp.py $STACK echo >/dev/null 2>&1
	python3 tests/net/udp.py $STACK unreachable >/dev/null 2>&1
}

start_stack -q --pcap "$work/a.pcapng"
traffic
stop_stack
judge "offloads" "$work/a.pcapng"
equal "times do not run backwards" \
	"$(tshark -r "$work/a.pcapng" -T fields -e frame.time_epoch 2>/dev/null | sort -n -c 2>&1)" ""
equal "all bytes of the download are in it" \
	"$(tshark -r "$work/a.pcapng" -Y "tcp.srcport == 80 && tcp.len > 0 && !tcp.analysis.retransmission" -T fields -e tcp.len 2>/dev/null |
		awk '{ n += $1 } END { print (n > 3000000) }')" 1
matches "frames carry an interface name" <(tshark -r "$work/a.pcapng" -c 3 -T fields -e frame.interface_name 2>/dev/null) '[a-z]'

start_stack -q --plain --pcap "$work/b.pcapng"
traffic
stop_stack
judge "plain frames" "$work/b.pcapng"

start_stack -q --pcap "$work/c.pcapng" --drop 3% --corrupt 1% --dup 2% --seed 3
curl -sS -m 60 -o /dev/null http://$STACK/bytes/3000000
stop_stack
check "an impaired link's capture can be read" sh -c "tshark -r '$work/c.pcapng' | grep -q TCP"
start_stack -q --pcap "$work/d.pcapng"
ping -n -c 1 $STACK >/dev/null 2>&1
STOP_WITH=INT stop_stack
check "after Ctrl-C the file is whole" sh -c "tshark -r '$work/d.pcapng' | grep -q 'Echo .ping. reply'"
finish
