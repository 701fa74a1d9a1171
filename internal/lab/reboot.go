package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Reboot takes the power from a host and gives it back: all its processes are killed without
// warning, connections fall silent, the boot id is new. It returns when sshd listens again.
// /run and /tmp are empty afterwards; all else stays, as on a disk.
func (l *Lab) Reboot(ctx context.Context, host string) error {
	if _, err := l.Host(host); err != nil {
		return err
	}
	pid := l.initOf(host)
	if pid == 0 {
		return l.powerOn(ctx, host)
	}
	n := l.index(host)
	// first the link, so that no dying process says goodbye
	if err := setLink(ctx, l.state.Bridge, n, false); err != nil {
		return fmt.Errorf("reboot %s: %w", host, err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("reboot %s: %w", host, err)
	}
	for l.initOf(host) == pid {
		select {
		case <-ctx.Done():
			return fmt.Errorf("reboot %s: %w", host, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
	if err := setLink(ctx, l.state.Bridge, n, true); err != nil {
		return fmt.Errorf("reboot %s: %w", host, err)
	}
	return l.WaitReady(ctx, host)
}

// powerOn starts a host that was powered off.
func (l *Lab) powerOn(ctx context.Context, host string) error {
	if err := os.WriteFile(filepath.Join(l.hostDir(host), "start"), nil, 0o600); err != nil {
		return fmt.Errorf("start %s: %w", host, err)
	}
	return l.WaitReady(ctx, host)
}
