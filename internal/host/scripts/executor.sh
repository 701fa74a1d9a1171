# What carries a step out (PUSH-10): rpm, or dnf with local files and all repositories off, where its history, its reasons and its
# plugins matter. rpm's test stays the proof and rpm's list the verdict. A way back, a lower version and an erasure ahead of the rest
# are rpm's alone.
dnf=
for l in /usr/bin/dnf /bin/dnf /usr/bin/dnf5; do
	[ -x $l ] && dnf=$l && break
done
# dnfopt: sets o to options of every call: nothing from repositories, nothing more than the files, nothing less, no kernel removed.
dnfopt() {
	o='--setopt=reposdir=/nonexistent --setopt=best=1 --setopt=strict=1 --setopt=install_weak_deps=0 --setopt=installonly_limit=0 --setopt=obsoletes=1 --setopt=clean_requirements_on_remove=0'
	# dnf 5 refuses a pattern that matches no repository, and only those of its main file are left to match.
	case $(readlink -f $dnf) in
	*/dnf5) grep -e '^ *\[' /etc/dnf/dnf.conf 2>/dev/null | grep -v -e '\[main\]' >/dev/null && o="$o --disablerepo=*" ;;
	*) o="$o --disablerepo=*" ;;
	esac
	[ "$o_level" != all ] || o="$o --setopt=localpkg_gpgcheck=1"
}
# putin u|i: the packages that are linked in the directory of the step, which is the working directory.
putin() {
	set -- "$1" ./*.rpm
	if [ "$o_exec" != dnf ]; then
		case $1 in u) flag=-U ;; i) flag=-i ;; esac
		shift
		exec $rpm $flag --percent $o_old --define "_pkgverify_level $o_level" "$@"
	fi
	# What stays beside older builds is decided by the plan, not by the host's list of names.
	names=
	[ "$1" = u ] || names=$($rpm -qp --nosignature --qf '%{NAME},' ./*.rpm 2>/dev/null </dev/null)
	shift
	dnfopt
	set -f
	exec $dnf -y $o --setopt="installonlypkgs=${names%,}" install "$@"
}
# dnftest: dnf's own test of the upgrade, its words in $w/test.y; nothing is changed. What rpm has allowed a versionlock, an exclude, a
# protected package or a plugin may still refuse.
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
# takeout LABEL…: step e. dnf removes what needs a package too; rpm's test has shown that nothing does.
takeout() {
	if [ "$o_exec" != dnf ]; then
		ask "$@"
		exec $rpm -e $asked
	fi
	dnfopt
	set -f
	exec $dnf -y $o remove --noautoremove "$@"
}
