package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// SudoMode says how a command with Command.Sudo gets root's rights.
type SudoMode string

// The sudo modes. The empty mode is SudoNever.
const (
	// SudoNever: the login account is used as it is.
	SudoNever SudoMode = "never"
	// SudoNoPasswd: sudo -n; sudo must not ask.
	SudoNoPasswd SudoMode = "nopasswd"
	// SudoPassword: Target.SudoPassword is asked when sudo asks.
	SudoPassword SudoMode = "password"
)

// Defaults of a Target and of Options.
const (
	DefaultPort              = 22
	DefaultConnectTimeout    = 10 * time.Second
	DefaultHandshakeTimeout  = 20 * time.Second
	DefaultKeepAliveInterval = 15 * time.Second
	DefaultKeepAliveMisses   = 3
	DefaultStarts            = 30
	DefaultStartsPerJump     = 8
	DefaultDialAttempts      = 6
	DefaultMaxStdout         = 64 << 20 // bytes
	DefaultMaxStderr         = 1 << 20  // bytes
)

// Hop is one jump host.
type Hop struct {
	Address    string
	Port       int      // 0: 22
	User       string   // empty: the target's
	Identities []string // empty: the target's, else the agent
}

// Target describes a host and how to get there. It is not kept or changed.
type Target struct {
	Name    string // for messages; empty: the address
	Address string // name or IP address
	Port    int    // 0: 22
	User    string // empty: root
	Jump    []Hop  // in order; the first is dialled directly

	// Identities are private key files, tried in order, at most five. A public
	// key file selects that key of the agent. A private key readable by others
	// is refused. Empty: the agent's first five keys.
	Identities  []string
	AgentSocket string // path, as in SSH_AUTH_SOCK; empty: no agent

	// Certificates are user certificates (NAME-cert.pub) of identities or of keys of the agent. One that stands beside an identity file is
	// found without.
	Certificates []string

	// Legacy allows what servers of before 2015 need and is insecure today: SHA-1 and CBC. Not for the hops.
	Legacy bool

	KnownHosts   []string // files; strict, for the hops too
	HostKeyAlias string   // look up this name instead of the address

	ConnectTimeout   time.Duration // TCP connect; 0: 10 s
	HandshakeTimeout time.Duration // key exchange and login; 0: 20 s

	Sudo SudoMode
	// SudoPassword is called when a host's sudo asks, from several goroutines. The
	// caller remembers the answer; the slice is read and not changed.
	SudoPassword func(ctx context.Context) ([]byte, error)

	// Limit applies to uploads to this target, beside Options.Bandwidth: the one
	// of its location. Nil: none.
	Limit *Limiter
}

// withDefaults fills what was left empty and refuses what cannot work.
func (t Target) withDefaults() (Target, error) {
	if t.Address == "" {
		t.Address = t.Name
	}
	if t.Name == "" {
		t.Name = t.Address
	}
	if t.Port == 0 {
		t.Port = DefaultPort
	}
	if t.User == "" {
		t.User = "root"
	}
	if t.ConnectTimeout <= 0 {
		t.ConnectTimeout = DefaultConnectTimeout
	}
	if t.HandshakeTimeout <= 0 {
		t.HandshakeTimeout = DefaultHandshakeTimeout
	}
	if err := checkEndpoint(t.Address, t.Port, t.User); err != nil {
		return t, err
	}
	switch t.Sudo {
	case "":
		t.Sudo = SudoNever
	case SudoNever, SudoNoPasswd:
	case SudoPassword:
		if t.SudoPassword == nil {
			return t, errors.New("sudo mode password without a way to ask for it: set SudoPassword")
		}
	default:
		return t, fmt.Errorf("unknown sudo mode %q: never, nopasswd or password", t.Sudo)
	}
	jump := make([]Hop, len(t.Jump))
	for i, h := range t.Jump {
		if h.Port == 0 {
			h.Port = DefaultPort
		}
		if h.User == "" {
			h.User = t.User
		}
		if len(h.Identities) == 0 {
			h.Identities = t.Identities
		}
		if err := checkEndpoint(h.Address, h.Port, h.User); err != nil {
			return t, fmt.Errorf("jump host %d: %w", i+1, err)
		}
		jump[i] = h
	}
	t.Jump = jump
	return t, nil
}

// checkEndpoint refuses what is no host, port or account. A leading dash is
// refused because such names end up as arguments in other people's tools.
func checkEndpoint(address string, port int, user string) error {
	switch {
	case address == "":
		return errors.New("no address")
	case len(address) > 255 || strings.HasPrefix(address, "-") ||
		strings.ContainsFunc(address, notInAddress):
		return fmt.Errorf("%q is not a host name or IP address", SanitizeLine(address, 80))
	case port < 1 || port > 65535:
		return fmt.Errorf("port %d is not between 1 and 65535", port)
	case user == "" || len(user) > 255 || strings.ContainsFunc(user, notInUser):
		return fmt.Errorf("%q is not a user name", SanitizeLine(user, 80))
	}
	return nil
}

func notInAddress(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune("/\\\"'`$|&;<>()*?!,@#[]{}", r)
}

func notInUser(r rune) bool { return r < ' ' || r == 0x7f }

// hostPort is the address to dial, with brackets for IPv6.
func (t Target) hostPort() string { return net.JoinHostPort(t.Address, strconv.Itoa(t.Port)) }

// asTarget turns the i-th hop into a target whose own way leads through the hops
// before it.
func (t Target) asTarget(i int) Target {
	h := t.Jump[i]
	return Target{
		Name:             h.Address,
		Address:          h.Address,
		Port:             h.Port,
		User:             h.User,
		Jump:             t.Jump[:i],
		Identities:       h.Identities,
		Certificates:     t.Certificates,
		AgentSocket:      t.AgentSocket,
		KnownHosts:       t.KnownHosts,
		ConnectTimeout:   t.ConnectTimeout,
		HandshakeTimeout: t.HandshakeTimeout,
		Sudo:             SudoNever,
	}
}

// chainKey names the connection to the last hop: who logs in where, by which way,
// with which keys, trusting which files. Equal keys may share a connection.
func (t Target) chainKey() string {
	if len(t.Jump) == 0 {
		return ""
	}
	var b strings.Builder
	for _, h := range t.Jump {
		fmt.Fprintf(&b, "%q@%q:%d%q;", h.User, h.Address, h.Port, h.Identities)
	}
	fmt.Fprintf(&b, "%q%q%q", t.AgentSocket, t.KnownHosts, t.Certificates)
	return b.String()
}
