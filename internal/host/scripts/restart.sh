# Restarts services after a transaction, detached, or tells how that stands. Arguments: the id, then the program that does it and the
# units; without these nothing is started. What was cut is done again when it is asked for again.
id=$1
[ -f "$dir/ledger/$id/state" ] || fail unknown "$id"
w=$dir/ledger/$id/restart
first /proc/sys/kernel/random/boot_id
now_boot=$l
# standing: sets st to none, running, cut or done.
standing() {
	st=none
	[ -d "$w" ] || return 0
	st=done
	[ ! -f "$w/done" ] || return 0
	st=cut
	a_time=0 a_boot=
	[ ! -f "$w/asked" ] || read -r a_time a_boot <"$w/asked"
	[ "$a_boot" = "$now_boot" ] || return 0
	pid= start=
	[ ! -f "$w/pid" ] || read -r pid start <"$w/pid"
	if [ -z "$pid" ]; then
		l=$(date +%s)
		[ $(($l - $a_time)) -ge 60 ] || st=running
	elif starttime "$pid" && [ "$t" = "$start" ]; then
		st=running
	fi
}
standing
if [ $# -gt 2 ] && [ "$st" != running ] && [ "$st" != done ]; then
	running
	[ -z "$r" ] || fail busy "$r"
	[ -d /run/systemd/system ] || fail nosystemd "there is no systemd"
	rm -rf "$w"
	mkdir "$w" || fail space "mkdir failed"
	printf '%s\n' "$2" >"$w/run.sh" || fail space "writing failed"
	shift 2
	printf '%s\n' "$@" >"$w/units" && printf '%s %s\n' "$(date +%s)" "$now_boot" >"$w/asked" || fail space "writing failed"
	sync "$w/units" "$w/asked" "$w" 2>/dev/null || sync
	run="exec /bin/sh '$w/run.sh' - '$dir' '$id' </dev/null >'$w/log' 2>&1"
	detached "$id-restart" "cpacman restarts services after $id"
	say started "$how"
	st=running
fi
say standing "$st"
[ ! -f "$w/result" ] || while read -r l; do say result "$l"; done <"$w/result"
[ ! -s "$w/log" ] || tail -c 4096 "$w/log" | sed "s/^/$N log /"
echo
say end
