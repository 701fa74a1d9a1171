package transport

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cpacman/transport/sshtest"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

func ecdsaSigner(t *testing.T) ssh.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return must(t, signerFrom(t, k), nil)
}

func signerFrom(t *testing.T, key any) ssh.Signer {
	t.Helper()
	s, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func edSigner(t *testing.T) ssh.Signer {
	t.Helper()
	s, err := sshtest.NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func knownFileWith(t *testing.T, lines ...string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{file}
}

func TestHostKeys(t *testing.T) {
	ed, ec, other := edSigner(t), ecdsaSigner(t), edSigner(t)
	e := inProcess(t, sshtest.Config{HostKeys: []ssh.Signer{ec, ed}})
	name := hostName("127.0.0.1", e.server.Port())
	line := func(host string, k ssh.Signer) string { return ScannedKey{Host: host, Key: k.PublicKey()}.Line() }
	for _, tc := range []struct {
		name  string
		known []string
		alias string
		kind  Kind     // "" : let in
		says  []string // in the message
	}{
		{name: "known", known: []string{line(name, ed)}},
		{name: "the server prefers another type", known: []string{line(name, ed)}},
		{name: "only the other type", known: []string{line(name, ec)}},
		{name: "hashed", known: []string{line(knownhosts.HashHostname(name), ed)}},
		{name: "pattern", known: []string{line("[127.0.0.*]:*", ed)}},
		{name: "alias", known: []string{line("the-alias", ed)}, alias: "The-Alias"},
		{name: "under a CA line for all", known: []string{"@cert-authority * " + strings.TrimPrefix(line("x", other), "x "), line(name, ed)}},
		{name: "only a CA line", known: []string{"@cert-authority " + line("*", other)}, kind: KindHostKey, says: []string{"not known"}},
		{name: "unknown", known: []string{line("elsewhere", ed)}, kind: KindHostKey,
			says: []string{"not known", ssh.FingerprintSHA256(ed.PublicKey()), "cpacman inventory scan-keys web01"}},
		{name: "excluded by pattern", known: []string{line("*,!"+name, ed)}, kind: KindHostKey, says: []string{"not known"}},
		{name: "wrong port", known: []string{line("127.0.0.1", ed)}, kind: KindHostKey, says: []string{"not known"}},
		{name: "changed", known: []string{"# comment", line(name, other)}, kind: KindHostKey,
			says: []string{"HAS CHANGED", ssh.FingerprintSHA256(ed.PublicKey()), ssh.FingerprintSHA256(other.PublicKey()), "line 2"}},
		{name: "revoked", known: []string{line(name, ed), "@revoked " + line("*", ed)}, kind: KindHostKey, says: []string{"revoked", "line 2"}},
		{name: "revoked, the other is good", known: []string{line(name, ec), "@revoked " + line("*", ed)}},
		{name: "junk lines", known: []string{"garbage", "@what " + line(name, ed), name + " ssh-ed25519 AAAA", line(name, ed)}},
		{name: "nothing at all", known: []string{"junk"}, kind: KindHostKey, says: []string{"1 lines not understood"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			target := e.target
			target.KnownHosts, target.HostKeyAlias = knownFileWith(t, tc.known...), tc.alias
			c, err := newDialer(t, Options{}).Dial(testContext(t), target)
			if c != nil {
				c.Close()
			}
			wantKind(t, err, tc.kind)
			for _, s := range tc.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q lacks %q", err, s)
				}
			}
		})
	}
}

// TestKnownHostsOfEverybody: who may write the file decides who is trusted.
func TestKnownHostsOfEverybody(t *testing.T) {
	e := inProcess(t, sshtest.Config{})
	if err := os.Chmod(e.target.KnownHosts[0], 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := newDialer(t, Options{}).Dial(testContext(t), e.target)
	wantKind(t, err, KindHostKey)
	if !strings.Contains(err.Error(), "everybody can write it (mode 0666)") || !strings.Contains(err.Error(), "chmod go-w") {
		t.Errorf("%v", err)
	}
	if err := os.Chmod(e.target.KnownHosts[0], 0o664); err != nil { // a group of one's own is usual
		t.Fatal(err)
	}
	c, err := newDialer(t, Options{}).Dial(testContext(t), e.target)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestHostKeyOfAnotherType(t *testing.T) {
	e := inProcess(t, sshtest.Config{HostKeys: []ssh.Signer{ecdsaSigner(t)}})
	known := edSigner(t)
	e.target.KnownHosts = knownFileWith(t, ScannedKey{Host: hostName("127.0.0.1", e.server.Port()), Key: known.PublicKey()}.Line())
	_, err := newDialer(t, Options{}).Dial(testContext(t), e.target)
	wantKind(t, err, KindHostKey)
	var hk *HostKeyError
	if !errors.As(err, &hk) || len(hk.Types) == 0 || !strings.Contains(err.Error(), "ecdsa") {
		t.Errorf("%v", err)
	}
}

// TestDropped: a server that hangs up on new connections, as sshd does above
// MaxStartups.
func TestDropped(t *testing.T) {
	var drop atomic.Int64
	e := inProcess(t, sshtest.Config{OnAccept: func(n int, c net.Conn) bool {
		if drop.Add(-1) < 0 {
			return true
		}
		if n%2 == 0 {
			io.WriteString(c, "Exceeded MaxStartups\r\n")
		}
		c.Close()
		return false
	}})
	d := newDialer(t, Options{DialAttempts: 4})
	drop.Store(3)
	dial(t, d, e.target)
	drop.Store(4)
	_, err := d.Dial(testContext(t), e.target)
	wantKind(t, err, KindUnreachable)
	if !Retryable(err) || !strings.Contains(err.Error(), "MaxStartups") || !strings.Contains(err.Error(), "4 times") {
		t.Errorf("%v", err)
	}
}

func TestBadServers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		says string
		hold bool
		kind Kind
		want string
	}{
		"silent":        {hold: true, kind: KindUnreachable, want: "says nothing"},
		"stops halfway": {says: "SSH-2.0-x\r\n", hold: true, kind: KindUnreachable, want: "did not finish the handshake"},
		"penalty":       {says: "Not allowed at this time\r\n", kind: KindPenalised, want: "PerSourcePenalties"},
		"not SSH":       {says: "220 mail.example ESMTP\x1b[2J\r\n", kind: KindUnreachable, want: "not an SSH server"},
	} {
		t.Run(name, func(t *testing.T) {
			held := make(chan net.Conn, 10)
			e := inProcess(t, sshtest.Config{OnAccept: func(_ int, c net.Conn) bool {
				io.WriteString(c, tc.says)
				if tc.hold {
					held <- c
				} else {
					c.Close()
				}
				return false
			}})
			e.target.HandshakeTimeout = 150 * time.Millisecond
			_, err := newDialer(t, Options{}).Dial(testContext(t), e.target)
			wantKind(t, err, tc.kind)
			if !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("%q lacks %q", err, tc.want)
			}
			if n := e.server.Accepted.Load(); n != 1 {
				t.Errorf("%d connections, one is enough to know", n)
			}
			for range len(held) {
				(<-held).Close()
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	e := inProcess(t, sshtest.Config{})
	e.target.Port = freePort(t)
	_, err := newDialer(t, Options{}).Dial(testContext(t), e.target)
	wantKind(t, err, KindUnreachable)
}

func TestDialCanceled(t *testing.T) {
	held := make(chan net.Conn, 1)
	e := inProcess(t, sshtest.Config{OnAccept: func(_ int, c net.Conn) bool { held <- c; return false }})
	ctx, cancel := context.WithCancel(testContext(t))
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err := newDialer(t, Options{}).Dial(ctx, e.target)
	wantKind(t, err, KindCanceled)
	(<-held).Close()
}

// TestKeepAlive: a host that holds the TCP connection but answers nothing.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	e := inProcess(t, sshtest.Config{})
	d := newDialer(t, Options{KeepAliveInterval: 40 * time.Millisecond, KeepAliveMisses: 3})
	c := dial(t, d, e.target)
	time.Sleep(250 * time.Millisecond)
	if c.Err() != nil {
		t.Fatalf("a living host was given up: %v", c.Err())
	}
	running := make(chan error, 1)
	go func() {
		_, err := c.Run(testContext(t), Command{Argv: []string{"sleep", "1"}})
		running <- err
	}()
	time.Sleep(20 * time.Millisecond)
	e.server.Freeze()
	start := time.Now()
	err := <-running
	wantKind(t, err, KindUnreachable)
	if !strings.Contains(err.Error(), "keepalive") || time.Since(start) > 900*time.Millisecond {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	<-c.Done()
	_, err = c.Run(testContext(t), Command{Argv: []string{"true"}})
	wantKind(t, err, KindUnreachable)
}

func TestStartLimit(t *testing.T) {
	e := inProcess(t, sshtest.Config{OnLogin: func(string, ssh.PublicKey) error {
		time.Sleep(10 * time.Millisecond) // long enough for starts to overlap
		return nil
	}})
	d := newDialer(t, Options{Starts: 3})
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			c, err := d.Dial(testContext(t), e.target)
			if err != nil {
				t.Error(err)
				return
			}
			c.Close()
		})
	}
	wg.Wait()
	// The server counts a start a moment longer than the client does.
	if n := e.server.Handshakes.Most(); n > 4 || n < 2 {
		t.Errorf("%d handshakes at once, want 3", n)
	}
}

func TestJumpHosts(t *testing.T) {
	t.Parallel()
	hop1, hop2, inner := inProcess(t, sshtest.Config{}), inProcess(t, sshtest.Config{}), inProcess(t, sshtest.Config{})
	target := inner.target
	for _, h := range []*env{hop1, hop2} {
		target.Jump = append(target.Jump, Hop{Address: "127.0.0.1", Port: h.server.Port(), User: "hopper", Identities: h.target.Identities})
		target.KnownHosts = append(target.KnownHosts, h.target.KnownHosts...)
	}
	d := newDialer(t, Options{StartsPerJump: 2})
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			c, err := d.Dial(testContext(t), target)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			if r, err := c.Run(testContext(t), Command{Argv: []string{"echo", "hi"}}); err != nil || string(r.Stdout) != "hi\n" {
				t.Errorf("%q, %v", r.Stdout, err)
			}
		})
	}
	wg.Wait()
	if a, b, c := hop1.server.Logins.Load(), hop2.server.Logins.Load(), inner.server.Logins.Load(); a != 1 || b != 1 || c != 6 {
		t.Errorf("logins %d, %d, %d; want one per jump host and 6", a, b, c)
	}
	if n := inner.server.Handshakes.Most(); n > 3 {
		t.Errorf("%d handshakes at once behind a jump host, want 2", n)
	}

	// A jump host that died is dialled again.
	hop2.server.CutAll()
	var err error
	for range 50 {
		var c *Conn
		if c, err = d.Dial(testContext(t), target); err == nil {
			c.Close()
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil || hop2.server.Logins.Load() != 2 {
		t.Errorf("after the jump host came back: %v, %d logins", err, hop2.server.Logins.Load())
	}

	// Its own troubles are told as such.
	bad := target
	bad.Jump = append([]Hop{}, target.Jump...)
	bad.Jump[1].Identities = inner.target.Identities
	_, err = d.Dial(testContext(t), bad)
	wantKind(t, err, KindAuth)
	if !strings.Contains(err.Error(), "jump host 127.0.0.1") {
		t.Errorf("%v does not name the jump host", err)
	}
	bad = target
	bad.Port = freePort(t)
	_, err = d.Dial(testContext(t), bad)
	wantKind(t, err, KindUnreachable)
	if !strings.Contains(err.Error(), "cannot reach") {
		t.Errorf("%v", err)
	}
	unknown := target
	unknown.KnownHosts = inner.target.KnownHosts
	_, err = d.Dial(testContext(t), unknown)
	wantKind(t, err, KindHostKey) // equal hops with other known_hosts do not share a connection
}

// TestSilentBehindJump: deadlines hold on a forwarded channel too, which has none
// of its own.
func TestSilentBehindJump(t *testing.T) {
	t.Parallel()
	hop := inProcess(t, sshtest.Config{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	target := hop.target
	target.Jump = []Hop{{Address: "127.0.0.1", Port: hop.server.Port()}}
	target.Port = ln.Addr().(*net.TCPAddr).Port
	target.HandshakeTimeout = 3 * time.Second
	// The hop logs in within the same limit, on a machine that has much else to do.
	_, err = newDialer(t, Options{}).Dial(testContext(t), target)
	wantKind(t, err, KindUnreachable)
	if !strings.Contains(err.Error(), "says nothing") {
		t.Errorf("%v", err)
	}
}

func TestBadTargets(t *testing.T) {
	for name, target := range map[string]Target{
		"empty":       {},
		"dash":        {Address: "-oProxyCommand=x"},
		"blank":       {Address: "a b"},
		"port":        {Address: "a", Port: 70000},
		"user":        {Address: "a", User: "x\n"},
		"sudo":        {Address: "a", Sudo: "maybe"},
		"no password": {Address: "a", Sudo: SudoPassword},
		"hop":         {Address: "a", Jump: []Hop{{}}},
	} {
		if _, err := newDialer(t, Options{}).Dial(testContext(t), target); KindOf(err) != KindInternal {
			t.Errorf("%s: %v", name, err)
		}
	}
}
