# What a transaction left. Arguments: the id, "verified" to set that state when it is done and the control host is content.
id=$1
w=$dir/ledger/$id
[ -f "$w/state" ] || fail unknown "$id"
for f in k x u i e r; do
	for k in err out; do
		[ -s "$w/$f.$k" ] || continue
		grep -e 'scriptlet failed' -e ' created as ' -e ' saved as ' -e '^error: ' "$w/$f.$k" | head -n 2000 | sed "s/^/$N out /"
	done
done
began=
while read -r k v; do
	case $k in began) began=$v ;; esac
done <"$w/state"
if [ -n "$began" ] && [ -d /run/systemd/system ]; then
	systemctl show --property=Id,ActiveState,ActiveEnterTimestampMonotonic '*.service' 2>/dev/null </dev/null | sed "s/^/$N show /"
	read -r l n </proc/uptime
	say uptime "${l%%.*}"
	say began "$began"
	say now "$(date +%s)"
fi
$rpm -Va --nofiles --noscripts </dev/null 2>/dev/null | sed "s/^/$N unmet /"
entry "$w"
# Where it was cut at its very end, what it needed is there still.
! ended || rm -rf "$w/p"
if [ "$2" = verified ] && [ "$s_phase" = done ]; then
	sed 's/^phase .*/phase verified/' "$w/state" >"$w/state.new" && mv -f "$w/state.new" "$w/state"
	sync "$w/state" "$w" 2>/dev/null || sync
fi
say end
