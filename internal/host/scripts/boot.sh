# Which boot this is, and, when that is asked for and the boot is still the one given, a new one. Arguments: nothing, or reboot and the
# boot. A host without a boot id tells the time of its boot.
first /proc/sys/kernel/random/boot_id
boot=$l
if [ -z "$boot" ]; then
	while read -r k v; do
		case $k in btime) boot=time-$v ;; esac
	done </proc/stat
fi
say boot "$boot"
if [ "$1" = reboot ] && [ "$2" = "$boot" ]; then
	[ ! -d "$dir/ledger" ] || running
	[ -z "$r" ] || fail busy "$r"
	# A transaction of somebody else is not cut either.
	if rpmpaths; then
		lockholder "$lockfile"
		case $h in held*) command_of "${h#held }" && fail busy "rpm's lock is held by process ${h#held }: $l" ;; esac
	fi
	sync
	if [ -d /run/systemd/system ]; then
		run='sleep 1; systemctl reboot'
	else
		run='sleep 1; shutdown -r now || reboot'
	fi
	detached reboot "cpacman reboot"
	say started "$how"
fi
say end
