#!/bin/bash
# make install and uninstall, below a directory of ours; what is there afterwards can be built on and is all removed.
. "$(dirname "$0")/lib.sh"

dest=$work/dest
root=$dest/usr/local
mkdir "$dest"
as=
if [ "$(id -u)" = 0 ] && setpriv --reuid=65534 --regid=65534 --clear-groups true 2>/dev/null; then
	chmod 711 "$work"
	chown 65534 "$dest"
	as="setpriv --reuid=65534 --regid=65534 --clear-groups"
fi
# The build is there: an ordinary user only copies.
check "an ordinary user installs into DESTDIR" $as env DESTDIR="$dest" scripts/install install
(cd "$dest" && find . ! -type d | sort) >"$work/files"
for f in bin/tapglass lib/libtapglass.a lib/libtapglass.so lib/libtapglass.so.0 lib/libtapglass-packetdrill.so include/tapglass.h include/tapglass_host.h \
	include/tapglass_inspect.h include/tapglass_drill.h include/tapglass_journal.h include/tapglass_rules.h include/tapglass_step.h lib/pkgconfig/tapglass.pc share/man/man1/tapglass.1 \
	share/man/man7/tapglass.7 share/man/man7/tapglass-packetdrill.7 share/man/man3/tg_create.3 share/man/man3/tg_sock.3 share/man/man3/tg_host.3 \
	share/bash-completion/completions/tapglass; do
	check "it puts $f there" test -s "$root/$f"
done
equal "the shared object's name" "$(objdump -p "$root/lib/libtapglass.so" | awk '$1 == "SONAME" { print $2 }')" libtapglass.so.0
equal "the program runs" "$("$root/bin/tapglass" --version)" "tapglass $(pkg-config --modversion "$root/lib/pkgconfig/tapglass.pc")"

# README's example, built on that alone.
awk '/^```c$/ { on = 1; next } /^```/ { on = 0 } on' README.md >"$work/example.c"
wanted=$(awk '/^```output$/ { on = 1; next } /^```/ { on = 0 } on' README.md)
export PKG_CONFIG_PATH=$root/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$dest
flags=$(pkg-config --cflags --libs tapglass)
# shellcheck disable=SC2086
check "the example builds with pkg-config" sh -c 'cd "$1" && shift && cc -std=c11 -o example example.c "$@"' - "$work" $flags
equal "and runs with the shared object" "$(LD_LIBRARY_PATH=$root/lib "$work/example")" "$wanted"
equal "by its name" "$(objdump -p "$work/example" | awk '$1 == "NEEDED" && /tapglass/ { print $2 }')" libtapglass.so.0
# shellcheck disable=SC2046
check "and with the archive" cc -std=c11 -o "$work/example" "$work/example.c" $(pkg-config --cflags tapglass) "$root/lib/libtapglass.a"
equal "which needs no shared object" "$("$work/example")" "$wanted"
check "with man pages" sh -c "! command -v man >/dev/null || man -M '$root/share/man' -w tapglass tg_sock"

check "installing again changes nothing" make --no-print-directory install DESTDIR="$dest"
equal "the same files" "$(cd "$dest" && find . ! -type d | sort | cmp - "$work/files" && echo same)" same
echo other >"$root/bin/other"
check "uninstall" make --no-print-directory uninstall DESTDIR="$dest"
equal "leaves what is not ours, and nothing else" "$(cd "$dest" && find . ! -type d)" ./usr/local/bin/other
check "another PREFIX" make --no-print-directory install PREFIX="$work/opt"
equal "is in the .pc file" "$(env -u PKG_CONFIG_SYSROOT_DIR PKG_CONFIG_PATH="$work/opt/lib/pkgconfig" pkg-config --cflags tapglass | xargs)" "-I$work/opt/include"
check "and goes away again" make --no-print-directory uninstall PREFIX="$work/opt"
equal "entirely" "$(find "$work/opt" ! -type d)" ""
check "a PREFIX that is not absolute is refused" sh -c '! make --no-print-directory install PREFIX=here'
equal "what cannot be written fails" "$(make --no-print-directory install DESTDIR=/dev/null >/dev/null 2>&1; echo $?)" 2
finish
