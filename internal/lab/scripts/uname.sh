#!/bin/sh
# uname of lab hosts: the kernel is the lab's, as far as programs that ask this way can
# tell; everything else is answered by the real one.
release=$(cat /proc/sys/kernel/osrelease)
case "$*" in
-r | --kernel-release) echo "$release" ;;
-a | --all) echo "Linux $(/usr/lib/labos/uname -n) $release #1 SMP $(/usr/lib/labos/uname -m) GNU/Linux" ;;
*) exec /usr/lib/labos/uname "$@" ;;
esac
