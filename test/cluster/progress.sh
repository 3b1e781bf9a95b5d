# Says how far a build is that takes minutes. Source it after lib.sh.
# shellcheck shell=bash

beat=20 # seconds between two lines

# follow WHAT PACKAGES reads what go says: packages as it compiles them (-v),
# modules as it downloads them. It tells how far that is, and shows anything else,
# which is an error. PACKAGES is how many there will be, or nothing for modules.
follow() {
	local what=$1 total=$2 packages=0 modules=0 line status next=$((SECONDS + beat))
	while true; do
		status=0
		IFS= read -r -t "$((next > SECONDS ? next - SECONDS : 1))" line || status=$?
		[ "$status" -eq 0 ] || [ "$status" -gt 128 ] || break # neither a line nor time out: the end
		case $status:$line in
		"0:go: downloading "*) modules=$((modules + 1)) ;;
		"0:#"* | 0:*" "*) echo "$line" >&2 ;;
		0:*) packages=$((packages + 1)) ;;
		esac
		if [ "$SECONDS" -ge "$next" ]; then
			told "$what" "$total" "$packages" "$modules"
			next=$((SECONDS + beat))
		fi
	done
}

# told WHAT TOTAL PACKAGES MODULES prints the line, and leaves it for those who
# wait for this build.
told() {
	local line="$1: $3 of $2 packages compiled"
	if [ -z "$2" ]; then
		line="$1: $4 downloaded"
	elif [ "$3" -ge "$2" ]; then
		line="$1: all $2 packages compiled, linking"
	fi
	say "cluster programs: $line"
	echo "$line" >"$progress"
}
