#!/bin/sh
# First process of a booting lab host: makes the host's view of the world, then becomes
# its init. Runs as PID 1 in new PID, mount, UTS and IPC namespaces, with the old /proc
# still in place.
set -eu
if [ "${STAGE:-1}" = 1 ]; then
    # the old /proc shows our number as the control side sees it; only a builtin may read
    # it, since any program would see its own
    read -r pid rest </proc/self/stat
    echo "$pid" >"$H/init.new"
    mv "$H/init.new" "$H/init"
    if [ -n "$payload" ]; then
        echo 0 >"$payload/cgroup.procs"
    fi
    export STAGE=2
    exec unshare --cgroup -- /bin/sh "$WORK/lib/init.sh"
fi
R=$H/root
hostname "$NAME"

mount -t proc -o nosuid,nodev,noexec proc "$R/proc"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$R/sys"
if [ -n "$payload" ]; then
    mount -t cgroup2 cgroup2 "$R/sys/fs/cgroup"
fi

mount -t tmpfs -o mode=0755,size=4m dev "$R/dev"
for node in "null 3" "zero 5" "full 7" "random 8" "urandom 9"; do
    mknod -m 0666 "$R/dev/${node% *}" c 1 "${node#* }"
done
mknod -m 0666 "$R/dev/tty" c 5 0
mkdir "$R/dev/pts" "$R/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$R/dev/pts"
mount -t tmpfs -o mode=1777,size=64m shm "$R/dev/shm"
ln -s pts/ptmx "$R/dev/ptmx"
ln -s /proc/self/fd "$R/dev/fd"
ln -s /proc/self/fd/0 "$R/dev/stdin"
ln -s /proc/self/fd/1 "$R/dev/stdout"
ln -s /proc/self/fd/2 "$R/dev/stderr"

mount -t tmpfs -o mode=0755,size=64m run "$R/run"
mkdir -p "$R/run/lock" "$R/run/sshd" "$R/run/lab"
mount -t tmpfs -o mode=1777,size=128m tmp "$R/tmp"
mount --bind "$H/var" "$R/var"
mount --bind "$WORK/lib/labsvcd" "$R/usr/libexec/labsvcd"

# The machine's own settings cannot be changed from a lab host.
mount --bind "$R/proc/sys" "$R/proc/sys"
mount -o remount,ro,bind "$R/proc/sys"
mount --bind "$H/boot_id" "$R/proc/sys/kernel/random/boot_id"
mount --bind "$H/osrelease" "$R/proc/sys/kernel/osrelease"

# The lab's own directory (keys, other hosts) is not seen from inside.
for secret in "$LAB" "$WORK"; do
    if [ -d "$R$secret" ]; then
        mount -t tmpfs -o ro,size=4k hidden "$R$secret"
    fi
done

mkdir "$R/run/before"
cd "$R"
pivot_root . run/before
cd /
umount -l /run/before
rmdir /run/before

exec env -i CPACMAN_LAB="$CPACMAN_LAB" container=lab LC_ALL=C.UTF-8 \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    setpriv --bounding-set=-sys_time,-sys_module,-sys_rawio \
    "$INIT" $INIT_ARGS </dev/null
