# What is staged already. Arguments after the directory: whose uploads, that in words, seconds that packages stay which nothing counts on (0:
# for good), then digests. Bytes are read again: a name proves nothing when a disk or a person changed the file. What is there belongs to this
# owner too from now on.
place "$dir" "$dir/spool" "$dir/ledger"
uploads "$1"
printf '%s\n' "$2" >"$own/.owner"
keep=$3
shift 3
for d; do
	isdigest "$d" || fail argument "no digest: $d"
	if claim "$d"; then
		say have "$d"
	elif [ -n "$damaged" ]; then
		say bad "$d"
	fi
done
stat -f -c "$N free %a %S" "$dir/spool"
# Packages that nothing counts on have one name, and changed last when the other names went. One who claims such a package now has a name of its own.
if [ "$keep" != 0 ]; then
	now=$(date +%s)
	stat -c '%h %Z %n' "$dir"/spool/*.rpm 2>/dev/null | while read -r n l f; do
		[ "$n" != 1 ] || [ $(($now - $l)) -lt "$keep" ] || rm -f "$f"
	done
fi
# Whose rollout was over without a word of it. What is in the spool stays.
find "$dir/in" -mindepth 1 -maxdepth 1 -type d -mtime +7 2>/dev/null | while read -r e; do
	heard "$e" || rm -rf "$e"
done
say end
