# detached UNIT TEXT: starts $run outside of this session. Sets how.
detached() {
	how=
	if [ -d /run/systemd/system ]; then
		collect=
		systemd-run --help 2>/dev/null | grep -e --collect >/dev/null && collect=--collect
		# The unit's name excludes nothing, the ledger does. KillMode=process: a daemon that a scriptlet starts outlives the unit.
		systemd-run --quiet --unit="cpacman-$1" --description="$2" $collect -p KillMode=process \
			-p SendSIGKILL=no /bin/sh -c "$run" </dev/null >/dev/null 2>&1 && how=systemd
	fi
	[ -z "$how" ] || return 0
	how=setsid
	if command -v setsid >/dev/null 2>&1; then
		setsid /bin/sh -c "$run" </dev/null >/dev/null 2>&1 &
	else
		how=background
		(trap '' HUP; exec /bin/sh -c "$run") </dev/null >/dev/null 2>&1 &
	fi
}
