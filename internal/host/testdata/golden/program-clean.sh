LC_ALL=C LANG=C TZ=UTC0
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL LANG TZ PATH
unset CDPATH ENV BASH_ENV GREP_OPTIONS
umask 077
uid=
{ while read -r k n l n; do [ "$k" = Uid: ] && uid=$l && break; done </proc/self/status; } 2>/dev/null
[ -n "$uid" ] || uid=$(id -u)
[ "$uid" != 0 ] || HOME=/root
export HOME
rpm=rpm
for l in /usr/bin/rpm /bin/rpm; do
[ -x $l ] && rpm=$l && break
done
N="@$1"
shift
say() { printf '%s %s\n' "$N" "$*"; }
fail() {
say fail "$*"
exit 3
}
first() {
l=
{ read -r l <"$1"; } 2>/dev/null
[ -n "$l" ]
}
sinceboot() {
read -r up l </proc/uptime
up=${up%%.*}
}
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
[ -n "$lk_open" ] || h=unknown
done
IFS=$lk_ifs
set +f
return 0
}
command_of() {
l=$(tr '\000\n' '  ' <"/proc/$1/cmdline" 2>/dev/null | cut -c1-300)
}
rpmpaths() {
l=$($rpm --eval '%{_dbpath}|%{_rpmlock_path}|%{_target_cpu}' 2>/dev/null </dev/null) || return 1
db=${l%%|*}
l=${l#*|}
lockfile=${l%%|*}
cpu=${l#*|}
case $lockfile in /*) ;; *) lockfile=$db/.rpm.lock ;; esac
case $db in /*) ;; *) return 1 ;; esac
}
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
dir=$1
shift
[ "$uid" = 0 ] || fail root "needs root's rights"
mine() {
[ ! -h "$1" ] && [ -d "$1" ] || return 1
set -- $(ls -ldn "$1")
[ "$3" = 0 ] || return 1
case $1 in drwx------*) return 0 ;; esac
return 1
}
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
placed() {
for p; do
[ -d "$p" ] || mkdir "$p" 2>/dev/null
mine "$p" || return 1
done
}
place() {
placed "$@" || placed "$@" || placed "$@" || fail unsafe "$p is not a directory of root's alone (owner root, mode 0700, no link)"
}
[ ! -e "$dir" ] && [ ! -h "$dir" ] || mine "$dir" || fail unsafe "$dir is not a directory of root's alone (owner root, mode 0700, no link)"
sha256() {
sum=$(sha256sum <"$1" 2>/dev/null) || sum=$(openssl dgst -sha256 <"$1" 2>/dev/null) || sum=
case $sum in
*"= "*) sum=${sum##*= } ;;
*) sum=${sum%% *} ;;
esac
[ -n "$sum" ]
}
isdigest() {
case $1 in *[!0-9a-f]* | '') return 1 ;; esac
[ ${#1} = 64 ]
}
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
version() { [ "$2" = 1 ] || fail version "${1##*/} is of runner protocol $2, this cpacman knows 1: use the cpacman that wrote it"; }
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
active() {
entry "$1"
until living; do
l=$s_text
entry "$1"
[ "$s_text" != "$l" ] || return 1
done
}
ended() {
case $s_phase in done | verified | refused) return 0 ;; esac
return 1
}
living() {
alive=no
case $s_phase in accepted | testing | waiting_lock | running) ;; *) return 1 ;; esac
[ "$s_boot" = "$now_boot" ] || return 1
if [ "$s_phase" = accepted ]; then
l=$(($(date +%s) - $s_time))
[ "$l" -lt 60 ] && [ "$l" -gt -60 ] || return 1
alive=starting
return 0
fi
if starttime "$s_pid" && [ "$t" = "$s_start" ]; then
alive=runner
return 0
fi
members "$s_pid"
case $m in *" rpm "*) alive=rpm && return 0 ;; esac
return 1
}
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
enter() {
first /proc/sys/kernel/random/boot_id
m_boot=$l
starttime $$
{ printf '%s\n' "$m_boot $$ $t" >"$dir/holder.$$"; } 2>/dev/null
if ln "$dir/holder.$$" "$dir/holder" 2>/dev/null; then
rm -f "$dir/holder.$$"
return 0
fi
rm -f "$dir/holder.$$"
dead || return 1
if mkdir "$dir/holder.gone" 2>/dev/null; then
! dead || leave
rmdir "$dir/holder.gone" 2>/dev/null
elif aged "$dir/holder.gone"; then
rmdir "$dir/holder.gone" 2>/dev/null
fi
return 1
}
dead() {
m_by=
{ read -r m_boot m_by m_start <"$dir/holder"; } 2>/dev/null
if [ -z "$m_by" ]; then
aged "$dir/holder"
return
fi
first /proc/sys/kernel/random/boot_id
[ "$l" = "$m_boot" ] && starttime "$m_by" && [ "$t" = "$m_start" ] && return 1
{ read -r l m_pid t <"$dir/holder"; } 2>/dev/null && [ "$l $m_pid $t" = "$m_boot $m_by $m_start" ]
}
aged() {
l=$(stat -c %Y "$1" 2>/dev/null) || return 1
l=$(($(date +%s) - $l))
[ "$l" -gt 60 ] || [ "$l" -lt -60 ]
}
leave() { rm -f "$dir/holder"; }
mutex() {
trap 'exit 1' HUP INT TERM PIPE
n=0
until enter; do
n=$(($n + 1))
[ $n -lt 90 ] || fail busy "the directory's mutex is held"
sleep 1
done
trap leave 0
}
readlock() {
k_id= k_control= k_user= k_rollout= k_since=0 k_seen=0 k_ttl=0 k_boot= k_up=
[ -f "$dir/lock" ] || return 0
while read -r k v; do
case $k in
id) k_id=$v ;;
control) k_control=$v ;;
user) k_user=$v ;;
rollout) k_rollout=$v ;;
since) k_since=$v ;;
seen) k_seen=$v ;;
ttl) k_ttl=$v ;;
boot) k_boot=$v ;;
up) k_up=$v ;;
esac
done <"$dir/lock"
}
silent() {
if [ -z "$k_up" ]; then
[ $(($(date +%s) - $k_seen)) -gt "$k_ttl" ]
return
fi
first /proc/sys/kernel/random/boot_id
[ "$k_boot" = "$l" ] || k_up=0
sinceboot
[ $(($up - $k_up)) -gt "$k_ttl" ]
}
undecided() {
for f in "$dir"/ledger/*/for; do
[ -f "$f" ] || continue
e=${f%/for}
r=${e##*/}
first "$e/decision" || return 0
[ "$l" = back ] && [ -f "$e/state" ] || continue
entry "$e"
ended || return 0
done
return 1
}
saylock() {
say id "$k_id"
say control "$k_control"
say user "$k_user"
say rollout "$k_rollout"
say since "$k_since"
say seen "$k_seen"
say ttl "$k_ttl"
}
fresh() {
now=$(date +%s)
for f; do
l=$(stat -c %Y "$f" 2>/dev/null) || continue
l=$(($now - $l))
[ "$l" -lt 900 ] && [ "$l" -gt -900 ] && return 0
done
return 1
}
uploads() {
own=$dir/in/$1
place "$dir" "$dir/in" "$own"
first /proc/sys/kernel/random/boot_id
now_boot=$l
sinceboot
printf '%s %s\n' "$now_boot" "$up" >"$own/.heard.$$" && mv -f "$own/.heard.$$" "$own/.heard"
}
heard() {
first /proc/sys/kernel/random/boot_id
now_boot=$l
sinceboot
k= n=
{ read -r k n <"$1/.heard"; } 2>/dev/null
[ "$k" = "$now_boot" ] && [ $(($up - $n)) -lt 900 ] && return 0
fresh "$1"/*.part
}
claim() {
damaged=
f=$own/$1.rpm
if [ ! -e "$f" ] && [ ! -h "$f" ]; then
[ -f "$dir/spool/$1.rpm" ] && [ ! -h "$dir/spool/$1.rpm" ] && ln "$dir/spool/$1.rpm" "$f" 2>/dev/null || return 1
fi
[ -f "$f" ] && [ ! -h "$f" ] && sha256 "$f" && [ "$sum" = "$1" ] && return 0
damaged=yes
rm -rf "$f"
return 1
}
share() {
for again in 1 2 3 4 5; do
place "$dir/spool"
ln "$own/$1.rpm" "$dir/spool/.new.$$" 2>/dev/null && mv -f "$dir/spool/.new.$$" "$dir/spool/$1.rpm" && {
rm -f "$dir/spool/.new.$$"
return 0
}
done
return 1
}
what=$1 age=$2 own=$dir/in/$3
shift 3
bytes() {
l=$(du -sk "$1" 2>/dev/null)
say removed "${l%%	*}" "$1"
}
away() {
for f; do
[ -e "$f" ] || [ -h "$f" ] || continue
case $f in "$dir"/test.* | "$dir"/holder.[0-9]* | */.new.*) [ ! -d "/proc/${f##*.}" ] || continue ;; esac
bytes "$f"
rm -rf "$f"
done
}
if [ -d "$dir" ] && [ "$what" = files ]; then
[ ! -f "$own/.sent" ] || set -- "$@" $(cat "$own/.sent")
rm -rf "$own"
for d; do
isdigest "$d" || fail argument "no digest: $d"
f=$dir/spool/$d.rpm
[ "$(stat -c %h "$f" 2>/dev/null)" != 1 ] || away "$f"
done
elif [ -d "$dir" ]; then
mutex
running
[ -z "$r" ] || fail busy "$r"
! undecided || fail busy "the dead man's switch of $r has not decided yet"
for e in "$dir"/in/* "$dir"/in/.[!.]*; do
case " $* ${own##*/} " in
*" ${e##*/} "*) ;;
*)
if [ -d "$e" ] && [ ! -h "$e" ] && heard "$e"; then
first "$e/.owner"
say kept "$l"
continue
fi
;;
esac
away "$e"
done
away "$dir"/spool/* "$dir"/spool/.new.* "$dir"/test.* "$dir"/new.* "$dir"/holder.[0-9]* "$dir"/holder.gone
if [ "$what" = all ]; then
now=$(date +%s)
for e in "$dir"/ledger/*; do
[ -e "$e" ] || continue
s_time=0
[ ! -f "$e/state" ] || entry "$e"
[ $(($now - $s_time)) -ge "$age" ] || continue
bytes "$e"
rm -rf "$e"
[ ! -d /run/systemd/system ] || systemctl reset-failed "cpacman-${e##*/}-install.service" "cpacman-${e##*/}-erase.service" 2>/dev/null </dev/null
done
fi
leave
trap - 0
fi
rmdir "$dir/in" "$dir/spool" "$dir/ledger" "$dir" 2>/dev/null
[ -e "$dir" ] || say gone
say end
