//go:build unix

package transport

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockDir locks a directory against other programs that use this function. The
// file itself cannot be locked: it is replaced by rename.
func lockDir(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}
