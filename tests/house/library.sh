#!/bin/bash
# The library as others see it: what it takes to build it, headers alone, names that cannot collide.
. "$(dirname "$0")/lib.sh"

warn="-std=c11 -Wall -Wextra -Wpedantic -Werror"
for h in stack/tapglass*.h; do
	name=$(basename "$h")
	printf '#include <%s>\n#include <%s>\nint main(void) { return 0; }\n' "$name" "$name" >"$work/h.c"
	# shellcheck disable=SC2086
	check "$name stands alone, and twice" gcc $warn -Istack -c -o "$work/h.o" "$work/h.c"
	check "$name is C++ too" clang++ -std=c++11 -Wall -Wextra -Werror -Istack -x c++ -fsyntax-only "$work/h.c"
done

# A program that happens to use our inner names for its own ends.
cat >"$work/clash.c" <<'C'
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <tapglass.h>
#include <tapglass_host.h>
int arena_alloc(void), tcp_input(void), seq_lt(void), timer_arm(void), core_create(void), csum_fold(void);
int arena_alloc(void) { return 1; }
int tcp_input(void) { return 1; }
int seq_lt(void) { return 1; }
int timer_arm(void) { return 1; }
int core_create(void) { return 1; }
int csum_fold(void) { return 1; }
int main(void)
{
	struct tg_config c;
	size_t n = 16u << 20;
	void *mem = aligned_alloc(4096, n);
	struct tg *s;

	for (size_t i = 0; i < n; i++)
		((volatile char *)mem)[i] = 0;
	tg_host_config(&c);
	s = tg_create(&c, mem, n, tg_host_now());
	puts(s ? "made" : "not made");
	free(mem);
	return !s;
}
C
check "the archive links into a program with clashing names" \
	gcc -std=c11 -Istack -o "$work/clash" "$work/clash.c" build/libtapglass.a
check "which makes an instance" "$work/clash"
check "so does the shared object" \
	gcc -std=c11 -Istack -o "$work/clash-so" "$work/clash.c" -Lbuild -ltapglass -Wl,-rpath,"$PWD/build"
check "and runs" "$work/clash-so"
equal "the shared object needs libc alone" \
	"$(objdump -p build/libtapglass.so | awk '$1 == "NEEDED" && $2 !~ /^(libc\.|ld-linux|libpthread|libm\.)/ { print $2 }')" ""
equal "no text relocation, no executable stack" \
	"$(objdump -p build/libtapglass.so | grep -cE 'TEXTREL|STACK.*rwx')" 0

# A fresh copy of what the library needs, with nothing on the path but a compiler, make and the basic tools.
mkdir "$work/bin" "$work/copy"
for t in gcc cc as ld ar nm objcopy make sh bash mkdir rm ln sed echo nproc; do
	p=$(command -v "$t") && ln -s "$p" "$work/bin/$t"
done
cp -r Makefile stack "$work/copy/"
check "make lib takes gcc, make and libc, nothing else" \
	env -i PATH="$work/bin" HOME="$work" make -C "$work/copy" lib
check "and leaves the archive and the shared object" \
	test -s "$work/copy/build/libtapglass.a" -a -s "$work/copy/build/libtapglass.so"
equal "the same sources give the same archive" \
	"$(make -C "$work/copy" clean >/dev/null && env -i PATH="$work/bin" make -C "$work/copy" lib >/dev/null 2>&1
	sha256sum <"$work/copy/build/libtapglass.a")" \
	"$(make -C "$work/copy" clean >/dev/null && env -i PATH="$work/bin" make -j1 -C "$work/copy" lib >/dev/null 2>&1
	sha256sum <"$work/copy/build/libtapglass.a")"
finish
