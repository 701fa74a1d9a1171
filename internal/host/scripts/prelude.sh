# Common head of every program sent to a host. POSIX sh only: dash, busybox ash, bash.
# $1 is a random mark; every line meant for cpacman begins with it, so that nothing a package, a profile or a
# message prints can be taken for an answer.
LC_ALL=C LANG=C TZ=UTC0
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL LANG TZ PATH
unset CDPATH ENV BASH_ENV GREP_OPTIONS
umask 077
# The account; where /proc tells it, without a process of id(1).
uid=
{ while read -r k n l n; do [ "$k" = Uid: ] && uid=$l && break; done </proc/self/status; } 2>/dev/null
[ -n "$uid" ] || uid=$(id -u)
# sudo may leave the account's HOME and systemd sets none; rpm reads macros there.
[ "$uid" != 0 ] || HOME=/root
export HOME
# The path keeps busybox's applet of that name out.
rpm=rpm
for l in /usr/bin/rpm /bin/rpm; do
	[ -x $l ] && rpm=$l && break
done
N="@$1"
shift
say() { printf '%s %s\n' "$N" "$*"; }
# fail CODE TEXT: a refusal that cpacman knows by its code.
fail() {
	say fail "$*"
	exit 3
}
# first FILE: sets l to its first line, empty if there is none.
first() {
	l=
	{ read -r l <"$1"; } 2>/dev/null
	[ -n "$l" ]
}
# sinceboot: sets up to the seconds since boot. Nobody can set them, as the time of day can be.
sinceboot() {
	read -r up l </proc/uptime
	up=${up%%.*}
}
# starttime PID: sets t to the start of a process in clock ticks since boot, empty if it is gone.
starttime() {
	t=
	first "/proc/$1/stat" || return 1
	l=${l##*) }
	set -f
	set -- $l
	set +f
	[ "$1" != Z ] && [ $# -ge 20 ] || return 1
	shift 19
	t=$1
}
# lockholder FILE: sets h to "free", "held PID", or "unknown". rpm's lock is an fcntl lock (flock(1) does not see it);
# on overlay file systems the device in /proc/locks is not stat's, so the inode is matched and the holder's open files
# confirm it. Where locks come and go while the list is read, the kernel leaves others out: it is read in whole pages, and three times.
lockholder() {
	h=free
	lk_file=$1
	[ -e "$lk_file" ] || return 0
	h=unknown
	[ -r /proc/locks ] || return 0
	lk_all=$(cat /proc/locks /proc/locks /proc/locks 2>/dev/null) || return 0
	h=free
	lockid=
	lk_ifs=$IFS
	IFS='
'
	set -f
	for lk_line in $lk_all; do
		IFS=$lk_ifs
		set -- $lk_line
		# "1: POSIX ADVISORY WRITE PID DEVICE:INODE 0 EOF"
		[ "$4" = WRITE ] || continue
		if [ -z "$lockid" ] && ! lockid=$(stat -L -c '%d:%i' "$lk_file" 2>/dev/null); then
			h=unknown
			break
		fi
		case $6 in *:"${lockid#*:}") ;; *) continue ;; esac
		case $5 in
		'' | *[!0-9]* | 0)
			h=unknown
			continue
			;;
		esac
		lk_open=$(set +f; stat -L -c '%d:%i' /proc/"$5"/fd/* 2>/dev/null)
		case "
$lk_open
" in
		*"
$lockid
"*)
			h="held $5"
			break
			;;
		esac
		# Without the right to look into the process nothing is known.
		[ -n "$lk_open" ] || h=unknown
	done
	IFS=$lk_ifs
	set +f
	return 0
}
# command_of PID: sets l to its command line, on one line.
command_of() {
	l=$(tr '\000\n' '  ' <"/proc/$1/cmdline" 2>/dev/null | cut -c1-300)
}
# rpmpaths: sets db, lockfile and cpu as rpm's macros say.
rpmpaths() {
	l=$($rpm --eval '%{_dbpath}|%{_rpmlock_path}|%{_target_cpu}' 2>/dev/null </dev/null) || return 1
	db=${l%%|*}
	l=${l#*|}
	lockfile=${l%%|*}
	cpu=${l#*|}
	case $lockfile in /*) ;; *) lockfile=$db/.rpm.lock ;; esac
	case $db in /*) ;; *) return 1 ;; esac
}
# listtags: sets digest and color to query formats that this rpm knows. A tag that it does not know prints errors and
# nothing else, with exit status 0, so it is asked first.
listtags() {
	q="
$($rpm --querytags 2>/dev/null </dev/null)
"
	digest= color=-
	case $q in *"
SHA1HEADER
"*) digest='%|SHA1HEADER?{%{SHA1HEADER}}:{}|' ;; esac
	case $q in *"
SHA256HEADER
"*) digest="%|SHA256HEADER?{%{SHA256HEADER}}:{$digest}|" ;; esac
	case $q in *"
HEADERCOLOR
"*) color='%{HEADERCOLOR}' ;; esac
}
