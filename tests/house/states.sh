#!/bin/bash
# `tapglass states`: every move of the list, with clause and tests, as text and as a graph.
. "$(dirname "$0")/lib.sh"

T=build/tapglass
tab=$'\t'

$T states >"$work/text"
$T states -v >"$work/all"
$T states --dot >"$work/dot"
equal "a row for every move" "$(grep -cE '^[* ] ' "$work/text")" "$(grep -c . tests/moves.tsv)"
equal "eleven states, in the order of the RFC, each left by some move" "$(grep -E '^[A-Z]' "$work/text" | xargs)" \
	"CLOSED LISTEN SYN-SENT SYN-RECEIVED ESTABLISHED FIN-WAIT-1 FIN-WAIT-2 CLOSE-WAIT CLOSING LAST-ACK TIME-WAIT"
equal "what Figure 5 draws" "$(grep -c '^\*' "$work/text")" 19
equal "every row ends in a test that exists" "$(grep -E '^[* ] ' "$work/text" | awk '{ print $NF }' | while IFS= read -r t; do
	[ -e "tests/$t" ] || echo "$t"; done | xargs)" ""
equal "-v has all tests" "$(grep -oE '(drill|unit)/[^ ]*' "$work/all" | sort | xargs)" "$(cut -f4- tests/moves.tsv | tr "$tab" '\n' | sort | xargs)"
check "a clause" grep -qE '^\* LISTEN +passive OPEN +9293 3\.10\.1 +drill/' "$work/text"
equal "solid arrows" "$(grep -c -- '->.*label' <(grep -v dashed "$work/dot"))" 19
equal "every edge of the text is an arrow" "$(grep -oE '"[A-Z0-9-]+" -> "[A-Z0-9-]+"' "$work/dot" | tr -d '"' | sed 's/ -> /\t/' | sort -u)" \
	"$(cut -f1,2 tests/moves.tsv | sort -u)"
if command -v dot >/dev/null; then
	check "Graphviz reads it" dot -Tsvg -o "$work/svg" "$work/dot"
fi
equal "an argument is too many" "$($T states x >/dev/null 2>&1; echo $?)" 2
finish
