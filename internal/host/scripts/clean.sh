# Removes what cpacman left (PUSH-8). Arguments: all, spool or files; seconds a ledger entry must be old; then digests for
# files. Nothing is removed under a running transaction. Directories go when they are empty.
what=$1 age=$2
shift 2
if [ -d "$dir" ]; then
	mutex
	running
	[ -z "$r" ] || fail busy "$r"
	readlock
	bytes() {
		l=$(du -sk "$1" 2>/dev/null)
		say removed "${l%%	*}" "$1"
	}
	case $what in
	files)
		for d; do
			isdigest "$d" || fail argument "no digest: $d"
			for f in "$dir/spool/$d.rpm" "$dir/in/$d.rpm"; do
				[ ! -e "$f" ] || {
					bytes "$f"
					rm -f "$f"
				}
			done
		done
		rm -f "$dir"/in/*.part "$dir"/in/*.order
		;;
	spool | all)
		for f in "$dir"/spool/* "$dir"/spool/.new.* "$dir"/in/* "$dir"/test.* "$dir"/new.*; do
			[ ! -e "$f" ] || {
				bytes "$f"
				rm -rf "$f"
			}
		done
		;;
	esac
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
	rmdir "$dir/mutex" 2>/dev/null
	trap - 0
	rmdir "$dir/in" "$dir/spool" "$dir/ledger" "$dir" 2>/dev/null
	[ -e "$dir" ] || say gone
fi
say end
