#!/bin/sh
# reboot, poweroff, halt and shutdown of lab hosts without systemd.
mode=reboot
delay=now
cancel=
case ${0##*/} in
poweroff | halt) mode=poweroff ;;
shutdown) mode=poweroff delay=+1 ;;
esac
for word in "$@"; do
    case $word in
    -r | --reboot) mode=reboot ;;
    -h | -P | -H | --poweroff | --halt) mode=poweroff ;;
    -c) cancel=1 ;;
    now | +[0-9]*) delay=$word ;;
    esac
done
if [ -e /run/lab/shutdown ]; then
    kill "$(cat /run/lab/shutdown)" 2>/dev/null
    rm -f /run/lab/shutdown
fi
[ -z "$cancel" ] || exit 0
signal=HUP
# No sync: what is below is the disk of the whole machine, and a busy one takes a minute for it.
[ "$mode" = reboot ] || signal=USR1
case $delay in
now | +0) seconds=0.2 ;;
*) seconds=$((${delay#+} * 60)) ;;
esac
setsid /bin/sh -c "echo \$\$ >/run/lab/shutdown; sleep $seconds; kill -$signal 1" </dev/null >/dev/null 2>&1 &
echo "The system will $mode in $seconds seconds."
