package lab

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// fakeTimeLibraries are where distributions keep libfaketime: Debian by architecture, Fedora in lib64.
var fakeTimeLibraries = []string{"/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib64/faketime/libfaketime.so.1", "/usr/lib/faketime/libfaketime.so.1"}

// fakeTime finds libfaketime in the system of the hosts, and gives its path as they see it.
func fakeTime(root string) (string, error) {
	for _, pattern := range fakeTimeLibraries {
		if found, _ := filepath.Glob(filepath.Join(root, pattern)); len(found) > 0 { // the patterns are valid
			rel, err := filepath.Rel(root, found[0])
			return "/" + rel, err
		}
	}
	return "", fmt.Errorf("libfaketime is not installed in %s: scripts/setup installs it on this machine", root)
}

// NeedClock skips a test where Clock cannot work.
func NeedClock(t TB) {
	t.Helper()
	root, err := wholeRoot("")
	if err == nil {
		_, err = fakeTime(root)
	}
	if err != nil {
		t.Skipf("needs faketime: %v", err)
	}
}

// Clock sets a host's clock wrong by so much, in whole seconds; 0 sets it right. All programs that start from now on are deceived, and a
// new sshd with its sessions: those that are open are cut. The kernel and what runs already keep the right time. Programs see the right
// uptime in /proc.
func (l *Lab) Clock(ctx context.Context, host string, off time.Duration) error {
	library, err := fakeTime(l.state.Options.Root)
	if err != nil {
		return fmt.Errorf("clock of %s: %w", host, err)
	}
	const text = `if [ "$1" = +0 ]; then
    rm -f /etc/ld.so.preload /etc/faketimerc
else
    echo "$1" >/etc/faketimerc.new && mv /etc/faketimerc.new /etc/faketimerc
    echo "$2" >/etc/ld.so.preload.new && mv /etc/ld.so.preload.new /etc/ld.so.preload
fi
`
	if _, err := l.shell(ctx, host, nil, text, fmt.Sprintf("%+d", int64(off/time.Second)), library); err != nil {
		return fmt.Errorf("clock of %s: %w", host, err)
	}
	// sshd's sandbox kills a child that first meets the library
	if err := l.KillSSHD(ctx, host); err != nil {
		return fmt.Errorf("clock of %s: %w", host, err)
	}
	return l.StartSSHD(ctx, host)
}
