package health

import (
	"context"
	"crypto/x509"
	"time"

	"cpacman/transport"
)

// Conn is a connection to a host; *transport.Conn is one.
type Conn interface {
	Run(ctx context.Context, cmd transport.Command) (transport.Result, error)
	Close() error
}

// Host is whom the checks are for.
type Host struct {
	Name    string
	Address string
}

// Checker runs checks. It may be used from many goroutines; each Run makes connections of its own.
type Checker struct {
	// Dial makes a fresh connection to a host. It retries what its transport calls retryable, and returns when ctx ends.
	Dial func(ctx context.Context, host string) (Conn, error)
	// RootCAs are trusted for https; nil: those of the system. Certificates are always verified.
	RootCAs *x509.CertPool
	// VerifyProgram is asked right before a program is run; nil: no question. An error makes the check unknown.
	VerifyProgram func(path string) error
	// Now is the clock for durations; nil: time.Now.
	Now func() time.Time
}

// Run runs each check once and gives the results in the same order. baseline nil means that the baseline is being taken:
// units that have failed already are evidence then, not a fault. A baseline that is not nil is compared with; a check without
// an entry in it is compared with nothing.
func (c *Checker) Run(ctx context.Context, host Host, checks []Check, baseline []Result) []Result {
	s := &session{c: c, host: host, taking: baseline == nil}
	defer s.close()
	out := make([]Result, 0, len(checks))
	for _, check := range checks {
		begin := c.now()
		r := s.run(ctx, check, find(baseline, check.Name))
		r.Check, r.Took, r.Output = check.Name, c.now().Sub(begin), bounded(r.Output)
		out = append(out, r)
	}
	return out
}

func (c *Checker) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

func find(results []Result, check string) *Result {
	for i := range results {
		if results[i].Check == check {
			return &results[i]
		}
	}
	return nil
}

// session is one Run: at most one connection to the host, made by the first check that needs it.
type session struct {
	c      *Checker
	host   Host
	taking bool
	conn   Conn
	err    error // of the dial
	dialed bool
}

func (s *session) close() {
	if s.conn != nil {
		_ = s.conn.Close()
	}
}

func (s *session) run(ctx context.Context, check Check, base *Result) Result {
	if err := check.Validate(); err != nil {
		return Result{Verdict: Unknown, Output: err.Error()}
	}
	if check.needsHost() && !s.dialed {
		s.dialed = true
		s.conn, s.err = s.c.Dial(ctx, s.host.Name)
	}
	switch {
	case ctx.Err() != nil:
		return Result{Verdict: Unknown, Output: "cut: " + ctx.Err().Error()}
	case check.HTTP != "":
		return s.c.http(ctx, check)
	case check.TCP != "":
		return s.c.tcp(ctx, check)
	case len(check.Program) > 0:
		return s.c.program(ctx, check, s.host)
	case s.err != nil && check.Name == Basic:
		return Result{Verdict: Red, Output: "not reachable: " + s.err.Error()}
	case s.err != nil:
		return Result{Verdict: Unknown, Output: "could not ask the host: " + s.err.Error()}
	case len(check.Command) > 0:
		return s.command(ctx, check)
	case len(check.Systemd) > 0:
		return s.systemd(ctx, check)
	}
	return s.basic(ctx, check, base)
}
