#!/bin/bash
# scripts/netns.sh itself: alone inside, status passed on, nothing left behind.
. "$(dirname "$0")/lib.sh"

n=scripts/netns.sh
equal "nothing inside but lo, which is up" "$($n ip -br link | awk '{ print $1, $3 != "" }')" "lo 1"
equal "127.0.0.1 answers" "$($n ping -n -c 1 -W 2 127.0.0.1 >/dev/null 2>&1; echo $?)" 0
equal "IPv6 is on" "$($n cat /proc/sys/net/ipv6/conf/lo/disable_ipv6)" 0
equal "the exit status is passed on" "$($n sh -c 'exit 42'; echo $?)" 42
equal "so is standard input" "$(echo through | $n cat)" through
equal "arguments arrive as they are" "$($n printf '[%s]' 'a b' '' '*')" '[a b][][*]'
equal "usage is status 2" "$($n 2>/dev/null; echo $?)" 2
$n sh -c "sleep 3141 & echo started" >/dev/null
equal "what ran inside ends with it" "$(pgrep -fx 'sleep 3141' | wc -l)" 0
$n sleep 3142 &
pid=$!
sleep 0.3
kill -KILL $pid
wait $pid 2>/dev/null
sleep 0.3
equal "even if it is killed" "$(pgrep -fx 'sleep 3142' | wc -l)" 0
equal "interfaces made inside are not seen outside" \
	"$($n ip tuntap add dev dumdum mode tap; ip -o link show dumdum 2>/dev/null | wc -l)" 0
equal "an ordinary user has one too" \
	"$(setpriv --reuid=65534 --regid=65534 --clear-groups $n sh -c 'id -u; ip -br link | wc -l' | xargs)" "0 1"
finish
