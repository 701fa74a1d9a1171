package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sync/semaphore"
)

// jump is the shared connection to one jump host, reached by one way with one
// set of keys. It is dialled when first needed and again after it broke.
type jump struct {
	d      *Dialer
	target Target
	starts *semaphore.Weighted // handshakes behind it

	mu      sync.Mutex
	conn    *Conn
	dialing chan struct{} // closed when the dial under way has ended
	err     error         // of the last dial
}

// wayTo gives the connected jump host that t is behind; nil for none.
func (d *Dialer) wayTo(ctx context.Context, t Target) (*jump, error) {
	if len(t.Jump) == 0 {
		return nil, nil
	}
	key := t.chainKey()
	d.mu.Lock()
	j := d.jumps[key]
	if j == nil {
		j = &jump{d: d, target: t.asTarget(len(t.Jump) - 1),
			starts: semaphore.NewWeighted(int64(d.opts.StartsPerJump))}
		d.jumps[key] = j
	}
	d.mu.Unlock()
	if _, err := j.get(ctx); err != nil {
		return nil, err
	}
	return j, nil
}

// get gives a living connection. One caller's context does not end the dial that
// others wait for.
func (j *jump) get(ctx context.Context) (*Conn, error) {
	j.mu.Lock()
	if j.conn != nil && j.conn.Err() == nil {
		c := j.conn
		j.mu.Unlock()
		return c, nil
	}
	if j.d.life.Err() != nil {
		j.mu.Unlock()
		return nil, j.wrap(errors.New("the dialer is closed"))
	}
	mine := j.dialing == nil
	if mine {
		j.dialing = make(chan struct{})
		j.d.work.Go(j.dial)
	}
	wait := j.dialing
	j.mu.Unlock()
	select {
	case <-wait:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	j.mu.Lock()
	conn, err := j.conn, j.err
	j.mu.Unlock()
	if err != nil {
		return nil, j.wrap(err)
	}
	if cause := conn.Err(); cause != nil { // no endless redialling here
		return nil, j.wrap(cause)
	}
	return conn, nil
}

func (j *jump) dial() {
	c, err := j.d.Dial(j.d.life, j.target)
	j.mu.Lock()
	old := j.conn
	j.conn, j.err = c, err
	close(j.dialing)
	j.dialing = nil
	j.mu.Unlock()
	if old != nil {
		old.Close()
	}
	if c != nil && j.d.life.Err() != nil {
		c.Close()
	}
}

// wrap says that it was the jump host that failed, keeping the kind.
func (j *jump) wrap(err error) error {
	kind := KindOf(err)
	if kind == KindInternal {
		kind = KindUnreachable
	}
	return &viaError{name: j.target.hostPort(), kind: kind, err: err}
}

// viaError is a failure on the way; it becomes an Error of the target with the
// kind of the jump host's failure.
type viaError struct {
	name string
	kind Kind
	err  error
}

func (e *viaError) Error() string { return fmt.Sprintf("jump host %s: %v", e.name, e.err) }
func (e *viaError) Unwrap() error { return e.err }

func (j *jump) close() {
	j.mu.Lock()
	c := j.conn
	j.mu.Unlock()
	if c != nil {
		c.Close()
	}
}

// forward opens a stream to a target through the jump host.
func (j *jump) forward(ctx context.Context, t Target) (net.Conn, error) {
	c, err := j.get(ctx)
	if err != nil {
		return nil, err
	}
	type opened struct {
		nc  net.Conn
		err error
	}
	result := make(chan opened, 1)
	c.work.Go(func() {
		nc, err := c.client.Dial("tcp", t.hostPort())
		result <- opened{nc, err}
	})
	var r opened
	select {
	case r = <-result:
	case <-ctx.Done():
		c.work.Go(func() {
			if r := <-result; r.err == nil {
				r.nc.Close()
			}
		})
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, fmt.Errorf("jump host %s made no connection to %s within %v", j.target.hostPort(), t.hostPort(), t.ConnectTimeout)
		}
		return nil, context.Cause(ctx)
	}
	if r.err == nil {
		return r.nc, nil
	}
	var refused *ssh.OpenChannelError
	if errors.As(r.err, &refused) {
		said := SanitizeLine(refused.Message, 200)
		if refused.Reason == ssh.Prohibited {
			return nil, fmt.Errorf("jump host %s does not forward to %s (AllowTcpForwarding, PermitOpen?): %s", j.target.hostPort(), t.hostPort(), said)
		}
		return nil, fmt.Errorf("jump host %s cannot reach %s: %s", j.target.hostPort(), t.hostPort(), said)
	}
	// The connection to the jump host broke: the next try dials it again.
	return nil, fmt.Errorf("%w: the connection to jump host %s broke (%v)", errDropped, j.target.hostPort(), r.err) //nolint:errorlint // its text is told; what it is must not decide the kind of this error
}
