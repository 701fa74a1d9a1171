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
loader() {
why="no boot loader was found that can boot a kernel once: neither GRUB 2 nor systemd-boot"
info=/sys/firmware/efi/efivars/LoaderInfo-$sdvendor
if [ -r "$info" ] && tr -d '\000' <"$info" | grep -F systemd-boot >/dev/null; then
boots=sdboot
bootctl --help 2>/dev/null </dev/null | grep -e set-oneshot >/dev/null && return 0
why="systemd-boot boots this host, and there is no bootctl that knows set-oneshot"
return 1
fi
boots=grub
for g in grub2 grub; do
env=/boot/$g/grubenv
cfg=/boot/$g/grub.cfg
[ ! -d /sys/firmware/efi ] || [ ! -f "/etc/$g-efi.cfg" ] || cfg=/etc/$g-efi.cfg
[ -f "$cfg" ] || continue
edit=$(command -v $g-editenv) || {
why="GRUB boots this host, and there is no $g-editenv"
return 1
}
grubworks
return
done
return 1
}
sdvendor=4a67b082-0a4c-41cf-b6c7-440b29bb8c4f
grubworks() {
for l in 'set default="${next_entry}"' 'save_env next_entry'; do
grep -F -e "$l" "$cfg" >/dev/null || {
why="$cfg knows no next_entry"
return 1
}
done
grep -F -e 'set default="${saved_entry}"' "$cfg" >/dev/null || {
why="$cfg does not boot the saved entry: GRUB_DEFAULT=saved is missing in /etc/default/grub"
return 1
}
first "$env" && [ "$l" = '# GRUB Environment Block' ] || {
why="$env is no environment block of GRUB"
return 1
}
case $(stat -L -f -c %T "$env" 2>/dev/null) in
btrfs | zfs | bcachefs | UNKNOWN* | '')
why="GRUB cannot write to $env: its file system keeps no place for that"
return 1
;;
esac
n=$(stat -L -c %d "$env") || return 1
n=/sys/dev/block/$((($n >> 8) & 4095)):$((($n & 255) | (($n >> 12) & 1048320)))
if [ -d "$n/md" ] || [ -d "$n/../md" ]; then
why="GRUB cannot write to $env on a software RAID"
return 1
fi
if first "$n/dm/uuid"; then
case $l in mpath-* | part*-mpath-*) return 0 ;; esac
why="GRUB cannot write to $env on a mapped device (LVM, encryption)"
return 1
fi
return 0
}
envvalue() { l=$("$edit" "$env" list 2>/dev/null | sed -n "s/^$1=//p" | head -n 1); }
setenv() {
if [ -n "$2" ]; then "$edit" "$env" set "$1=$2"; else "$edit" "$env" unset "$1"; fi
sync "$env" 2>/dev/null || sync
envvalue "$1"
[ "$l" = "$2" ] || {
why="$env cannot be written"
return 1
}
}
sdvalue() { l=$(cat "/sys/firmware/efi/efivars/$1-$sdvendor" 2>/dev/null | tail -c +5 | tr -d '\000'); }
setsd() {
bootctl "$1" "$3" </dev/null
sdvalue "$2"
[ "$l" = "$3" ] || {
why="bootctl $1 does not set the variable $2 of the firmware"
return 1
}
}
getdefault() {
case $boots in
grub) envvalue saved_entry ;;
sdboot) sdvalue LoaderEntryDefault ;;
esac
}
setdefault() {
case $boots in
grub) { [ -z "$("$edit" "$env" list | grep '^prev_saved_entry=')" ] || setenv prev_saved_entry ''; } && setenv saved_entry "$1" ;;
sdboot) setsd set-default LoaderEntryDefault "$1" ;;
esac
}
setnext() {
case $boots in
grub) setenv next_entry "$1" ;;
sdboot) setsd set-oneshot LoaderEntryOneShot "$1" ;;
esac
}
bootentry() {
found=
why="the boot loader has no entry for kernel $1"
if [ "$boots" = sdboot ]; then
sdentry "$1"
elif grep -e '^ *blscfg' "$cfg" >/dev/null; then
blsentry "$1"
else
cfgentry "$1"
fi
[ -n "$found" ]
}
several() {
if [ -n "$found" ] && [ "$found" != "$1" ]; then
why="the boot loader has several entries for the same kernel: $found, $1"
found=
return 1
fi
found=$1
}
blsentry() {
for f in /boot/loader/entries/*"$1".conf; do
[ -f "$f" ] || continue
hit=
while read -r k v rest; do
case $k:$v in linux:*/vmlinu[xz]-"$1" | linux:*/Image-"$1" | linux:*/"$1"/linux) hit=yes ;; esac
done <"$f"
[ -n "$hit" ] || continue
f=${f##*/}
several "${f%.conf}" || return 1
done
}
sdentry() {
name=
while read -r k v rest; do
case $k in
id:) name=$v ;;
version:) [ "$v" != "$1" ] || several "$name" || return 1 ;;
esac
done <<END
$(bootctl list --no-pager </dev/null 2>/dev/null)
END
}
sddefault() {
l= hit=
while read -r k v; do
case $k:$v in
title:*'(default)'*) hit=yes ;;
title:*) hit= ;;
id:*) [ -z "$hit" ] || l=$v ;;
esac
done <<END
$(bootctl list --no-pager </dev/null 2>/dev/null)
END
}
cfgentry() {
sub= title= name= seen=
while read -r line; do
case $line in
'submenu '* | 'menuentry '*)
title=${line#* }
case $title in
"'"*) title=${title#?} && title=${title%%"'"*} ;;
'"'*) title=${title#?} && title=${title%%'"'*} ;;
*) title=${title%% *} ;;
esac
ident=
case $line in *"menuentry_id_option '"*) ident=${line##*"menuentry_id_option '"} && ident=${ident%%"'"*} ;; esac
inmenu "$1" "${line%% *}"
;;
'}')
[ -n "$title" ] || sub=
title= name=
;;
linux*)
set -f
set -- "$1" $line
set +f
case $3 in */vmlinu[xz]-"$1" | */Image-"$1") ;; *) continue ;; esac
case ${name:-?>}$sub in *'>'*) continue ;; esac
found=${sub:+$sub>}$name
return 0
;;
esac
done <"$cfg"
}
inmenu() {
name=
for l in "$title" "$ident"; do
case $l in *'>'* | '') continue ;; *"$1"*) ;; *) [ "$2" = submenu ] || continue ;; esac
case $seen in *"
$sub>$l
"*) continue ;; esac
name=$l
break
done
seen="$seen
$sub>$title
$sub>$ident
"
[ "$2" = submenu ] || return 0
sub=${name:-?>}
title= name=
}
back=$1
verb=$2
w=$dir/ledger/$back
unable() {
printf '%s\n' "$*"
exit 1
}
known() {
[ -f "$w/kernel" ] || exit 0
new= old= default=
while read -r k v; do
case $k in
new) new=$v ;;
old) old=$v ;;
default) default=$v ;;
esac
done <"$w/kernel"
first /proc/sys/kernel/osrelease
runs=$l
first /proc/sys/kernel/random/boot_id
now_boot=$l
}
images() {
$rpm -qp --nosignature --qf '[%{FILENAMES}\n]' "$1" </dev/null 2>/dev/null | sed -n -e 's,^/boot/vmlinu[xz]-,,p' -e 's,^/boot/Image-,,p' \
-e 's,^/usr/lib/modules/\([^/]*\)/vmlinu[xz]$,\1,p' -e 's,^/lib/modules/\([^/]*\)/vmlinu[xz]$,\1,p' -e 's,^/lib/modules/\([^/]*\)/Image$,\1,p' | sort -u
}
brings() {
new= all=
mine=$($rpm -qf --qf '%{NAME}\n' "/boot/vmlinuz-$old" </dev/null 2>/dev/null) ||
mine=$($rpm -qf --qf '%{NAME}\n' "/lib/modules/$old/vmlinuz" </dev/null 2>/dev/null) || mine=
while read -r k a b; do
[ "$k" = i ] && isdigest "$a" || continue
for l in $(images "$w/p/$a.rpm"); do
case $l in *[!A-Za-z0-9._+~-]* | -*) unable "a package brings a kernel with a strange name" ;; esac
all="$all $l"
[ "$($rpm -qp --nosignature --qf '%{NAME}' "$w/p/$a.rpm" </dev/null 2>/dev/null)" != "$mine" ] || new="$new $l"
done
done <"$1"
set -- $all
[ $# -gt 1 ] || new=$all
set -- $new
[ $# = 1 ] || [ -z "$all" ] || unable "several new kernels come in ($all ), and none is of the name of the running one"
new=$1
}
hold() {
loader && bootentry "$old" && setdefault "$found" && setnext ''
}
unguard() {
loader || return 1
case $boots in
grub) setnext '' ;;
sdboot) setdefault "$default" ;;
esac
}
there() {
for f in "/boot/vmlinuz-$new" "/boot/vmlinux-$new" "/boot/Image-$new" "/lib/modules/$new/vmlinuz" "/lib/modules/$new/vmlinux" "/lib/modules/$new/Image"; do
[ ! -e "$f" ] || return 0
done
return 1
}
result() {
printf '%s\n' "$*" >"$w/once.new"
sync "$w/once.new" 2>/dev/null || sync
mv -f "$w/once.new" "$w/once"
sync "$w" 2>/dev/null || sync
}
case $verb in
prepare)
first /proc/sys/kernel/osrelease
old=$l
brings "$w/forward"
[ -n "$new" ] && [ "$new" != "$old" ] || exit 0
loader && bootentry "$old" || unable "$why"
getdefault
printf 'new %s\nold %s\ndefault %s\n' "$new" "$old" "$l" >"$w/kernel.new" && sync "$w/kernel.new" 2>/dev/null
mv -f "$w/kernel.new" "$w/kernel" || unable "$w cannot be written"
;;
guard)
known
loader && bootentry "$old" || unable "$why"
case $boots in
grub) setnext "$found" ;;
sdboot) setdefault "$found" ;;
esac || {
fault=$why
unguard
unable "$fault"
}
;;
unguard)
known
[ -f "$w/once" ] || unguard || unable "$why"
;;
once)
known
if ! there; then
unguard
result none
elif hold && bootentry "$new" && setnext "$found"; then
result set "$now_boot" "$new"
else
result failed "$now_boot" "kernel $new cannot be booted once: $why"
hold
fi
;;
keep)
known
loader && setnext '' && bootentry "$new" || unable "$why"
if [ "$boots" = sdboot ] && [ -z "$default" ] && setdefault ''; then
sddefault
[ "$l" != "$found" ] || exit 0
fi
setdefault "$found" || unable "$why"
;;
hold)
known
hold || unable "$why"
;;
leave)
known
[ "$runs" = "$new" ] || {
hold
exit 0
}
sinceboot
at= then=
[ ! -f "$w/left" ] || read -r then at <"$w/left"
[ -z "$then" ] || [ "$then" = "$now_boot" ] || exit 0
[ -z "$at" ] || [ $(($up - $at)) -ge 300 ] || exit 1
hold || exit 0
h=
rpmpaths && lockholder "$lockfile"
case $h in held*) exit 1 ;; esac
printf '%s %s\n' "$now_boot" "$up" >"$w/left"
sync
if [ -d /run/systemd/system ]; then systemctl reboot </dev/null; else shutdown -r now || reboot; fi
exit 1
;;
restore)
known
loader && setnext '' && setdefault "$default" || unable "$why"
;;
esac
exit 0
