#!/bin/sh
# Changes an image with the real rpm. Runs in mount and PID namespaces of its own;
# standard input is the script to run inside.
set -eu
layers="lowerdir=$ROOT,upperdir=$IMAGE/upper,workdir=$IMAGE/work"
mount -t overlay overlay -o "$layers,volatile" "$IMAGE/root" 2>/dev/null ||
    mount -t overlay overlay -o "$layers" "$IMAGE/root"
R=$IMAGE/root
mount -t proc proc "$R/proc"
# the database is made in memory and copied back: rpm waits for the disk at each package
mount -t tmpfs -o mode=0755 var "$R/var"
cp -a "$IMAGE/var/." "$R/var/"
mount -t tmpfs tmp "$R/tmp"
mount -t tmpfs run "$R/run"
mkdir "$R/run/site"
mount --bind "$SITE" "$R/run/site"
cat >"$R/run/script"
env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/root chroot "$R" /bin/sh -eu /run/script
find "$IMAGE/var" -mindepth 1 -delete
cp -a "$R/var/." "$IMAGE/var/"
