package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// beginFlush asks that a part of a file goes to the disk, without waiting for it: sync_file_range(2). What fails of it is told by the Sync that must come.
func beginFlush(f *os.File, offset, n int64) {
	_ = unix.SyncFileRange(int(f.Fd()), offset, n, unix.SYNC_FILE_RANGE_WRITE)
}
