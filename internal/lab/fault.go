package lab

import (
	"bytes"
	"context"
	"fmt"
	"time"
)

// Cut takes a host's link down: packets vanish, nothing is refused.
func (l *Lab) Cut(ctx context.Context, host string) error { return l.link(ctx, host, false) }

func (l *Lab) link(ctx context.Context, host string, up bool) error {
	if _, err := l.Host(host); err != nil {
		return err
	}
	if err := setLink(ctx, l.state.Bridge, l.index(host), up); err != nil {
		return fmt.Errorf("link of %s: %w", host, err)
	}
	return nil
}

// Restore undoes every fault of a host that can be undone: a cut link, a dead sshd, a full
// disk, a held lock, a wrong clock, power that is off. It does not touch packages.
func (l *Lab) Restore(ctx context.Context, host string) error {
	if err := l.link(ctx, host, true); err != nil {
		return err
	}
	if l.initOf(host) == 0 {
		if err := l.powerOn(ctx, host); err != nil {
			return err
		}
	}
	if err := l.FreeDisk(ctx, host); err != nil {
		return err
	}
	if err := l.ReleaseLock(ctx, host); err != nil {
		return err
	}
	if _, _, wrong, err := l.Exec(ctx, host, "test", "-e", "/etc/faketimerc"); err == nil && wrong == 0 {
		return l.Clock(ctx, host, 0)
	}
	return l.StartSSHD(ctx, host)
}

// KillSSHD ends a host's sshd and all its sessions. It stays dead until StartSSHD.
func (l *Lab) KillSSHD(ctx context.Context, host string) error {
	const text = `touch /run/lab/no-sshd
if [ -d /run/systemd/system ]; then
    systemctl mask --runtime --quiet sshd.service
    systemctl kill --kill-whom=all --signal=KILL sshd.service 2>/dev/null
    systemctl stop sshd.service
fi
for dir in /proc/[0-9]*; do
    read -r name <"$dir/comm" || continue
    case $name in
    sshd | sshd-session | sshd-auth) kill -KILL "${dir#/proc/}" ;;
    esac
done 2>/dev/null
rm -f /run/sshd.pid
exit 0
`
	_, err := l.shell(ctx, host, nil, text)
	return err
}

// StartSSHD starts a host's sshd again and waits until it listens.
func (l *Lab) StartSSHD(ctx context.Context, host string) error {
	const text = `rm -f /run/lab/no-sshd
if [ -d /run/systemd/system ]; then
    systemctl unmask --runtime --quiet sshd.service
    systemctl reset-failed sshd.service 2>/dev/null
    systemctl start sshd.service
fi
i=0
until [ -e /run/sshd.pid ]; do
    i=$((i + 1))
    [ $i -lt 100 ] || { echo "sshd does not start: $(tail -n 3 /var/log/sshd.log)"; exit 1; }
    sleep 0.1
done
`
	_, err := l.shell(ctx, host, nil, text)
	return err
}

// fillFile is the file that fills a disk, in the directory that was named.
const fillFile = ".lab-fill"

// FillDisk fills the file system that dir of a host is on, /var if empty, and leaves about
// so many bytes free. It returns what is free afterwards.
func (l *Lab) FillDisk(ctx context.Context, host, dir string, leave int64) (free int64, err error) {
	if dir == "" {
		dir = "/var"
	}
	const text = `set -e
[ -d "$1" ] || { echo "no directory $1"; exit 1; }
[ "$(stat -c %d "$1")" != "$(stat -c %d /)" ] || { echo "$1 is on the disk of the machine below, which is not filled: name /var, /tmp or a directory in them"; exit 1; }
rm -f "$1/` + fillFile + `"
sync
try=0 at=0
while :; do
    free=$(($(stat -f -c '%a * %S' "$1")))
    size=$((free - $2))
    [ $size -gt 0 ] || break
    # Others may write meanwhile, and then all of a piece is given back: the last megabyte goes in small ones, or who finds the disk full
    # would find it empty a moment later.
    [ $size -le 1048576 ] || size=$((size - 1048576))
    [ $size -gt 1048576 ] || [ $size -le 65536 ] || size=65536
    if fallocate -o $at -l $size "$1/` + fillFile + `" 2>/run/lab/fill.log; then
        at=$((at + size))
        continue
    fi
    try=$((try + 1))
    [ $try -lt 50 ] || { cat /run/lab/fill.log; exit 1; }
done
echo "$1" >>/run/lab/filled
echo $(($(stat -f -c '%a * %S' "$1")))
`
	out, err := l.shell(ctx, host, nil, text, dir, fmt.Sprint(leave))
	if err != nil {
		return 0, fmt.Errorf("fill disk: %w", err)
	}
	if _, err := fmt.Sscan(out, &free); err != nil {
		return 0, fmt.Errorf("fill disk of %s: %q is not a number: %w", host, out, err)
	}
	return free, nil
}

// FreeDisk removes what FillDisk wrote.
func (l *Lab) FreeDisk(ctx context.Context, host string) error {
	const text = `rm -f /var/` + fillFile + `
[ -e /run/lab/filled ] || exit 0
while read -r dir; do rm -f "$dir/` + fillFile + `"; done </run/lab/filled
rm -f /run/lab/filled
`
	_, err := l.shell(ctx, host, nil, text)
	return err
}

// HoldLock makes a real rpm hold the lock of a host's database for so long, and returns
// once it does. Nothing is installed.
func (l *Lab) HoldLock(ctx context.Context, host string, d time.Duration) error {
	p, data, err := l.packageFile(lockHolder, "")
	if err != nil {
		return err
	}
	const text = `set -e
cat >"/run/lab/$1"
echo "$2" >/run/lab/hold-lock
setsid rpm -U "/run/lab/$1" </dev/null >/run/lab/hold-lock.log 2>&1 &
i=0
until [ -e /run/lab/hold-lock.held ]; do
    i=$((i + 1))
    [ $i -lt 100 ] || { cat /run/lab/hold-lock.log; exit 1; }
    sleep 0.05
done
`
	seconds := int(d.Round(time.Second) / time.Second)
	_, err = l.shell(ctx, host, bytes.NewReader(data), text, p.File, fmt.Sprint(max(1, seconds)))
	if err != nil {
		return fmt.Errorf("hold the rpm lock: %w", err)
	}
	return nil
}

// ReleaseLock ends HoldLock early.
func (l *Lab) ReleaseLock(ctx context.Context, host string) error {
	const text = `[ -e /run/lab/hold-lock ] || exit 0
rm -f /run/lab/hold-lock
i=0
while [ -e /run/lab/hold-lock.held ] && [ $i -lt 50 ]; do
    i=$((i + 1))
    sleep 0.1
done
`
	_, err := l.shell(ctx, host, nil, text)
	return err
}
