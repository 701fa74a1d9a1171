# The ledger: every id with its state, newest last. No argument.
if [ -d "$dir/ledger" ]; then
	running
	for e in "$dir"/ledger/*; do
		[ -f "$e/state" ] || continue
		active "$e"
		say entry "${e##*/} $s_phase $alive $s_time $s_boot"
	done
	say boot "$now_boot"
fi
say end
