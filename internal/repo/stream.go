package repo

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// Bounds of decompression. maxRatio and freeOpen are about bombs: real metadata opens to 5 to 40 times its size.
const (
	defaultMaxOpen = 2 << 30   // bytes one metadata file may open to, unless Options say otherwise
	freeOpen       = 64 << 20  // bytes any file may open to, whatever its ratio
	maxRatio       = 1000      // opened to compressed bytes above freeOpen
	maxDictionary  = 128 << 20 // window of xz and zstd; "xz -9" needs 64 MiB, "zstd --ultra -22" 128 MiB
)

// metaStream is one metadata file while it is read: opened, bounded, and hashed on both sides of the decompressor. It is used
// by one goroutine. Read gives the opened bytes; finish must follow and says whether all of it was as repomd.xml has it.
type metaStream struct {
	ctx     context.Context
	id      string
	log     *slog.Logger
	entry   dataEntry
	file    *os.File
	raw     *hashedReader // compressed bytes
	dec     io.Reader     // opened bytes
	release func()        // frees the decompressor
	opened  int64
	limit   int64 // opened bytes allowed
	hash    hash.Hash
	form    string
	now     func() time.Time
	started time.Time
}

// hashedReader counts and hashes what is read through it.
type hashedReader struct {
	r io.Reader
	n int64
	h hash.Hash // nil: not hashed
}

func (h *hashedReader) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	h.n += int64(n)
	if h.h != nil {
		h.h.Write(p[:n])
	}
	return n, err
}

// disk is a repository's directory, open for reading. Nothing outside of it can be reached through it, not by symbolic links either.
type disk struct {
	root    *os.Root
	id      string
	maxOpen int64
	log     *slog.Logger
	now     func() time.Time
}

// open opens a metadata file. A wrong size is told before anything is read.
func (k *disk) open(ctx context.Context, e dataEntry) (*metaStream, error) {
	f, err := k.root.Open(e.Location)
	if err != nil {
		return nil, k.noFile(e, err)
	}
	m := &metaStream{ctx: ctx, id: k.id, log: k.log, now: k.now, entry: e, file: f, release: func() {}, started: k.now()}
	if err := m.start(k.maxOpen); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

// noFile says why a metadata file cannot be opened.
func (k *disk) noFile(e dataEntry, err error) error {
	what, cause := missing(err)
	if e.Base != "" {
		what += ", repomd.xml has it at " + quoted(e.Base)
	}
	return &Damage{k.id, e.Location, what, cause}
}

func (m *metaStream) start(maxOpen int64) error {
	st, err := m.file.Stat()
	if err != nil {
		return m.damage("cannot be read", err)
	}
	if !st.Mode().IsRegular() {
		return m.damage("is not a regular file", nil)
	}
	if err := sizeDamage(m.id, m.entry, st.Size()); err != nil {
		return err
	}
	m.limit = openLimit(m.entry, st.Size(), maxOpen)
	if m.entry.OpenSize > m.limit {
		return m.damage(fmt.Sprintf("absurd open-size %d in repomd.xml for %d bytes on disk (limit %d)", m.entry.OpenSize, st.Size(), m.limit), nil)
	}
	m.raw = &hashedReader{r: m.file, h: newHash(m.entry.Checksum.Type)}
	m.hash = newHash(m.entry.OpenChecksum.Type)
	buffered := bufio.NewReaderSize(m.raw, 256<<10)
	magic, err := buffered.Peek(64)
	if err != nil && !errors.Is(err, io.EOF) {
		return m.damage("cannot be read", err)
	}
	m.form = formOf(magic)
	m.dec, m.release, err = decompressor(m.form, magic, buffered)
	if errors.Is(err, ErrUnsupported) {
		return m.damage("zchunk is the only form it has", err)
	}
	if err != nil {
		return m.finish(fmt.Errorf("%s: %w", m.form, err))
	}
	return nil
}

// sizeDamage compares the size on disk with the size in repomd.xml.
func sizeDamage(id string, e dataEntry, size int64) error {
	switch {
	case e.Size < 0 || size == e.Size:
		return nil
	case size < e.Size:
		return &Damage{id, e.Location, fmt.Sprintf("truncated: %d bytes, repomd.xml says %d", size, e.Size), nil}
	}
	return &Damage{id, e.Location, fmt.Sprintf("%d bytes, repomd.xml says %d", size, e.Size), nil}
}

// openLimit is how many opened bytes a file of this size on disk may have.
func openLimit(e dataEntry, size, maxOpen int64) int64 {
	limit := min(maxOpen, max(freeOpen, size*maxRatio))
	if e.OpenSize >= 0 && e.OpenSize <= limit {
		return e.OpenSize
	}
	return limit
}

// formOf names the compression by its first bytes, which do not lie as file names do.
func formOf(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte("\x1f\x8b")):
		return "gz"
	case bytes.HasPrefix(b, []byte("BZh")):
		return "bz2"
	case bytes.HasPrefix(b, []byte("\xfd7zXZ\x00")):
		return "xz"
	case bytes.HasPrefix(b, []byte("\x28\xb5\x2f\xfd")), len(b) >= 4 && b[0]&0xf0 == 0x50 && string(b[1:4]) == "\x2a\x4d\x18":
		return "zst" // the latter: a skippable frame, with which pzstd begins
	case bytes.HasPrefix(b, []byte("\x00ZCK1")), bytes.HasPrefix(b, []byte("\x00ZHR1")):
		return "zck"
	}
	return "plain"
}

// decompressor returns the reader of the opened bytes and what frees it.
func decompressor(form string, magic []byte, r *bufio.Reader) (io.Reader, func(), error) {
	none := func() {}
	switch form {
	case "gz":
		z, err := newGzipReader(r)
		return z, none, err
	case "bz2":
		return bzip2.NewReader(r), none, nil
	case "xz":
		if err := checkXZ(magic); err != nil {
			return nil, none, err
		}
		z, err := xz.NewReader(r)
		return z, none, err
	case "zst":
		z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxDictionary), zstd.WithDecoderLowmem(true), zstd.WithDecoderConcurrency(2))
		if err != nil {
			return nil, none, err
		}
		return z, z.Close, nil
	case "zck":
		return nil, none, fmt.Errorf("zchunk: %w", ErrUnsupported)
	}
	return r, none, nil
}

// checkXZ bounds the dictionary that the first block of an xz file asks for, which would be taken at once: the size of one
// LZMA2 filter (id 0x21) is (2 | n&1) << (n/2 + 11) (xz file format, 3.1 and 5.3.1). Other layouts are left to the decoder. Later
// blocks are not looked at: their dictionary is address space until data fills it, and the data is bounded.
func checkXZ(b []byte) error {
	if len(b) < 16 {
		return nil
	}
	flags, rest := b[13], b[14:]
	for _, present := range []byte{0x40, 0x80} { // compressed size, uncompressed size
		if flags&present == 0 {
			continue
		}
		n := 0
		for n < len(rest) && rest[n] >= 0x80 { // the last byte of a number has no high bit
			n++
		}
		if n == len(rest) {
			return nil
		}
		rest = rest[n+1:]
	}
	if len(rest) < 3 || rest[0] != 0x21 || rest[1] != 1 {
		return nil
	}
	n := uint(rest[2] & 0x3f)
	if size := uint64(2|n&1) << (n/2 + 11); n >= 40 || size > maxDictionary {
		return fmt.Errorf("asks for a dictionary of %d bytes, more than %d", size, maxDictionary)
	}
	return nil
}

func (m *metaStream) Read(p []byte) (int, error) {
	if err := m.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := m.dec.Read(p)
	m.opened += int64(n)
	if m.hash != nil {
		m.hash.Write(p[:n])
	}
	if m.opened > m.limit {
		return n, &tooLarge{m.limit, m.entry.OpenSize >= 0}
	}
	return n, err
}

// tooLarge says that a file opens to more than it may.
type tooLarge struct {
	limit int64
	said  bool
}

func (t *tooLarge) Error() string {
	if t.said {
		return fmt.Sprintf("opens to more than the %d bytes that repomd.xml says", t.limit)
	}
	return fmt.Sprintf("opens to more than %d bytes, the limit for its size", t.limit)
}

// finish reads what is left, compares sizes and checksums, and closes. With a parser's error it first looks whether the
// file is what repomd.xml says at all: a checksum mismatch explains a syntax error, not the other way round.
func (m *metaStream) finish(parse error) error {
	defer m.close()
	defer m.logSlow()
	if err := m.ctx.Err(); err != nil {
		return err
	}
	if parse == nil {
		_, parse = io.Copy(io.Discard, struct{ io.Reader }{m})
	}
	if _, err := io.Copy(io.Discard, m.raw); err != nil {
		return m.damage("cannot be read", err)
	}
	if m.raw.h != nil {
		if got := sum(m.raw.h); got != m.entry.Checksum.Value {
			return m.damage(fmt.Sprintf("checksum mismatch: %s is %s, repomd.xml says %s", m.entry.Checksum.Type, got, m.entry.Checksum.Value), parse)
		}
	}
	if parse != nil {
		return m.parseDamage(parse)
	}
	if m.entry.OpenSize >= 0 && m.opened != m.entry.OpenSize {
		return m.damage(fmt.Sprintf("opens to %d bytes, repomd.xml says %d", m.opened, m.entry.OpenSize), nil)
	}
	if m.hash != nil {
		if got := sum(m.hash); got != m.entry.OpenChecksum.Value {
			return m.damage(fmt.Sprintf("checksum of the opened file mismatches: %s is %s, repomd.xml says %s", m.entry.OpenChecksum.Type, got, m.entry.OpenChecksum.Value), nil)
		}
	}
	return nil
}

// parseDamage words the error of a decompressor or parser.
func (m *metaStream) parseDamage(err error) error {
	var d *Damage
	var large *tooLarge
	switch {
	case errors.As(err, &d):
		return d
	case errors.As(err, &large):
		return m.damage(large.Error(), nil)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return m.damage("truncated", err)
	}
	return m.damage("damaged", err)
}

func (m *metaStream) damage(what string, err error) error {
	return &Damage{m.id, m.entry.Location, what, err}
}

func (m *metaStream) close() {
	m.release()
	m.file.Close() //nolint:errcheck,gosec // opened for reading
}

// logSlow says a word about xz, which takes six times as long to open as gzip.
func (m *metaStream) logSlow() {
	if m.form == "xz" {
		m.log.Info("xz metadata is slow to open; gzip or zstd is several times faster", "repo", m.id, "file", m.entry.Location,
			"bytes", m.opened, "took", m.now().Sub(m.started).Round(time.Millisecond))
	}
}
