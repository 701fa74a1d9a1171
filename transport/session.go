package transport

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// channel is one session channel with its permit. release must be called once
// the caller is done; it may be called again.
type channel struct {
	ssh.Channel
	conn     *Conn
	requests <-chan *ssh.Request
	once     sync.Once
	gone     chan struct{} // closed when the server has closed the channel
	exit     exitInfo      // valid after gone
	permit   bool
}

// exitInfo is what the server says about the end of a command.
type exitInfo struct {
	known  bool
	status int
	signal string
}

// openChannel opens a session channel and starts a command or subsystem on it.
// permit: take one of the connection's permits here; else the caller holds it.
func (c *Conn) openChannel(ctx context.Context, permit bool, request, payload string) (*channel, error) {
	if permit {
		if err := c.acquire(ctx, 1); err != nil {
			return nil, err
		}
	}
	type opened struct {
		ch  *channel
		err error
	}
	result := make(chan opened, 1)
	c.work.Go(func() {
		ch, err := c.startChannel(permit, request, payload)
		result <- opened{ch, err}
	})
	select {
	case r := <-result:
		return r.ch, r.err
	case <-ctx.Done():
	case <-c.life.Done():
	}
	c.work.Go(func() { // the answer may still come: do not keep what it opens
		if r := <-result; r.err == nil {
			r.ch.release()
		}
	})
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return nil, c.Err()
}

// acquire takes n permits, giving up when ctx or the connection ends.
func (c *Conn) acquire(ctx context.Context, n int64) error {
	if c.channels.TryAcquire(n) {
		return nil
	}
	wait, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(c.life, cancel)
	defer stop()
	if err := c.channels.Acquire(wait, n); err != nil {
		if cause := c.Err(); cause != nil && ctx.Err() == nil {
			return cause
		}
		return err
	}
	return nil
}

// errChannelRefused: the server would not open one more channel; the connection
// itself is fine.
var errChannelRefused = errors.New("refused")

// errNotStarted: the channel was opened, but the command or subsystem was refused.
var errNotStarted = errors.New("not started")

// startChannel blocks until the server has answered. It gives the permit back
// when it fails.
func (c *Conn) startChannel(permit bool, request, payload string) (*channel, error) {
	start := time.Now()
	sc, reqs, err := c.client.OpenChannel("session", nil)
	if err != nil {
		if permit {
			c.channels.Release(1)
		}
		var refused *ssh.OpenChannelError
		if errors.As(err, &refused) {
			return nil, fmt.Errorf("the host opens no further channel (MaxSessions?): %s: %w",
				SanitizeLine(refused.Message, 200), errChannelRefused)
		}
		return nil, fmt.Errorf("%w: %w", errBroken, err)
	}
	c.sawRTT(time.Since(start))
	ch := &channel{Channel: sc, conn: c, requests: reqs, gone: make(chan struct{}), permit: permit}
	c.work.Go(ch.watch)
	ok, err := sc.SendRequest(request, true, ssh.Marshal(struct{ S string }{payload}))
	if err == nil && !ok {
		err = fmt.Errorf("the host does not accept the %s request: %w", request, errNotStarted)
	}
	if err != nil {
		ch.release()
		return nil, err
	}
	return ch, nil
}

// watch collects the exit status until the server closes the channel.
func (ch *channel) watch() {
	defer close(ch.gone)
	for req := range ch.requests {
		switch req.Type {
		case "exit-status":
			var m struct{ Status uint32 }
			if ssh.Unmarshal(req.Payload, &m) == nil {
				ch.exit.known, ch.exit.status = true, int(m.Status)
			}
		case "exit-signal":
			var m struct {
				Signal string
				Core   bool
				Msg    string
				Lang   string
			}
			if ssh.Unmarshal(req.Payload, &m) == nil {
				ch.exit.known, ch.exit.signal = true, SanitizeLine(m.Signal, 32)
			}
		}
		if req.WantReply {
			req.Reply(false, nil)
		}
	}
}

// release closes the channel and gives its permit back when the server has
// agreed, which is when sshd no longer counts it. A server that does not agree
// in time loses the connection: nothing else ends a blocked read.
func (ch *channel) release() {
	ch.once.Do(func() {
		ch.conn.work.Go(func() {
			ch.Channel.Close() //nolint:errcheck // an error means that it is closed
			ch.awaitGone()
			if ch.permit {
				ch.conn.channels.Release(1)
			}
		})
	})
}

func (ch *channel) awaitGone() {
	limit := time.NewTimer(2 * closeGrace)
	defer limit.Stop()
	select {
	case <-ch.gone:
	case <-ch.conn.life.Done():
	case <-limit.C:
		ch.conn.lost(errors.New("the host does not close a channel that was given up"))
	}
}
