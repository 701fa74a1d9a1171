package store

import (
	"math"
	"syscall"
)

// freeBytes is what a file system has left for this account; the largest number where it does not tell.
func freeBytes(dir string) int64 {
	var s syscall.Statfs_t
	if syscall.Statfs(dir, &s) != nil {
		return math.MaxInt64
	}
	return int64(s.Bavail) * s.Bsize
}
