#!/bin/bash
# Completion: what `tapglass --complete` prints, what bash makes of it, and that --help, getopt and completion know the
# same options.
. "$(dirname "$0")/lib.sh"

T=build/tapglass
# words NAME WANTED WORD...: the words that WORD... could become.
words() {
	local name=$1 want=$2
	shift 2
	equal "$name" "$($T --complete "$@" | xargs)" "$want"
}

words "a verb" "route" ro
words "several" "ss stat sh setup sim step states" s
words "none" "" nonsense
words "help takes a verb" "doctor drill" help d
words "a long option" "--timeout" wait --t
words "the value of --link" "auto private veth sim tap:" up --link ""
words "begun" "private" up --link p
words "behind an equals sign, as bash splits it" "sim" ping --link = s
words "all of them" "auto private veth sim tap:" ping --link =
words "an option's argument that is a file" "" up --pcap ""
words "options without a verb are those of up" "--www" --ww
words "short ones where there is no long one" "-c -i -s -W -t --link --net --addr --mtu --sysctl --plain --big-tcp --cc --pacing --pcap --seed --busy --verbose --quiet --color --ready-fd --name --help $(for i in drop dup reorder corrupt delay rate; do echo "--$i --$i-in --$i-out"; done | xargs)" ping -
words "an argument is no option" "" ping -c ""
words "behind --" "" sh -- --n
words "a verb that is none" "" nonsense --
words "nothing at all" ""

verbs=$($T --complete "")
equal "the verbs are those of --help" "$($T --help | sed -n '/^verbs:/,/^$/s/^  \([a-z0-9]*\) .*/\1/p' | sort | xargs)" \
	"$(echo "$verbs" | sort | xargs)"
for v in $verbs; do
	[ "$v" = help ] || [ "$v" = version ] && continue
	equal "$v: completion and --help know the same options" "$($T --complete "$v" - | grep -vE -- '--(drop|dup|reorder|corrupt|delay|rate)-(in|out)$' | sort | xargs)" \
		"$($T "$v" --help | sed -n '/^\(options\|impairments\)/,/^example:/s/^  *\(-[a-zA-Z0-9]\), \(--[a-z0-9_-]*\).*/\2/p; t; /^example:/q; s/^  *\(--*[a-zA-Z0-9][a-z0-9_-]*\).*/\1/p' | grep '^-' | sort | xargs)"
	$T --complete "$v" - | while IFS= read -r o; do
		# An option with an argument takes the first --help, so that nothing is ever done.
		out=$($T "$v" "$o" --help --help 2>&1 </dev/null)
		case $out in *unknown*) echo "$o" ;; esac
	done >"$work/unknown" 2>/dev/null
	equal "$v: getopt knows them all" "$(xargs <"$work/unknown")" ""
done

cat >"$work/try.bash" <<'B'
. apps/completion.bash
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_tapglass
printf '%s\n' "${COMPREPLY[@]}"
B
equal "bash: a verb" "$(bash "$work/try.bash" $T cu)" curl
equal "bash: a value" "$(bash "$work/try.bash" $T up --color = a | xargs)" "auto always"
equal "bash: it is registered" "$(bash -c '. apps/completion.bash; complete -p tapglass')" "complete -o default -F _tapglass tapglass"
finish
