#!/bin/bash
# The same program of socket calls on this machine's kernel and on Tapglass, over loopback: the transcripts are equal.
. "$(dirname "$0")/lib.sh"

# Deliberate differences, each a line of tests/net/transcript.differences: "kernel's line => Tapglass's line".
dir=build/release/tests/net
timeout 90 "$dir/transcript_kernel" >"$work/kernel" 2>"$work/kernel.err" </dev/null
equal "the kernel's run ends well" "$?" 0
timeout 90 "$dir/transcript_tapglass" >"$work/tapglass" 2>"$work/tapglass.err" </dev/null
equal "Tapglass's run ends well" "$?" 0
calls=$(sed -n 's/^\([0-9]*\) calls$/\1/p' "$work/tapglass")
check "at least 300 calls (${calls:-0})" test "${calls:-0}" -ge 300
while IFS='|' read -r kernel tapglass why; do
	[ -n "$why" ] || continue
	python3 - "$work/kernel" "$kernel" "$tapglass" <<'EOF'
import sys
path, old, new = sys.argv[1:]
text = open(path).read()
open(path, "w").write(text.replace(old, new))
EOF
done < <(grep -v '^#' tests/net/transcript.differences)
diff "$work/kernel" "$work/tapglass" >"$work/diff"
equal "the transcripts are equal" "$?" 0
[ -s "$work/diff" ] && sed 's/^/# /' "$work/diff" | head -60
finish
