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
lines() {
kind=$1
shift
for f in "$@"; do
if [ ! -f "$f" ]; then
case $kind in # a directory, or a link to nothing: what is kept back is not known
lock | main) [ ! -d "$f" ] && { [ -e "$f" ] || [ ! -h "$f" ]; } || say unreadable "$kind" "$f" ;;
esac
continue
fi
if [ ! -r "$f" ]; then
say unreadable "$kind" "$f"
continue
fi
say file "$kind" "$f"
list=
while IFS= read -r raw || [ -n "$raw" ]; do
l=${raw#"${raw%%[![:space:]]*}"}
case $l in
\#* | \;*) continue ;;
'')
[ "$kind" != lock ] || say line
continue
;;
esac
case $kind:$l in
repo:\[* | repo:enabled* | repo:baseurl* | repo:mirrorlist* | repo:metalink*) ;;
main:*)
case $raw in
[" $tab"]*) [ -z "$list" ] || { say line " $l" && continue; } ;;
esac
list=
case $l in
exclude=* | exclude[" $tab"]* | excludepkgs* | protected_packages*) list=1 ;;
\[*) ;;
*) continue ;;
esac
;;
module:\[* | module:stream* | module:state*) ;;
lock:* | protected:* | restart:* | vendors:vendors*) ;;
*) continue ;;
esac
say line "$l"
done <"$f"
done
}
locklist() {
list=$2
[ -r "$1" ] || return 0
named= off=
while read -r l || [ -n "$l" ]; do
value=${l#*=}
value=${value#"${value%%[![:space:]]*}"}
case $l in
locklist=* | locklist[" $tab"]*=*) list=$value named=1 ;;
enabled=* | enabled[" $tab"]*=*)
case $value in
0 | [Nn][Oo] | [Oo][Ff][Ff] | [Ff][Aa][Ll][Ss][Ee]) off=1 ;;
*) off= ;;
esac
;;
esac
done <"$1"
[ -z "$off" ] || list= named=
[ -z "$named" ] || [ -e "$list" ] || [ -h "$list" ] || say unreadable lock "${list:-$1}"
}
closed() {
kind=$1
shift
for f; do
[ ! -d "$root$f" ] || { [ -r "$root$f" ] && [ -x "$root$f" ]; } || say unreadable "$kind" "$f"
done
}
root=
tab=$(printf '\t')
config() {
closed repo /etc/yum.repos.d
closed lock /etc/dnf /etc/dnf/plugins /etc/dnf/libdnf5.conf.d /etc/dnf/protected.d /etc/yum /etc/yum/pluginconf.d /etc/yum/protected.d /etc/zypp
closed module /etc/dnf /etc/dnf/modules.d
lines repo "$root"/etc/yum.repos.d/*.repo
lines main "$root"/etc/dnf/dnf.conf "$root"/etc/yum.conf "$root"/etc/dnf/libdnf5.conf.d/*.conf "$root"/usr/share/dnf5/libdnf.conf.d/*.conf
locklist "$root"/etc/dnf/plugins/versionlock.conf "$root"/etc/dnf/plugins/versionlock.list
lines lock "$list"
locklist "$root"/etc/yum/pluginconf.d/versionlock.conf "$root"/etc/yum/pluginconf.d/versionlock.list
lines lock "$list"
lines lock "$root"/etc/dnf/versionlock.toml "$root"/etc/zypp/locks
lines vendors "$root"/etc/zypp/vendors.d/*
lines protected "$root"/etc/dnf/protected.d/*.conf "$root"/etc/yum/protected.d/*.conf
lines module "$root"/etc/dnf/modules.d/*.module
lines restart "$root"/etc/dnf/plugins/needs-restarting.d/*.conf
}
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
fingerprint() {
set --
for f in "$db"/*; do
case $f in *-shm | */__db.* | *.lock) ;; *) set -- "$@" "$f" ;; esac
done
fp=$(stat -L -c '%n %s %i %y %Y' "$db" "$@" /etc/rpm/macros /etc/rpm/platform /usr/lib/rpm/macros "$HOME/.rpmmacros" 2>/dev/null)
}
listing() {
listtags
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
