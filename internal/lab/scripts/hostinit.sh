#!/bin/sh
# init of lab hosts without systemd: keeps sshd and the lab service running, collects
# orphans, and ends on SIGHUP (reboot) or SIGUSR1 (power off).
trap 'exit 0' HUP
trap 'exit 64' USR1

(
    trap - HUP USR1
    while :; do
        if [ -e /usr/share/labsvc/health ]; then
            /usr/libexec/labsvcd 2>>/var/log/labsvc.log
            sleep 1
        else
            sleep 3
        fi
    done
) &

while :; do
    if [ -e /run/lab/no-sshd ]; then
        sleep 0.3 &
        wait $!
        continue
    fi
    /usr/sbin/sshd -D -e 2>>/var/log/sshd.log &
    wait $!
    [ -e /run/lab/no-sshd ] || {
        sleep 0.5 &
        wait $!
    }
done
