# shellcheck shell=bash
# Completion of tapglass for bash. The words come from the program itself: tapglass --complete.
_tapglass() {
	local word
	COMPREPLY=()
	while IFS= read -r word; do
		COMPREPLY+=("$word")
	done < <("${COMP_WORDS[0]}" --complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
	# More is to be typed behind "tap:".
	if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *: ]]; then
		compopt -o nospace 2>/dev/null
	fi
}
complete -o default -F _tapglass tapglass
