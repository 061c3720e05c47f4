#!/bin/bash
# deps.sh [build|check|bench] [--dry-run]: installs what is missing.
#
# build: what compiling and running the program takes. check: what the tests take besides. bench: build, and the
# peers that the benchmarks measure.
# Looks for commands and files only, so that `make run` can ask every time. On Debian and its kin what is missing is named,
# then installed with apt-get: on a terminal after a question, else at once; as root, or through sudo if that asks nothing.
# Exit status: 0 nothing is missing (any more), 1 installing failed, 2 usage, 3 it has to be done by hand (the command is
# printed).
#
# DEPS_ROOT (for the tests): the directory under which files are looked for.
set -u

usage() {
	echo "usage: scripts/deps.sh [build|check|bench] [--dry-run]" >&2
	exit 2
}

what=build dry=0
for a in "$@"; do
	case $a in
	build | check | bench) what=$a ;;
	--dry-run) dry=1 ;;
	*) usage ;;
	esac
done
root=${DEPS_ROOT-}
missing=()

# cmd PACKAGE COMMAND...: all of the commands have to be there.
cmd() {
	local pkg=$1 c
	shift
	for c; do
		if ! command -v "$c" >/dev/null && [ ! -x "/usr/sbin/$c" ] && [ ! -x "/sbin/$c" ]; then
			missing+=("$pkg")
			return
		fi
	done
}

# file PACKAGE PATTERN...: one of the patterns has to match a file.
file() {
	local pkg=$1 p f
	shift
	for p; do
		for f in "$root"$p; do
			[ -e "$f" ] && return
		done
	done
	missing+=("$pkg")
}

cmd gcc gcc
cmd make make
cmd binutils ld ar nm objcopy
cmd pkg-config pkg-config
file libc6-dev '/usr/include/stdio.h' '/usr/local/include/stdio.h'
file libjson-c-dev '/usr/include/json-c/json.h' '/usr/local/include/json-c/json.h'
file libedit-dev '/usr/include/histedit.h' '/usr/local/include/histedit.h'
file libwslay-dev '/usr/include/wslay/wslay.h' '/usr/local/include/wslay/wslay.h'
if [ "$what" = check ]; then
	cmd clang clang
	file libclang-rt-dev '/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.asan-*.a' \
		'/usr/lib/clang/*/lib/linux/libclang_rt.asan-*.a' '/usr/lib/clang/*/lib/*/libclang_rt.asan*.a'
	cmd clang-format clang-format
	file check '/usr/include/check.h' '/usr/local/include/check.h'
	cmd valgrind valgrind
	cmd python3 python3
	file python3-websockets '/usr/lib/python3/dist-packages/websockets' \
		'/usr/lib/python3*/site-packages/websockets' '/usr/local/lib/python3*/*-packages/websockets'
	cmd shellcheck shellcheck
	cmd util-linux unshare setpriv
	cmd coreutils timeout sha256sum
	cmd procps ps pgrep
	cmd iproute2 ip ss
	cmd iputils-ping ping
	cmd curl curl
	cmd netcat-openbsd nc
	cmd nginx-light nginx
	cmd mandoc mandoc
	cmd tcpdump tcpdump
	cmd tshark tshark
	cmd wrk wrk
	cmd iperf3 iperf3
	cmd nmap nmap
	cmd chromium chromium
	cmd ethtool ethtool
	file libc6-dbg '/usr/lib/debug/.build-id' # valgrind needs the loader's symbols
fi
if [ "$what" = bench ]; then
	cmd python3 python3
	cmd util-linux unshare
	cmd iproute2 ip
	cmd procps sysctl
	cmd ethtool ethtool
	cmd iperf3 iperf3
	cmd wrk wrk
	cmd nginx-light nginx
	file liblwip-dev '/usr/include/lwip/lwip/tcp.h'
	cmd golang-go go
	file golang-gvisor-gvisor-dev '/usr/share/gocode/src/gvisor.dev/gvisor/pkg/tcpip'
fi

[ ${#missing[@]} -eq 0 ] && exit 0

id_like=
# shellcheck disable=SC1091
[ -r /etc/os-release ] && id_like=$(. /etc/os-release && echo "${ID-} ${ID_LIKE-}")

fedora_name() {
	case $1 in
	libc6-dev) echo glibc-devel ;;
	libc6-dbg) echo glibc-debuginfo ;;
	libjson-c-dev) echo json-c-devel ;;
	libedit-dev) echo libedit-devel ;;
	libwslay-dev) echo wslay-devel ;;
	libclang-rt-dev) echo compiler-rt ;;
	clang-format) echo clang-tools-extra ;;
	check) echo check-devel ;;
	iproute2) echo iproute ;;
	iputils-ping) echo iputils ;;
	netcat-openbsd) echo netcat ;;
	nginx-light) echo nginx ;;
	tshark) echo wireshark-cli ;;
	procps) echo procps-ng ;;
	pkg-config) echo pkgconf-pkg-config ;;
	shellcheck) echo ShellCheck ;;
	*) echo "$1" ;;
	esac
}

if ! command -v apt-get >/dev/null; then
	echo "tapglass: needed and not found, by Debian's names: ${missing[*]}" >&2
	case " $id_like " in
	*\ fedora\ * | *\ rhel\ *)
		names=
		for p in "${missing[@]}"; do names+=" $(fedora_name "$p")"; done
		echo "  fix: sudo dnf install$names" >&2
		;;
	*)
		echo "  fix: install them with this system's package manager" >&2
		echo "       (Fedora: json-c-devel check-devel; brew: json-c check pkg-config)" >&2
		;;
	esac
	exit 3
fi

# Debian has no wrk on every architecture, Ubuntu keeps it in universe: apt says so itself.
install="apt-get install -y --no-install-recommends ${missing[*]}"
echo "tapglass: missing for '$what': ${missing[*]}"
as=
if [ "$(id -u)" != 0 ]; then
	if command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
		as=sudo
		[ -t 0 ] || as='sudo -n'
	else
		echo "tapglass: this takes root. Run:"
		echo "  apt-get update && $install"
		exit 3
	fi
fi
echo "  will run: ${as:+$as }$install"
if [ "$dry" = 1 ]; then
	exit 0
fi
if [ -t 0 ] && [ -t 1 ]; then
	read -r -p "  go ahead? [y/N] " answer
	case $answer in
	[yY]*) ;;
	*)
		echo "  not installed"
		exit 3
		;;
	esac
fi

apt_get() {
	$as env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@" </dev/null
}
lists=(/var/lib/apt/lists/*_Packages*)
if [ ! -e "${lists[0]}" ]; then
	apt_get update || exit 1
fi
if ! apt_get install -y --no-install-recommends "${missing[@]}"; then
	# The lists may be older than what the archive holds now.
	if ! { apt_get update && apt_get install -y --no-install-recommends "${missing[@]}"; }; then
		echo "tapglass: apt-get could not install: ${missing[*]}" >&2
		exit 1
	fi
fi
