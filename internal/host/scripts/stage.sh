# What is staged already. Arguments after the directory: whose uploads, that in words, then digests. Bytes are read again: a name proves
# nothing when a disk or a person changed the file. What is there belongs to this owner too from now on.
place "$dir" "$dir/spool" "$dir/ledger"
uploads "$1"
printf '%s\n' "$2" >"$own/.owner"
shift 2
for d; do
	isdigest "$d" || fail argument "no digest: $d"
	if claim "$d"; then
		say have "$d"
	elif [ -n "$damaged" ]; then
		say bad "$d"
	fi
done
stat -f -c "$N free %a %S" "$dir/spool"
# Whose rollout was over without a word of it. What is in the spool stays.
find "$dir/in" -mindepth 1 -maxdepth 1 -type d -mtime +7 2>/dev/null | while read -r e; do
	heard "$e" || rm -rf "$e"
done
say end
