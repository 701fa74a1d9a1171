# What the package managers of a host are told (FACT-1): repositories, locks, excludes, protected names, module streams.
# lines KIND FILE…: the lines of configuration files that mean something to us. A line of a list may go on in the next ones, which are indented; locks
# of zypper end with an empty line.
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
# locklist CONF FILE: sets list to the list of locks that a plugin reads: FILE, or what its configuration names; to nothing where that turns the plugin off.
# What it names is there, or the package manager does nothing at all.
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
# closed KIND DIRECTORY…: says which of them cannot be looked into.
closed() {
	kind=$1
	shift
	for f; do
		[ ! -d "$root$f" ] || { [ -r "$root$f" ] && [ -x "$root$f" ]; } || say unreadable "$kind" "$f"
	done
}
# config: all of it. A test sets root to a directory.
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
