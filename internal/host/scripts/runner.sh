# The runner: one transaction, detached from everybody. Arguments: the working directory, the id, install, erase or back.
# Standard input is closed, output goes to files, its own exit status is always 0 (a failed unit would count as the host's).
# What it knows stands in $w/state, replaced by rename.
id=$1
mode=$2
w=$dir/ledger/$id
cd "$w" || exit 0
# Once only, also when two ways of starting it both worked.
mkdir "run-$mode" 2>/dev/null || exit 0
# Signals end neither us nor rpm; a handler, unlike '', is not passed on to what rpm starts.
trap : HUP INT TERM PIPE
starttime $$
me=$t
first /proc/sys/kernel/random/boot_id
boot=$l
began=
detail=
# phase NAME: the new state, on disk before it is acted on.
phase() {
	now=$(date +%s)
	{
		printf 'protocol 1\nphase %s\nmode %s\ntoken %s\npid %s\nstart %s\nboot %s\ntime %s\n' "$1" "$mode" "$token" "$$" "$me" "$boot" "$now"
		[ -z "$began" ] || printf 'began %s\n' "$began"
		[ -z "$detail" ] || printf 'detail %s\n' "$detail"
	} >state.new
	sync state.new 2>/dev/null || sync
	mv -f state.new state
	sync . 2>/dev/null
}
# finish PHASE DETAIL: the last state. Logs are bounded only now: a filter in between would break scriptlets when it dies.
finish() {
	detail=$2
	[ "$1" != refused ] || [ "$mode" != install ] || kernel unguard
	[ "$1" != refused ] || undokeys
	for f in test.y k.out k.err r.out r.err test.k x.out x.err u.out u.err i.out i.err e.out e.err test.x test.u test.i test.e runner.log; do keep "$f"; done
	rm -rf u i key.*.asc keys.now test.b test.c test.d
	# What was sent for it is used up. What was refused may be asked for again.
	[ "$1" != done ] || ! first sender || rm -rf "$dir/in/$l"
	[ "$mode" != install ] || clock
	phase "$1"
	# Only now: a way back that is cut before this begins again, and proves all of it.
	rm -rf p
	exit 0
}
# clock: a dead man's switch that was armed with this transaction begins to count now.
clock() {
	[ -f switch ] || return 0
	sinceboot
	first switch || return 0
	printf '%s %s\n' "$boot" "$up" >"$dir/ledger/$l/clock.new" && mv -f "$dir/ledger/$l/clock.new" "$dir/ledger/$l/clock"
}
# patient: the lock may be waited for still. What has begun is not given up.
patient() {
	[ -z "$begun" ] || return 0
	sinceboot
	[ "$up" -lt "$limit" ]
}
# waitlock: until nobody holds rpm's lock. rpm itself does not wait when there is no terminal.
waitlock() {
	while :; do
		rpmpaths || finish refused "rpm rpm --eval fails"
		lockholder "$lockfile"
		case $h in held*) ;; *) return 0 ;; esac
		command_of "${h#held }"
		detail="${h#held } $l"
		patient || finish refused "lock $detail"
		phase waiting_lock
		sleep 2
	done
}
# busy FILE: rpm ended because somebody took its lock in between.
busy() { grep -e 'transaction lock' -e 'exclusive lock' "$1" >/dev/null 2>&1; }
# step NAME COMMAND…: one rpm call; its status goes to rc. It is repeated only where rpm did nothing for want of the lock. The first
# step of all can still be refused; 1 says that it had to wait, so that things are to be looked at again.
step() {
	n=$1
	shift
	while :; do
		detail=$n
		[ -n "$began" ] || began=$(date +%s)
		phase running
		(
			[ ! -d "$w/$n" ] || cd "$w/$n" || exit 255
			case $1 in dropkeys | putin | takeout) "$@" ;; *) exec "$@" ;; esac
		) </dev/null >"$w/$n.out" 2>"$w/$n.err"
		step_rc=$?
		[ "$step_rc" != 0 ] && busy "$w/$n.err" || break
		patient || finish refused "lock somebody was faster"
		sleep 1
		waitlock
		[ -n "$begun" ] || return 1
	done
	begun=yes
	printf '%s %s\n' "$n" "$step_rc" >>rc
	sync rc 2>/dev/null || sync
	return 0
}
# inhibit: no shutdown by logind while rpm works. Held by a process of its own, so that its end cannot touch rpm.
inhibit() {
	[ -d /run/systemd/system ] && command -v systemd-inhibit >/dev/null 2>&1 || return 0
	systemd-inhibit --what=shutdown:sleep --who=cpacman --why="rpm transaction $id" --mode=block \
		/bin/sh -c "while kill -0 $$ 2>/dev/null; do sleep 2; done" </dev/null >/dev/null 2>&1 &
}

# kernel VERB: what becomes of a new kernel that is booted once, where a switch was armed for that.
kernel() {
	k=$dir/ledger/${id%-back}-back
	[ ! -f "$k/kernel.sh" ] || /bin/sh "$k/kernel.sh" - "$dir" "${k##*/}" "$1" </dev/null >>"$k/kernel.log" 2>&1
}
# spare LABEL…: sets l to all but what belongs to the running kernel, where that was to be booted once: a boot away from it has failed.
spare() {
	first /proc/sys/kernel/osrelease
	runs=$l
	l=
	for p; do
		ask "$p"
		[ -f kernel ] && $rpm -ql "$asked" </dev/null 2>/dev/null | grep -F -e "/modules/$runs/" -e "/boot/vmlinuz-$runs" >/dev/null && continue
		case $p in *-"$runs" | *-"$runs".*) [ ! -f kernel ] || continue ;; esac
		l="$l $p"
	done
}
# running LABEL: it is of the kernel $runs, by its name or, where uname -r says something else than the package (SUSE), by its kernel image.
running() {
	case $1 in *-"$runs" | *-"$runs".*) return 0 ;; esac
	ask "$1"
	$rpm -ql "$asked" </dev/null 2>/dev/null | grep -F -x -e "/boot/vmlinuz-$runs" -e "/lib/modules/$runs/vmlinuz" -e "/usr/lib/modules/$runs/vmlinuz" >/dev/null
}
# left LABEL…: sets l to those that are installed.
left() {
	l=
	for p; do
		ask "$p"
		$rpm -q "$asked" </dev/null >/dev/null 2>&1 && l="$l $p"
	done
}
# came FILE: the package of this file is installed.
came() {
	l=$($rpm -qp --nosignature --qf '%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}' "$1" 2>/dev/null </dev/null)
	ask "$l"
	[ -n "$l" ] && $rpm -q "$asked" </dev/null >/dev/null 2>&1
}
# whole: (a) did all that it was to do. rpm 6 gives the number of all packages as its status where one %post failed, older ones give 0:
# what counts is what is installed.
whole() {
	[ "$o_u" != 0 ] && [ "$step_rc" != 0 ] || return 0
	[ -n "$o_count" ] || return 1
	for f in "$w"/u/*.rpm; do
		came "$f" || return 1
	done
	set -- $o_x
	installed && [ "$count" = $(($o_count - $# - $o_elements + 2 * $o_u + $o_i)) ]
}
# twin FILE: another build of this package is installed, too: rpm was cut before it could take that out.
twin() {
	set -- $($rpm -qp --nosignature --qf '%{NAME} %{ARCH}' "$1" 2>/dev/null </dev/null)
	[ $# = 2 ] && [ "$($rpm -q --qf '%{ARCH}\n' "$1" 2>/dev/null </dev/null | grep -c -x -e "$2")" -gt 1 ]
}
# there KIND CUT: drops packages of $w/KIND that are installed, and counts the others. Where rpm was cut in what is undone, the files of a
# package may be those of another build already that its database does not know: then none is dropped.
there() {
	n=0
	for f in "$w/$1"/*.rpm; do
		[ -f "$f" ] || continue
		if [ -z "$2" ] && came "$f" && ! twin "$f"; then
			rm -f "$f"
		else
			n=$(($n + 1))
		fi
	done
}
# killed DIR: a signal ended a step there, as where memory was short: rpm was cut, although its runner was not.
killed() {
	[ -f "$1/rc" ] || return 1
	while read -r k v; do
		[ "$v" -le 128 ] || return 0
	done <"$1/rc"
	return 1
}
# units: what ran before the transaction and does not now is started; the SSH server gets its own binary back.
units() {
	if [ -d /run/systemd/system ]; then
		systemctl daemon-reload </dev/null >/dev/null 2>&1
		f=$dir/ledger/${id%-back}/units
		[ ! -f "$f" ] || while read -r u rest; do
			case $u in cpacman-* | *@*) continue ;; esac
			systemctl is-active --quiet "$u" </dev/null || {
				systemctl reset-failed "$u"
				systemctl start "$u"
			} </dev/null >/dev/null 2>&1
			case $u in sshd.service | ssh.service) systemctl restart "$u" </dev/null >/dev/null 2>&1 ;; esac
		done <"$f"
	else
		for u in sshd ssh; do
			[ ! -x "/etc/init.d/$u" ] || "/etc/init.d/$u" restart </dev/null >/dev/null 2>&1
		done
	fi
}
# importkeys: the keys of the order come in, under the lock; what was there before is on disk before. 1: it had to wait.
importkeys() {
	[ -n "$o_k" ] && [ ! -f keys.after ] || return 0
	keyfiles order || finish refused "digest $bad"
	if [ ! -f keys.before ]; then
		pubkeys >keys.new && mv -f keys.new keys.before || finish refused "key the keys of the host cannot be written down"
		sync keys.before . 2>/dev/null || sync
	fi
	step k $keys --import "$w"/key.*.asc || return 1
	pubkeys >keys.new && mv -f keys.new keys.after
	# No package was touched: what comes next can still be refused.
	begun= began=
	[ "$step_rc" = 0 ] || finish refused "key rpmkeys --import failed"
}
# undokeys: a transaction that is refused leaves the keys as they were.
undokeys() {
	[ "$mode" = install ] && [ -z "$begun" ] || return 0
	newkeys .
	[ -z "$l" ] || dropkeys $l >k.undo 2>&1
}
# retire: takes the keys of the order out, each kept in the ledger before, for the way back.
retire() {
	left $o_r
	[ -n "$l" ] || return 0
	n=0
	gone=$l
	for p in $gone; do
		n=$(($n + 1))
		$rpm -q --qf '%{DESCRIPTION}\n' "$p" </dev/null >"retired.$n.new" 2>/dev/null
		grep -e 'BEGIN PGP PUBLIC KEY' "retired.$n.new" >/dev/null || finish refused "key $p cannot be kept for the way back"
		mv -f "retired.$n.new" "retired.$n.asc"
	done
	sync . 2>/dev/null || sync
	until step r dropkeys $gone; do :; done
}

entry "$w"
token=$s_token
readorder order
begun=
sinceboot
limit=$(($up + $o_wait))
phase testing
first /etc/machine-id
[ -z "$o_machine" ] || [ "$o_machine" = "$l" ] || finish refused "machine $l"

if [ "$mode" = erase ]; then
	waitlock
	runs=$(uname -r)
	for p in $o_e; do
		! running "$p" || finish refused "kernel $p is running"
	done
	ask $o_e
	[ -z "$o_e" ] || $rpm -e --test $asked </dev/null >test.e 2>&1 || finish refused "test erase"
	inhibit
	[ -z "$o_e" ] || until step e takeout $o_e; do :; done
	retire
	finish done
fi

if [ "$mode" = back ]; then
	# The host may be anywhere on the way: what is there is not installed again, what is gone not erased.
	waitlock
	detail=
	phase testing
	linkall order || finish refused "digest $bad"
	kernel hold
	from=$dir/ledger/${id%-back}
	entry "$from"
	cut=
	[ "$s_mode" != install ] || ended && ! killed "$from" || cut=yes
	there u "$cut"
	o_u=$n
	there i ''
	o_i=$n
	left $o_x
	o_x=$l
	inhibit
	begun=yes
	if [ -n "$o_undo" ]; then
		# A key that was retired comes back first: what goes back may be signed with it.
		set -- "$from"/retired.*.asc
		[ ! -f "$1" ] || step k $keys --import "$@"
	fi
	ask $o_x
	[ -z "$o_x" ] || step x $rpm -e --nodeps $asked
	[ "$o_u" = 0 ] || step u $rpm -U --percent --oldpackage --replacepkgs --define "_pkgverify_level $o_level" ./*.rpm
	[ "$o_i" = 0 ] || step i $rpm -i --percent --oldpackage --define "_pkgverify_level $o_level" ./*.rpm
	left $o_e
	spare $l
	ask $l
	[ -z "$l" ] || step e $rpm -e $asked
	kernel restore
	if [ -n "$o_undo" ]; then
		newkeys "$from"
		[ -z "$l" ] || step r dropkeys $l
	fi
	detail=units
	phase running
	units
	finish done
fi

# What runs now is what a way back starts again.
[ ! -d /run/systemd/system ] || systemctl list-units --type=service --state=active --no-legend --plain </dev/null >units 2>/dev/null
while :; do
	waitlock
	detail=
	phase testing
	if ! expected; then
		[ -z "$unread" ] || finish refused "database $unread"
		finish refused "changed $count $set"
	fi
	linkall order || finish refused "digest $bad"
	importkeys || continue
	rpmtest || finish refused "test $test_rc"
	dnftest || finish refused "test dnf"
	[ -n "$o_x" ] || [ "$o_u" -gt 0 ] || break
	[ -n "$began" ] || inhibit
	if [ -n "$o_x" ]; then
		ask $o_x
		step x $rpm -e --nodeps $asked || continue
		[ "$o_u" = 0 ] || step u putin u
		break
	fi
	step u putin u && break
done
# Step (b) only after a whole (a): there is no one-by-one and no skipping.
if [ "$o_i" -gt 0 ] && whole; then
	[ -n "$began" ] || inhibit
	waitlock
	until step i putin i; do :; done
fi
kernel once
finish done
