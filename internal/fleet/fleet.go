package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"sync"
	"time"

	"cpacman/internal/store"
	"cpacman/inventory"
	"cpacman/transport"
)

// Options are what a Fleet needs beside the site.
type Options struct {
	Log         *slog.Logger
	Now         func() time.Time
	AgentSocket string // SSH_AUTH_SOCK
	// AskPassword asks a person for the sudo password of a user, once; nil where nobody can be asked.
	AskPassword func(ctx context.Context, user string) ([]byte, error)
}

// Fleet is the hosts of a site, ready to be worked on. It may be used by many goroutines.
type Fleet struct {
	Site  *inventory.Site
	Store *store.Store

	log       *slog.Logger
	now       func() time.Time
	dialer    *transport.Dialer
	opt       Options
	locations map[string]*transport.Limiter

	mu        sync.Mutex
	passwords map[string][]byte // by sudo user and source, never written anywhere
}

// New makes a Fleet. The caller closes it.
func New(site *inventory.Site, st *store.Store, opt Options) *Fleet {
	f := &Fleet{Site: site, Store: st, log: opt.Log, now: opt.Now, opt: opt, locations: map[string]*transport.Limiter{}, passwords: map[string][]byte{}}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	if f.now == nil {
		f.now = time.Now
	}
	f.dialer = transport.NewDialer(transport.Options{
		Starts:    site.Limits.Starts,
		Bandwidth: transport.NewLimiter(int64(site.Limits.Bandwidth)),
		Logger:    f.log,
	})
	for name, l := range site.Locations {
		if l.Bandwidth > 0 {
			f.locations[name] = transport.NewLimiter(int64(l.Bandwidth))
		}
	}
	return f
}

// Close ends pooled connections.
func (f *Fleet) Close() error { return f.dialer.Close() }

// Dial connects to a host of the inventory. The caller closes the connection.
func (f *Fleet) Dial(ctx context.Context, h *inventory.Host) (*transport.Conn, error) {
	return f.dialer.Dial(ctx, f.Target(h))
}

// Target is how the inventory says a host is reached.
func (f *Fleet) Target(h *inventory.Host) transport.Target {
	s := f.Site.Effective(h).SSH
	t := transport.Target{
		Name: h.Name, Address: h.Address, Port: s.Port, User: s.User,
		Identities: s.Identity, Certificates: s.Certificates, Legacy: s.Profile == inventory.ProfileLegacy, AgentSocket: f.opt.AgentSocket, KnownHosts: []string{s.KnownHosts},
		ConnectTimeout: s.ConnectTimeout, Sudo: transport.SudoMode(s.Sudo),
		Limit: f.locations[h.Location],
	}
	for _, hop := range s.Jump {
		t.Jump = append(t.Jump, transport.Hop{Address: hop.Address, Port: hop.Port, User: hop.User, Identities: hop.Identity})
	}
	if t.Sudo == transport.SudoPassword {
		command, user := s.SudoPasswordCommand, s.User
		t.SudoPassword = func(ctx context.Context) ([]byte, error) { return f.password(ctx, user, command) }
	}
	return t
}

// maxPassword bounds what a password command may print.
const maxPassword = 4096

// password gives the sudo password of a user, from the configured command or a person, asking once for the life of the Fleet.
func (f *Fleet) password(ctx context.Context, user string, command []string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := fmt.Sprintf("%q %q", user, command)
	if p, ok := f.passwords[key]; ok {
		return p, nil
	}
	p, err := f.readPassword(ctx, user, command)
	if err != nil {
		return nil, err
	}
	f.passwords[key] = p
	return p, nil
}

func (f *Fleet) readPassword(ctx context.Context, user string, command []string) ([]byte, error) {
	if len(command) == 0 {
		if f.opt.AskPassword == nil {
			return nil, errors.New("sudo wants a password and there is no terminal to ask at; set sudo_password_command")
		}
		return f.opt.AskPassword(ctx, user)
	}
	if err := f.Site.VerifyProgram(command[0]); err != nil {
		return nil, fmt.Errorf("sudo_password_command: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	out, err := cmd.Output()
	if err != nil {
		// Its output may hold part of a secret and is not repeated.
		return nil, fmt.Errorf("sudo_password_command %s: %w", command[0], err)
	}
	out = bytes.TrimRight(out, "\r\n")
	if len(out) == 0 || len(out) > maxPassword || bytes.ContainsAny(out, "\n\x00") {
		return nil, fmt.Errorf("sudo_password_command %s printed %d bytes: want one line", command[0], len(out))
	}
	return out, nil
}
