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
ask() {
asked=$*
case $asked in *^*) asked=$(printf '%s\n' "$asked" | sed 's/\^/\\^/g') ;; esac
}
readorder() {
o_id= o_machine= o_count= o_set= o_old= o_level=all o_wait=0 o_elements=0 o_u=0 o_i=0 o_x= o_e= o_k= o_r= o_undo= o_exec=rpm
while read -r k a b c; do
case $k in
id) o_id=$a ;;
machine) o_machine=$a ;;
expect)
o_count=$a
o_set=$b
;;
old) o_old="$o_old --oldpackage" ;;
again) o_old="$o_old --replacepkgs" ;;
level) o_level=$a ;;
lockwait) o_wait=$a ;;
elements) o_elements=$a ;;
u) o_u=$(($o_u + 1)) ;;
i) o_i=$(($o_i + 1)) ;;
x) o_x="$o_x $a" ;;
e) o_e="$o_e $a" ;;
import) o_k="$o_k $a" ;;
retire) o_r="$o_r $a" ;;
undokeys) o_undo=yes ;;
executor) o_exec=$a ;;
esac
done <"$1"
}
pack() {
f=$1
mkdir -p "$w/p" || return 1
set --
while read -r k a b c; do
case $k in u | i) ;; *) continue ;; esac
isdigest "$a" || continue
for l in "$own/$a.rpm" "$dir/spool/$a.rpm"; do
[ -f "$l" ] && [ ! -h "$l" ] || continue
set -- "$@" "$l"
break
done
done <"$f"
[ $# = 0 ] || ln "$@" "$w/p/" 2>/dev/null
return 0
}
linkall() {
bad=
rm -rf "$w/u" "$w/i"
mkdir "$w/u" "$w/i" || return 1
while read -r k a b c; do
case $k in u | i) ;; *) continue ;; esac
f=$w/p/$a.rpm
if isdigest "$a" && [ -f "$f" ] && [ ! -h "$f" ] && sha256 "$f" && [ "$sum" = "$a" ]; then
ln "$f" "$w/$k/$c" 2>/dev/null && continue
fi
bad=$c
return 1
done <"$1"
}
installed() {
listtags
unread='rpm -qa failed'
$rpm -qa --qf "%{NAME} %|EPOCH?{%{EPOCH}}:{0}| %{VERSION}-%{RELEASE}.%{ARCH} $digest\\n" </dev/null >"$w/set" 2>"$w/set.err" || return 1
if grep -e '^error: ' "$w/set.err" >/dev/null; then
unread=$(grep -e '^error: ' -e '^ *because: ' "$w/set.err" | head -n 2 | tr '\n' ' ')
return 1
fi
unread=
sed -e '/^gpg-pubkey /d' -e 's/\.(none) /. /' -e 's/^\([^ ]*\) 0 /\1-/' -e t -e 's/^\([^ ]*\) \([0-9]*\) /\1-\2:/' "$w/set" | sort >"$w/set.sorted"
count=$(grep -c '' "$w/set.sorted")
sha256 "$w/set.sorted" || return 1
set=$sum
rm -f "$w/set" "$w/set.err" "$w/set.sorted"
[ "$count" -gt 0 ]
}
expected() {
unread=
[ -n "$o_set" ] || return 0
installed || return 1
[ "$count $set" = "$o_count $o_set" ]
}
rpmtest() {
test_rc=0 ahead=
if [ -n "$o_x" ]; then
ahead='--nodeps --replacefiles'
ask $o_x
$rpm -e --nodeps --test $asked </dev/null >"$w/test.x" 2>&1 || test_rc=$?
fi
if [ "$o_u" -gt 0 ] && [ "$test_rc" = 0 ]; then
(cd "$w/u" && exec $rpm -U --test $ahead $o_old --define "_pkgverify_level $o_level" ./*.rpm) </dev/null >"$w/test.u" 2>&1 || test_rc=$?
fi
if [ "$o_i" -gt 0 ] && [ "$test_rc" = 0 ]; then
set -- "$w"/i/*.rpm
[ "$o_u" = 0 ] || set -- "$@" "$w"/u/*.rpm
$rpm -i --test --replacefiles $ahead $o_old --define "_pkgverify_level $o_level" "$@" </dev/null >"$w/test.i" 2>&1 || inboth "$@" || test_rc=1
fi
return $test_rc
}
inboth() {
if $rpm -U --test $o_old --define "_pkgverify_level $o_level" "$@" </dev/null >"$w/test.b" 2>&1; then
: >"$w/test.i"
return 0
fi
if grep -F 'Failed dependencies:' "$w/test.i" >/dev/null; then
$rpm -i --test --nodeps --replacefiles $o_old --define "_pkgverify_level $o_level" "$@" </dev/null >>"$w/test.i" 2>&1
fi
if grep -F 'Failed dependencies:' "$w/test.b" >/dev/null; then
$rpm -U --test --nodeps $o_old --define "_pkgverify_level $o_level" "$@" </dev/null >>"$w/test.b" 2>&1
fi
tab=$(printf '\t')
grep -e "^[ $tab]" -e '^error: ' "$w/test.b" | grep -v 'Failed dependencies:' >"$w/test.c"
grep -F -x -f "$w/test.c" "$w/test.i" >"$w/test.d"
mv -f "$w/test.d" "$w/test.i"
[ ! -s "$w/test.i" ]
}
keep() {
[ -f "$1" ] || return 0
[ "$(wc -c <"$1")" -gt 262144 ] || return 0
{
dd bs=1024 count=64 2>/dev/null
printf '\n[…]\n'
} <"$1" >"$1.short"
tail -c 196608 "$1" >>"$1.short"
mv -f "$1.short" "$1"
}
order() {
isdigest "$2" || fail argument "no digest: $2"
[ -f "$1/$2.order" ] && [ ! -h "$1/$2.order" ] || fail digest "the order is missing"
cat <"$1/$2.order" >"$w/order" || fail space "copying the order failed"
sha256 "$w/order" && [ "$sum" = "$2" ] || fail digest "the order has other bytes"
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
detached() {
how=
if [ -d /run/systemd/system ]; then
collect=
systemd-run --help 2>/dev/null | grep -e --collect >/dev/null && collect=--collect
systemd-run --quiet --unit="cpacman-$1" --description="$2" $collect -p KillMode=process \
-p SendSIGKILL=no /bin/sh -c "$run" </dev/null >/dev/null 2>&1 && how=systemd
fi
[ -z "$how" ] || return 0
how=setsid
if command -v setsid >/dev/null 2>&1; then
setsid /bin/sh -c "$run" </dev/null >/dev/null 2>&1 &
else
how=background
(trap '' HUP; exec /bin/sh -c "$run") </dev/null >/dev/null 2>&1 &
fi
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
sender=$1
own=$dir/in/$1
shift
drop=$1 digest=$2 id=$3 token=$4 mode=$5 runner=$6 back=$7 backdigest=$8 seconds=$9
shift 6
watch=$4 trial=$5 kernelsh=$6
place "$dir" "$dir/spool" "$dir/ledger"
w=$dir/ledger/$id
watched=
mutex
readlock
[ "$k_id" = "$token" ] || fail notlocked "${k_id:-nobody} holds the lock"
accept() {
rm -rf "$dir/new.$$"
mkdir "$dir/new.$$" || fail space "mkdir failed"
w=$dir/new.$$
trap 'rm -rf "$dir/new.$$"; leave' 0
order "$drop" "$2"
readorder "$w/order"
[ "$o_id" = "$1" ] || fail argument "the order is for $o_id"
w=$dir/ledger/$1
mkdir "$w" 2>/dev/null || fail replay "$1"
mv "$dir/new.$$/order" "$w/order" || fail space "mv failed"
printf '%s\n' "$runner" >"$w/runner.sh" || fail space "writing the runner failed"
provide
}
provide() { pack "$w/order" && printf '%s\n' "$sender" >"$w/sender" || fail space "linking the packages failed"; }
rearm() {
if [ ! -f "$w/for" ]; then
rm -rf "$w"
accept "$back" "$backdigest"
return
fi
if first "$w/decision"; then
[ "$l" = void ] || fail decided "its dead man's switch has decided before it began: $l"
rm -f "$w/decision"
fi
provide
}
prepare() {
isdigest "$digest" && [ ! -h "$drop/$digest.order" ] && cat <"$drop/$digest.order" >"$w/forward" && sha256 "$w/forward" && [ "$sum" = "$digest" ] ||
fail digest "the order has other bytes"
[ ! -f "$w/kernel" ] || kernel unguard
printf '%s\n' "$kernelsh" >"$w/kernel.sh" || fail space "writing the switch failed"
rm -f "$w/kernel" "$w/once"
pack "$w/forward" || fail space "linking the packages failed"
kernel prepare && return 0
if [ "$trial" = needed ]; then
rm -rf "$w"
fail nobootonce "$said"
fi
printf 'not - %s\n' "$said" >"$w/once"
}
guard() {
w=$dir/ledger/$back
if [ -f "$w/kernel" ] && ! kernel guard; then
if [ "$trial" = needed ]; then
disarm
rm -rf "$w" "$dir/ledger/$id"
fail nobootonce "$said"
fi
rm -f "$w/kernel"
printf 'not - %s\n' "$said" >"$w/once"
fi
w=$dir/ledger/$id
}
case $mode in
erase)
[ -f "$w/state" ] || fail unknown "$id"
first /proc/sys/kernel/random/boot_id
now_boot=$l
active "$w" && fail busy "$id"
[ "$s_mode" != erase ] || fail replay "$id erase"
printf '%s\n' "$runner" >"$w/runner.sh" || fail space "writing the runner failed"
;;
back)
running
[ -z "$r" ] || [ "$r" = "$id" ] || fail busy "$r"
[ -f "$w/for" ] || [ -f "$w/state" ] || rm -rf "$w"
[ -d "$w" ] || accept "$id" "$digest"
active "$w" && fail replay "$id"
! ended || fail replay "$id"
provide
! first "$w/for" || (fires "$l") >/dev/null && watched=$l
printf 'back\n' >"$w/decision.new" && mv -f "$w/decision.new" "$w/decision" || fail space "writing the decision failed"
sync "$w/decision" "$w" 2>/dev/null || sync
if onnew; then
[ -n "$watched" ] || fail noswitch "neither systemd nor a cron daemon is there to go on after a reboot"
state armed back
say started switch
say end
exit 0
fi
[ -n "$watched" ] || disarm
claim
;;
install)
[ ! -f "$w/state" ] && [ ! -d "$w/run-install" ] || fail replay "$id"
running
[ -z "$r" ] || fail busy "$r"
rm -rf "$w"
if [ -n "$back" ]; then
w=$dir/ledger/$back
rearm
[ -z "$trial" ] || prepare
arm
state armed back
fi
accept "$id" "$digest"
[ -z "$back" ] || printf '%s\n' "$back" >"$w/switch" || fail space "writing failed"
[ -z "$trial" ] || guard
;;
esac
[ "$mode" = back ] || state accepted "$mode"
[ "$mode" = erase ] || rm -f "$drop/$digest.order" "$drop/$backdigest.order"
[ "$mode" = erase ] || [ "$drop" = "$own" ] || rmdir "$drop" 2>/dev/null
leave
trap - 0
rm -rf "$dir/new.$$"
run="exec /bin/sh '$w/runner.sh' - '$dir' '$id' $mode </dev/null >'$w/runner.log' 2>&1"
detached "$id-$mode" "cpacman transaction $id"
say started "$how"
say end
