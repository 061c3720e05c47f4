#!/bin/bash
# netns.sh CMD [ARG...]: runs a command in a network namespace of its own, which ends with it.
#
# Inside there is nothing but lo (up); IPv6 is left on, as on any host. The command may make interfaces, routes and servers:
# no other namespace sees them, and whatever still runs when the command returns is killed. As root it
# takes a network namespace, otherwise a user namespace too, in which the caller appears as root.
# Exit status: the command's; 2 usage; 3 no namespace can be had here.
set -u

if [ "${1-}" = --inside ]; then
	shift
	# This shell is process 1 in there: it reaps, and its end is the end of all of them.
	if ! ip link set lo up 2>/dev/null; then
		echo "netns.sh: cannot bring lo up (is ip of iproute2 there?)" >&2
		exit 3
	fi
	"$@"
	exit $?
fi
if [ $# -eq 0 ]; then
	echo "usage: scripts/netns.sh CMD [ARG...]" >&2
	exit 2
fi

PATH=$PATH:/usr/sbin:/sbin
user=
[ "$(id -u)" = 0 ] || user=--map-root-user
flags=(${user:+$user} --net --pid --fork --kill-child)
# A /proc that knows the new process ids. Inside some containers it cannot be mounted: do without.
if unshare "${flags[@]}" --mount-proc true 2>/dev/null; then
	flags+=(--mount-proc)
elif ! why=$(unshare "${flags[@]}" true 2>&1); then
	echo "netns.sh: no namespace to be had: $why" >&2
	exit 3
fi
exec unshare "${flags[@]}" -- "$0" --inside "$@"
