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
	"slices"
	"sync"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/sync/errgroup"
)

// sftpRequests is how many 32 KiB packets are on their way on one channel: 2 MiB,
// exactly sshd's channel window. More gains nothing.
const sftpRequests = 64

// sftpPacket is how many bytes one request carries (pkg/sftp's maxPacket).
const sftpPacket = 32 << 10

// requestsFor is how many requests a piece of that many bytes needs at once. Each has a goroutine of its own, from the beginning, and most
// files of most hosts are small: orders have a few hundred bytes.
func requestsFor(n int64) int {
	return int(min(sftpRequests, max(1, (n+sftpPacket-1)/sftpPacket)))
}

// errNoSFTP: the account has no SFTP subsystem.
var errNoSFTP = errors.New("no SFTP")

// sftpChannel is one SFTP client with its channel. The connection's permit is
// held by the upload.
type sftpChannel struct {
	*sftp.Client
	ch *channel
}

// channelPipe lets the SFTP client end its input without closing the channel.
type channelPipe struct{ *channel }

func (p channelPipe) Close() error { return p.CloseWrite() }

// openSFTP starts the subsystem. NewClientPipe has no context: closing the
// channel is what ends it.
func (c *Conn) openSFTP(ctx context.Context) (*sftpChannel, error) {
	ch, err := c.openChannel(ctx, false, "subsystem", "sftp")
	if errors.Is(err, errNotStarted) {
		return nil, fmt.Errorf("%w: %v", errNoSFTP, err) //nolint:errorlint // its text is told; what it is must not decide the kind of this error
	}
	if err != nil {
		return nil, err
	}
	c.work.Go(func() { io.Copy(io.Discard, ch.Stderr()) }) //nolint:errcheck // nobody reads it
	stop := context.AfterFunc(ctx, ch.release)
	defer stop()
	cl, err := sftp.NewClientPipe(ch, channelPipe{ch}, sftp.MaxConcurrentRequestsPerFile(sftpRequests))
	if err != nil {
		ch.release()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if cause := c.Err(); cause != nil {
			return nil, cause
		}
		return nil, fmt.Errorf("%w: the subsystem ended: %v", errNoSFTP, err) //nolint:errorlint // its text is told; what it is must not decide the kind of this error
	}
	return &sftpChannel{cl, ch}, nil
}

// close ends the channel whatever state it is in.
func (s *sftpChannel) close() { s.ch.release() }

// bySFTP sends all items through channels that are being opened.
func (u *upload) bySFTP(ctx context.Context, opening *openings) error {
	clients, err := opening.wait()
	if err != nil {
		return err
	}
	if err := u.checkSpace(clients[0]); err != nil {
		return err
	}
	u.count(func(s *UploadStats) { s.Channels = len(clients) })
	u.sending = time.Now()
	return u.transfer(ctx, clients)
}

// openings are SFTP channels on their way.
type openings struct {
	done    chan struct{}
	clients []*sftpChannel
	err     error
}

// startOpening opens up to n channels in the background.
func (u *upload) startOpening(ctx context.Context, n int) *openings {
	o := &openings{done: make(chan struct{})}
	u.conn.work.Go(func() {
		defer close(o.done)
		o.clients, o.err = u.openClients(ctx, n)
	})
	return o
}

func (o *openings) wait() ([]*sftpChannel, error) {
	<-o.done
	return o.clients, o.err
}

// close ends the channels and waits until the server no longer counts them.
func (o *openings) close() {
	if o == nil {
		return
	}
	clients, _ := o.wait() //nolint:errcheck // the error was seen by bySFTP
	for _, cl := range clients {
		cl.close()
	}
	for _, cl := range clients {
		cl.ch.awaitGone()
	}
}

// permits takes one permit for each channel and one for digests. A channel that
// is just being closed by an earlier command is waited for; a command that runs
// is not. Two at least, and both at once, so that two uploads cannot starve each
// other.
func (u *upload) permits(ctx context.Context) (held int64, err error) {
	rtt := u.conn.RTT()
	want := int64(u.conn.d.dataChannels(rtt)) + 1
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond+3*rtt)
	err = u.conn.acquire(short, want)
	cancel()
	if err == nil {
		return want, nil
	}
	if err := u.conn.acquire(ctx, 2); err != nil {
		return 0, err
	}
	for held = 2; held < want && u.conn.channels.TryAcquire(1); held++ {
	}
	return held, nil
}

// openClients opens up to n channels at once; one is enough to go on.
func (u *upload) openClients(ctx context.Context, n int) ([]*sftpChannel, error) {
	clients, errs := make([]*sftpChannel, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { clients[i], errs[i] = u.conn.openSFTP(ctx) })
	}
	wg.Wait()
	open := slices.DeleteFunc(clients, func(c *sftpChannel) bool { return c == nil })
	if len(open) > 0 && ctx.Err() == nil {
		return open, nil // fewer than wanted are only slower
	}
	for _, err := range errs {
		if err != nil {
			return open, err
		}
	}
	return open, context.Cause(ctx)
}

// segmentsAtMost bounds the channels that could have something to do.
func (u *upload) segmentsAtMost() int {
	n := 0
	for _, it := range u.items {
		n += max(1, int((it.Size+minSegment-1)/minSegment))
	}
	return n
}

// workersPerChannel: while one waits for the last replies of its segment, or
// opens and syncs a small file, the other keeps the window full.
const workersPerChannel = 2

// transfer feeds the segments to the channels and the files to the verifier.
func (u *upload) transfer(ctx context.Context, clients []*sftpChannel) error {
	workers := len(clients) * workersPerChannel
	for _, it := range u.items {
		it.cut(workers)
		if it.sent > 0 {
			u.count(func(s *UploadStats) { s.Reused += it.sent })
			it.advance(0)
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(gctx, func() {
		for _, cl := range clients {
			cl.close() // unblocks the calls that take no context
		}
	})
	q := newQueue(u.items, len(clients))
	stopQueue := context.AfterFunc(gctx, q.stop)
	defer stopQueue()
	for i := range workers {
		g.Go(func() error {
			n := i % len(clients)
			w := &writer{u: u, cl: clients[n]}
			defer w.close()
			return w.work(gctx, q, n)
		})
	}
	g.Go(func() error { return u.verify(gctx, clients[0]) })
	err := g.Wait()
	stop()
	return err
}

// writer writes segments through one channel; two share a channel.
type writer struct {
	u   *upload
	cl  *sftpChannel
	it  *item
	dst *sftp.File
	src io.ReadSeekCloser
}

func (w *writer) work(ctx context.Context, q *queue, channel int) error {
	for {
		s, ok := q.take(channel)
		if !ok {
			return context.Cause(ctx)
		}
		err := w.write(ctx, s)
		q.done(channel)
		if err != nil {
			if ctx.Err() != nil && w.u.conn.Err() == nil {
				return context.Cause(ctx)
			}
			return w.explain(s.it, err)
		}
	}
}

// write sends one segment, and syncs the file when it was the last.
func (w *writer) write(ctx context.Context, s segment) error {
	if w.it != s.it {
		w.close()
		if err := w.open(s.it); err != nil {
			return err
		}
	}
	if s.len > 0 {
		if err := w.copy(ctx, s); err != nil {
			return err
		}
	}
	w.u.count(func(*UploadStats) { w.u.sentAll = time.Now() })
	if !s.it.finished(s) {
		return nil
	}
	if err := w.seal(s.it); err != nil {
		return err
	}
	close(s.it.written)
	return nil
}

// seal sets the mode and syncs, both in one round trip.
func (w *writer) seal(it *item) error {
	dst, mode := w.dst, it.Mode
	var g errgroup.Group
	g.Go(func() error {
		if err := w.cl.Chmod(it.part, mode); err != nil {
			return fmt.Errorf("set mode: %w", err)
		}
		return nil
	})
	if _, ok := w.cl.HasExtension("fsync@openssh.com"); ok {
		g.Go(func() error {
			if err := dst.Sync(); err != nil {
				return fmt.Errorf("sync: %w", err)
			}
			return nil
		})
	}
	return g.Wait()
}

// copy goes through ReadFromWithConcurrency, which alone is fast whatever the
// reader is.
func (w *writer) copy(ctx context.Context, s segment) error {
	if _, err := w.src.Seek(s.off, io.SeekStart); err != nil {
		return localError{err}
	}
	if _, err := w.dst.Seek(s.off, io.SeekStart); err != nil {
		return err
	}
	r := &meteredReader{ctx: ctx, r: localReader{io.LimitReader(w.src, s.len)}, limits: w.u.limits(s.it), read: func(n int) { s.it.advance(int64(n)) }}
	n, err := w.dst.ReadFromWithConcurrency(r, requestsFor(s.len))
	w.u.count(func(st *UploadStats) { st.Bytes += n })
	if err != nil {
		return err
	}
	if n != s.len {
		return s.it.wrongSize(s.off + n)
	}
	return nil
}

// open opens both ends. The first to come creates the part file; it must not be
// there, unless the survey saw it as a regular file.
func (w *writer) open(it *item) error {
	src, err := it.Open()
	if err != nil {
		return localError{err}
	}
	dst, err := it.openPart(w.cl, w.u.noExec)
	if err != nil {
		src.Close()
		return err
	}
	w.it, w.src, w.dst = it, src, dst
	return nil
}

// openPart opens the part file for one writer. The first one creates it, the
// others wait for that and then open it at the same time.
func (it *item) openPart(cl *sftpChannel, unseen bool) (*sftp.File, error) {
	it.creating.Lock()
	if it.open {
		it.creating.Unlock()
		return cl.OpenFile(it.part, os.O_WRONLY)
	}
	defer it.creating.Unlock()
	return it.createPart(cl, unseen)
}

func (it *item) createPart(cl *sftpChannel, unseen bool) (*sftp.File, error) {
	if unseen { // no survey: what is there cannot be trusted, and may be a link
		if err := cl.Remove(it.part); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if it.exists && !unseen {
		flags = os.O_WRONLY
	}
	f, err := cl.OpenFile(it.part, flags)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", it.part, err)
	}
	if it.exists && !unseen {
		info, err := f.Stat()
		if err == nil && info.Size() > it.Size {
			err = f.Truncate(it.Size)
		}
		if err != nil {
			f.Close()
			return nil, err
		}
	}
	it.open = true
	return f, nil
}

func (w *writer) close() {
	if w.dst != nil {
		w.dst.Close()
	}
	if w.src != nil {
		w.src.Close()
	}
	w.it, w.src, w.dst = nil, nil, nil
}

// localError marks failures of the local file.
type localError struct{ err error }

func (e localError) Error() string { return "local file: " + e.err.Error() }
func (e localError) Unwrap() error { return e.err }

type localReader struct{ r io.Reader }

func (l localReader) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // a reader's contract
		err = localError{err}
	}
	return n, err
}

// noDirectory is where a file was to come to. It satisfies errors.Is(err, fs.ErrNotExist).
type noDirectory string

func (d noDirectory) Error() string {
	return "the directory " + string(d) + " does not exist on the host"
}

func (noDirectory) Unwrap() error { return fs.ErrNotExist }

// explain gives a failed write its kind. SFTP says no more than "Failure" of a
// full disk, so the file system is asked.
func (w *writer) explain(it *item, err error) error {
	name, op := w.u.conn.target.Name, "upload "+it.Path
	var local localError
	var status *sftp.StatusError
	switch {
	case errors.As(err, &local):
		return &Error{Host: name, Op: op, Kind: KindInternal, Err: err}
	case errors.Is(err, fs.ErrNotExist):
		return &Error{Host: name, Op: op, Kind: KindRemoteCommand, Err: noDirectory(path.Dir(it.Path))}
	case errors.Is(err, fs.ErrPermission):
		return &Error{Host: name, Op: op, Kind: KindRemoteCommand, Err: fmt.Errorf("%s may not write in %s", w.u.conn.target.User, path.Dir(it.Path))}
	case errors.As(err, &status):
		if space := w.u.spaceError(w.cl, path.Dir(it.Path), minFree, op); space != nil {
			return space
		}
		return &Error{Host: name, Op: op, Kind: KindRemoteCommand, Err: fmt.Errorf("the host's SFTP server: %w (quota, or an error of its disk?)", err)}
	}
	return w.u.conn.fail(context.Background(), op, KindUnreachable, err)
}

// readBack computes the digest of a remote file by reading it, for hosts where
// no command can.
func readBack(ctx context.Context, cl *sftpChannel, it *item) (string, error) {
	f, err := cl.Open(it.part)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := f.WriteTo(contextWriter{ctx, h}); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// contextWriter stops a copy when ctx ends.
type contextWriter struct {
	ctx context.Context
	w   io.Writer
}

func (c contextWriter) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(p)
}
