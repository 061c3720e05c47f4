#!/bin/bash
# Options agreed on with the host's kernel, in both roles: timestamps, SACK, window scaling and ECN on or off at
# either side, MTU 576 to 9000, buffers of 4 KiB to 16 MiB, over a clean link and one that loses, reorders and duplicates. 200 KB to 1 MB
# go both ways at once; both ends' views of the connection have to be what was asked for. Every pair of values comes
# together once; with FULL=1 in the environment all combinations (some minutes; PART=k/n: every nth of them). timeout: 1200
. "$(dirname "$0")/lib.sh"

bad=(--drop 1% --reorder 1% --dup .5% --delay 1ms --seed 11)

# setting NAME VALUE: of the kernel in this namespace
setting() {
	echo "$2" >"/proc/sys/net/ipv4/$1"
}
# value ON SIDE OF: what a switch is at the kernel or the stack, to be on or off at the SIDEs given
value() {
	if [ "$1" = 0 ] && { [ "$2" = both ] || [ "$2" = "$3" ]; }; then echo 0; else echo 1; fi
}

# combination TS SACK WS ECN MTU BUFFERS LINK SIDE
combination() {
	local on=("$1" "$2" "$3" "$4") mtu=$5 buffers=$6 link=$7 side=$8 i name args=(-q --mtu "$5")
	local names=(tcp_timestamps tcp_sack tcp_window_scaling tcp_ecn)

	for i in 0 1 2 3; do
		setting "${names[i]}" "$(value "${on[i]}" "$side" kernel)"
		args+=(--sysctl "net.ipv4.${names[i]}=$(value "${on[i]}" "$side" stack)")
	done
	case $buffers in
	tiny) args+=(--sysctl "net.ipv4.tcp_rmem=4096 4096 4096" --sysctl "net.ipv4.tcp_wmem=4096 4096 4096") ;;
	huge) args+=(--sysctl "net.ipv4.tcp_rmem=4096 16777216 16777216" --sysctl "net.ipv4.tcp_wmem=4096 16777216 16777216") ;;
	esac
	[ "$link" = bad ] && args+=("${bad[@]}")
	name="ts $1 sack $2 wscale $3 ecn $4 mtu $mtu, $buffers buffers, $link link, off at $side"
	start_stack "${args[@]}"
	check "the kernel opens: $name" python3 tests/net/interop.py opens $STACK $HOST "${@:1:7}"
	check "the stack opens: $name" python3 tests/net/interop.py accepts $STACK $HOST "${@:1:7}"
	stop_stack quietly
}

python3 tests/net/interop.py rows ${FULL:+full} >"$work/rows"
if [ -n "${PART-}" ]; then
	awk -v k="${PART%/*}" -v n="${PART#*/}" 'NR % n == k % n' "$work/rows" >"$work/part"
	mv "$work/part" "$work/rows"
fi
export LIMIT_S=90
while read -r row; do
	# shellcheck disable=SC2086
	combination $row
done <"$work/rows"

# Would the checks notice?
for s in tcp_timestamps tcp_sack tcp_window_scaling tcp_ecn; do setting $s 1; done
start_stack -q
for wrong in "0 1 1 1 1500" "1 0 1 1 1500" "1 1 0 1 1500" "1 1 1 0 1500" "1 1 1 1 1400"; do
	# shellcheck disable=SC2086
	python3 tests/net/interop.py opens $STACK $HOST $wrong default clean >"$work/wrong" 2>&1
	equal "another agreement than $wrong is noticed" $? 1
done
stop_stack
finish
