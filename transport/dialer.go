package transport

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sync/semaphore"
)

// Options are the limits shared by all connections of a Dialer. Zero values
// mean the defaults.
type Options struct {
	// Starts is how many connections may be between their TCP connect and the end
	// of their login at once; StartsPerJump is the same behind one jump host.
	// sshd drops connections at random above ten (MaxStartups 10:30:100), and a
	// jump host has to carry every handshake behind it.
	Starts, StartsPerJump int

	// Bandwidth caps all uploads together; see also Target.Limit.
	Bandwidth *Limiter

	KeepAliveInterval time.Duration // 15 s
	KeepAliveMisses   int           // 3: then the connection is cut

	// DialAttempts is how often a connection that the server dropped before the
	// key exchange is tried; DialBackoff is the first pause between two tries. It
	// doubles up to 5 s, and each pause is drawn between half and all of it.
	DialAttempts int           // 6
	DialBackoff  time.Duration // 250 ms

	Logger *slog.Logger // debug lines, no secrets; nil: none
	Random io.Reader    // nil: crypto/rand
}

// Dialer makes connections. It may be used by several goroutines; make one per
// program, since the limits hold within it.
type Dialer struct {
	opts   Options
	log    *slog.Logger
	random io.Reader

	dataChannels func(rtt time.Duration) int

	starts *semaphore.Weighted
	known  knownHostsCache

	life context.Context
	end  context.CancelFunc
	work tracker

	mu    sync.Mutex
	jumps map[string]*jump
	gates map[string]*sudoGate
}

// NewDialer makes a Dialer; Close it when done.
func NewDialer(o Options) *Dialer {
	if o.Starts <= 0 {
		o.Starts = DefaultStarts
	}
	if o.StartsPerJump <= 0 {
		o.StartsPerJump = DefaultStartsPerJump
	}
	if o.KeepAliveInterval <= 0 {
		o.KeepAliveInterval = DefaultKeepAliveInterval
	}
	if o.KeepAliveMisses <= 0 {
		o.KeepAliveMisses = DefaultKeepAliveMisses
	}
	if o.DialAttempts <= 0 {
		o.DialAttempts = DefaultDialAttempts
	}
	if o.DialBackoff <= 0 {
		o.DialBackoff = 250 * time.Millisecond
	}
	d := &Dialer{opts: o, log: o.Logger, random: o.Random, dataChannels: dataChannels, starts: semaphore.NewWeighted(int64(o.Starts)),
		jumps: make(map[string]*jump), gates: make(map[string]*sudoGate)}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	if d.random == nil {
		d.random = rand.Reader
	}
	d.life, d.end = context.WithCancel(context.Background())
	return d
}

// Close ends the shared connections to jump hosts, and with them what runs
// through them. Connections that were dialled directly stay open.
func (d *Dialer) Close() error {
	d.end()
	d.mu.Lock()
	jumps := d.jumps
	d.jumps = make(map[string]*jump)
	d.mu.Unlock()
	for _, j := range jumps {
		j.close()
	}
	t := time.NewTimer(closeGrace)
	defer t.Stop()
	select {
	case <-d.work.idle():
	case <-t.C:
	}
	return nil
}

// sudoGate is what is known about the sudo password of a target's account.
func (d *Dialer) sudoGate(t Target) *sudoGate {
	key := fmt.Sprintf("%q@%q %s", t.User, t.hostPort(), t.chainKey())
	d.mu.Lock()
	defer d.mu.Unlock()
	g := d.gates[key]
	if g == nil {
		g = newSudoGate()
		d.gates[key] = g
	}
	return g
}

// errDropped: the server hung up before the key exchange, as sshd does when it
// has too many unauthenticated connections.
var errDropped = errors.New("dropped")

// Dial connects, checks the host key and logs in. What the server drops before
// the key exchange is tried again (Options.DialAttempts); a refusal is not.
func (d *Dialer) Dial(ctx context.Context, t Target) (*Conn, error) {
	t, err := t.withDefaults()
	if err != nil {
		return nil, failed(t.Name, "dial", KindInternal, err)
	}
	pause := d.opts.DialBackoff
	for attempt := 1; ; attempt++ {
		c, err := d.dialOnce(ctx, t)
		if err == nil {
			return c, nil
		}
		if !errors.Is(err, errDropped) || ctx.Err() != nil {
			return nil, fail(ctx, t.Name, "dial", KindUnreachable, err)
		}
		if attempt == d.opts.DialAttempts {
			return nil, fail(ctx, t.Name, "dial", KindUnreachable,
				fmt.Errorf("%d times: %w; hint: too many connections at once for its MaxStartups, or sshd is failing", attempt, err))
		}
		d.log.Debug("connection dropped before the handshake, trying again", "host", t.Name, "attempt", attempt)
		if err := d.sleep(ctx, pause); err != nil {
			return nil, fail(ctx, t.Name, "dial", KindUnreachable, err)
		}
		pause = min(2*pause, 5*time.Second)
	}
}

// sleep waits between half of and all of d.
func (d *Dialer) sleep(ctx context.Context, pause time.Duration) error {
	half := int64(pause / 2)
	jitter, err := rand.Int(d.random, big.NewInt(half+1))
	if err != nil {
		return fmt.Errorf("random numbers: %w", err)
	}
	t := time.NewTimer(time.Duration(half + jitter.Int64()))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// dialOnce is one try. It holds its start permits from the TCP connect to the
// end of the login, and never while it waits for a jump host's own connection.
func (d *Dialer) dialOnce(ctx context.Context, t Target) (*Conn, error) {
	keys, err := d.known.lookup(t.KnownHosts, t.lookupName())
	if err != nil {
		return nil, failed(t.Name, "dial", KindHostKey, err) // nobody can be known
	}
	// Keys first: sshd punishes connections that do not log in.
	ids, err := loadIdentities(ctx, t)
	if err != nil {
		return nil, fail(ctx, t.Name, "dial", KindAuth, err)
	}
	defer ids.close()
	way, err := d.wayTo(ctx, t)
	if err != nil {
		return nil, err
	}
	leave, err := d.enterStart(ctx, way)
	if err != nil {
		return nil, err
	}
	defer leave()
	for {
		nc, err := d.connect(ctx, t, way)
		if err != nil {
			return nil, err
		}
		l := &login{d: d, t: t, nc: nc, keys: keys, ids: ids}
		c, err := d.handshake(ctx, l)
		// A server shows a certificate where it has one; a plain key of it may be known all the same.
		var bad *HostKeyError
		if !errors.As(err, &bad) || bad.Certificate == "" || keys.plainOnly || len(keys.known) == 0 {
			return c, err
		}
		keys.plainOnly = true
	}
}

// enterStart takes the start permits.
func (d *Dialer) enterStart(ctx context.Context, way *jump) (leave func(), err error) {
	if way != nil {
		if err := way.starts.Acquire(ctx, 1); err != nil {
			return nil, err
		}
	}
	if err := d.starts.Acquire(ctx, 1); err != nil {
		if way != nil {
			way.starts.Release(1)
		}
		return nil, err
	}
	return func() {
		d.starts.Release(1)
		if way != nil {
			way.starts.Release(1)
		}
	}, nil
}

// connect makes the byte stream to the target's sshd.
func (d *Dialer) connect(ctx context.Context, t Target, way *jump) (*watchedConn, error) {
	ctx, cancel := context.WithTimeout(ctx, t.ConnectTimeout)
	defer cancel()
	if way != nil {
		nc, err := way.forward(ctx, t)
		if err != nil {
			return nil, err
		}
		return &watchedConn{Conn: nc}, nil
	}
	dead := d.opts.KeepAliveInterval * time.Duration(d.opts.KeepAliveMisses+1)
	nd := net.Dialer{Control: tcpControl(dead)}
	nc, err := nd.DialContext(ctx, "tcp", t.hostPort())
	if err != nil {
		var op *net.OpError
		// The dialer's own timer may go off before that of ctx; the kernel's is another matter.
		if errors.As(err, &op) && op.Timeout() && !errors.Is(err, syscall.ETIMEDOUT) {
			err = fmt.Errorf("no TCP connection to %s within %v", t.hostPort(), t.ConnectTimeout)
		}
		return nil, err
	}
	return &watchedConn{Conn: nc}, nil
}

// clientConfig is the offer of algorithms.
func clientConfig(t Target, keys *hostKeys) *ssh.ClientConfig {
	offered := offer(t.Legacy)
	return &ssh.ClientConfig{
		Config: ssh.Config{
			KeyExchanges: offered.KeyExchanges,
			Ciphers:      preferredCiphers(offered.Ciphers),
			MACs:         offered.MACs,
		},
		User:              t.User,
		ClientVersion:     "SSH-2.0-cpacman",
		HostKeyAlgorithms: keys.algorithms(t.Legacy),
	}
}
