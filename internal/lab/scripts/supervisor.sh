#!/bin/sh
# The life of one lab host, from outside: runs in a mount and a network namespace of its
# own that live as long as the lab, so that disks and the network card survive a reboot.
# Everything it needs comes in the environment; see hostEnvironment in host.go.
set -eu
cd "$H"

# The control side plugs in the network card and then says "go"; if it died, so do we.
read -r go || exit 1
[ "$go" = go ] || exit 1
exec </dev/null

mkdir -p "$H/rw/upper" "$H/rw/work"
cp -a "$IMAGE/upper/." "$H/rw/upper/"
cp -a "$H/seed/." "$H/rw/upper/"
# volatile: nobody needs the files after a crash of the machine, so do not wait for disks
layers="lowerdir=$ROOT,upperdir=$H/rw/upper,workdir=$H/rw/work"
mount -t overlay overlay -o "$layers,volatile" "$H/root" 2>/dev/null ||
    mount -t overlay overlay -o "$layers" "$H/root"

# /var is a disk of limited size, so that it can be filled.
mount -t tmpfs -o "mode=0755,size=$DISK" "$NAME-var" "$H/var"
cp -a "$IMAGE/var/." "$H/var/"

ip -batch - <<END
link set lo up
addr add $ADDRESS/$PREFIX dev eth0
link set eth0 up
route add default via $GATEWAY
END

payload=
if [ "$SYSTEMD" = 1 ]; then
    mount -t cgroup2 cgroup2 "$H/cgroup"
    payload="$H/cgroup/cpl-$LAB_ID/$NAME"
fi
export payload

# boot_loader: what GRUB does with its environment block, on hosts whose test has put one into /boot/grub: the entry for one boot, else the
# saved one; then the kernel of that entry. One that /boot/panics names does not come up: somebody takes the power and gives it again.
boot_loader() {
    boot="$H/root/boot"
    [ -s "$boot/grub/grubenv" ] || return 1
    while :; do
        entry=$(grub-editenv "$boot/grub/grubenv" list | sed -n 's/^next_entry=//p')
        [ -n "$entry" ] || entry=$(grub-editenv "$boot/grub/grubenv" list | sed -n 's/^saved_entry=//p')
        grub-editenv "$boot/grub/grubenv" set next_entry=
        kernel=$(sed -n 's,^linux .*/vmlinuz-,,p' "$boot/loader/entries/$entry.conf" 2>/dev/null | head -n 1)
        [ -n "$kernel" ] || return 1
        echo "$kernel" >>"$boot/booted"
        [ -f "$boot/panics" ] && grep -F -x -e "$kernel" "$boot/panics" >/dev/null || break
        sleep 1
    done
    echo "$kernel"
}

while :; do
    [ ! -e "$H/stop" ] || exit 0
    cat /proc/sys/kernel/random/uuid >"$H/boot_id"
    # the kernel "booted" is the boot loader's choice, else the newest one that rpm put in place
    boot_loader >"$H/osrelease" ||
        ls "$H/root/usr/lib/modules" 2>/dev/null | grep "$KERNEL_SUFFIX\$" | sort -V | tail -n 1 >"$H/osrelease" || true
    [ -s "$H/osrelease" ] || cat /proc/sys/kernel/osrelease >"$H/osrelease"
    if [ -n "$payload" ]; then
        find "$payload" -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null || true
        mkdir -p "$payload"
    fi
    clock=
    if [ "$TIME_NAMESPACE" = 1 ]; then
        up=$(cut -d. -f1 /proc/uptime)
        clock="--time --boottime -$up --monotonic -$up"
    fi
    rc=0
    # shellcheck disable=SC2086 # clock is a list of words
    unshare --pid --fork --kill-child --mount --uts --ipc --propagation private $clock \
        -- /bin/sh "$WORK/lib/init.sh" || rc=$?
    echo "$(date -u +%FT%TZ) $NAME ended with status $rc"
    rm -f "$H/init"
    ip link set eth0 up
    # 64 is our own init, 130 systemd, after a power-off: stay off until told otherwise
    case $rc in
    64 | 130)
        until [ -e "$H/start" ] || [ -e "$H/stop" ]; do sleep 0.5; done
        rm -f "$H/start"
        ;;
    *) sleep 0.3 ;;
    esac
done
