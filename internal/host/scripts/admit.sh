# Takes uploaded files into the spool: those of another account are copied first, then checked. Arguments: whose uploads, where they are, then digests.
uploads "$1"
drop=$2
shift 2
place "$dir/spool"
for d; do
	isdigest "$d" || fail argument "no digest: $d"
	f=$drop/$d.rpm
	[ -f "$f" ] && [ ! -h "$f" ] || fail digest "$f is missing or no plain file"
	new=$f
	if [ "$drop" != "$own" ]; then
		new=$own/.new.$$
		rm -f "$new"
		cat <"$f" >"$new" || {
			rm -f "$new"
			fail space "copying $f failed"
		}
	fi
	sha256 "$new" && [ "$sum" = "$d" ] || {
		rm -f "$new"
		fail digest "$d has other bytes: $sum"
	}
	if [ "$drop" != "$own" ]; then
		mv -f "$new" "$own/$d.rpm" || fail space "mv $new failed"
		rm -f "$f"
	fi
	printf '%s\n' "$d" >>"$own/.sent"
	share "$d" || fail space "linking $d into the spool failed"
	say admitted "$d"
done
say end
