# What test and transaction have in common. w is the directory they work in.

# ask LABEL…: sets asked to the labels as rpm is to be asked for them. rpm before 4.17 reads the ^ of a version as the beginning of a line
# and finds nothing; with a backslash before it all of them find it.
ask() {
	asked=$*
	case $asked in *^*) asked=$(printf '%s\n' "$asked" | sed 's/\^/\\^/g') ;; esac
}

# readorder FILE: sets o_… and, with link as $2, links the packages by their names.
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
# pack FILE: links the packages of an order into $w/p, by their digests. There they stay whoever cleans up or is sent away. Those in
# $own go before those of the spool; linkall tells what is missing.
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
# linkall FILE: proves the bytes of each packed package again and links it under its name into $w/u or $w/i; bad is the first that
# is missing or has other bytes.
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
# installed: sets count and set of what is installed, as cpacman's installed_digest is made. Where rpm cannot say, or passes over
# packages, unread is why.
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
# expected: the installed set is the one the plan was made for.
expected() {
	unread=
	[ -n "$o_set" ] || return 0
	installed || return 1
	[ "$count $set" = "$o_count $o_set" ]
}
# rpmtest: rpm's own test of what will be done; output in $w/test.u and $w/test.i. Step (b) is tested with the packages of
# both steps together: alone it may need what (a) brings.
#
# With packages to be erased ahead rpm cannot see what will be: then it proves signatures, bytes and room only, and the erasure itself.
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
# inboth PACKAGE…: after `rpm -i --test` of both sets found problems. It leaves in place what the set replaces or obsoletes, and
# `rpm -U --test` takes out the builds that stay: each sees problems that will not be. A problem that both see is real; those are
# left in $w/test.i.
inboth() {
	if $rpm -U --test $o_old --define "_pkgverify_level $o_level" "$@" </dev/null >"$w/test.b" 2>&1; then
		: >"$w/test.i"
		return 0
	fi
	# What depends on each other is looked at first, and nothing else is told then.
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
# keep FILE: bounds a file to 256 KiB: its begin and its end.
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
# order DROP DIGEST: takes the uploaded order, copied and then checked, as $w/order.
order() {
	isdigest "$2" || fail argument "no digest: $2"
	[ -f "$1/$2.order" ] && [ ! -h "$1/$2.order" ] || fail digest "the order is missing"
	cat <"$1/$2.order" >"$w/order" || fail space "copying the order failed"
	sha256 "$w/order" && [ "$sum" = "$2" ] || fail digest "the order has other bytes"
}
