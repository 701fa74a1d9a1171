# How a transaction stands. Arguments: the id, "tree" to list its processes.
id=$1
w=$dir/ledger/$id
[ -f "$w/state" ] || fail unknown "$id"
first /proc/sys/kernel/random/boot_id
now_boot=$l
say now "$(date +%s)"
say boot "$now_boot"
active "$w"
say alive "$alive"
printf '%s' "$s_text" | sed "s/^/$N s /"
[ ! -f "$w/rc" ] || while read -r l; do say rc "$l"; done <"$w/rc"
# What became of the new kernel, where it is booted once.
[ ! -f "$w/switch" ] || { first "$w/switch" && first "$dir/ledger/$l/once" && say once "$l"; }
n=
for f in k x u i e r; do
	[ -f "$w/$f.out" ] || continue
	n=$f
done
[ ! -f "$w/order" ] || while read -r k v; do
	case $k in cpacman-order) version "$id" "$v" ;; elements | expect) say "$k" "$v" ;; esac
done <"$w/order"
if [ -n "$n" ]; then
	say ended "$(cat "$w/u.out" "$w/i.out" 2>/dev/null | grep -c '^%% 100\.')"
fi
for f in test.k test.y test.x test.u test.i test.e k.err k.undo x.err u.err i.err e.err r.err; do
	[ -s "$w/$f" ] || continue
	say log "== $f"
	tail -c 8192 "$w/$f" | sed "s/^/$N log /"
	echo
done
if [ -n "$2" ] && [ "$s_pid" != 0 ]; then
	members "$s_pid"
	printf '%s' "$m" | while read -r l; do
		l0=$l
		command_of "${l%% *}"
		say proc "$l0	$l"
	done
fi
say end
