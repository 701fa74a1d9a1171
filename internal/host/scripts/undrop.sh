# Removes what uploads left in the login account's drop directory. Arguments: one owner's directory in it, and files for that alone, else all
# that is not being written.
d=${1%/*}
if [ -d "$d" ] && [ ! -h "$d" ]; then
	[ -h "$1" ] || rm -rf "$1"
	[ "$2" = files ] || for e in "$d"/*; do
		[ -d "$e" ] && [ ! -h "$e" ] && fresh "$e" "$e"/* || rm -rf "$e"
	done
	rmdir "$d" 2>/dev/null
fi
say end
