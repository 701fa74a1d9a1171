# Takes, keeps or gives back the host lock. Arguments: take or release, token, control host, user, rollout, seconds to live.
# The lock of another owner is broken only when it has been silent for its time to live, none of cpacman's transactions is
# under way, no dead man's switch could still undo what comes next, and nobody holds rpm's lock.
place "$dir" "$dir/ledger"
mutex
readlock
now=$(date +%s)
if [ "$1" = release ]; then
	[ "$k_id" != "$2" ] || rm -f "$dir/lock"
	say end
	exit 0
fi
since=$now
if [ -n "$k_id" ] && [ "$k_id" != "$2" ]; then
	why=alive
	if silent; then
		running
		why=
		[ -z "$r" ] || why=transaction
		[ -n "$why" ] || ! undecided || why=switch
		if [ -z "$why" ] && rpmpaths; then
			lockholder "$lockfile"
			case $h in held*) why=rpm ;; esac
		fi
	fi
	if [ -n "$why" ]; then
		say held "$why"
		saylock
		say end
		exit 0
	fi
	say broken "$k_id"
elif [ "$k_id" = "$2" ]; then
	since=$k_since
fi
first /proc/sys/kernel/random/boot_id
now_boot=$l
sinceboot
printf 'id %s\ncontrol %s\nuser %s\nrollout %s\nsince %s\nseen %s\nttl %s\nboot %s\nup %s\n' "$2" "$3" "$4" "$5" "$since" "$now" "$6" "$now_boot" "$up" >"$dir/lock.new" &&
	mv -f "$dir/lock.new" "$dir/lock" || fail space "writing the lock failed"
readlock
[ "$k_id" = "$2" ] || fail space "writing the lock failed"
saylock
say end
