package repo

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// mapFile gives the bytes of a file without copying them, for as long as the process lives; nil where that cannot be, or where they cannot be read:
// all of them are brought in here, where a disk that fails is an error and no signal (madvise(2), Linux 5.14). Files of the cache are never written
// in their place.
func mapFile(f *os.File, size int64) []byte {
	b, err := syscall.Mmap(int(f.Fd()), 0, int(size), syscall.PROT_READ, syscall.MAP_PRIVATE)
	if err != nil {
		return nil
	}
	if err := syscall.Madvise(b, unix.MADV_POPULATE_READ); err != nil {
		_ = syscall.Munmap(b)
		return nil
	}
	return b
}
