# Facts of one host in one round trip (FACT-1). Arguments: the fingerprint cpacman has, the database path it was taken
# of, and the directories whose free space matters.
have=$1
db=$2
shift 2

osfacts() {
	for f in /etc/os-release /usr/lib/os-release; do
		[ -r "$f" ] || continue
		while read -r l || [ -n "$l" ]; do
			case $l in ID=* | VERSION_ID=*) say os "$l" ;; esac
		done <"$f"
		return
	done
	for f in /etc/oracle-release /etc/redhat-release /etc/SuSE-release; do
		first $f || continue
		say osrel "$l"
		return
	done
}
# enabled KIND NAME…: units that systemd or init starts by themselves; link tests only, no process.
enabled() {
	kind=$1
	shift
	for u in "$@"; do
		for f in /etc/systemd/system/*.wants/$u.service /etc/systemd/system/*.wants/$u.timer /etc/rc.d/rc3.d/S*$u /etc/rc3.d/S*$u; do
			if [ -h "$f" ] || [ -e "$f" ]; then
				say "$kind" "$u"
				break
			fi
		done
	done
}
# fingerprint: sets fp to size, inode and time of the database's files and of what tells rpm where it is. The
# shared-memory file changes by reading and is left out.
fingerprint() {
	set --
	for f in "$db"/*; do
		case $f in *-shm | */__db.* | *.lock) ;; *) set -- "$@" "$f" ;; esac
	done
	fp=$(stat -L -c '%n %s %i %y %Y' "$db" "$@" /etc/rpm/macros /etc/rpm/platform /usr/lib/rpm/macros "$HOME/.rpmmacros" 2>/dev/null)
}
listing() {
	listtags
	# The packets of a signing key, base64 in lines, behind its own line.
	pubkeys=
	case $q in *"
PUBKEYS
"*) pubkeys="%|PUBKEYS?{$N k %{VERSION} %{RELEASE}\\n%{PUBKEYS}\\n$N ke\\n}:{}|" ;; esac
	say begin
	{
		$rpm -qa --qf "$N p\\t%{NAME}\\t%|EPOCH?{%{EPOCH}}:{0}|\\t%{VERSION}\\t%{RELEASE}\\t%{ARCH}\\t$digest\\t%{INSTALLTIME}\\t$color\\t$N:%|VENDOR?{v%{VENDOR}}:{s%{SUMMARY}}|\\n$pubkeys" </dev/null
		say rc $?
	} | sed -n -e p -e '$='
	say listed
}

# packs: whether gzip is here and works. The answers of many hosts arrive together, and most of an answer are the same few words.
packs() {
	unset GZIP
	gzip -1 -c </dev/null >/dev/null 2>&1
}

facts() {
	say uid "$uid"
	first /etc/machine-id && say machine "$l"
	osfacts
	first /proc/sys/kernel/osrelease && say kernel "$l"
	first /proc/sys/kernel/random/boot_id && say boot "$l"
	while read -r k l; do
		case $k in btime) say btime "$l" ;; esac
	done </proc/stat
	starttime 1 && say pid1 "$t"
	stat -f -c "$N disk %i %a %S %d %n" "$@" 2>/dev/null
	if [ -d /run/systemd/system ]; then
		say systemd
		if q=$(systemctl list-units --state=failed --no-legend --plain --full --no-pager 2>/dev/null </dev/null); then
			say unitsok
			[ -z "$q" ] || printf '%s\n' "$q" | while read -r l; do say unit "$l"; done
		fi
	fi
	enabled updater dnf-automatic dnf-automatic-install dnf5-automatic yum-cron packagekit packagekit-offline-update transactional-update
	enabled manager puppet puppet-agent chef-client salt-minion cfengine3
	config

	for f in /run/reboot-required /run/reboot-needed /var/run/reboot-required /var/run/reboot-needed; do
		[ -f "$f" ] || continue
		say rebootmark "$f"
		break
	done

	fp=
	[ -n "$have" ] && [ -n "$db" ] && fingerprint
	if [ -n "$have" ] && [ "$fp" = "$have" ]; then
		say same
		lockfile=$db/.rpm.lock
	else
		command -v $rpm >/dev/null 2>&1 || fail norpm "there is no rpm on this host"
		rpmpaths || fail rpm "rpm --eval fails or names no database directory"
		say now "$(date +%s)"
		say db "$db"
		say cpu "$cpu"
		say rpm "$($rpm --version 2>/dev/null </dev/null)"
		fingerprint
		before=$fp
		printf '%s\n' "$fp" | while read -r l; do say fp "$l"; done
		listing
		fingerprint
		[ "$fp" = "$before" ] || say moved
	fi
	lockholder "$lockfile"
	case $h in held*) command_of "${h#held }" ;; *) l= ;; esac
	say lock "$h" "$l"
	say end
}

if packs; then
	say packed
	facts "$@" | gzip -1 -c
else
	facts "$@"
fi
