# Removes what cpacman left (PUSH-8). Arguments: all, spool or files; seconds a ledger entry must be old; whose uploads; then digests for
# files, and else whose uploads are over, however short a time ago they were heard of. A transaction, and a dead man's switch, have links of
# their own to what they need, and so have the uploads of others; with files only what nobody else has goes. Directories go when they are empty.
what=$1 age=$2 own=$dir/in/$3
shift 3
bytes() {
	l=$(du -sk "$1" 2>/dev/null)
	say removed "${l%%	*}" "$1"
}
# away FILE…: removes those that are there, but not those of a program that is at work, whose number is their ending.
away() {
	for f; do
		[ -e "$f" ] || [ -h "$f" ] || continue
		case $f in "$dir"/test.* | "$dir"/holder.[0-9]* | */.new.*) [ ! -d "/proc/${f##*.}" ] || continue ;; esac
		bytes "$f"
		rm -rf "$f"
	done
}
if [ -d "$dir" ] && [ "$what" = files ]; then
	# Also what it sent over connections that were lost since.
	[ ! -f "$own/.sent" ] || set -- "$@" $(cat "$own/.sent")
	rm -rf "$own"
	for d; do
		isdigest "$d" || fail argument "no digest: $d"
		f=$dir/spool/$d.rpm
		[ "$(stat -c %h "$f" 2>/dev/null)" != 1 ] || away "$f"
	done
elif [ -d "$dir" ]; then
	mutex
	running
	[ -z "$r" ] || fail busy "$r"
	! undecided || fail busy "the dead man's switch of $r has not decided yet"
	for e in "$dir"/in/* "$dir"/in/.[!.]*; do
		case " $* ${own##*/} " in
		*" ${e##*/} "*) ;;
		*)
			if [ -d "$e" ] && [ ! -h "$e" ] && heard "$e"; then
				first "$e/.owner"
				say kept "$l"
				continue
			fi
			;;
		esac
		away "$e"
	done
	away "$dir"/spool/* "$dir"/spool/.new.* "$dir"/test.* "$dir"/new.* "$dir"/holder.[0-9]* "$dir"/holder.gone
	if [ "$what" = all ]; then
		now=$(date +%s)
		for e in "$dir"/ledger/*; do
			[ -e "$e" ] || continue
			s_time=0
			[ ! -f "$e/state" ] || entry "$e"
			[ $(($now - $s_time)) -ge "$age" ] || continue
			bytes "$e"
			rm -rf "$e"
			[ ! -d /run/systemd/system ] || systemctl reset-failed "cpacman-${e##*/}-install.service" "cpacman-${e##*/}-erase.service" 2>/dev/null </dev/null
		done
	fi
	leave
	trap - 0
fi
rmdir "$dir/in" "$dir/spool" "$dir/ledger" "$dir" 2>/dev/null
[ -e "$dir" ] || say gone
say end
