package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/sync/semaphore"
)

// maxChannels is how many channels are open at once on one connection; sshd's
// MaxSessions is 10 by default and counts commands and SFTP alike.
const maxChannels = 6

// closeGrace is how long a polite end of a channel or connection may take before
// the TCP connection is cut.
const closeGrace = 2 * time.Second

// Conn is an authenticated connection to one host. It may be used by several
// goroutines. When it breaks (Done) it stays broken; dial again.
type Conn struct {
	d      *Dialer
	target Target
	client *ssh.Client
	net    *watchedConn
	log    *slog.Logger

	hostKey   ssh.PublicKey
	authority string
	version   string

	channels *semaphore.Weighted
	rtt      atomic.Int64  // ns, the smallest seen; 0: not measured
	measured chan struct{} // closed when the first measurements are done

	work tracker // goroutines of this Conn
	life context.Context
	end  context.CancelCauseFunc
}

// newConn takes over an authenticated client and starts its keepalive.
func newConn(d *Dialer, l *login, client *ssh.Client) *Conn {
	c := &Conn{
		d: d, target: l.t, client: client, net: l.nc, log: d.log.With("host", l.t.Name),
		hostKey: l.hostKey, authority: l.authority, version: string(client.ServerVersion()),
		channels: semaphore.NewWeighted(maxChannels),
		measured: make(chan struct{}),
	}
	c.life, c.end = context.WithCancelCause(context.Background())
	c.work.Go(func() {
		err := client.Wait()
		c.lost(fmt.Errorf("connection lost: %w", orEOF(err)))
	})
	c.work.Go(func() {
		defer close(c.measured)
		for range 2 { // the first one may wait for the server's start of the session
			if c.ping() != nil {
				return
			}
		}
	})
	c.work.Go(c.keepAlive)
	return c
}

func orEOF(err error) error {
	if err == nil {
		return errors.New("closed by the host")
	}
	return err
}

// Name is the target's name.
func (c *Conn) Name() string { return c.target.Name }

// RTT is the shortest round trip seen on this connection, the SSH layer of the
// host included; 0 for the first moments, until it was measured.
func (c *Conn) RTT() time.Duration { return time.Duration(c.rtt.Load()) }

// HostKey gives the SHA-256 fingerprint and the type of the key the host proved
// to have.
func (c *Conn) HostKey() (fingerprint, keyType string) {
	return ssh.FingerprintSHA256(c.hostKey), c.hostKey.Type()
}

// Authority is the fingerprint of the key that certified the host key, or "" for one that is known itself.
func (c *Conn) Authority() string { return c.authority }

// ServerVersion is the host's SSH version line, escaped.
func (c *Conn) ServerVersion() string { return SanitizeLine(c.version, 256) }

// RemoteAddr is the address dialled; for a host behind a jump host its address
// as seen from there.
func (c *Conn) RemoteAddr() string { return c.target.hostPort() }

// Done is closed when the connection is over, whoever ended it.
func (c *Conn) Done() <-chan struct{} { return c.life.Done() }

// Err is why the connection is over; nil while it is not.
func (c *Conn) Err() error { return context.Cause(c.life) }

// Close ends the connection and waits a short while for everything that belongs
// to it. Calls in flight fail. Closing twice does nothing.
func (c *Conn) Close() error {
	c.lost(errors.New("connection closed"))
	t := time.NewTimer(closeGrace)
	defer t.Stop()
	select {
	case <-c.work.idle():
	case <-t.C:
		// Only behind a jump host that does not answer: its own keepalive ends it.
	}
	return nil
}

// lost records the first reason and cuts the network connection.
func (c *Conn) lost(err error) {
	if c.life.Err() != nil {
		return
	}
	c.end(err)
	c.log.Debug("connection over", "reason", SanitizeLine(err.Error(), 300))
	c.net.Close()
}

// sawRTT notes a round trip.
func (c *Conn) sawRTT(d time.Duration) {
	for {
		old := c.rtt.Load()
		if old != 0 && old <= int64(d) {
			return
		}
		if c.rtt.CompareAndSwap(old, max(1, int64(d))) {
			return
		}
	}
}

// ping asks the server for any answer and blocks until it comes. Servers refuse
// the request, which is an answer.
func (c *Conn) ping() error {
	start := time.Now()
	_, _, err := c.client.SendRequest("keepalive@openssh.com", true, nil)
	if err == nil {
		c.sawRTT(time.Since(start))
	}
	return err
}

// keepAlive asks the server for a sign of life. The request runs in its own
// goroutine because it can block for as long as the network likes; the clock
// does not wait for it. Any byte that arrived counts as life, so that a reply
// stuck behind a full window of data is not taken for death.
func (c *Conn) keepAlive() {
	interval, limit := c.d.opts.KeepAliveInterval, c.d.opts.KeepAliveMisses
	tick := time.NewTicker(interval)
	defer tick.Stop()
	answer := make(chan error, 1)
	waiting, misses := false, 0
	seen := c.net.received()
	for {
		select {
		case <-c.life.Done():
			return
		case err := <-answer:
			waiting, misses = false, 0
			if err != nil {
				c.lost(fmt.Errorf("connection lost: %w", err))
				return
			}
		case <-tick.C:
			now := c.net.received()
			if now != seen {
				seen, misses = now, 0
			} else if waiting {
				misses++
			}
			if misses >= limit {
				c.lost(fmt.Errorf("no answer to %d keepalives, one every %v", limit, interval))
				return
			}
			if !waiting {
				waiting = true
				c.work.Go(func() { answer <- c.ping() })
			}
		}
	}
}

// fail makes an Error of this host. A broken connection outranks what broke
// because of it.
func (c *Conn) fail(ctx context.Context, op string, kind Kind, err error) error {
	c.settle(ctx, err)
	if cause := c.Err(); cause != nil && ctx.Err() == nil {
		var inner *Error
		if !errors.As(err, &inner) {
			return &Error{Host: c.target.Name, Op: op, Kind: KindUnreachable, Err: cause}
		}
	}
	return fail(ctx, c.target.Name, op, kind, err)
}

// errBroken: the server's answer did not come, which only a connection on its
// way down explains.
var errBroken = errors.New("connection broken")

// brokenGrace is how long the end of a connection may lag behind the errors that
// it causes: calls fail before the client's Wait returns.
const brokenGrace = time.Second

// settle waits until the connection knows its own end, if err looks like a part
// of that.
func (c *Conn) settle(ctx context.Context, err error) {
	var network net.Error
	switch {
	case errors.Is(err, errBroken), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, net.ErrClosed), errors.Is(err, sftp.ErrSSHFxConnectionLost), errors.As(err, &network):
	default:
		return
	}
	t := time.NewTimer(brokenGrace)
	defer t.Stop()
	select {
	case <-c.life.Done():
	case <-ctx.Done():
	case <-t.C:
		if errors.Is(err, errBroken) {
			c.lost(err)
		}
	}
}

// watchedConn counts what arrives and keeps the first bytes, which say why a
// server hangs up before the handshake.
type watchedConn struct {
	net.Conn
	bytes atomic.Int64
	mu    sync.Mutex
	first []byte
	once  sync.Once
}

// maxGreeting is how much of the server's first words is kept, in bytes.
const maxGreeting = 512

func (w *watchedConn) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if n > 0 && w.bytes.Add(int64(n))-int64(n) < maxGreeting {
		w.mu.Lock()
		if room := maxGreeting - len(w.first); room > 0 {
			w.first = append(w.first, p[:min(room, n)]...)
		}
		w.mu.Unlock()
	}
	return n, err
}

// Close closes once; a second close of a channel is a protocol error.
func (w *watchedConn) Close() error {
	var err error
	w.once.Do(func() { err = w.Conn.Close() })
	return err
}

func (w *watchedConn) received() int64 { return w.bytes.Load() }

func (w *watchedConn) greeting() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.first)
}
