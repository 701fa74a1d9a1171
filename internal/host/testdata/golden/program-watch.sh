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
decide() {
printf '%s\n' "$1" >"$w/decision.$$"
sync "$w/decision.$$" 2>/dev/null || sync
ln "$w/decision.$$" "$w/decision" 2>/dev/null
rm -f "$w/decision.$$"
first "$w/decision" || fail space "writing the decision failed"
decision=$l
sync "$w" 2>/dev/null || sync
}
named() {
printf '%s\n' "${w##*/}" >"$w/name"
sha256 "$w/name"
name=cpacman-switch-$(printf '%s' "$sum" | cut -c1-12)
}
crond() {
[ -d /etc/cron.d ] || return 1
for f in /proc/[0-9]*/comm; do
first "$f" || continue
case $l in cron | crond | fcron) ;; *) continue ;; esac
case $(readlink "${f%comm}exe") in *busybox*) ;; *) return 0 ;; esac
done
return 1
}
arm() {
sinceboot
first /proc/sys/kernel/random/boot_id
printf '%s\n' "$watch" >"$w/watch.sh" && printf '%s\n' "$id" >"$w/for" && printf '%s\n' "$seconds" >"$w/seconds" &&
printf '%s %s\n' "$l" "$up" >"$w/armed" || fail space "writing the switch failed"
fires "$id" && return 0
rm -rf "$w"
fail noswitch "neither systemd nor a cron daemon is there to fire after a reboot"
}
fires() {
named
cmd="/bin/sh $w/watch.sh - $dir ${w##*/}"
if [ -d /run/systemd/system ]; then
{
printf '[Unit]\nDescription=cpacman dead man'"'"'s switch of %s\n[Service]\nType=oneshot\nKillMode=process\nSendSIGKILL=no\n' "$1"
printf 'ExecStart=%s\n' "$cmd"
} >"/etc/systemd/system/$name.service" &&
printf '[Unit]\nDescription=cpacman dead man'"'"'s switch of %s\n[Timer]\nOnActiveSec=2s\nOnBootSec=15s\nOnUnitInactiveSec=3s\nAccuracySec=1s\n[Install]\nWantedBy=timers.target\n' \
"$1" >"/etc/systemd/system/$name.timer" || fail noswitch "/etc/systemd/system cannot be written"
{ systemctl daemon-reload && systemctl enable "$name.timer" && systemctl start "$name.timer"; } </dev/null >"$w/arm.log" 2>&1 || {
disarm
fail noswitch "systemd does not take the timer"
}
elif crond; then
printf '* * * * * root %s >/dev/null 2>&1\n' "$cmd" >"/etc/cron.d/$name" || fail noswitch "/etc/cron.d cannot be written"
chmod 644 "/etc/cron.d/$name"
run="exec $cmd loop </dev/null >/dev/null 2>&1"
detached "$name" "cpacman switch"
else
return 1
fi
sync
}
kernel() {
said=
[ -f "$w/kernel.sh" ] || return 0
said=$(/bin/sh "$w/kernel.sh" - "$dir" "${w##*/}" "$1" </dev/null 2>>"$w/kernel.log") && return 0
said=$(printf '%s' "$said" | tr '\n' ' ' | cut -c1-500)
return 1
}
state() {
first /proc/sys/kernel/random/boot_id
printf 'protocol 1\nphase %s\nmode %s\ntoken %s\npid 0\nboot %s\ntime %s\n' "$1" "$2" "$token" "$l" "$(date +%s)" >"$w/state.new" &&
mv -f "$w/state.new" "$w/state" || fail space "writing the state failed"
sync "$w/state" "$w" 2>/dev/null || sync
}
claim() {
rmdir "$w/run-back" 2>/dev/null
state accepted back
}
onnew() {
new= at=
[ ! -f "$w/kernel" ] || while read -r k v; do
case $k in new) new=$v ;; esac
done <"$w/kernel"
first /proc/sys/kernel/osrelease
[ -n "$new" ] && [ "$new" = "$l" ]
}
onold() {
[ -f "$w/once" ] && read -r k at new <"$w/once" && [ "$k" = set ] || return 1
first /proc/sys/kernel/random/boot_id
[ "$l" != "$at" ] || return 1
first /proc/sys/kernel/osrelease
[ "$l" != "$new" ] || return 1
printf 'its new kernel %s did not come up: it booted with %s\n' "$new" "$l" >"$w/why"
}
disarm() {
named
if [ -e "/etc/systemd/system/$name.timer" ]; then
systemctl disable --now "$name.timer" </dev/null >/dev/null 2>&1
rm -f "/etc/systemd/system/$name.timer" "/etc/systemd/system/$name.service" "/etc/systemd/system/timers.target.wants/$name.timer"
systemctl daemon-reload </dev/null >/dev/null 2>&1
fi
rm -f "/etc/cron.d/$name"
}
over() {
for n in 1 2 3 4 5; do
if enter; then
first "$w/decision"
decision=$l
entry "$w"
if [ "$decision" = back ] && ! ended || [ -z "$decision" ]; then
leave
return 1
fi
rm -rf "$w/p"
disarm
leave
return 0
fi
sleep 1
done
return 1
}
back=$1
w=$dir/ledger/$back
[ -f "$w/for" ] || exit 0
first "$w/for"
id=$l
first "$w/seconds"
seconds=$l
decision=
look() {
[ -f "$w/for" ] || exit 0
first /proc/sys/kernel/random/boot_id
now_boot=$l
if [ -f "$w/decision" ]; then
first "$w/decision"
[ "$l" = back ] || return 0
fire
return
fi
sinceboot
f=$dir/ledger/$id
if [ ! -f "$f/state" ]; then
forgotten && enter || return 1
! forgotten || decide void
leave
[ "$decision" = void ] || return 1
kernel unguard
return 0
fi
active "$f" && return 1
if [ "$s_phase" = refused ]; then
decide void
return 0
fi
if [ -f "$w/kernel" ] && [ ! -f "$w/once" ] && [ ! -f "$w/held" ] && kernel hold; then
: >"$w/held"
fi
boot= at=0
[ ! -f "$w/clock" ] || read -r boot at <"$w/clock"
if [ "$boot" != "$now_boot" ]; then
printf '%s %s\n' "$now_boot" "$up" >"$w/clock.new" && mv -f "$w/clock.new" "$w/clock"
return 1
fi
[ $(($up - $at)) -ge "$seconds" ] || return 1
enter || return 1
onold
decide back
leave
[ "$decision" = back ] || return 0
fire
}
forgotten() {
[ ! -f "$f/state" ] && read -r boot at <"$w/armed" || return 1
[ "$boot" = "$now_boot" ] || at=0
[ $(($up - $at)) -ge 900 ]
}
fire() {
active "$w" && return 1
! ended || return 0
token=$s_token
kernel leave || return 1
enter || return 1
if active "$w" || ended; then
leave
else
claim
leave
/bin/sh "$w/runner.sh" - "$dir" "$back" back </dev/null >"$w/runner.log" 2>&1
entry "$w"
fi
ended
}
if [ -d "$w/watching" ] && first "$w/watching/pid" && p=$l && first "$w/watching/start" && s=$l && starttime "$p" && [ "$t" = "$s" ]; then
exit 0
fi
mkdir -p "$w/watching"
starttime $$
printf '%s\n' $$ >"$w/watching/pid"
printf '%s\n' "$t" >"$w/watching/start"
until look && over; do
[ "$2" = loop ] || exit 0
sleep 3
done
