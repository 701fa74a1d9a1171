# Takes uploaded files into the spool: copied first, then checked, then renamed. Arguments: where they are, then digests.
drop=$1
shift
place "$dir" "$dir/spool"
for d; do
	isdigest "$d" || fail argument "no digest: $d"
	f=$drop/$d.rpm
	[ -f "$f" ] && [ ! -h "$f" ] || fail digest "$f is missing or no plain file"
	new=$dir/spool/.new.$d
	rm -f "$new"
	if [ "$drop" = "$dir/in" ]; then
		mv "$f" "$new" || fail space "mv $f failed"
	else
		cat <"$f" >"$new" || {
			rm -f "$new"
			fail space "copying $f failed"
		}
	fi
	if sha256 "$new" && [ "$sum" = "$d" ]; then
		mv -f "$new" "$dir/spool/$d.rpm" || fail space "mv $new failed"
	else
		rm -f "$new"
		fail digest "$d has other bytes: $sum"
	fi
	rm -f "$f"
	say admitted "$d"
done
say end
