# Accepts a transaction and starts its runner, detached. Arguments: whose uploads, the drop directory, the order's digest, the id, the lock
# owner's token, install, erase or back, the runner; to arm a dead man's switch also the id and the order's digest of the way back,
# seconds, and the program that watches; to boot a new kernel once also "needed", or "allowed" where that may be left out, and the program
# that does it.
sender=$1
own=$dir/in/$1
shift
drop=$1 digest=$2 id=$3 token=$4 mode=$5 runner=$6 back=$7 backdigest=$8 seconds=$9
shift 6
watch=$4 trial=$5 kernelsh=$6
place "$dir" "$dir/spool" "$dir/ledger"
w=$dir/ledger/$id
watched=
mutex
readlock
[ "$k_id" = "$token" ] || fail notlocked "${k_id:-nobody} holds the lock"
# accept ID DIGEST: makes the ledger's directory with the order in it. The order is copied and proven before the id is used up.
accept() {
	rm -rf "$dir/new.$$"
	mkdir "$dir/new.$$" || fail space "mkdir failed"
	w=$dir/new.$$
	trap 'rm -rf "$dir/new.$$"; leave' 0
	order "$drop" "$2"
	readorder "$w/order"
	[ "$o_id" = "$1" ] || fail argument "the order is for $o_id"
	w=$dir/ledger/$1
	mkdir "$w" 2>/dev/null || fail replay "$1"
	mv "$dir/new.$$/order" "$w/order" || fail space "mv failed"
	printf '%s\n' "$runner" >"$w/runner.sh" || fail space "writing the runner failed"
	provide
}
# provide: what the order of $w needs stays with it until it is used up.
provide() { pack "$w/order" && printf '%s\n' "$sender" >"$w/sender" || fail space "linking the packages failed"; }
# rearm: the way back in $w is there, anew or from one that was cut or forgotten before its transaction was accepted.
rearm() {
	if [ ! -f "$w/for" ]; then
		rm -rf "$w"
		accept "$back" "$backdigest"
		return
	fi
	if first "$w/decision"; then
		[ "$l" = void ] || fail decided "its dead man's switch has decided before it began: $l"
		rm -f "$w/decision"
	fi
	provide
}
# prepare: whether a new kernel comes in, and can be booted once, is known before anything is armed.
prepare() {
	isdigest "$digest" && [ ! -h "$drop/$digest.order" ] && cat <"$drop/$digest.order" >"$w/forward" && sha256 "$w/forward" && [ "$sum" = "$digest" ] ||
		fail digest "the order has other bytes"
	# What was guarded for a start that was cut is as it was again.
	[ ! -f "$w/kernel" ] || kernel unguard
	printf '%s\n' "$kernelsh" >"$w/kernel.sh" || fail space "writing the switch failed"
	rm -f "$w/kernel" "$w/once"
	pack "$w/forward" || fail space "linking the packages failed"
	kernel prepare && return 0
	if [ "$trial" = needed ]; then
		rm -rf "$w"
		fail nobootonce "$said"
	fi
	printf 'not - %s\n' "$said" >"$w/once"
}
# guard: from here on a boot is one of the kernel that runs, whatever the packages make the default, until the runner says what is booted.
guard() {
	w=$dir/ledger/$back
	if [ -f "$w/kernel" ] && ! kernel guard; then
		if [ "$trial" = needed ]; then
			disarm
			rm -rf "$w" "$dir/ledger/$id"
			fail nobootonce "$said"
		fi
		rm -f "$w/kernel"
		printf 'not - %s\n' "$said" >"$w/once"
	fi
	w=$dir/ledger/$id
}
case $mode in
erase)
	[ -f "$w/state" ] || fail unknown "$id"
	first /proc/sys/kernel/random/boot_id
	now_boot=$l
	active "$w" && fail busy "$id"
	[ "$s_mode" != erase ] || fail replay "$id erase"
	printf '%s\n' "$runner" >"$w/runner.sh" || fail space "writing the runner failed"
	;;
back)
	running
	[ -z "$r" ] || [ "$r" = "$id" ] || fail busy "$r"
	# One that was cut before it was accepted has begun nothing.
	[ -f "$w/for" ] || [ -f "$w/state" ] || rm -rf "$w"
	[ -d "$w" ] || accept "$id" "$digest"
	active "$w" && fail replay "$id"
	! ended || fail replay "$id"
	provide
	# Its switch is on watch until this is done, and begins it again where it is cut: first that, then the decision.
	! first "$w/for" || (fires "$l") >/dev/null && watched=$l
	printf 'back\n' >"$w/decision.new" && mv -f "$w/decision.new" "$w/decision" || fail space "writing the decision failed"
	sync "$w/decision" "$w" 2>/dev/null || sync
	if onnew; then
		# Not under the new kernel: the switch boots the host, and goes back then.
		[ -n "$watched" ] || fail noswitch "neither systemd nor a cron daemon is there to go on after a reboot"
		state armed back
		say started switch
		say end
		exit 0
	fi
	# Where nothing does, no trace of it stays.
	[ -n "$watched" ] || disarm
	claim
	;;
install)
	# One that was cut before it was accepted has begun nothing.
	[ ! -f "$w/state" ] && [ ! -d "$w/run-install" ] || fail replay "$id"
	running
	[ -z "$r" ] || fail busy "$r"
	rm -rf "$w"
	if [ -n "$back" ]; then
		w=$dir/ledger/$back
		rearm
		[ -z "$trial" ] || prepare
		arm
		state armed back
	fi
	accept "$id" "$digest"
	[ -z "$back" ] || printf '%s\n' "$back" >"$w/switch" || fail space "writing failed"
	[ -z "$trial" ] || guard
	;;
esac
[ "$mode" = back ] || state accepted "$mode"
# They are in the ledger now.
[ "$mode" = erase ] || rm -f "$drop/$digest.order" "$drop/$backdigest.order"
[ "$mode" = erase ] || [ "$drop" = "$own" ] || rmdir "$drop" 2>/dev/null
leave
trap - 0
rm -rf "$dir/new.$$"
run="exec /bin/sh '$w/runner.sh' - '$dir' '$id' $mode </dev/null >'$w/runner.log' 2>&1"
detached "$id-$mode" "cpacman transaction $id"
say started "$how"
say end
