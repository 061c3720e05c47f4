#!/bin/bash
# The core cases again without any offload: frames of the MTU, checksums in software. timeout: 300
. "$(dirname "$0")/lib.sh"

head -c 50000000 /dev/urandom >"$work/up.bin"
start_stack -q --plain
check "ping" ping -n -c 1 -W 2 $STACK
check "ping in fragments" ping -n -c 2 -i 0.1 -W 2 -s 65507 $STACK
check "HTTP" curl -sSf -m 10 -o /dev/null http://$STACK/ http://$STACK/bytes/100000
fetch "200 MB from the stack" 200000000
echo_file "50 MB to the stack and back" "$work/up.bin"
check "UDP of every size" python3 tests/net/udp.py $STACK echo
check "UDP port unreachable" python3 tests/net/udp.py $STACK unreachable
check "a reader that sleeps" python3 tests/net/stream.py $STACK sleeping_reader
check "the stack's own window closes and opens again" python3 tests/net/stream.py $STACK sleeping_echo
check "500 connections at once" "$LOAD" hold $STACK 7 500
stop_stack

# segments TO PCAP FILE: what each frame with text to that port was, as far as two captures can agree.
segments() {
	tshark -r "$1" -Y "tcp.dstport == 9 && tcp.len > 0" -T fields -e ip.id -e tcp.seq_raw -e tcp.len -e tcp.flags \
		-e tcp.window_size_value -e tcp.options.timestamp.tsval -e tcp.checksum 2>/dev/null
}
head -c 3000000 "$work/up.bin" >"$work/3.bin"
start_stack -q --plain --pcap "$work/ours.pcapng"
tcpdump -i tap0 -B 65536 -s 128 -U -w "$work/kernel.pcap" 2>/dev/null &
dumper=$!
sleep 1
check "3 MB to discard" sh -c "nc -N $STACK 9 <'$work/3.bin'"
sleep 0.5
kill -INT $dumper && wait $dumper
"$TAPGLASS" stat >"$work/stat"
stop_stack
matches "frames that continue one another were merged" "$work/stat" 'LinkMerged +[1-9][0-9]+ '
segments "$work/ours.pcapng" >"$work/ours.txt"
check "all of them were captured" awk '{ n += $3 } END { exit n < 3000000 }' "$work/ours.txt"
segments "$work/kernel.pcap" >"$work/kernel.txt"
check "the kernel's capture has some of them" test "$(wc -l <"$work/kernel.txt")" -ge 100
equal "each as the frame that the kernel saw" "$(grep -vxFf "$work/ours.txt" "$work/kernel.txt" | head -5)" ""

start_stack -q --plain --drop 2% --reorder 1% --dup 1% --corrupt .1% --seed 11
head -c 10000000 "$work/up.bin" >"$work/10.bin"
fetch "10 MB over a bad link" 10000000
echo_file "10 MB to the stack and back over a bad link" "$work/10.bin"
stop_stack
finish
