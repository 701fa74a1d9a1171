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
	trap 'rm -rf "$dir/new.$$"; rmdir "$dir/mutex" 2>/dev/null' 0
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
# state PHASE MODE: the first state of $w.
state() {
	first /proc/sys/kernel/random/boot_id
	printf 'protocol 1\nphase %s\nmode %s\ntoken %s\npid 0\nboot %s\ntime %s\n' "$1" "$2" "$token" "$l" "$(date +%s)" >"$w/state.new" &&
		mv -f "$w/state.new" "$w/state" || fail space "writing the state failed"
	sync "$w/state" "$w" 2>/dev/null || sync
}
# prepare: whether a new kernel comes in, and can be booted once, is known before anything is armed.
prepare() {
	isdigest "$digest" && [ ! -h "$drop/$digest.order" ] && cat <"$drop/$digest.order" >"$w/forward" && sha256 "$w/forward" && [ "$sum" = "$digest" ] ||
		fail digest "the order has other bytes"
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
	mkdir "$w/erase" 2>/dev/null || fail replay "$id erase"
	printf '%s\n' "$runner" >"$w/runner.sh" || fail space "writing the runner failed"
	;;
back)
	running
	[ -z "$r" ] || [ "$r" = "$id" ] || fail busy "$r"
	[ ! -d "$w/run-back" ] || fail replay "$id"
	[ ! -d "$w" ] || provide
	# A switch that was armed has brought the order; what it was to decide is decided now.
	if [ -d "$w" ] && decide back && onnew; then
		# Not under the new kernel: the switch boots the host, and goes back then. It is armed again where it was confirmed.
		printf 'back\n' >"$w/decision.new" && mv -f "$w/decision.new" "$w/decision" || fail space "writing the decision failed"
		state armed back
		first "$w/for"
		fires "$l" || fail noswitch "neither systemd nor a cron daemon is there to go on after a reboot"
		say started switch
		say end
		exit 0
	elif [ -d "$w" ]; then
		# One that has decided so is watched until it is done. That may begin it this moment: the state is the runner's to write.
		if [ "$decision" = back ] && first "$w/for" && (fires "$l") >/dev/null; then
			watched=yes
		else
			disarm
		fi
	else
		accept "$id" "$digest"
		decide back
	fi
	;;
install)
	[ ! -e "$w" ] || fail replay "$id"
	running
	[ -z "$r" ] || fail busy "$r"
	if [ -n "$back" ]; then
		[ -d "$dir/ledger/$back" ] || accept "$back" "$backdigest"
		w=$dir/ledger/$back
		[ -z "$trial" ] || prepare
		arm
		state armed back
	fi
	accept "$id" "$digest"
	[ -z "$back" ] || printf '%s\n' "$back" >"$w/switch" || fail space "writing failed"
	[ -z "$trial" ] || guard
	;;
esac
[ -n "$watched" ] || state accepted "$mode"
# They are in the ledger now.
[ "$mode" = erase ] || rm -f "$drop/$digest.order" "$drop/$backdigest.order"
[ "$mode" = erase ] || [ "$drop" = "$own" ] || rmdir "$drop" 2>/dev/null
rmdir "$dir/mutex"
trap - 0
rm -rf "$dir/new.$$"
run="exec /bin/sh '$w/runner.sh' - '$dir' '$id' $mode </dev/null >'$w/runner.log' 2>&1"
detached "$id-$mode" "cpacman transaction $id"
say started "$how"
say end
