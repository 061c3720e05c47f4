# shellcheck shell=bash
# Shared by tests/house/*.sh: TAP lines. Nothing here needs a privilege or a namespace.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
export LC_ALL=C
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cases=0 failures=0

# check NAME CMD...: the command succeeds within 120 s.
check() {
	local name=$1
	shift
	cases=$((cases + 1))
	if timeout -k 5 120 "$@" >"$work/check.out" 2>&1 </dev/null; then
		echo "ok $cases - $name"
	else
		failures=$((failures + 1))
		echo "not ok $cases - $name"
		tail -n 25 "$work/check.out" | sed 's/^/# /'
	fi
}

# equal NAME GOT WANTED
equal() {
	check "$1" sh -c 'printf "got:    %s\nwanted: %s\n" "$1" "$2"; [ "$1" = "$2" ]' - "$2" "$3"
}

finish() {
	echo "1..$cases"
	[ "$failures" = 0 ]
	exit
}
