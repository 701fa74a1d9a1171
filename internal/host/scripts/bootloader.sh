# What this host boots: GRUB 2 by its environment block, or systemd-boot by the variables of the firmware. Nothing is taken for granted:
# each function reads what is there, writes with the loader's own tool, and reads again what it has written.

# loader: sets boots to grub or sdboot. 1: no loader is there that boots a kernel once; why says what is missing.
loader() {
	why="no boot loader was found that can boot a kernel once: neither GRUB 2 nor systemd-boot"
	info=/sys/firmware/efi/efivars/LoaderInfo-$sdvendor
	if [ -r "$info" ] && tr -d '\000' <"$info" | grep -F systemd-boot >/dev/null; then
		boots=sdboot
		bootctl --help 2>/dev/null </dev/null | grep -e set-oneshot >/dev/null && return 0
		why="systemd-boot boots this host, and there is no bootctl that knows set-oneshot"
		return 1
	fi
	boots=grub
	for g in grub2 grub; do
		env=/boot/$g/grubenv
		cfg=/boot/$g/grub.cfg
		# Red Hat's link to what the firmware loads, where that is another file.
		[ ! -d /sys/firmware/efi ] || [ ! -f "/etc/$g-efi.cfg" ] || cfg=/etc/$g-efi.cfg
		[ -f "$cfg" ] || continue
		edit=$(command -v $g-editenv) || {
			why="GRUB boots this host, and there is no $g-editenv"
			return 1
		}
		grubworks
		return
	done
	return 1
}
sdvendor=4a67b082-0a4c-41cf-b6c7-440b29bb8c4f
# grubworks: GRUB boots what its environment block says, and can write to it: else it would boot the new kernel not once but for ever.
grubworks() {
	for l in 'set default="${next_entry}"' 'save_env next_entry'; do
		grep -F -e "$l" "$cfg" >/dev/null || {
			why="$cfg knows no next_entry"
			return 1
		}
	done
	grep -F -e 'set default="${saved_entry}"' "$cfg" >/dev/null || {
		why="$cfg does not boot the saved entry: GRUB_DEFAULT=saved is missing in /etc/default/grub"
		return 1
	}
	first "$env" && [ "$l" = '# GRUB Environment Block' ] || {
		why="$env is no environment block of GRUB"
		return 1
	}
	case $(stat -L -f -c %T "$env" 2>/dev/null) in
	btrfs | zfs | bcachefs | UNKNOWN* | '')
		why="GRUB cannot write to $env: its file system keeps no place for that"
		return 1
		;;
	esac
	n=$(stat -L -c %d "$env") || return 1
	n=/sys/dev/block/$((($n >> 8) & 4095)):$((($n & 255) | (($n >> 12) & 1048320)))
	if [ -d "$n/md" ] || [ -d "$n/../md" ]; then
		why="GRUB cannot write to $env on a software RAID"
		return 1
	fi
	# GRUB sees the paths of a multipath device as what they are, disks; other mapped devices it can only read.
	if first "$n/dm/uuid"; then
		case $l in mpath-* | part*-mpath-*) return 0 ;; esac
		why="GRUB cannot write to $env on a mapped device (LVM, encryption)"
		return 1
	fi
	return 0
}
# envvalue NAME: sets l to a variable of the environment block, empty if it has none.
envvalue() { l=$("$edit" "$env" list 2>/dev/null | sed -n "s/^$1=//p" | head -n 1); }
# setenv NAME VALUE: sets or, without a value, removes it.
setenv() {
	if [ -n "$2" ]; then "$edit" "$env" set "$1=$2"; else "$edit" "$env" unset "$1"; fi
	sync "$env" 2>/dev/null || sync
	envvalue "$1"
	[ "$l" = "$2" ] || {
		why="$env cannot be written"
		return 1
	}
}
# sdvalue NAME: sets l to a variable of systemd-boot.
# The file system of the variables cannot seek, as tail does in a file that it opens itself.
sdvalue() { l=$(cat "/sys/firmware/efi/efivars/$1-$sdvendor" 2>/dev/null | tail -c +5 | tr -d '\000'); }
# setsd VERB NAME VALUE: bootctl's verb, and whether it did it. bootctl removes the variable for an empty value.
setsd() {
	bootctl "$1" "$3" </dev/null
	sdvalue "$2"
	[ "$l" = "$3" ] || {
		why="bootctl $1 does not set the variable $2 of the firmware"
		return 1
	}
}
# getdefault: sets l to what is booted by default, in the loader's words; empty where it chooses by itself.
getdefault() {
	case $boots in
	grub) envvalue saved_entry ;;
	sdboot) sdvalue LoaderEntryDefault ;;
	esac
}
# setdefault ENTRY: what is booted from now on.
setdefault() {
	case $boots in
	grub) { [ -z "$("$edit" "$env" list | grep '^prev_saved_entry=')" ] || setenv prev_saved_entry ''; } && setenv saved_entry "$1" ;;
	sdboot) setsd set-default LoaderEntryDefault "$1" ;;
	esac
}
# setnext ENTRY: what is booted the next time only; nothing takes that back.
setnext() {
	case $boots in
	grub) setenv next_entry "$1" ;;
	sdboot) setsd set-oneshot LoaderEntryOneShot "$1" ;;
	esac
}
# bootentry RELEASE: sets found to the one entry that boots this kernel. 1: there is none that is sure; why says so.
bootentry() {
	found=
	why="the boot loader has no entry for kernel $1"
	if [ "$boots" = sdboot ]; then
		sdentry "$1"
	elif grep -e '^ *blscfg' "$cfg" >/dev/null; then
		blsentry "$1"
	else
		cfgentry "$1"
	fi
	[ -n "$found" ]
}
# several NAME: notes an entry; a second one makes it unsure which is meant.
several() {
	if [ -n "$found" ] && [ "$found" != "$1" ]; then
		why="the boot loader has several entries for the same kernel: $found, $1"
		found=
		return 1
	fi
	found=$1
}
# blsentry RELEASE: by the files of the Boot Loader Specification. Copies for debugging have other names behind the release.
blsentry() {
	for f in /boot/loader/entries/*"$1".conf; do
		[ -f "$f" ] || continue
		hit=
		while read -r k v rest; do
			case $k:$v in linux:*/vmlinu[xz]-"$1" | linux:*/Image-"$1" | linux:*/"$1"/linux) hit=yes ;; esac
		done <"$f"
		[ -n "$hit" ] || continue
		f=${f##*/}
		several "${f%.conf}" || return 1
	done
}
# sdentry RELEASE: by what systemd-boot says that it has.
sdentry() {
	name=
	while read -r k v rest; do
		case $k in
		id:) name=$v ;;
		version:) [ "$v" != "$1" ] || several "$name" || return 1 ;;
		esac
	done <<END
$(bootctl list --no-pager </dev/null 2>/dev/null)
END
}
# sddefault: sets l to the entry that systemd-boot says is its default.
sddefault() {
	l= hit=
	while read -r k v; do
		case $k:$v in
		title:*'(default)'*) hit=yes ;;
		title:*) hit= ;;
		id:*) [ -z "$hit" ] || l=$v ;;
		esac
	done <<END
$(bootctl list --no-pager </dev/null 2>/dev/null)
END
}
# cfgentry RELEASE: by the menu in GRUB's configuration. GRUB takes the first entry whose title or id is the name, so the name has the
# release in it, and no entry before has it. Inside of a submenu it is "SUBMENU>ENTRY".
cfgentry() {
	sub= title= name= seen=
	while read -r line; do
		case $line in
		'submenu '* | 'menuentry '*)
			title=${line#* }
			case $title in
			"'"*) title=${title#?} && title=${title%%"'"*} ;;
			'"'*) title=${title#?} && title=${title%%'"'*} ;;
			*) title=${title%% *} ;;
			esac
			ident=
			case $line in *"menuentry_id_option '"*) ident=${line##*"menuentry_id_option '"} && ident=${ident%%"'"*} ;; esac
			inmenu "$1" "${line%% *}"
			;;
		'}')
			# The end of an entry, else of a submenu.
			[ -n "$title" ] || sub=
			title= name=
			;;
		linux*)
			# The first one that can be named: others are for recovery.
			set -f
			set -- "$1" $line
			set +f
			case $3 in */vmlinu[xz]-"$1" | */Image-"$1") ;; *) continue ;; esac
			case ${name:-?>}$sub in *'>'*) continue ;; esac
			found=${sub:+$sub>}$name
			return 0
			;;
		esac
	done <"$cfg"
}
# inmenu RELEASE KIND: an entry or a submenu begins. Sets name to what GRUB finds the entry by, empty if that is not sure.
inmenu() {
	name=
	for l in "$title" "$ident"; do
		case $l in *'>'* | '') continue ;; *"$1"*) ;; *) [ "$2" = submenu ] || continue ;; esac
		case $seen in *"
$sub>$l
"*) continue ;; esac
		name=$l
		break
	done
	seen="$seen
$sub>$title
$sub>$ident
"
	[ "$2" = submenu ] || return 0
	# Without a name nothing in it has one.
	sub=${name:-?>}
	title= name=
}
