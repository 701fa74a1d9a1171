// Package sshtest is an SSH server on loopback for tests, as net/http/httptest is
// an HTTP server. It runs commands with a shell of this machine as the account
// of the test, serves SFTP and forwards TCP, and it can be told to misbehave.
package sshtest

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// Config says how the server behaves. The zero value is a well-behaved server
// with one Ed25519 host key that lets nobody in.
type Config struct {
	HostKeys   []ssh.Signer    // default: a new Ed25519 key
	Authorized []ssh.PublicKey // who may log in, with any user name

	Shell []string // the login shell and its flag; default /bin/sh -c
	Env   []string // added to the environment of commands
	Noise string   // what a profile prints on both streams before the command

	// Addr is where it listens, so that one that was closed can come back; default a free port of 127.0.0.1.
	Addr string

	// Files, if not nil, is what SFTP shows instead of the files of this machine.
	Files *sftp.Handlers

	NoSFTP     bool // the subsystem request fails
	NoExec     bool // a forced command: prints a line instead of the command
	MaxSession int  // session channels per connection; default 10, as sshd

	// Exec, if not nil, runs commands instead of the shell: line is what a login
	// shell would get. A status below 0 ends the channel without one, as when the
	// host goes down.
	Exec func(line string, stdin io.Reader, stdout, stderr io.Writer) (status int)

	// OnAccept sees every TCP connection, counted from 1, before anything is said.
	// If it returns false, the connection is its own to keep or close.
	OnAccept func(n int, c net.Conn) bool

	// OnLogin sees every login by public key that is about to succeed; an error
	// refuses it.
	OnLogin func(user string, key ssh.PublicKey) error

	// WrapSFTP, if not nil, wraps the stream of every SFTP channel.
	WrapSFTP func(ch ssh.Channel) ssh.Channel
}

// Server is a running server.
type Server struct {
	cfg  Config
	ln   net.Listener
	conf *ssh.ServerConfig
	work sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool

	frozen atomic.Bool
	shell  []string

	// Counters for assertions.
	Accepted   atomic.Int64 // TCP connections
	Tries      atomic.Int64 // keys offered
	Logins     atomic.Int64 // successful ones
	Forwards   atomic.Int64 // direct-tcpip channels opened
	Handshakes Gauge        // connections between accept and login
	Sessions   Gauge        // session channels, of all connections
	SFTP       atomic.Int64 // SFTP channels opened
	Commands   atomic.Int64
}

// Gauge counts what is going on now and remembers the most.
type Gauge struct{ now, most atomic.Int64 }

// Most is the largest value so far.
func (g *Gauge) Most() int64 { return g.most.Load() }

// Now is the value now.
func (g *Gauge) Now() int64 { return g.now.Load() }

func (g *Gauge) add(n int64) {
	v := g.now.Add(n)
	for {
		m := g.most.Load()
		if v <= m || g.most.CompareAndSwap(m, v) {
			return
		}
	}
}

// NewSigner makes an Ed25519 key.
func NewSigner() (ssh.Signer, error) {
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return ssh.NewSignerFromKey(priv)
}

// WriteIdentity makes an Ed25519 key and writes it to file, mode 0600.
func WriteIdentity(file string) (ssh.PublicKey, error) {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(priv, "test")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		return nil, err
	}
	return ssh.NewPublicKey(pub)
}

// Start starts a server on 127.0.0.1. Close it.
func Start(cfg Config) (*Server, error) {
	s := &Server{cfg: cfg, conns: make(map[net.Conn]bool), shell: cfg.Shell}
	if len(s.shell) == 0 {
		s.shell = []string{"/bin/sh", "-c"}
	}
	if s.cfg.MaxSession == 0 {
		s.cfg.MaxSession = 10
	}
	if len(s.cfg.HostKeys) == 0 {
		k, err := NewSigner()
		if err != nil {
			return nil, err
		}
		s.cfg.HostKeys = []ssh.Signer{k}
	}
	s.conf = &ssh.ServerConfig{PublicKeyCallback: s.login, MaxAuthTries: 6}
	for _, k := range s.cfg.HostKeys {
		s.conf.AddHostKey(k)
	}
	addr := cfg.Addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s.ln = ln
	s.work.Add(1)
	go s.accept()
	return s, nil
}

// Port is the TCP port on 127.0.0.1.
func (s *Server) Port() int { return s.ln.Addr().(*net.TCPAddr).Port }

// Addr is 127.0.0.1:port.
func (s *Server) Addr() string { return s.ln.Addr().String() }

// HostKey is the first host key.
func (s *Server) HostKey() ssh.PublicKey { return s.cfg.HostKeys[0].PublicKey() }

// KnownHosts writes a known_hosts file with the first key of each server and
// returns its path.
func KnownHosts(dir string, servers ...*Server) (string, error) {
	file := filepath.Join(dir, fmt.Sprintf("known_hosts.%d", time.Now().UnixNano()))
	var text string
	for _, s := range servers {
		text += knownhosts.Line([]string{s.Addr()}, s.HostKey()) + "\n"
	}
	return file, os.WriteFile(file, []byte(text), 0o600)
}

// Freeze makes the server stop answering on all connections without closing
// them, as a host does whose kernel still acknowledges packets.
func (s *Server) Freeze() { s.frozen.Store(true) }

// CutAll closes all connections; new ones are accepted.
func (s *Server) CutAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Close()
	}
}

// Close stops the server and waits for its goroutines.
func (s *Server) Close() {
	s.ln.Close()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.frozen.Store(false)
	s.CutAll()
	s.work.Wait()
}

func (s *Server) accept() {
	defer s.work.Done()
	for n := 1; ; n++ {
		c, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.Accepted.Add(1)
		if s.cfg.OnAccept != nil && !s.cfg.OnAccept(n, c) {
			continue
		}
		fc := &freezable{Conn: c, s: s}
		s.mu.Lock()
		if s.closed {
			c.Close()
		}
		s.conns[c] = true
		s.mu.Unlock()
		s.work.Add(1)
		go func() {
			defer s.work.Done()
			s.serve(fc)
			c.Close()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		}()
	}
}

// freezable swallows what is written while the server is frozen.
type freezable struct {
	net.Conn
	s *Server
}

func (f *freezable) Write(p []byte) (int, error) {
	if f.s.frozen.Load() {
		return len(p), nil
	}
	return f.Conn.Write(p)
}

func (s *Server) login(meta ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	s.Tries.Add(1)
	for _, a := range s.cfg.Authorized {
		if string(a.Marshal()) == string(key.Marshal()) {
			if s.cfg.OnLogin != nil {
				if err := s.cfg.OnLogin(meta.User(), key); err != nil {
					return nil, err
				}
			}
			return &ssh.Permissions{}, nil
		}
	}
	return nil, errors.New("not authorized")
}
