package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// beginFlush asks that a part of a file goes to the disk, without waiting for it: sync_file_range(2). What fails of it is told by the Sync that must come.
func beginFlush(f *os.File, offset, n int64) {
	_ = unix.SyncFileRange(int(f.Fd()), offset, n, unix.SYNC_FILE_RANGE_WRITE)
}

// keepReplaced keeps what has the name path until the function that it gives is called: a rename that replaces a long file waits until all its pages
// are freed, and so does whoever gives it up last, which can be beside other work.
func keepReplaced(path string) (giveUp func()) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return func() {}
	}
	return func() { unix.Close(fd) }
}
