#!/bin/bash
# What the documents say has to be true: examples compile and run, files and targets that are named exist.
. "$(dirname "$0")/lib.sh"

# The C block of README.md.
awk '/^```c$/ { on = 1; next } /^```/ { on = 0 } on' README.md >"$work/example.c"
check "README has an example in C" test -s "$work/example.c"
check "it compiles without a warning" gcc -std=c11 -O2 -Wall -Wextra -Wpedantic -Werror -Istack \
	-o "$work/example" "$work/example.c" build/libtapglass.a
equal "and prints what README says" "$("$work/example" 2>&1)" \
	"$(awk '/^```output$/ { on = 1; next } /^```/ { on = 0 } on' README.md)"

for t in $(grep -ohE '`make [a-z]+(-[a-z]+)*`|^\$ make [a-z-]+' README.md stack/README.md | tr -d '$`' | awk '{ print $2 }' | sort -u); do
	check "make $t exists" sh -c "make -n --no-print-directory $t >/dev/null"
done
while IFS= read -r f; do
	check "$f exists" test -e "$f"
done < <(grep -ohE '\b(stack|apps|tests|scripts)/[A-Za-z0-9_./-]+' README.md | sed 's/[.]$//' | sort -u)
# The table of stack/README.md names files by folder: `tcp/a.c`, `b.c`.
awk -F'|' '/^\| `[a-z]+\/[a-z0-9_*]+\.[ch]`/ { print $2 }' stack/README.md | tr -d '` ' | tr , '\n' |
	awk '{ if (index($0, "/")) d = substr($0, 1, index($0, "/")); else $0 = d $0; print }' >"$work/table"
while IFS= read -r f; do
	compgen -G "stack/$f" >/dev/null || echo "$f"
done <"$work/table" >"$work/gone"
equal "stack/README.md: every file of its table exists" "$(xargs <"$work/gone")" ""
for f in stack/*/*.c; do
	known=no
	while IFS= read -r pattern; do
		# shellcheck disable=SC2053
		[[ ${f#stack/} == $pattern ]] && known=yes
	done <"$work/table"
	[ $known = yes ] || echo "$f"
done >"$work/unknown"
equal "stack/README.md: its table knows every source file" "$(xargs <"$work/unknown")" ""
while IFS= read -r t; do
	check "stack/README.md: tests/$t exists" sh -c "ls tests/$t*"
done < <(grep -oE '`(unit|net)/[a-z0-9_*]+`' stack/README.md | tr -d '`' | sort -u)
finish
