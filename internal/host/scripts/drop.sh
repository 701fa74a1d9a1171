# A directory that the login account owns alone, for uploads by accounts without root's rights, and in it one for each owner of uploads.
# $1 names it, or is empty; $2 is the owner's name.
d=$1
if [ -z "$d" ]; then
	d=/var/tmp/cpacman-$uid
	[ -d "$HOME" ] && [ -w "$HOME" ] && [ ! -h "$HOME" ] && d=$HOME/.cpacman-drop
fi
for d in "$d" "$d/$2"; do
	[ -d "$d" ] || mkdir "$d" 2>/dev/null
	l=$(ls -ldn "$d" 2>/dev/null)
	set -f
	set -- $l
	set +f
	case $1 in drwx------*) ;; *) fail unsafe "$d is not a directory of mode 0700" ;; esac
	[ "$3" = "$uid" ] || fail unsafe "$d belongs to another account"
done
say drop "$d"
stat -f -c "$N free %a %S" "$d"
# What nobody came back for.
find "${d%/*}" -mindepth 1 -maxdepth 1 -mtime +7 -exec rm -rf {} + 2>/dev/null
say end
