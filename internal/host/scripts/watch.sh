# Looks after one switch: started by the timer every few seconds, by cron every minute. Arguments: the id of the way back; "loop" to
# stay and look again. It trusts no wall clock: time is the host's uptime, counted anew after a reboot.
back=$1
w=$dir/ledger/$back
[ -f "$w/for" ] || exit 0
first "$w/for"
id=$l
first "$w/seconds"
seconds=$l
# look: 0 when there is nothing more to look after.
look() {
	if [ -f "$w/decision" ]; then
		first "$w/decision"
		[ "$l" = back ] || return 0
		fire
		return
	fi
	first /proc/sys/kernel/random/boot_id
	now_boot=$l
	read -r up rest </proc/uptime
	up=${up%%.*}
	f=$dir/ledger/$id
	if [ ! -f "$f/state" ]; then
		# It was armed and never began.
		read -r boot at <"$w/armed"
		[ "$boot" = "$now_boot" ] || at=0
		[ $(($up - $at)) -ge 900 ] || return 1
		decide void
		[ "$decision" != void ] || kernel unguard
		return 0
	fi
	active "$f" && return 1
	if [ "$s_phase" = refused ]; then
		decide void
		return 0
	fi
	# It was cut before it could say which kernel is booted: the one that ran, from now on, and not only once.
	if [ -f "$w/kernel" ] && [ ! -f "$w/once" ] && [ ! -f "$w/held" ] && kernel hold; then
		: >"$w/held"
	fi
	boot= at=0
	[ ! -f "$w/clock" ] || read -r boot at <"$w/clock"
	if [ "$boot" != "$now_boot" ]; then
		printf '%s %s\n' "$now_boot" "$up" >"$w/clock.new" && mv -f "$w/clock.new" "$w/clock"
		return 1
	fi
	[ $(($up - $at)) -ge "$seconds" ] || return 1
	onold
	decide back
	[ "$decision" = back ] || return 0
	fire
}
# fire: runs the way back, here, and again after a boot that cut it: it begins where it was.
fire() {
	entry "$w"
	case $s_phase in done | verified | refused) return 0 ;; esac
	first /proc/sys/kernel/random/boot_id
	now_boot=$l
	if [ "$s_phase" != armed ]; then
		active "$w" && return 1
		rmdir "$w/run-back" 2>/dev/null
	elif [ -d "$w/run-back" ]; then
		# Somebody has begun it this moment, or was cut before that was written down.
		echo >>"$w/idle"
		[ "$(grep -c '' "$w/idle")" -ge 20 ] || return 1
		rmdir "$w/run-back" 2>/dev/null
	fi
	# Off the new kernel first, by a boot, which may cut this: we are started again after it.
	kernel leave || return 1
	/bin/sh "$w/runner.sh" - "$dir" "$back" back </dev/null >"$w/runner.log" 2>&1
	entry "$w"
	case $s_phase in done | verified | refused) return 0 ;; esac
	return 1
}
# One of us at a time.
if [ -d "$w/watching" ] && first "$w/watching/pid" && p=$l && first "$w/watching/start" && s=$l && starttime "$p" && [ "$t" = "$s" ]; then
	exit 0
fi
mkdir -p "$w/watching"
starttime $$
printf '%s\n' $$ >"$w/watching/pid"
printf '%s\n' "$t" >"$w/watching/start"
until look; do
	[ "$2" = loop ] || exit 0
	sleep 3
done
over
