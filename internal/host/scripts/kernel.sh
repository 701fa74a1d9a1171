# The new kernel of an armed transaction: it is booted once, and becomes what is booted by default when it is confirmed (ROLL-8).
# Arguments: the id of the way back, what to do. $w/kernel has what was so before, $w/once what came of it. Everything can be repeated.
back=$1
verb=$2
w=$dir/ledger/$back
# unable TEXT: ends with what cannot be done, for whoever asked.
unable() {
	printf '%s\n' "$*"
	exit 1
}
# known: reads what was written down before the transaction.
known() {
	[ -f "$w/kernel" ] || exit 0
	new= old= default=
	while read -r k v; do
		case $k in
		new) new=$v ;;
		old) old=$v ;;
		default) default=$v ;;
		esac
	done <"$w/kernel"
	first /proc/sys/kernel/osrelease
	runs=$l
	first /proc/sys/kernel/random/boot_id
	now_boot=$l
}
# images PACKAGE: the releases of the kernels that a package file brings.
images() {
	$rpm -qp --nosignature --qf '[%{FILENAMES}\n]' "$1" </dev/null 2>/dev/null | sed -n -e 's,^/boot/vmlinu[xz]-,,p' -e 's,^/boot/Image-,,p' \
		-e 's,^/usr/lib/modules/\([^/]*\)/vmlinu[xz]$,\1,p' -e 's,^/lib/modules/\([^/]*\)/vmlinu[xz]$,\1,p' -e 's,^/lib/modules/\([^/]*\)/Image$,\1,p' | sort -u
}
# brings ORDER: sets new to the kernel that comes in beside the one that runs. Of several it is that of the running one's name.
brings() {
	new= all=
	mine=$($rpm -qf --qf '%{NAME}\n' "/boot/vmlinuz-$old" </dev/null 2>/dev/null) ||
		mine=$($rpm -qf --qf '%{NAME}\n' "/lib/modules/$old/vmlinuz" </dev/null 2>/dev/null) || mine=
	while read -r k a b; do
		[ "$k" = i ] && isdigest "$a" || continue
		for l in $(images "$w/p/$a.rpm"); do
			case $l in *[!A-Za-z0-9._+~-]* | -*) unable "a package brings a kernel with a strange name" ;; esac
			all="$all $l"
			[ "$($rpm -qp --nosignature --qf '%{NAME}' "$w/p/$a.rpm" </dev/null 2>/dev/null)" != "$mine" ] || new="$new $l"
		done
	done <"$1"
	set -- $all
	[ $# -gt 1 ] || new=$all
	set -- $new
	[ $# = 1 ] || [ -z "$all" ] || unable "several new kernels come in ($all ), and none is of the name of the running one"
	new=$1
}
# hold: the kernel that ran before is what is booted, and nothing else is booted once. In this order: a cut in between boots it too.
hold() {
	loader && bootentry "$old" && setdefault "$found" && setnext ''
}
# unguard: takes back what guard has done.
unguard() {
	loader || return 1
	case $boots in
	grub) setnext '' ;;
	sdboot) setdefault "$default" ;;
	esac
}
# there: the new kernel is on the disk.
there() {
	for f in "/boot/vmlinuz-$new" "/boot/vmlinux-$new" "/boot/Image-$new" "/lib/modules/$new/vmlinuz" "/lib/modules/$new/vmlinux" "/lib/modules/$new/Image"; do
		[ ! -e "$f" ] || return 0
	done
	return 1
}
# result WORD…: what came of it, on disk.
result() {
	printf '%s\n' "$*" >"$w/once.new"
	sync "$w/once.new" 2>/dev/null || sync
	mv -f "$w/once.new" "$w/once"
	sync "$w" 2>/dev/null || sync
}
case $verb in
prepare)
	# Before the transaction: what runs, what is the default, and whether a kernel can be booted once at all.
	first /proc/sys/kernel/osrelease
	old=$l
	brings "$w/forward"
	[ -n "$new" ] && [ "$new" != "$old" ] || exit 0
	loader && bootentry "$old" || unable "$why"
	getdefault
	printf 'new %s\nold %s\ndefault %s\n' "$new" "$old" "$l" >"$w/kernel.new" && sync "$w/kernel.new" 2>/dev/null
	mv -f "$w/kernel.new" "$w/kernel" || unable "$w cannot be written"
	;;
guard)
	# Right before the transaction, whose packages make the new kernel the default: a boot that cuts it boots the one that runs. GRUB boots
	# what is to be booted next before what is saved; what systemd-boot was told to boot no package changes.
	known
	loader && bootentry "$old" || unable "$why"
	case $boots in
	grub) setnext "$found" ;;
	sdboot) setdefault "$found" ;;
	esac || {
		fault=$why
		unguard
		unable "$fault"
	}
	;;
unguard)
	# Nothing came of the transaction.
	known
	[ -f "$w/once" ] || unguard || unable "$why"
	;;
once)
	# After the transaction: the packages' own programs have made the new kernel the default, or not.
	known
	if ! there; then
		unguard
		result none
	elif hold && bootentry "$new" && setnext "$found"; then
		result set "$now_boot" "$new"
	else
		result failed "$now_boot" "kernel $new cannot be booted once: $why"
		hold
	fi
	;;
keep)
	# Confirmed: the new one from now on. Where the loader chose by itself before, and would choose it, it does so again.
	known
	loader && setnext '' && bootentry "$new" || unable "$why"
	if [ "$boots" = sdboot ] && [ -z "$default" ] && setdefault ''; then
		sddefault
		[ "$l" != "$found" ] || exit 0
	fi
	setdefault "$found" || unable "$why"
	;;
hold)
	known
	hold || unable "$why"
	;;
leave)
	# Before the way back: off the new kernel, by a boot. 1: wait. A host that comes up with it again stays; its packages go back around it.
	known
	[ "$runs" = "$new" ] || {
		hold
		exit 0
	}
	sinceboot
	at= then=
	[ ! -f "$w/left" ] || read -r then at <"$w/left"
	[ -z "$then" ] || [ "$then" = "$now_boot" ] || exit 0
	[ -z "$at" ] || [ $(($up - $at)) -ge 300 ] || exit 1
	hold || exit 0
	# A transaction of somebody else is not cut.
	h=
	rpmpaths && lockholder "$lockfile"
	case $h in held*) exit 1 ;; esac
	printf '%s %s\n' "$now_boot" "$up" >"$w/left"
	sync
	if [ -d /run/systemd/system ]; then systemctl reboot </dev/null; else shutdown -r now || reboot; fi
	exit 1
	;;
restore)
	# After the way back: what was the default before.
	known
	loader && setnext '' && setdefault "$default" || unable "$why"
	;;
esac
exit 0
