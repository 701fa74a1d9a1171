package repo

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// The head of a cache file: magic, format, length and CRC-32C of the rest. The format changes with every change of what any
// cache file holds.
const (
	cacheMagic   = "cpacman index\n"
	cacheFormat  = 8
	cacheHead    = len(cacheMagic) + 4 + 8 + 4
	cacheSuffix  = ".index"
	maxCacheFile = 4 << 30
	leastMapped  = 256 << 10 // bytes; below, reading costs less
)

// What is cached, each in a file of its own: the first part of the file's name.
const (
	kindPackages   = "packages"
	kindDirectory  = "directory"
	kindFiles      = "files"
	kindAdvisories = "advisories"
	kindModules    = "modules"
	kindDerived    = "derived"
	kindKnown      = "known"
	kindUnfinished = ".new" // left behind by a process that was killed
)

var cacheKinds = [...]string{kindPackages, kindDirectory, kindFiles, kindAdvisories, kindModules, kindHeaders, kindDerived, kindKnown, kindUnfinished} //nolint:gochecknoglobals // a constant list

// How long a cache file that nobody reads is kept, and how often its time is set to say that somebody does.
const (
	cacheKeep  = 30 * 24 * time.Hour
	cacheTouch = 24 * time.Hour
)

// cache is a directory of files that can be made again at any time: whatever is wrong with one, it is ignored and rebuilt. Files are
// written aside and renamed, so several processes may share the directory.
type cache struct {
	dir string // "": no cache
	log *slog.Logger
	now func() time.Time

	mapFrom int64 // files of so many bytes and more are mapped; 0: none
}

// load reads a cache file; ok is false when there is none that can be trusted.
func (c *cache) load(kind, key string) (d *decoder, ok bool) {
	if c.dir == "" {
		return nil, false
	}
	b, err := c.read(c.file(kind, key))
	if err != nil {
		if errors.Is(err, errOtherFormat) { // as after every update of cpacman
			c.log.Debug("cache file of another version, it is built anew", "file", c.file(kind, key), "reason", err.Error())
		} else if !os.IsNotExist(err) {
			c.log.Warn("cache file ignored, it is built anew", "file", c.file(kind, key), "reason", plain(err.Error()))
		}
		return nil, false
	}
	d = newDecoder(b)
	if d.str() != kind || d.str() != key || d.err != nil {
		c.log.Warn("cache file ignored, it is built anew", "file", c.file(kind, key), "reason", "it belongs to something else")
		return nil, false
	}
	return d, true
}

// start begins a cache file, to be passed to store.
func (c *cache) start(kind, key string) *encoder {
	e := newEncoder()
	e.str(kind)
	e.str(key)
	return e
}

// store writes a cache file. A failure costs time later and nothing else: it is logged.
func (c *cache) store(kind, key string, e *encoder) {
	if c.dir != "" {
		c.storeBytes(kind, key, e.bytes())
	}
}

func (c *cache) storeBytes(kind, key string, body []byte) {
	err := errors.New("there is more than a cache file can hold")
	if body != nil {
		err = writeCache(c.file(kind, key), body)
	}
	if err != nil {
		c.log.Warn("cache not written, the repository is parsed again next time", "reason", plain(err.Error()))
		return
	}
	c.prune()
}

// know keeps the identity of a package list that was proven by its checksum, where it is not the one that its index was made from: as after a copy, or
// another mount. It is proven once then, and not by every process.
func (c *cache) know(digest string, id FileID) {
	e := c.start(kindKnown, digest)
	e.fileID(id)
	c.store(kindKnown, digest, e)
}

// known tells whether know was told so, last.
func (c *cache) known(digest string, id FileID) bool {
	d, ok := c.load(kindKnown, digest)
	return ok && d.fileID() == id && d.err == nil
}

// bad tells that a loaded file made no sense after all.
func (c *cache) bad(kind, key string) {
	c.log.Warn("cache file ignored, it is built anew", "file", c.file(kind, key), "reason", errCache.Error())
}

// drop removes a file that made no sense after answers were given from it.
func (c *cache) drop(kind, key string) {
	if c.dir != "" {
		c.bad(kind, key)
		_ = os.Remove(c.file(kind, key)) // who cannot remove it cannot use the cache either
	}
}

func (c *cache) file(kind, key string) string {
	return filepath.Join(c.dir, kind+"-"+key+cacheSuffix)
}

// read reads and checks one file. Files that others could have written are foreign.
func (c *cache) read(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := ownFile(st); err != nil {
		return nil, err
	}
	if st.Size() < int64(cacheHead) || st.Size() > maxCacheFile {
		return nil, errCache
	}
	b, sum, err := c.content(f, st.Size())
	if err != nil {
		return nil, err
	}
	head, body := b[:cacheHead], b[cacheHead:]
	if string(head[:len(cacheMagic)]) != cacheMagic {
		return nil, errCache
	}
	head = head[len(cacheMagic):]
	if v := binary.LittleEndian.Uint32(head); v != cacheFormat {
		return nil, fmt.Errorf("%w: %d, not %d", errOtherFormat, v, cacheFormat)
	}
	if binary.LittleEndian.Uint64(head[4:]) != uint64(len(body)) || binary.LittleEndian.Uint32(head[12:]) != sum {
		return nil, errCache
	}
	if now := c.now(); now.Sub(st.ModTime()) > cacheTouch {
		_ = os.Chtimes(name, now, now) // only prune looks at it
	}
	return body, nil
}

// content gives the bytes of a file, and the CRC-32C of those behind the head.
func (c *cache) content(f *os.File, size int64) ([]byte, uint32, error) {
	if c.mapFrom > 0 && size >= c.mapFrom {
		if b := mapFile(f, size); b != nil {
			return b, summed(b[cacheHead:]), nil
		}
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(f, b[:cacheHead]); err != nil {
		return nil, 0, err
	}
	sum, err := readSummed(f, int64(cacheHead), b[cacheHead:])
	return b, sum, err
}

// ownFile refuses what somebody else owns or may write.
func ownFile(st os.FileInfo) error {
	sys, ok := st.Sys().(*syscall.Stat_t)
	switch {
	case !st.Mode().IsRegular():
		return fmt.Errorf("not a regular file")
	case st.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("others may write it")
	case ok && sys.Uid != 0 && int(sys.Uid) != os.Geteuid():
		return fmt.Errorf("somebody else owns it")
	}
	return nil
}

// writeCache writes aside, flushes, and renames.
func writeCache(name string, body []byte) (err error) {
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".new-*"+cacheSuffix)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()           //nolint:errcheck,gosec // the first error counts
			os.Remove(f.Name()) //nolint:errcheck,gosec // as above
		}
	}()
	head := []byte(cacheMagic)
	head = binary.LittleEndian.AppendUint32(head, cacheFormat)
	head = binary.LittleEndian.AppendUint64(head, uint64(len(body)))
	head = binary.LittleEndian.AppendUint32(head, castagnoli(body))
	for _, b := range [][]byte{head, body} {
		if _, err = f.Write(b); err != nil {
			return err
		}
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), name); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes a rename durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // opened for reading
	return d.Sync()
}

// prune removes our files that nobody has read for cacheKeep.
func (c *cache) prune() {
	list, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	for _, e := range list {
		kind, _, _ := strings.Cut(e.Name(), "-")
		if !strings.HasSuffix(e.Name(), cacheSuffix) || !slices.Contains(cacheKinds[:], kind) {
			continue
		}
		if st, err := e.Info(); err == nil && st.Mode().IsRegular() && c.now().Sub(st.ModTime()) > cacheKeep {
			_ = os.Remove(filepath.Join(c.dir, e.Name())) // tried again next time
		}
	}
}

func castagnoli(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }
