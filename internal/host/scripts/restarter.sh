# Restarts the units of $w/units, one after another, detached from everybody: the SSH server may be one of them. Arguments: the working
# directory, the id. A unit that does not run is not started. Its own exit status is always 0.
w=$dir/ledger/$1/restart
mkdir "$w/once" 2>/dev/null || exit 0
trap : HUP INT TERM PIPE
starttime $$
printf '%s %s\n' "$$" "$t" >"$w/pid.new" && mv -f "$w/pid.new" "$w/pid" || exit 0
systemctl daemon-reload </dev/null
while read -r u; do
	systemctl try-restart -- "$u" </dev/null
	rc=$?
	is=$(systemctl is-active -- "$u" </dev/null 2>/dev/null)
	printf '%s %s %s\n' "$rc" "${is:-unknown}" "$u" >>"$w/result"
done <"$w/units"
: >"$w/done"
sync "$w/result" "$w" 2>/dev/null || sync
exit 0
