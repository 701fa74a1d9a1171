package transport

import (
	"fmt"
	"math"
	"path"
)

// minFree is the free space below which a failed write is taken for a full disk,
// in bytes.
const minFree = 1 * mib

// SpaceError is the cause inside an Error of KindSpace.
type SpaceError struct {
	Path         string // directory on the host
	Need, Free   int64  // bytes; Need is 0 when it was found out by a failed write
	inodesFilled bool
}

// Error names the directory and the numbers.
func (e *SpaceError) Error() string {
	switch {
	case e.inodesFilled:
		return fmt.Sprintf("no inode is free on the file system of %s", e.Path)
	case e.Need > 0:
		return fmt.Sprintf("%s has %d bytes free, %d are needed", e.Path, e.Free, e.Need)
	}
	return fmt.Sprintf("the file system of %s is full: %d bytes free", e.Path, e.Free)
}

// checkSpace compares what is to be written with what is free, per directory.
// Servers without statvfs@openssh.com are not asked; the write then tells.
func (u *upload) checkSpace(cl *sftpChannel) error {
	need := make(map[string]int64)
	for _, it := range u.items {
		left := it.Size
		for i, ok := range it.verified {
			if ok {
				left -= min(it.block, it.Size-int64(i)*it.block)
			}
		}
		need[path.Dir(it.Path)] += left
	}
	for dir, n := range need {
		if err := u.spaceError(cl, dir, n, "upload"); err != nil {
			return err
		}
	}
	return nil
}

// spaceError is nil when n more bytes fit, or when nobody knows.
func (u *upload) spaceError(cl *sftpChannel, dir string, n int64, op string) error {
	if _, ok := cl.HasExtension("statvfs@openssh.com"); !ok {
		return nil
	}
	vfs, err := cl.StatVFS(dir)
	if err != nil || vfs.Frsize == 0 || vfs.Blocks == 0 {
		return nil //nolint:nilerr // the write will tell
	}
	free := int64(math.MaxInt64)
	if vfs.Bavail < math.MaxInt64/vfs.Frsize {
		free = int64(vfs.Bavail * vfs.Frsize)
	}
	e := &SpaceError{Path: dir, Need: n, Free: free, inodesFilled: vfs.Files > 0 && vfs.Favail == 0}
	if n > free || e.inodesFilled {
		return &Error{Host: u.conn.target.Name, Op: op, Kind: KindSpace, Err: e}
	}
	return nil
}
