# What each owner of uploads has on the host: $dir/in/NAME, with what it sends and links to what it counts on. Nobody else removes
# anything of that while the owner is heard of, and of one file with several names nobody can take another one's away.

# uploads NAME: sets own to the owner's directory, which is there then, and notes that it was heard of.
uploads() {
	own=$dir/in/$1
	place "$dir" "$dir/in" "$own"
	first /proc/sys/kernel/random/boot_id
	now_boot=$l
	sinceboot
	printf '%s %s\n' "$now_boot" "$up" >"$own/.heard.$$" && mv -f "$own/.heard.$$" "$own/.heard"
}
# heard DIR: of its owner, in this boot and in the last quarter of an hour; or something was written to its uploads since.
heard() {
	first /proc/sys/kernel/random/boot_id
	now_boot=$l
	sinceboot
	k= n=
	{ read -r k n <"$1/.heard"; } 2>/dev/null
	[ "$k" = "$now_boot" ] && [ $(($up - $n)) -lt 900 ] && return 0
	fresh "$1"/*.part
}
# claim DIGEST: what is on the host with these bytes is the owner's too. 1: it is not there; damaged is set where other bytes were.
claim() {
	damaged=
	f=$own/$1.rpm
	if [ ! -e "$f" ] && [ ! -h "$f" ]; then
		[ -f "$dir/spool/$1.rpm" ] && [ ! -h "$dir/spool/$1.rpm" ] && ln "$dir/spool/$1.rpm" "$f" 2>/dev/null || return 1
	fi
	[ -f "$f" ] && [ ! -h "$f" ] && sha256 "$f" && [ "$sum" = "$1" ] && return 0
	damaged=yes
	rm -rf "$f"
	return 1
}
# share DIGEST: what the owner has proven is in the spool for whoever comes next. Somebody else who is through takes the directory away when
# it is empty, so it is made again.
share() {
	for again in 1 2 3 4 5; do
		place "$dir/spool"
		ln "$own/$1.rpm" "$dir/spool/.new.$$" 2>/dev/null && mv -f "$dir/spool/.new.$$" "$dir/spool/$1.rpm" && {
			# Two names of one file stay two when one is renamed to the other.
			rm -f "$dir/spool/.new.$$"
			return 0
		}
	done
	return 1
}
