package transport

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"time"
)

// Upload is one file to send.
type Upload struct {
	Path   string // final path on the host, absolute; its directory must exist
	Size   int64  // bytes
	SHA256 string // hex; empty: the local file is read once more to compute it

	// Local is the local file. Open is used instead when it is not nil: it is
	// called once for every channel, and more often when reading back.
	Local string
	Open  func() (io.ReadSeekCloser, error)

	Mode fs.FileMode // permissions; 0: 0600. A file that is there already keeps its own.

	// Progress is told how many bytes of the file are on the host, reused ones
	// included. It is called by one goroutine at a time and must return quickly.
	Progress func(sent int64)

	Limit *Limiter // for this file, beside those of Options and Target
}

// UploadStats says what an Upload did.
type UploadStats struct {
	Files    int   // asked for
	Skipped  int   // were on the host with the same digest
	Bytes    int64 // sent
	Reused   int64 // bytes of an earlier attempt whose digest was right
	Channels int   // SFTP channels used; 0: sent by "cat", or nothing to send

	Prepare  time.Duration // asking what is there, and opening channels
	Transfer time.Duration // then, until the host acknowledged the last byte
	Verify   time.Duration // then, until the last file was synced, checked and renamed
}

// rttMany is the round trip above which one connection needs many channels: a
// channel carries one 2 MiB window per round trip.
const rttMany = 30 * time.Millisecond

// dataChannels is how many channels carry data: 2, or 5 where the round trip is
// long, which leaves one of maxChannels for the command that computes digests.
func dataChannels(rtt time.Duration) int {
	if rtt > rttMany {
		return maxChannels - 1
	}
	return 2
}

// Upload sends files, several at once and the parts of a large one over several
// channels. Each is written as PATH.SHA12.part, synced, checked by SHA-256 on
// the host and renamed, so that PATH is either absent, old or whole. It is safe
// to call it again after any failure: what is there and right is not sent again.
// The first error ends it; files that were finished stay.
func (c *Conn) Upload(ctx context.Context, files []Upload) (UploadStats, error) {
	stats := UploadStats{Files: len(files)}
	if len(files) == 0 {
		return stats, nil
	}
	u := &upload{conn: c, stats: stats}
	if err := u.prepare(ctx, files); err != nil {
		return u.stats, c.fail(ctx, "upload", KindInternal, err)
	}
	err := u.run(ctx)
	if err != nil {
		err = c.fail(ctx, "upload", KindRemoteCommand, err)
	}
	return u.stats, err
}

// upload is one call of Upload.
type upload struct {
	conn  *Conn
	items []*item
	mu    sync.Mutex // guards stats
	stats UploadStats

	command                   *channel // of the last runHeld
	noExec                    bool     // commands cannot be run: no digests from the host, no reuse
	started, sending, sentAll time.Time
}

// item is one file on its way.
type item struct {
	Upload
	part  string
	block int64 // bytes; what is compared when an earlier attempt is found

	exists   bool   // a part file of an earlier attempt is there
	verified []bool // its blocks whose digest was right

	creating sync.Mutex // held while the part file is created; guards open
	open     bool       // the part file was created or opened once

	mu      sync.Mutex    // guards the rest
	sent    int64         // bytes on the host, for Progress
	left    int           // segments not yet written
	prefix  int           // segments written from the start without a gap
	done    []bool        // segments written
	moved   chan struct{} // closed and replaced whenever prefix grows
	written chan struct{} // closed when all is written and synced
	segs    []segment
}

// segment is a piece of a file that one channel writes in one go.
type segment struct {
	it       *item
	index    int
	off, len int64
}

const (
	mib         = 1 << 20
	maxBlocks   = 256      // digests asked for per part file
	minSegment  = 4 * mib  // below it the round trips at its ends weigh too much
	maxSegment  = 32 * mib // above it the channels end at different times
	maxFileSize = 1 << 40
)

// prepare checks the request and computes missing digests.
func (u *upload) prepare(ctx context.Context, files []Upload) error {
	seen := make(map[string]bool, len(files))
	for _, f := range files {
		it, err := newItem(f)
		if err != nil {
			return err
		}
		if seen[f.Path] {
			return fmt.Errorf("%s is asked for twice", f.Path)
		}
		seen[f.Path] = true
		if it.SHA256 == "" {
			if it.SHA256, err = it.localDigest(ctx); err != nil {
				return err
			}
		}
		it.part = it.Path + "." + it.SHA256[:12] + ".part"
		u.items = append(u.items, it)
	}
	return nil
}

func newItem(f Upload) (*item, error) {
	switch {
	case !path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || f.Path == "/" || len(f.Path) > 4000:
		return nil, fmt.Errorf("%q is not a clean absolute path", SanitizeLine(f.Path, 200))
	case strings.ContainsAny(f.Path, "\x00\n"):
		return nil, fmt.Errorf("%q: a path with a line feed or NUL cannot be sent", SanitizeLine(f.Path, 200))
	case f.Size < 0 || f.Size > maxFileSize:
		return nil, fmt.Errorf("%s: size %d", f.Path, f.Size)
	case f.Local == "" && f.Open == nil:
		return nil, fmt.Errorf("%s: neither Local nor Open is given", f.Path)
	case f.Mode&^fs.ModePerm != 0:
		return nil, fmt.Errorf("%s: mode %v has more than permission bits", f.Path, f.Mode)
	}
	if f.SHA256 != "" {
		f.SHA256 = strings.ToLower(f.SHA256)
		if b, err := hex.DecodeString(f.SHA256); err != nil || len(b) != sha256.Size {
			return nil, fmt.Errorf("%s: %q is not a SHA-256 digest", f.Path, SanitizeLine(f.SHA256, 80))
		}
	}
	if f.Mode == 0 {
		f.Mode = 0o600
	}
	if f.Open == nil {
		local := f.Local
		f.Open = func() (io.ReadSeekCloser, error) { return os.Open(local) }
	}
	block := int64(mib)
	if f.Size > maxBlocks*mib {
		block = (f.Size/maxBlocks + mib - 1) / mib * mib
	}
	return &item{Upload: f, block: block, moved: make(chan struct{}), written: make(chan struct{})}, nil
}

// localDigest reads the local file and insists on its size.
func (it *item) localDigest(ctx context.Context) (string, error) {
	r, err := it.Open()
	if err != nil {
		return "", fmt.Errorf("open local file: %w", err)
	}
	defer r.Close()
	h := sha256.New()
	n, err := io.Copy(h, &meteredReader{ctx: ctx, r: io.LimitReader(r, it.Size+1)})
	if err != nil {
		return "", fmt.Errorf("read local file for %s: %w", it.Path, err)
	}
	if n != it.Size {
		return "", it.wrongSize(n)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (it *item) wrongSize(n int64) error {
	more := "only"
	if n > it.Size {
		more = "more than"
		n = it.Size
	}
	return &Error{Op: "upload " + it.Path, Kind: KindIntegrity,
		Err: fmt.Errorf("the local file has %s %d bytes, %d were announced", more, n, it.Size)}
}

// cut divides what is not yet verified into segments.
func (it *item) cut(workers int) {
	size := it.Size / int64(2*workers)
	size = (min(max(size, minSegment), maxSegment) + it.block - 1) / it.block * it.block
	missing := func(b int64) bool { return b >= int64(len(it.verified)) || !it.verified[b] }
	blocks := (it.Size + it.block - 1) / it.block
	for b := int64(0); b < blocks; {
		if !missing(b) {
			it.sent += min(it.block, it.Size-b*it.block)
			b++
			continue
		}
		off := b * it.block
		for b++; b < blocks && missing(b) && (b+1)*it.block-off <= size; b++ {
		}
		it.segs = append(it.segs, segment{it: it, index: len(it.segs), off: off, len: min(b*it.block, it.Size) - off})
	}
	if len(it.segs) == 0 { // an empty file, or all of it is there: still to be opened and synced
		it.segs = append(it.segs, segment{it: it})
	}
	it.left, it.done = len(it.segs), make([]bool, len(it.segs))
}

// advance notes bytes that are on the host.
func (it *item) advance(n int64) {
	it.mu.Lock()
	defer it.mu.Unlock()
	it.sent += n
	if it.Progress != nil {
		it.Progress(it.sent)
	}
}

// finished notes a written segment and reports whether it was the last one.
func (it *item) finished(s segment) bool {
	it.mu.Lock()
	defer it.mu.Unlock()
	it.done[s.index] = true
	it.left--
	grown := false
	for it.prefix < len(it.done) && it.done[it.prefix] {
		it.prefix++
		grown = true
	}
	if grown {
		close(it.moved)
		it.moved = make(chan struct{})
	}
	return it.left == 0
}

// contiguous is how many bytes from the start are on the host without a gap, and
// a channel that is closed when there are more.
func (it *item) contiguous() (int64, <-chan struct{}) {
	it.mu.Lock()
	defer it.mu.Unlock()
	if it.prefix == len(it.segs) {
		return it.Size, it.moved
	}
	return it.segs[it.prefix].off, it.moved
}

// earlyOpen is the size, in bytes, from which channels are opened while the host
// is still being asked what it has, where round trips are long.
const earlyOpen = 8 * mib

// run is the order of things.
func (u *upload) run(ctx context.Context) error {
	u.started = time.Now()
	select {
	case <-u.conn.measured:
	case <-u.conn.life.Done():
	case <-ctx.Done():
	}
	held, err := u.permits(ctx)
	if err != nil {
		return err
	}
	defer func() {
		u.lastCommandGone()
		u.conn.channels.Release(held)
	}()
	var opening *openings
	defer func() { opening.close() }()
	var total int64
	for _, it := range u.items {
		total += it.Size
	}
	if u.conn.RTT() > rttMany && total >= earlyOpen {
		opening = u.startOpening(ctx, min(int(held-1), u.segmentsAtMost()))
	}
	if err := u.survey(ctx); err != nil {
		return err
	}
	if len(u.items) == 0 {
		return nil
	}
	if opening == nil {
		opening = u.startOpening(ctx, min(int(held-1), u.segmentsAtMost()))
	}
	err = u.bySFTP(ctx, opening)
	if errors.Is(err, errNoSFTP) {
		if u.noExec {
			return fmt.Errorf("the account can neither run commands nor use SFTP: %w", err)
		}
		err = u.byCat(ctx)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if err == nil {
		u.stats.Prepare = u.sending.Sub(u.started)
		u.stats.Transfer = u.sentAll.Sub(u.sending)
		u.stats.Verify = time.Since(u.sentAll)
	}
	return err
}

func (u *upload) count(f func(s *UploadStats)) {
	u.mu.Lock()
	defer u.mu.Unlock()
	f(&u.stats)
}

// limits are the caps that apply to a file.
func (u *upload) limits(it *item) []*Limiter {
	var l []*Limiter
	for _, x := range []*Limiter{it.Limit, u.conn.target.Limit, u.conn.d.opts.Bandwidth} {
		if x != nil {
			l = append(l, x)
		}
	}
	return l
}

// digestError is the end of a file that is not what it should be. Which side is
// wrong is found by reading the local file again.
func (u *upload) digestError(ctx context.Context, it *item, got string) error {
	local, err := it.localDigest(ctx)
	msg := fmt.Sprintf("on the host its sha256 is %s, expected %s", SanitizeLine(got, 80), it.SHA256)
	switch {
	case err != nil:
		msg += fmt.Sprintf("; the local file: %v", err)
	case local != it.SHA256:
		msg = fmt.Sprintf("the local file's sha256 is %s, expected %s", local, it.SHA256)
	default:
		msg += "; the local file is right: the bytes were damaged on the way or on the host's disk"
	}
	return &Error{Host: u.conn.target.Name, Op: "upload " + it.Path, Kind: KindIntegrity, Err: errors.New(msg)}
}
