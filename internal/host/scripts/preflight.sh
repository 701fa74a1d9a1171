# What must be known right before work begins. Arguments: "unmet" to list unmet dependencies too; "dnf" to look for it.
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
if [ "$2" = dnf ]; then
	for f in /usr/bin/dnf /bin/dnf /usr/bin/dnf5; do
		[ -x $f ] && say dnf "$(readlink -f $f)" && break
	done
	for f in yum microdnf; do
		[ ! -x /usr/bin/$f ] || say instead $f
	done
fi
[ "$1" != unmet ] || $rpm -Va --nofiles --noscripts </dev/null 2>/dev/null | sed "s/^/$N unmet /"
say end
