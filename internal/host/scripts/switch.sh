# The dead man's switch (ROLL-8) of one transaction, in $w, the ledger's directory of the way back. It is one file, "decision", made by
# link(2): who is first decides whether the host stays (confirmed), goes back (back), or never began (void).

# decide WORD: sets decision to what was decided, now or before.
decide() {
	printf '%s\n' "$1" >"$w/decision.$$"
	sync "$w/decision.$$" 2>/dev/null || sync
	ln "$w/decision.$$" "$w/decision" 2>/dev/null
	rm -f "$w/decision.$$"
	first "$w/decision" || fail space "writing the decision failed"
	decision=$l
	sync "$w" 2>/dev/null || sync
}
# named: sets name to what unit and cron file are called. Ids have characters that neither takes.
named() {
	printf '%s\n' "${w##*/}" >"$w/name"
	sha256 "$w/name"
	name=cpacman-switch-$(printf '%s' "$sum" | cut -c1-12)
}
# crond: a cron daemon runs that reads /etc/cron.d; busybox's does not.
crond() {
	[ -d /etc/cron.d ] || return 1
	for f in /proc/[0-9]*/comm; do
		first "$f" || continue
		case $l in cron | crond | fcron) ;; *) continue ;; esac
		case $(readlink "${f%comm}exe") in *busybox*) ;; *) return 0 ;; esac
	done
	return 1
}
# arm: what fires whatever becomes of this connection, of the host's processes and of its boot. Refuses where nothing does.
arm() {
	sinceboot
	first /proc/sys/kernel/random/boot_id
	printf '%s\n' "$watch" >"$w/watch.sh" && printf '%s\n' "$id" >"$w/for" && printf '%s\n' "$seconds" >"$w/seconds" &&
		printf '%s %s\n' "$l" "$up" >"$w/armed" || fail space "writing the switch failed"
	fires "$id" && return 0
	rm -rf "$w"
	fail noswitch "neither systemd nor a cron daemon is there to fire after a reboot"
}
# fires ID: has the switch of a transaction looked after, now and after every boot, until it is disarmed. 1: nothing here does that.
fires() {
	named
	cmd="/bin/sh $w/watch.sh - $dir ${w##*/}"
	if [ -d /run/systemd/system ]; then
		{
			printf '[Unit]\nDescription=cpacman dead man'"'"'s switch of %s\n[Service]\nType=oneshot\nKillMode=process\nSendSIGKILL=no\n' "$1"
			printf 'ExecStart=%s\n' "$cmd"
		} >"/etc/systemd/system/$name.service" &&
			printf '[Unit]\nDescription=cpacman dead man'"'"'s switch of %s\n[Timer]\nOnActiveSec=2s\nOnBootSec=15s\nOnUnitInactiveSec=3s\nAccuracySec=1s\n[Install]\nWantedBy=timers.target\n' \
				"$1" >"/etc/systemd/system/$name.timer" || fail noswitch "/etc/systemd/system cannot be written"
		{ systemctl daemon-reload && systemctl enable "$name.timer" && systemctl start "$name.timer"; } </dev/null >"$w/arm.log" 2>&1 || {
			disarm
			fail noswitch "systemd does not take the timer"
		}
	elif crond; then
		printf '* * * * * root %s >/dev/null 2>&1\n' "$cmd" >"/etc/cron.d/$name" || fail noswitch "/etc/cron.d cannot be written"
		chmod 644 "/etc/cron.d/$name"
		run="exec $cmd loop </dev/null >/dev/null 2>&1"
		detached "$name" "cpacman switch"
	else
		return 1
	fi
	sync
}
# kernel VERB: what becomes of the new kernel that the transaction brings, where it does; its words are in said.
kernel() {
	said=
	[ -f "$w/kernel.sh" ] || return 0
	said=$(/bin/sh "$w/kernel.sh" - "$dir" "${w##*/}" "$1" </dev/null 2>>"$w/kernel.log") && return 0
	said=$(printf '%s' "$said" | tr '\n' ' ' | cut -c1-500)
	return 1
}
# state PHASE MODE: the state of $w before its runner writes it.
state() {
	first /proc/sys/kernel/random/boot_id
	printf 'protocol 1\nphase %s\nmode %s\ntoken %s\npid 0\nboot %s\ntime %s\n' "$1" "$2" "$token" "$l" "$(date +%s)" >"$w/state.new" &&
		mv -f "$w/state.new" "$w/state" || fail space "writing the state failed"
	sync "$w/state" "$w" 2>/dev/null || sync
}
# claim: the way back in $w is ours to begin, again where it was cut. Its state says so, and whoever looks from now on leaves it alone.
# The mutex is held, and its state was looked at since.
claim() {
	rmdir "$w/run-back" 2>/dev/null
	state accepted back
}
# onnew: sets new to the kernel that was to be booted once, at to the boot before. 0: it runs.
onnew() {
	new= at=
	[ ! -f "$w/kernel" ] || while read -r k v; do
		case $k in new) new=$v ;; esac
	done <"$w/kernel"
	first /proc/sys/kernel/osrelease
	[ -n "$new" ] && [ "$new" = "$l" ]
}
# onold: the new kernel was to be booted once, the host has booted since, and another runs. That is written down for whoever asks.
onold() {
	[ -f "$w/once" ] && read -r k at new <"$w/once" && [ "$k" = set ] || return 1
	first /proc/sys/kernel/random/boot_id
	[ "$l" != "$at" ] || return 1
	first /proc/sys/kernel/osrelease
	[ "$l" != "$new" ] || return 1
	printf 'its new kernel %s did not come up: it booted with %s\n' "$new" "$l" >"$w/why"
}
# disarm: removes what arm made. Repeating it is no error.
disarm() {
	named
	if [ -e "/etc/systemd/system/$name.timer" ]; then
		systemctl disable --now "$name.timer" </dev/null >/dev/null 2>&1
		rm -f "/etc/systemd/system/$name.timer" "/etc/systemd/system/$name.service" "/etc/systemd/system/timers.target.wants/$name.timer"
		systemctl daemon-reload </dev/null >/dev/null 2>&1
	fi
	rm -f "/etc/cron.d/$name"
}
# over: it is decided, and done where it had to be: what it held goes. 1: it is not over; the control host may have decided anew.
over() {
	for n in 1 2 3 4 5; do
		if enter; then
			first "$w/decision"
			decision=$l
			entry "$w"
			if [ "$decision" = back ] && ! ended || [ -z "$decision" ]; then
				leave
				return 1
			fi
			rm -rf "$w/p"
			disarm
			leave
			return 0
		fi
		sleep 1
	done
	return 1
}
