# Removes the login account's drop directory with what uploads left in it. $1 is the directory.
if [ -d "$1" ] && [ ! -h "$1" ]; then
	rm -f "$1"/*.rpm "$1"/*.order "$1"/*.part
	rmdir "$1" 2>/dev/null
fi
say end
