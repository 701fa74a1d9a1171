package transport

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"cpacman/transport/sshtest"
)

// TestUploadDiskFull uses a real full file system.
func TestUploadDiskFull(t *testing.T) {
	for name, cfg := range map[string]sshtest.Config{"SFTP": {}, "cat": {NoSFTP: true}} {
		t.Run(name, func(t *testing.T) {
			e := inProcess(t, cfg)
			dir := filepath.Join(e.dir, "small")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
				t.Skip("needs root: mount a small tmpfs: " + err.Error())
			}
			t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
			c := dial(t, newDialer(t, Options{}), e.target)
			f := Upload{Path: filepath.Join(dir, "f"), Size: 5 * mib, Local: writeLocal(t, 5*mib, 6)}
			_, err := c.Upload(testContext(t), []Upload{f})
			wantKind(t, err, KindSpace)
			var se *SpaceError
			if !errors.As(err, &se) || se.Path != dir {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestUploadFillsDisk: the space was there at first and is not any more.
func TestUploadFillsDisk(t *testing.T) {
	e := inProcess(t, sshtest.Config{})
	dir := filepath.Join(e.dir, "small")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=6m"); err != nil {
		t.Skip("needs root: mount a small tmpfs: " + err.Error())
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	c := dial(t, newDialer(t, Options{}), e.target)
	var once atomic.Bool
	f := Upload{Path: filepath.Join(dir, "f"), Size: 5 * mib, Local: writeLocal(t, 5*mib, 6), Limit: NewLimiter(20 * mib)}
	f.Progress = func(int64) {
		if once.CompareAndSwap(false, true) {
			if err := os.WriteFile(filepath.Join(dir, "other"), bytes.Repeat([]byte("x"), 4*mib), 0o600); err != nil {
				t.Error(err)
			}
		}
	}
	_, err := c.Upload(testContext(t), []Upload{f})
	wantKind(t, err, KindSpace)
	if !strings.Contains(err.Error(), dir) {
		t.Errorf("%v", err)
	}
}
