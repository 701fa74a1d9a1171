# rpm's own test with the real files, before anything is changed (PLAN-14). Arguments: whose uploads, the drop directory, the order's digest.
uploads "$1"
shift
place "$dir" "$dir/spool"
w=$dir/test.$$
rm -rf "$w"
mkdir "$w" || fail space "mkdir $w failed"
trap 'rm -rf "$w"' 0
order "$1" "$2"
readorder "$w/order"
first /etc/machine-id
[ -z "$o_machine" ] || [ "$o_machine" = "$l" ] || fail machine "the order is for another machine: $o_machine, this is $l"
pack "$w/order" || fail space "mkdir $w/p failed"
linkall "$w/order" || fail digest "staged package is missing or has other bytes: $bad"
if ! expected; then
	[ -z "$unread" ] || fail database "rpm cannot read all of its database: $unread"
	say changed "$count" "$set"
fi
if [ -n "$o_k" ]; then
	keyfiles "$w/order" || fail digest "$bad"
	if testkeys; then
		# The signatures are proven; without the keys rpm would refuse them, so that the test of the rest asks for digests.
		[ "$o_level" != all ] || o_level=digest
		rpmtest
	else
		test_rc=1
	fi
else
	rpmtest
fi
if [ "$test_rc" = 0 ]; then
	if dnftest; then rm -f "$w/test.y"; else test_rc=1; fi
fi
say test "$test_rc"
for f in k y x u i; do
	[ -f "$w/test.$f" ] || continue
	keep "$w/test.$f"
	sed "s/^/$N out /" "$w/test.$f"
	echo
done
if [ -n "$o_e" ]; then
	set -f
	ask $o_e
	$rpm -e --test $asked </dev/null >"$w/test.e" 2>&1
	say erase $?
	set +f
	keep "$w/test.e"
	sed "s/^/$N eout /" "$w/test.e"
	echo
fi
say end
