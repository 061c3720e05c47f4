#!/bin/bash
# The man pages: well formed, and complete as to verbs, options, functions and each other.
. "$(dirname "$0")/lib.sh"

T=build/tapglass
for f in apps/man/*.[1-9]; do
	# That mandoc's own index does not know pages that are not installed is no fault of theirs.
	mandoc -Tlint "$f" 2>/dev/null | grep -vE "referenced manual not found|outdated mandoc.db" >"$work/lint"
	equal "$f: mandoc finds nothing" "$(cat "$work/lint")" ""
	sed -n 's/^\.Xr \([a-z_-]*\) \([0-9]\).*/\1.\2/p' "$f" | grep -E '^(tapglass|tg_)' | sort -u | while IFS= read -r x; do
		[ -e "apps/man/$x" ] || echo "$x"
	done >"$work/xr"
	equal "$f: the pages it refers to exist" "$(xargs <"$work/xr")" ""
done
equal "a seeded mistake is found" "$(printf '.Dd November 21, 2026\n.Dt X 1\n.Os\n.Sh NAME\n.Nm x\n.Nd y\n.Sh DESCRIPTION\n.Bl -tag\n' |
	mandoc -Tlint 2>/dev/null | grep -q 'ERROR\|WARNING' && echo yes)" yes

man=apps/man/tapglass.1
for v in $($T --complete ""); do
	check "tapglass.1 has the verb $v" grep -qE "^\.It Cm $v( |$)" $man
	[ "$v" = help ] || [ "$v" = version ] && continue
	# The verb's own part, and those that several share.
	awk -v v="$v" '/^\.It Cm / { on = $3 == v } /^\.Ss/ { on = 1 } /^\.Sh/ { on = 0 } on' $man >"$work/part"
	$T --complete "$v" - | while IFS= read -r o; do
		grep -qE -- "^(\.It|\.Fl|\.Pq).*Fl (. , Fl )?${o#-}( |$)|^\.Fl (h , )?${o#-}( |$)|^\.Fl h , ${o#-}( |$)" "$work/part" || echo "$o"
	done >"$work/unknown"
	equal "tapglass.1 has the options of $v" "$(xargs <"$work/unknown")" ""
done
grep -ohE '\bFl -[a-z0-9_-]+' $man | sed 's/^Fl -/--/' | sort -u >"$work/written"
{
	for v in $($T --complete ""); do $T --complete "$v" -; done
	echo --version
} | sort -u >"$work/known"
equal "tapglass.1 has no others" "$(comm -23 "$work/written" "$work/known" | grep -vx -- -- | xargs)" ""

for h in tapglass.h tapglass_host.h; do
	for f in $(gcc -fpreprocessed -dD -E -P stack/$h 2>/dev/null | tr '\n' ' ' | grep -oE 'TG_API [^;(]*\b[a-z0-9_]+\(' | grep -oE '[a-z0-9_]+\($' | tr -d '(' | grep -vx __attribute__); do
		check "$f has a page" grep -lqE "^\.Fo $f$" apps/man/tg_*.3
	done
done
finish
