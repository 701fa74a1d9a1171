# What must be known right before work begins. Argument: "unmet" to list unmet dependencies too.
place "$dir" "$dir/spool" "$dir/ledger"
stat -f -c "$N free %a %S %n" "$dir/spool" /var/tmp
running
[ -z "$r" ] || say running "$r"
readlock
saylock
if [ -f /run/systemd/shutdown/scheduled ]; then
	while read -r l; do say shutdown "$l"; done </run/systemd/shutdown/scheduled
elif [ -f /var/run/shutdown.pid ]; then
	say shutdown shutdown.pid
fi
command -v sha256sum >/dev/null 2>&1 || command -v openssl >/dev/null 2>&1 || fail tools "neither sha256sum nor openssl is on this host"
[ "$1" != unmet ] || $rpm -Va --nofiles --noscripts </dev/null 2>/dev/null | sed "s/^/$N unmet /"
say end
