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
uploads "$1"
shift
place "$dir" "$dir/spool"
w=$dir/test.$$
rm -rf "$w"
mkdir "$w" || fail space "mkdir $w failed"
trap 'rm -rf "$w"' 0
order "$1" "$2"
readorder "$w/order"
first /etc/machine-id
[ -z "$o_machine" ] || [ "$o_machine" = "$l" ] || fail machine "the order is for another machine: $o_machine, this is $l"
pack "$w/order" || fail space "mkdir $w/p failed"
linkall "$w/order" || fail digest "staged package is missing or has other bytes: $bad"
if ! expected; then
[ -z "$unread" ] || fail database "rpm cannot read all of its database: $unread"
say changed "$count" "$set"
fi
if [ -n "$o_k" ]; then
keyfiles "$w/order" || fail digest "$bad"
if testkeys; then
[ "$o_level" != all ] || o_level=digest
rpmtest
else
test_rc=1
fi
else
rpmtest
fi
if [ "$test_rc" = 0 ]; then
if dnftest; then rm -f "$w/test.y"; else test_rc=1; fi
fi
say test "$test_rc"
for f in k y x u i; do
[ -f "$w/test.$f" ] || continue
keep "$w/test.$f"
sed "s/^/$N out /" "$w/test.$f"
echo
done
if [ -n "$o_e" ]; then
set -f
ask $o_e
$rpm -e --test $asked </dev/null >"$w/test.e" 2>&1
say erase $?
set +f
keep "$w/test.e"
sed "s/^/$N eout /" "$w/test.e"
echo
fi
say end
