# Which of these keys the host's rpm would not take, by crypto policy or because it cannot read them. Nothing is changed. Arguments:
# a name and the key's text for each.
place "$dir"
w=$dir/test.$$
rm -rf "$w"
mkdir "$w" || fail space "mkdir $w failed"
trap 'rm -rf "$w"' 0
while [ $# -ge 2 ]; do
	keydb || fail space "mkdir failed"
	printf '%s' "$2" >"$w/key.1.asc" || fail space "writing the key failed"
	trykey "$w/key.1.asc"
	[ -z "$l" ] || say refused "$1 $l"
	shift 2
done
say end
