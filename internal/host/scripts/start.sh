# Accepts a transaction and starts its runner, detached. Arguments: the drop directory, the order's digest, the id, the lock
# owner's token, install or erase, the runner.
id=$3 token=$4 mode=$5
place "$dir" "$dir/spool" "$dir/ledger"
w=$dir/ledger/$id
mutex
readlock
[ "$k_id" = "$token" ] || fail notlocked "${k_id:-nobody} holds the lock"
if [ "$mode" = erase ]; then
	[ -f "$w/state" ] || fail unknown "$id"
	first /proc/sys/kernel/random/boot_id
	now_boot=$l
	active "$w" && fail busy "$id"
	mkdir "$w/erase" 2>/dev/null || fail replay "$id erase"
else
	[ ! -e "$w" ] || fail replay "$id"
	running
	[ -z "$r" ] || fail busy "$r"
	# The order is copied and proven before the id is used up.
	mkdir "$dir/new.$$" || fail space "mkdir failed"
	w=$dir/new.$$
	trap 'rm -rf "$dir/new.$$"; rmdir "$dir/mutex" 2>/dev/null' 0
	order "$1" "$2"
	readorder "$w/order"
	[ "$o_id" = "$id" ] || fail argument "the order is for $o_id"
	w=$dir/ledger/$id
	mkdir "$w" 2>/dev/null || fail replay "$id"
	mv "$dir/new.$$/order" "$w/order" || fail space "mv failed"
fi
printf '%s\n' "$6" >"$w/runner.sh" || fail space "writing the runner failed"
first /proc/sys/kernel/random/boot_id
printf 'protocol 1\nphase accepted\nmode %s\ntoken %s\npid 0\nboot %s\ntime %s\n' "$mode" "$token" "$l" "$(date +%s)" >"$w/state.new" &&
	mv -f "$w/state.new" "$w/state" || fail space "writing the state failed"
sync "$w/state" "$w" 2>/dev/null || sync
rmdir "$dir/mutex"
trap - 0
[ "$mode" != install ] || rm -rf "$dir/new.$$"
run="exec /bin/sh '$w/runner.sh' - '$dir' '$id' $mode </dev/null >'$w/runner.log' 2>&1"
how=
if [ -d /run/systemd/system ]; then
	collect=
	systemd-run --help 2>/dev/null | grep -e --collect >/dev/null && collect=--collect
	# The unit's name excludes nothing, the ledger does. KillMode=process: a daemon that a scriptlet starts outlives the unit.
	systemd-run --quiet --unit="cpacman-$id-$mode" --description="cpacman transaction $id" $collect -p KillMode=process \
		-p SendSIGKILL=no /bin/sh -c "$run" </dev/null >/dev/null 2>&1 && how=systemd
fi
if [ -z "$how" ]; then
	how=setsid
	if command -v setsid >/dev/null 2>&1; then
		setsid /bin/sh -c "$run" </dev/null >/dev/null 2>&1 &
	else
		how=background
		(trap '' HUP; exec /bin/sh -c "$run") </dev/null >/dev/null 2>&1 &
	fi
fi
say started "$how"
say end
