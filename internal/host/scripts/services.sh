# Stops units and keeps them from starting, or lets them be again as they were (ROLL-11). Arguments: check, stop or start; what for; the units.
# A drop-in with a condition that never holds keeps a unit from starting, whoever wants it and after a boot too; masking would not do where the
# unit file itself is in /etc. What the unit was before stands in the drop-in, so it needs nothing else of ours.
[ -d /run/systemd/system ] || fail nosystemd "there is no systemd on the host: stop the service there by hand"
act=$1
for_id=$2
shift 2
# unit NAME: sets load, active and id, its real name.
unit() {
	load= active= id=
	while read -r l; do
		case $l in
		LoadState=*) load=${l#*=} ;;
		ActiveState=*) active=${l#*=} ;;
		Id=*) id=${l#*=} ;;
		esac
	done <<END
$(systemctl show -p LoadState -p ActiveState -p Id -- "$1" </dev/null 2>/dev/null)
END
	case $id in '' | *[!A-Za-z0-9:_.@\\-]* | -* | .*) id=$1 ;; esac
	dropin=/etc/systemd/system/$id.d/99-cpacman-stopped.conf
	lifted=${dropin%.conf}.was
}
# wanted: tells whether the unit is as it should be: done, due or absent.
wanted() {
	unit "$1"
	if [ "$verb" = start ]; then
		is=absent
		[ ! -f "$dropin" ] && [ ! -f "$lifted" ] || is=due
		return
	fi
	case $load in
	not-found | '') is=absent ;;
	*)
		is=due
		[ ! -f "$dropin" ] || case $active in inactive | failed) is=done ;; esac
		;;
	esac
}
# keep: makes the drop-in. One that is there says how the unit was before it was stopped first.
keep() {
	[ ! -f "$lifted" ] || mv -f "$lifted" "$dropin"
	[ ! -f "$dropin" ] || return 0
	mkdir -p "${dropin%/*}" && chmod 755 "${dropin%/*}" &&
		printf '# Made by cpacman %s: keeps the unit from starting until it is removed (cpacman rollout service start).\n# was %s\n[Unit]\nConditionPathExists=!/\n' \
			"$for_id" "$active" >"$dropin.new" && chmod 644 "$dropin.new" && mv -f "$dropin.new" "$dropin" && { sync "$dropin" 2>/dev/null || sync; }
}
stopit() {
	keep || { why="/etc/systemd/system cannot be written" && return 1; }
	systemctl daemon-reload </dev/null >/dev/null 2>&1
	why=$(systemctl stop -- "$id" </dev/null 2>&1) || return 1
	unit "$id"
	# A unit that ended with an error while it was stopped is none that failed by itself.
	[ "$active" != failed ] || systemctl reset-failed -- "$id" </dev/null >/dev/null 2>&1
	case $active in inactive | failed) return 0 ;; esac
	why="it is $active after it was stopped"
	return 1
}
# The drop-in gets a name that systemd does not read, and goes when the unit runs: until then it says what is to be done.
startit() {
	[ ! -f "$dropin" ] || mv -f "$dropin" "$lifted" || { why="the drop-in cannot be renamed" && return 1; }
	systemctl daemon-reload </dev/null >/dev/null 2>&1
	case $(sed -n 's/^# was //p' "$lifted" 2>/dev/null) in
	active | reloading | activating) why=$(systemctl start -- "$id" </dev/null 2>&1) || return 1 ;;
	esac
	rm -f "$lifted" || { why="the drop-in cannot be removed" && return 1; }
	rmdir "${dropin%/*}" 2>/dev/null
	sync /etc/systemd/system 2>/dev/null || sync
}
verb=$act
[ "$act" != check ] || {
	verb=$1
	shift
}
for u in "$@"; do
	wanted "$u"
	if [ "$act" != check ] && [ "$is" = due ]; then
		if "${act}it"; then
			say unit done "$u"
		else
			say unit failed "$u" "$(printf '%s' "$why" | tr '\n' ' ' | cut -c1-300)"
		fi
	else
		say unit "$is" "$u"
	fi
done
say end
