# Looks after one switch: started by the timer every few seconds, by cron every minute. Arguments: the id of the way back; "loop" to
# stay and look again. It trusts no wall clock: time is the host's uptime, counted anew after a reboot.
back=$1
w=$dir/ledger/$back
[ -f "$w/for" ] || exit 0
first "$w/for"
id=$l
first "$w/seconds"
seconds=$l
decision=
# look: 0 when there is nothing more to look after.
look() {
	[ -f "$w/for" ] || exit 0
	first /proc/sys/kernel/random/boot_id
	now_boot=$l
	if [ -f "$w/decision" ]; then
		first "$w/decision"
		[ "$l" = back ] || return 0
		fire
		return
	fi
	sinceboot
	f=$dir/ledger/$id
	if [ ! -f "$f/state" ]; then
		forgotten && enter || return 1
		# Whoever begins it after all does so with the mutex held, and arms it anew.
		! forgotten || decide void
		leave
		[ "$decision" = void ] || return 1
		kernel unguard
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
	enter || return 1
	onold
	decide back
	leave
	[ "$decision" = back ] || return 0
	fire
}
# forgotten: it was armed, and has not begun within a quarter of an hour.
forgotten() {
	[ ! -f "$f/state" ] && read -r boot at <"$w/armed" || return 1
	[ "$boot" = "$now_boot" ] || at=0
	[ $(($up - $at)) -ge 900 ]
}
# fire: runs the way back, here, and again after a boot that cut it: it begins where it was.
fire() {
	active "$w" && return 1
	! ended || return 0
	token=$s_token
	# Off the new kernel first, by a boot, which may cut this: we are started again after it.
	kernel leave || return 1
	enter || return 1
	# Somebody else may have begun it meanwhile, or ended it.
	if active "$w" || ended; then
		leave
	else
		claim
		leave
		/bin/sh "$w/runner.sh" - "$dir" "$back" back </dev/null >"$w/runner.log" 2>&1
		entry "$w"
	fi
	ended
}
# One of us at a time.
if [ -d "$w/watching" ] && first "$w/watching/pid" && p=$l && first "$w/watching/start" && s=$l && starttime "$p" && [ "$t" = "$s" ]; then
	exit 0
fi
mkdir -p "$w/watching"
starttime $$
printf '%s\n' $$ >"$w/watching/pid"
printf '%s\n' "$t" >"$w/watching/start"
until look && over; do
	[ "$2" = loop ] || exit 0
	sleep 3
done
