# What is staged already. Arguments after the directory: "in" when the login account is root and uploads here itself,
# then digests. Bytes are read again: a name proves nothing when a disk or a person changed the file.
own=$1
shift
place "$dir" "$dir/spool" "$dir/ledger"
[ "$own" != in ] || place "$dir/in"
for d; do
	isdigest "$d" || fail argument "no digest: $d"
	f=$dir/spool/$d.rpm
	[ -e "$f" ] || [ -h "$f" ] || continue
	if [ -f "$f" ] && [ ! -h "$f" ] && sha256 "$f" && [ "$sum" = "$d" ]; then
		say have "$d"
	else
		rm -f "$f"
		say bad "$d"
	fi
done
stat -f -c "$N free %a %S" "$dir/spool"
say end
