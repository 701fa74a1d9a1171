# Which processes run program files that are gone: replaced or erased since they were mapped. No argument. Processes with another root
# (containers) and those that carry this call are left out.
own=" $$ "
pid=$$
while [ -n "$pid" ] && [ "$pid" -gt 1 ]; do
	own="$own$pid "
	first "/proc/$pid/stat" || break
	l=${l##*) }
	set -f
	set -- $l
	set +f
	pid=$2
	# The server that waits for connections belongs to nobody's call.
	first "/proc/$pid/stat" || break
	case ${l##*) } in ?' 0 '* | ?' 1 '*) break ;; esac
done
# cgroup PID: sets g to its control group as systemd made it: in the one hierarchy of version 2, or in a named one of version 1.
cgroup() {
	g= named=
	{
		while IFS=: read -r k n l; do
			case $k:$n in
			0:) g=$l ;;
			*:name=systemd) named=$l ;;
			esac
		done <"/proc/$1/cgroup"
	} 2>/dev/null
	case $g in '' | /) g=$named ;; esac
}
# unit PID: sets u to the service or scope it belongs to, "-" for none.
unit() {
	u=-
	cgroup "$1"
	case $g in "$top"/*) g=${g#"$top"} ;; esac
	set -f
	IFS=/
	set -- $g
	unset IFS
	set +f
	for l; do
		case $l in *.service | *.scope)
			u=$l
			return
			;;
		esac
	done
}
[ ! -d /run/systemd/system ] || say systemd
cgroup 1
top=${g%/init.scope}
[ "$top" != / ] || top=
root=$(stat -L -c '%d:%i' /)
m='[^ ]* [^ ]* [0-9]* *'
grep -s -l -e "^[^ ]* ..x. $m/usr/.* (deleted)\$" -e "^[^ ]* ..x. $m/opt/.* (deleted)\$" -e "^[^ ]* ..x. $m/lib.* (deleted)\$" \
	-e "^[^ ]* ..x. $m/s*bin/.* (deleted)\$" -e "^[^ ]* .... $m/usr/.*[.]jar (deleted)\$" -e "^[^ ]* .... $m/opt/.*[.]jar (deleted)\$" \
	/proc/[0-9]*/maps 2>/dev/null | head -n 2000 | while read -r f; do
	pid=${f#/proc/}
	pid=${pid%/maps}
	case $own in *" $pid "*) continue ;; esac
	[ "$(stat -L -c '%d:%i' "/proc/$pid/root/." 2>/dev/null)" = "$root" ] || continue
	unit "$pid"
	first "/proc/$pid/comm"
	say stale "$pid $u $l"
done
say end
