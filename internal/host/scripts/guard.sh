# The working directory. $1 is its path: root's alone, and below directories that nobody else can write.
dir=$1
shift
[ "$uid" = 0 ] || fail root "needs root's rights"
# mine DIR: a directory, no link, owned by root, mode 0700.
mine() {
	[ ! -h "$1" ] && [ -d "$1" ] || return 1
	set -- $(ls -ldn "$1")
	[ "$3" = 0 ] || return 1
	case $1 in drwx------*) return 0 ;; esac
	return 1
}
# sane DIR: root's, and written by nobody else (a group of id 0 is root's too).
sane() {
	set -- $(ls -ldnL "$1/." 2>/dev/null)
	[ "$3" = 0 ] || return 1
	case $4:$1 in *:d????-??-?* | 0:d???????-?*) return 0 ;; esac
	return 1
}
p=$dir
while [ "$p" != / ]; do
	p=${p%/*}
	[ -n "$p" ] || p=/
	sane "$p" || fail unsafe "$p can be written by others than root, or does not exist"
done
# placed DIR…: makes directories, or proves those that are there. 1: p is none.
placed() {
	for p; do
		[ -d "$p" ] || mkdir "$p" 2>/dev/null
		mine "$p" || return 1
	done
}
# place DIR…: the same, also while somebody else removes those that are empty.
place() {
	placed "$@" || placed "$@" || placed "$@" || fail unsafe "$p is not a directory of root's alone (owner root, mode 0700, no link)"
}
[ ! -e "$dir" ] && [ ! -h "$dir" ] || mine "$dir" || fail unsafe "$dir is not a directory of root's alone (owner root, mode 0700, no link)"
# sha256 FILE: sets sum.
sha256() {
	sum=$(sha256sum <"$1" 2>/dev/null) || sum=$(openssl dgst -sha256 <"$1" 2>/dev/null) || sum=
	case $sum in
	*"= "*) sum=${sum##*= } ;;
	*) sum=${sum%% *} ;;
	esac
	[ -n "$sum" ]
}
# isdigest WORD: 64 hex digits.
isdigest() {
	case $1 in *[!0-9a-f]* | '') return 1 ;; esac
	[ ${#1} = 64 ]
}
# running: sets r to the id of a transaction that is under way, empty if none is.
running() {
	r=
	first /proc/sys/kernel/random/boot_id
	now_boot=$l
	for e in "$dir"/ledger/*; do
		[ -f "$e/state" ] || continue
		active "$e" || continue
		r=${e##*/}
		return
	done
}
# version ENTRY NUMBER: refuses what a cpacman of another runner protocol wrote; to misread it could start a transaction twice.
version() { [ "$2" = 1 ] || fail version "${1##*/} is of runner protocol $2, this cpacman knows 1: use the cpacman that wrote it"; }
# entry DIR: sets s_phase, s_mode, s_token, s_pid, s_start, s_boot, s_time from its state, and s_text to all of it.
entry() {
	s_phase= s_mode= s_token= s_pid=0 s_start= s_boot= s_time=0 s_text=
	[ -f "$1/state" ] || return 0
	while read -r k v; do
		s_text="$s_text$k $v
"
		case $k in
		protocol) version "$1" "$v" ;;
		phase) s_phase=$v ;;
		mode) s_mode=$v ;;
		token) s_token=$v ;;
		pid) s_pid=$v ;;
		start) s_start=$v ;;
		boot) s_boot=$v ;;
		time) s_time=$v ;;
		esac
	done <"$1/state"
}
# active DIR: its transaction is accepted or under way and nothing says that it was cut. Sets alive to why. What it sets is of one state.
active() {
	entry "$1"
	until living; do
		# It may have moved on while its processes were looked for, or begun: then that is looked at.
		l=$s_text
		entry "$1"
		[ "$s_text" != "$l" ] || return 1
	done
}
# ended: the state that was read is the last one.
ended() {
	case $s_phase in done | verified | refused) return 0 ;; esac
	return 1
}
# living: the state that was read is one of a runner that is there, or of its rpm.
living() {
	alive=no
	case $s_phase in accepted | testing | waiting_lock | running) ;; *) return 1 ;; esac
	[ "$s_boot" = "$now_boot" ] || return 1
	if [ "$s_phase" = accepted ]; then
		# The runner has not written its own state yet; after a minute it never will. Before the time it was written in, the clock was set.
		l=$(($(date +%s) - $s_time))
		[ "$l" -lt 60 ] && [ "$l" -gt -60 ] || return 1
		alive=starting
		return 0
	fi
	if starttime "$s_pid" && [ "$t" = "$s_start" ]; then
		alive=runner
		return 0
	fi
	# The runner is gone; rpm may live on in its session.
	members "$s_pid"
	case $m in *" rpm "*) alive=rpm && return 0 ;; esac
	return 1
}
# members SESSION: sets m to "PID PPID STATE NAME" lines of the processes of a session.
members() {
	m=
	for f in /proc/[0-9]*/stat; do
		first "$f" || continue
		name=${l#*\(}
		name=${name%)*}
		pid=${l%% *}
		l=${l##*) }
		set -f
		set -- "$1" $l
		set +f
		[ "$5" = "$1" ] && [ "$2" != Z ] || continue
		m="$m$pid $3 $2 $name 
"
	done
}
