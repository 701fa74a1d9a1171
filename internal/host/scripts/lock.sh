# The host lock: a file with its owner's name in it, made by link(2), so that it never exists without a name.

# readlock: sets k_… of the lock; k_id is empty when there is none.
readlock() {
	k_id= k_control= k_user= k_rollout= k_since=0 k_seen=0 k_ttl=0 k_boot= k_up=
	[ -f "$dir/lock" ] || return 0
	while read -r k v; do
		case $k in
		id) k_id=$v ;;
		control) k_control=$v ;;
		user) k_user=$v ;;
		rollout) k_rollout=$v ;;
		since) k_since=$v ;;
		seen) k_seen=$v ;;
		ttl) k_ttl=$v ;;
		boot) k_boot=$v ;;
		up) k_up=$v ;;
		esac
	done <"$dir/lock"
}
# silent: the owner was for longer than its time to live, by the uptime, counted anew after a reboot. Where the lock does not have that,
# by the clock.
silent() {
	if [ -z "$k_up" ]; then
		[ $(($(date +%s) - $k_seen)) -gt "$k_ttl" ]
		return
	fi
	first /proc/sys/kernel/random/boot_id
	[ "$k_boot" = "$l" ] || k_up=0
	sinceboot
	[ $(($up - $k_up)) -gt "$k_ttl" ]
}
# undecided: a dead man's switch has not decided yet, or has not done what it decided. Sets r to its id.
undecided() {
	for f in "$dir"/ledger/*/for; do
		[ -f "$f" ] || continue
		e=${f%/for}
		r=${e##*/}
		first "$e/decision" || return 0
		[ "$l" = back ] && [ -f "$e/state" ] || continue
		entry "$e"
		ended || return 0
	done
	return 1
}
saylock() {
	say id "$k_id"
	say control "$k_control"
	say user "$k_user"
	say rollout "$k_rollout"
	say since "$k_since"
	say seen "$k_seen"
	say ttl "$k_ttl"
}
