# The mutex: one program at a time changes the lock or the ledger. It is a directory with its holder's name in it, who is alive or not.

# enter: takes it if that can be done at once. What the dead have left goes; of one that was cut before it could give its name, after a minute.
enter() {
	if mkdir "$dir/mutex" 2>/dev/null; then
		first /proc/sys/kernel/random/boot_id
		m_boot=$l
		starttime $$ && printf '%s\n' "$m_boot $$ $t" >"$dir/mutex/by"
		return 0
	fi
	dead "$dir/mutex" || return 1
	# One alone removes it: who looked at the same time would take it from the next one.
	if mkdir "$dir/mutex.dead" 2>/dev/null; then
		! dead "$dir/mutex" || leave
		rmdir "$dir/mutex.dead" 2>/dev/null
	elif aged "$dir/mutex.dead"; then
		rmdir "$dir/mutex.dead" 2>/dev/null
	fi
	return 1
}
# dead MUTEX: its holder is no more.
dead() {
	m_by=
	{ read -r m_boot m_by m_start <"$1/by"; } 2>/dev/null
	if [ -z "$m_by" ]; then
		aged "$1"
		return
	fi
	first /proc/sys/kernel/random/boot_id
	[ "$l" = "$m_boot" ] && starttime "$m_by" && [ "$t" = "$m_start" ] && return 1
	return 0
}
# aged DIR: a minute old. One from the future is from before the clock was set.
aged() {
	l=$(stat -c %Y "$1" 2>/dev/null) || return 1
	l=$(($(date +%s) - $l))
	[ "$l" -gt 60 ] || [ "$l" -lt -60 ]
}
# leave: gives it back.
leave() {
	rm -f "$dir/mutex/by"
	rmdir "$dir/mutex" 2>/dev/null
}
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
