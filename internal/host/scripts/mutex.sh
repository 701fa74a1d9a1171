# The mutex: one program at a time changes the lock or the ledger. It is a file with its holder's name in it, who is alive or not, made by link(2),
# so that it never exists without a name.

# enter: takes it if that can be done at once. What the dead have left goes.
enter() {
	first /proc/sys/kernel/random/boot_id
	m_boot=$l
	starttime $$
	# On a full disk it is made without the name.
	{ printf '%s\n' "$m_boot $$ $t" >"$dir/holder.$$"; } 2>/dev/null
	if ln "$dir/holder.$$" "$dir/holder" 2>/dev/null; then
		rm -f "$dir/holder.$$"
		return 0
	fi
	rm -f "$dir/holder.$$"
	dead || return 1
	# One alone removes it: who looked at the same time would take it from the next one.
	if mkdir "$dir/holder.gone" 2>/dev/null; then
		! dead || leave
		rmdir "$dir/holder.gone" 2>/dev/null
	elif aged "$dir/holder.gone"; then
		rmdir "$dir/holder.gone" 2>/dev/null
	fi
	return 1
}
# dead: its holder is no more. One without a name, from a full disk or after a loss of power, is over after a minute.
dead() {
	m_by=
	{ read -r m_boot m_by m_start <"$dir/holder"; } 2>/dev/null
	if [ -z "$m_by" ]; then
		aged "$dir/holder"
		return
	fi
	first /proc/sys/kernel/random/boot_id
	[ "$l" = "$m_boot" ] && starttime "$m_by" && [ "$t" = "$m_start" ] && return 1
	# One that gave it back and ended in between is not who holds it now.
	{ read -r l m_pid t <"$dir/holder"; } 2>/dev/null && [ "$l $m_pid $t" = "$m_boot $m_by $m_start" ]
}
# aged FILE: a minute old. One from the future is from before the clock was set.
aged() {
	l=$(stat -c %Y "$1" 2>/dev/null) || return 1
	l=$(($(date +%s) - $l))
	[ "$l" -gt 60 ] || [ "$l" -lt -60 ]
}
# leave: gives it back.
leave() { rm -f "$dir/holder"; }
# mutex: waits for it, and holds it until the program ends, or leaves it.
mutex() {
	# A signal alone ends dash without its exit trap, and printing to a connection that was cut is one.
	trap 'exit 1' HUP INT TERM PIPE
	n=0
	until enter; do
		n=$(($n + 1))
		[ $n -lt 90 ] || fail busy "the directory's mutex is held"
		sleep 1
	done
	trap leave 0
}
