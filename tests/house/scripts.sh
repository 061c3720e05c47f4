#!/bin/bash
# The scripts themselves: what deps.sh says in each situation, what run-tests counts as a failure, make's targets.
. "$(dirname "$0")/lib.sh"

# ---- deps.sh
mkdir "$work/root" "$work/bin" "$work/sudo"
for t in bash sh id env; do ln -s "$(command -v $t)" "$work/bin/$t"; done
# deps STATUS NAME WANTED-LINE ENV... -- ARG...: runs deps.sh with few commands on the path and no headers.
deps() {
	local want=$1 name=$2 line=$3 status
	shift 3
	env "$@" scripts/deps.sh build --dry-run >"$work/deps.out" 2>&1 </dev/null
	status=$?
	check "deps.sh: $name" sh -c 'cat "$1"; echo "status $2"; [ "$2" = "$3" ] && grep -q -- "$4" "$1"' - \
		"$work/deps.out" "$status" "$want" "$line"
}
check "deps.sh: nothing is missing here" sh -c '[ -z "$(scripts/deps.sh build)" ]'
deps 3 "without apt-get it gives the names and status 3" "needed and not found.*libjson-c-dev" \
	PATH="$work/bin" DEPS_ROOT="$work/root"
printf '#!/bin/sh\nexit 0\n' >"$work/bin/apt-get"
chmod +x "$work/bin/apt-get"
if [ "$(id -u)" = 0 ]; then
	deps 0 "as root it says what it will run" "will run: apt-get install .*libc6-dev libjson-c-dev" \
		DEPS_ROOT="$work/root"
	rm "$work/bin/id"
	printf '#!/bin/sh\necho 1000\n' >"$work/bin/id"
	chmod +x "$work/bin/id"
fi
deps 3 "without root and sudo it prints the command, status 3" "^  apt-get update && apt-get install" \
	PATH="$work/bin" DEPS_ROOT="$work/root"
printf '#!/bin/sh\n[ "$1" = -n ]\n' >"$work/bin/sudo"
chmod +x "$work/bin/sudo"
deps 0 "with a sudo that asks nothing it takes that" "will run: sudo -n apt-get install" \
	PATH="$work/bin" DEPS_ROOT="$work/root"
check "deps.sh: the peers of the benchmarks are asked for by the benchmarks alone" sh -c '
	mkdir "$1/none"
	DEPS_ROOT="$1/none" scripts/deps.sh bench --dry-run >"$1/bench" </dev/null
	grep -q "liblwip-dev.* golang-gvisor-gvisor-dev" "$1/bench" || exit 1
	DEPS_ROOT="$1/none" scripts/deps.sh check --dry-run >"$1/check" </dev/null
	! grep -qE "lwip|gvisor|golang" "$1/check"' - "$work"
equal "deps.sh: bad usage is status 2" "$(scripts/deps.sh nonsense 2>/dev/null; echo $?)" 2

# ---- run-tests: each way to fail is a failure
root=$work/tree
mkdir -p "$root/scripts" "$root/tests/house"
cp scripts/run-tests "$root/scripts/"
# verdict NAME WANTED: run-tests' last line for a single script, whose body is standard input.
verdict() {
	local name=$1 want=$2
	{
		echo '#!/bin/bash'
		cat
	} >"$root/tests/house/x.sh"
	chmod +x "$root/tests/house/x.sh"
	equal "run-tests: $name" "$("$root/scripts/run-tests" house | tail -n 1)" "$want"
}
verdict "TAP lines are counted" "2 passed, 0 failed" <<<$'echo "ok 1 - a"; echo "ok 2 - b"'
verdict "a skipped case is named" "1 passed, 0 failed, 1 skipped" <<<$'echo "ok 1 - a"; echo "ok 2 - b # SKIP no"'
verdict "not ok fails" "1 passed, 1 failed" <<<$'echo "ok 1 - a"; echo "not ok 2 - b"; exit 1'
verdict "an exit status fails" "1 passed, 1 failed" <<<$'echo "ok 1 - a"; exit 3'
verdict "a signal fails" "0 passed, 1 failed" <<<$'kill -SEGV $$'
verdict "Check's line is read" "9 passed, 1 failed" <<<$'echo "90%: Checks: 10, Failures: 1, Errors: 0"; exit 1'
verdict "a sanitizer's report fails" "1 passed, 1 failed" <<<$'echo "ok 1 - a"; echo "x.c:1: runtime error: shift"'
verdict "a time-out fails, and ends what was started" "1 passed, 1 failed" <<<$'# timeout: 1\necho "ok 1 - a"; sleep 60'
equal "run-tests: no test at all fails" "$(rm "$root"/tests/house/*; "$root/scripts/run-tests" house | tail -n 1)" "0 passed, 1 failed"

# ---- make
check "make help lists the targets" sh -c "make help | grep -q 'make check '"
check "make refuses an unknown configuration" sh -c "! make CONFIG=nonsense lib"
check "nothing is left to do after make" make -q lib
finish
