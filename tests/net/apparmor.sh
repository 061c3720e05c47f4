#!/bin/bash
# tapglass setup --apparmor, with a /etc of its own and a parser that notes how it was called.
. "$(dirname "$0")/lib.sh"

program=$(realpath "$TAPGLASS")
profile=/etc/apparmor.d/tapglass
cat >"$work/apparmor_parser" <<'PARSER'
#!/bin/sh
here=$(dirname "$0")
echo "$*" >>"$here/calls"
exit "$(cat "$here/status")"
PARSER
chmod +x "$work/apparmor_parser"
cat >"$work/inside" <<'INSIDE'
work=$1 program=$2 profile=$3
mount -t tmpfs none /etc || exit 9
[ "$4" = bare ] || mkdir /etc/apparmor.d
export PATH="$work:$PATH"
shift 4
for step in "$@"; do
	case $step in
	install) "$program" setup --apparmor; echo "status $?" ;;
	undo) "$program" setup --apparmor --undo; echo "status $?" ;;
	show) cat "$profile" 2>/dev/null || echo "no profile" ;;
	esac
done
INSIDE
within() {
	unshare --mount sh "$work/inside" "$work" "$program" "$profile" "$@" >"$work/out" 2>&1
}
if ! unshare --mount sh -c 'mount -t tmpfs none /etc' 2>/dev/null; then
	echo "ok 1 - setup --apparmor # SKIP no mount namespace to be had"
	echo "1..1"
	exit 0
fi
echo 0 >"$work/status"
within with install show undo show
equal "install and undo end well" "$(grep -c 'status 0' "$work/out")" 2
matches "the profile is for this program" "$work/out" "^profile tapglass \"$program\" flags=\(unconfined\) \{"
matches "and allows user namespaces" "$work/out" "^  userns,$"
matches "install says how to undo it" "$work/out" "sudo tapglass setup --apparmor --undo"
equal "the parser loads it, and takes it out" "$(cat "$work/calls")" "-r $profile
-R $profile"
equal "undo leaves nothing" "$(tail -1 "$work/out")" "no profile"
within with undo
matches "undo of nothing" "$work/out" "there is no profile $profile"
lacks "is a failure" "$work/out" "status 0"
echo 1 >"$work/status"
within with install show
matches "a parser that refuses" "$work/out" "does not take the profile .*nothing was changed"
lacks "is a failure, too" "$work/out" "status 0"
matches "and leaves no profile" "$work/out" "^no profile"
within bare install
matches "a system without AppArmor" "$work/out" "cannot write $profile"
lacks "that is a failure as well" "$work/out" "status 0"
finish
