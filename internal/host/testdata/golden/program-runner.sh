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
keys=$rpm
[ ! -x "${rpm%rpm}rpmkeys" ] || keys=${rpm%rpm}rpmkeys
keyfiles() {
bad=
rm -f "$w"/key.*.asc
while read -r k a b c; do
case $k in import) ;; *) continue ;; esac
sed -n "s/^k$a //p" "$1" >"$w/key.$a.asc"
sha256 "$w/key.$a.asc" && [ "$sum" = "$b" ] && continue
bad="key $c"
return 1
done <"$1"
}
pubkeys() { $rpm -qa gpg-pubkey --qf '%{VERSION}-%{RELEASE}\n' </dev/null 2>/dev/null | sort; }
keydb() {
rm -rf "$w/keydb"
mkdir "$w/keydb" || return 1
}
trykey() {
l=
$keys --dbpath "$w/keydb" --import "$1" </dev/null >"$w/key.out" 2>&1 && return 0
l=$(grep -v '^rpm: ' "$w/key.out" | head -n 5 | tr '\n' ' ')
rm -f "$w/key.out"
[ -n "$l" ] || l='rpmkeys --import refuses it'
}
testkeys() {
keydb || return 1
: >"$w/test.k"
$rpm -q gpg-pubkey --qf '%{DESCRIPTION}\n' </dev/null >"$w/known.asc" 2>/dev/null
trykey "$w/known.asc"
rc=0
for p in $o_k; do
trykey "$w/key.$p.asc"
[ -n "$l" ] || continue
printf 'error: key %s is refused: %s\n' "$p" "$l" >>"$w/test.k"
rc=1
done
for p in u i; do
[ "$rc" = 0 ] || break
set -- "$w/$p"/*.rpm
[ -f "$1" ] || continue
$keys --dbpath "$w/keydb" -Kv --define "_pkgverify_level $o_level" "$@" </dev/null >"$w/key.out" 2>&1 && continue
rc=1
grep -e 'NOKEY' -e 'NOT OK' -e 'BAD' -e 'NOTTRUSTED' -e '^error: ' "$w/key.out" >>"$w/test.k"
done
rm -rf "$w/keydb" "$w/known.asc" "$w/key.out"
return $rc
}
newkeys() {
l=
[ -f "$1/keys.before" ] || return 0
f=$1/keys.after
[ -f "$f" ] || {
pubkeys >"$w/keys.now"
f=$w/keys.now
}
for p in $(cat "$f"); do
grep -x -F -e "$p" "$1/keys.before" >/dev/null && continue
$rpm -q "gpg-pubkey-$p" </dev/null >/dev/null 2>&1 && l="$l gpg-pubkey-$p"
done
}
dropkeys() {
$rpm -e --allmatches "$@" </dev/null
rc=$?
for p; do
$rpm -q "$p" </dev/null >/dev/null 2>&1 || continue
l=${p#gpg-pubkey-}
$keys --delete "${l%-*}" </dev/null
rc=$?
done
return $rc
}
dnf=
for l in /usr/bin/dnf /bin/dnf /usr/bin/dnf5; do
[ -x $l ] && dnf=$l && break
done
dnfopt() {
o='--setopt=reposdir=/nonexistent --setopt=best=1 --setopt=strict=1 --setopt=install_weak_deps=0 --setopt=installonly_limit=0 --setopt=obsoletes=1 --setopt=clean_requirements_on_remove=0'
case $(readlink -f $dnf) in
*/dnf5) grep -e '^ *\[' /etc/dnf/dnf.conf 2>/dev/null | grep -v -e '\[main\]' >/dev/null && o="$o --disablerepo=*" ;;
*) o="$o --disablerepo=*" ;;
esac
[ "$o_level" != all ] || o="$o --setopt=localpkg_gpgcheck=1"
}
putin() {
set -- "$1" ./*.rpm
if [ "$o_exec" != dnf ]; then
case $1 in u) flag=-U ;; i) flag=-i ;; esac
shift
exec $rpm $flag --percent $o_old --define "_pkgverify_level $o_level" "$@"
fi
names=
[ "$1" = u ] || names=$($rpm -qp --nosignature --qf '%{NAME},' ./*.rpm 2>/dev/null </dev/null)
shift
dnfopt
set -f
exec $dnf -y $o --setopt="installonlypkgs=${names%,}" install "$@"
}
dnftest() {
[ "$o_exec" = dnf ] || return 0
[ -n "$dnf" ] || {
echo 'error: there is no dnf on this host' >"$w/test.y"
return 1
}
[ "$o_u" -gt 0 ] || return 0
dnfopt
set -- "$w"/u/*.rpm
set -f
$dnf -y $o --setopt=tsflags=test --setopt=installonlypkgs= install "$@" </dev/null >"$w/test.y" 2>&1
rc=$?
set +f
[ "$rc" != 0 ] || return 0
grep -e '^[^=]' "$w/test.y" | tail -n 30 | sed 's/^/dnf: /' >"$w/test.z"
mv -f "$w/test.z" "$w/test.y"
return $rc
}
takeout() {
if [ "$o_exec" != dnf ]; then
ask "$@"
exec $rpm -e $asked
fi
dnfopt
set -f
exec $dnf -y $o remove --noautoremove "$@"
}
id=$1
mode=$2
w=$dir/ledger/$id
cd "$w" || exit 0
mkdir "run-$mode" 2>/dev/null || exit 0
trap : HUP INT TERM PIPE
starttime $$
me=$t
first /proc/sys/kernel/random/boot_id
boot=$l
began=
detail=
phase() {
now=$(date +%s)
{
printf 'protocol 1\nphase %s\nmode %s\ntoken %s\npid %s\nstart %s\nboot %s\ntime %s\n' "$1" "$mode" "$token" "$$" "$me" "$boot" "$now"
[ -z "$began" ] || printf 'began %s\n' "$began"
[ -z "$detail" ] || printf 'detail %s\n' "$detail"
} >state.new
sync state.new 2>/dev/null || sync
mv -f state.new state
sync . 2>/dev/null
}
finish() {
detail=$2
[ "$1" != refused ] || [ "$mode" != install ] || kernel unguard
[ "$1" != refused ] || undokeys
for f in test.y k.out k.err r.out r.err test.k x.out x.err u.out u.err i.out i.err e.out e.err test.x test.u test.i test.e runner.log; do keep "$f"; done
rm -rf u i key.*.asc keys.now test.b test.c test.d
[ "$1" != done ] || ! first sender || rm -rf "$dir/in/$l"
[ "$mode" != install ] || clock
phase "$1"
rm -rf p
exit 0
}
clock() {
[ -f switch ] || return 0
sinceboot
first switch || return 0
printf '%s %s\n' "$boot" "$up" >"$dir/ledger/$l/clock.new" && mv -f "$dir/ledger/$l/clock.new" "$dir/ledger/$l/clock"
}
patient() {
[ -z "$begun" ] || return 0
sinceboot
[ "$up" -lt "$limit" ]
}
waitlock() {
while :; do
rpmpaths || finish refused "rpm rpm --eval fails"
lockholder "$lockfile"
case $h in held*) ;; *) return 0 ;; esac
command_of "${h#held }"
detail="${h#held } $l"
patient || finish refused "lock $detail"
phase waiting_lock
sleep 2
done
}
busy() { grep -e 'transaction lock' -e 'exclusive lock' "$1" >/dev/null 2>&1; }
step() {
n=$1
shift
while :; do
detail=$n
[ -n "$began" ] || began=$(date +%s)
phase running
(
[ ! -d "$w/$n" ] || cd "$w/$n" || exit 255
case $1 in dropkeys | putin | takeout) "$@" ;; *) exec "$@" ;; esac
) </dev/null >"$w/$n.out" 2>"$w/$n.err"
step_rc=$?
[ "$step_rc" != 0 ] && busy "$w/$n.err" || break
patient || finish refused "lock somebody was faster"
sleep 1
waitlock
[ -n "$begun" ] || return 1
done
begun=yes
printf '%s %s\n' "$n" "$step_rc" >>rc
sync rc 2>/dev/null || sync
return 0
}
inhibit() {
[ -d /run/systemd/system ] && command -v systemd-inhibit >/dev/null 2>&1 || return 0
systemd-inhibit --what=shutdown:sleep --who=cpacman --why="rpm transaction $id" --mode=block \
/bin/sh -c "while kill -0 $$ 2>/dev/null; do sleep 2; done" </dev/null >/dev/null 2>&1 &
}
kernel() {
k=$dir/ledger/${id%-back}-back
[ ! -f "$k/kernel.sh" ] || /bin/sh "$k/kernel.sh" - "$dir" "${k##*/}" "$1" </dev/null >>"$k/kernel.log" 2>&1
}
spare() {
first /proc/sys/kernel/osrelease
runs=$l
l=
for p; do
ask "$p"
[ -f kernel ] && $rpm -ql "$asked" </dev/null 2>/dev/null | grep -F -e "/modules/$runs/" -e "/boot/vmlinuz-$runs" >/dev/null && continue
case $p in *-"$runs" | *-"$runs".*) [ ! -f kernel ] || continue ;; esac
l="$l $p"
done
}
running() {
case $1 in *-"$runs" | *-"$runs".*) return 0 ;; esac
ask "$1"
$rpm -ql "$asked" </dev/null 2>/dev/null | grep -F -x -e "/boot/vmlinuz-$runs" -e "/lib/modules/$runs/vmlinuz" -e "/usr/lib/modules/$runs/vmlinuz" >/dev/null
}
left() {
l=
for p; do
ask "$p"
$rpm -q "$asked" </dev/null >/dev/null 2>&1 && l="$l $p"
done
}
came() {
l=$($rpm -qp --nosignature --qf '%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}' "$1" 2>/dev/null </dev/null)
ask "$l"
[ -n "$l" ] && $rpm -q "$asked" </dev/null >/dev/null 2>&1
}
whole() {
[ "$o_u" != 0 ] && [ "$step_rc" != 0 ] || return 0
[ -n "$o_count" ] || return 1
for f in "$w"/u/*.rpm; do
came "$f" || return 1
done
set -- $o_x
installed && [ "$count" = $(($o_count - $# - $o_elements + 2 * $o_u + $o_i)) ]
}
twin() {
set -- $($rpm -qp --nosignature --qf '%{NAME} %{ARCH}' "$1" 2>/dev/null </dev/null)
[ $# = 2 ] && [ "$($rpm -q --qf '%{ARCH}\n' "$1" 2>/dev/null </dev/null | grep -c -x -e "$2")" -gt 1 ]
}
there() {
n=0
for f in "$w/$1"/*.rpm; do
[ -f "$f" ] || continue
if [ -z "$2" ] && came "$f" && ! twin "$f"; then
rm -f "$f"
else
n=$(($n + 1))
fi
done
}
killed() {
[ -f "$1/rc" ] || return 1
while read -r k v; do
[ "$v" -le 128 ] || return 0
done <"$1/rc"
return 1
}
units() {
if [ -d /run/systemd/system ]; then
systemctl daemon-reload </dev/null >/dev/null 2>&1
f=$dir/ledger/${id%-back}/units
[ ! -f "$f" ] || while read -r u rest; do
case $u in cpacman-* | *@*) continue ;; esac
systemctl is-active --quiet "$u" </dev/null || {
systemctl reset-failed "$u"
systemctl start "$u"
} </dev/null >/dev/null 2>&1
case $u in sshd.service | ssh.service) systemctl restart "$u" </dev/null >/dev/null 2>&1 ;; esac
done <"$f"
else
for u in sshd ssh; do
[ ! -x "/etc/init.d/$u" ] || "/etc/init.d/$u" restart </dev/null >/dev/null 2>&1
done
fi
}
importkeys() {
[ -n "$o_k" ] && [ ! -f keys.after ] || return 0
keyfiles order || finish refused "digest $bad"
if [ ! -f keys.before ]; then
pubkeys >keys.new && mv -f keys.new keys.before || finish refused "key the keys of the host cannot be written down"
sync keys.before . 2>/dev/null || sync
fi
step k $keys --import "$w"/key.*.asc || return 1
pubkeys >keys.new && mv -f keys.new keys.after
begun= began=
[ "$step_rc" = 0 ] || finish refused "key rpmkeys --import failed"
}
undokeys() {
[ "$mode" = install ] && [ -z "$begun" ] || return 0
newkeys .
[ -z "$l" ] || dropkeys $l >k.undo 2>&1
}
retire() {
left $o_r
[ -n "$l" ] || return 0
n=0
gone=$l
for p in $gone; do
n=$(($n + 1))
$rpm -q --qf '%{DESCRIPTION}\n' "$p" </dev/null >"retired.$n.new" 2>/dev/null
grep -e 'BEGIN PGP PUBLIC KEY' "retired.$n.new" >/dev/null || finish refused "key $p cannot be kept for the way back"
mv -f "retired.$n.new" "retired.$n.asc"
done
sync . 2>/dev/null || sync
until step r dropkeys $gone; do :; done
}
entry "$w"
token=$s_token
readorder order
begun=
sinceboot
limit=$(($up + $o_wait))
phase testing
first /etc/machine-id
[ -z "$o_machine" ] || [ "$o_machine" = "$l" ] || finish refused "machine $l"
if [ "$mode" = erase ]; then
waitlock
runs=$(uname -r)
for p in $o_e; do
! running "$p" || finish refused "kernel $p is running"
done
ask $o_e
[ -z "$o_e" ] || $rpm -e --test $asked </dev/null >test.e 2>&1 || finish refused "test erase"
inhibit
[ -z "$o_e" ] || until step e takeout $o_e; do :; done
retire
finish done
fi
if [ "$mode" = back ]; then
waitlock
detail=
phase testing
linkall order || finish refused "digest $bad"
kernel hold
from=$dir/ledger/${id%-back}
entry "$from"
cut=
[ "$s_mode" != install ] || ended && ! killed "$from" || cut=yes
there u "$cut"
o_u=$n
there i ''
o_i=$n
left $o_x
o_x=$l
inhibit
begun=yes
if [ -n "$o_undo" ]; then
set -- "$from"/retired.*.asc
[ ! -f "$1" ] || step k $keys --import "$@"
fi
ask $o_x
[ -z "$o_x" ] || step x $rpm -e --nodeps $asked
[ "$o_u" = 0 ] || step u $rpm -U --percent --oldpackage --replacepkgs --define "_pkgverify_level $o_level" ./*.rpm
[ "$o_i" = 0 ] || step i $rpm -i --percent --oldpackage --define "_pkgverify_level $o_level" ./*.rpm
left $o_e
spare $l
ask $l
[ -z "$l" ] || step e $rpm -e $asked
kernel restore
if [ -n "$o_undo" ]; then
newkeys "$from"
[ -z "$l" ] || step r dropkeys $l
fi
detail=units
phase running
units
finish done
fi
[ ! -d /run/systemd/system ] || systemctl list-units --type=service --state=active --no-legend --plain </dev/null >units 2>/dev/null
while :; do
waitlock
detail=
phase testing
if ! expected; then
[ -z "$unread" ] || finish refused "database $unread"
finish refused "changed $count $set"
fi
linkall order || finish refused "digest $bad"
importkeys || continue
rpmtest || finish refused "test $test_rc"
dnftest || finish refused "test dnf"
[ -n "$o_x" ] || [ "$o_u" -gt 0 ] || break
[ -n "$began" ] || inhibit
if [ -n "$o_x" ]; then
ask $o_x
step x $rpm -e --nodeps $asked || continue
[ "$o_u" = 0 ] || step u putin u
break
fi
step u putin u && break
done
if [ "$o_i" -gt 0 ] && whole; then
[ -n "$began" ] || inhibit
waitlock
until step i putin i; do :; done
fi
kernel once
finish done
