# Confirms that the host is to stay as it is, or tells what its switch decided before. Argument: the id of the way back.
w=$dir/ledger/$1
if [ ! -f "$w/for" ]; then
	say decision none
	say end
	exit 0
fi
decide confirmed
[ "$decision" = back ] || disarm
say decision "$decision"
say end
