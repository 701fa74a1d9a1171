# Signing keys of the host's rpm. w is the directory worked in; readorder has set o_k (numbers of keys to import).
# rpmkeys stands beside rpm; its path keeps anything else of that name out.
keys=$rpm
[ ! -x "${rpm%rpm}rpmkeys" ] || keys=${rpm%rpm}rpmkeys
# keyfiles FILE: writes each key of an order to $w/key.N.asc, proven; bad is the first that has other bytes.
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
# pubkeys: the entries of the keys that rpm has, VERSION-RELEASE in lines.
pubkeys() { $rpm -qa gpg-pubkey --qf '%{VERSION}-%{RELEASE}\n' </dev/null 2>/dev/null | sort; }
# keydb: an empty database of our own, thrown away, in which a key or a signature is tried without changing rpm's.
keydb() {
	rm -rf "$w/keydb"
	mkdir "$w/keydb" || return 1
}
# trykey FILE: sets l to why rpm does not take a key, as by crypto policy; empty when it does.
trykey() {
	l=
	$keys --dbpath "$w/keydb" --import "$1" </dev/null >"$w/key.out" 2>&1 && return 0
	l=$(grep -v '^rpm: ' "$w/key.out" | head -n 5 | tr '\n' ' ')
	rm -f "$w/key.out"
	[ -n "$l" ] || l='rpmkeys --import refuses it'
}
# testkeys: proves the packages in $w/u and $w/i against the keys of the host and those of the order together; rpm's own test cannot,
# since nothing is imported before the transaction. Its words in $w/test.k.
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
# newkeys DIR: sets l to the entries that a transaction brought, by what its ledger has of before and after, and that are there now.
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
# dropkeys ENTRY…: takes keys out. rpm 6 keeps them where rpm -e does not reach, and has rpmkeys --delete.
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
