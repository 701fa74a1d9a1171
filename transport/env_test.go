package transport

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"cpacman/transport/sshtest"
)

// env is a place to test against: the server in this process or a real sshd.
type env struct {
	target Target
	dir    string // writable for the account
	server *sshtest.Server
}

// testContext ends long before the test binary's own limit, so that a hang is
// reported where it is.
func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func must[T any](t *testing.T, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// inProcess starts a server that lets one new key in.
func inProcess(t *testing.T, cfg sshtest.Config) *env {
	t.Helper()
	dir := t.TempDir()
	id := filepath.Join(dir, "id")
	pub, err := sshtest.WriteIdentity(id)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Authorized = append(cfg.Authorized, pub)
	s := must(t, startServer(t, cfg), nil)
	known := must2(t)(sshtest.KnownHosts(dir, s))
	return &env{server: s, dir: dir, target: Target{
		Name: "web01", Address: "127.0.0.1", Port: s.Port(), User: "tester",
		Identities: []string{id}, KnownHosts: []string{known},
		ConnectTimeout: 5 * time.Second, HandshakeTimeout: 5 * time.Second,
	}}
}

func must2(t *testing.T) func(string, error) string {
	return func(s string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

func startServer(t *testing.T, cfg sshtest.Config) *sshtest.Server {
	t.Helper()
	s, err := sshtest.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func newDialer(t *testing.T, o Options) *Dialer {
	t.Helper()
	if o.DialBackoff == 0 {
		o.DialBackoff = 5 * time.Millisecond
	}
	d := NewDialer(o)
	t.Cleanup(func() { d.Close() })
	return d
}

func dial(t *testing.T, d *Dialer, target Target) *Conn {
	t.Helper()
	c, err := d.Dial(testContext(t), target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// wantKind fails unless err has the kind.
func wantKind(t *testing.T, err error, kind Kind) {
	t.Helper()
	if KindOf(err) != kind {
		t.Fatalf("got kind %q (%v), want %q", KindOf(err), err, kind)
	}
}

// proxy carries TCP connections to a server, each direction delayed by half of
// the round trip, with as much in flight as the line would hold.
type proxy struct {
	ln    net.Listener
	rtt   time.Duration
	to    string
	work  sync.WaitGroup
	mu    sync.Mutex
	conns []net.Conn
	// cutAfter, if positive, closes a connection after that many bytes upward.
	cutAfter int64
	once     sync.Once
	cut      chan struct{}
}

func startProxy(t *testing.T, to string, rtt time.Duration) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{ln: ln, rtt: rtt, to: to, cut: make(chan struct{})}
	p.work.Add(1)
	go p.accept()
	t.Cleanup(func() {
		ln.Close()
		p.cutAll()
		p.work.Wait()
	})
	return p
}

func (p *proxy) port() int { return p.ln.Addr().(*net.TCPAddr).Port }

func (p *proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

func (p *proxy) accept() {
	defer p.work.Done()
	for {
		c, err := p.ln.Accept()
		if err != nil {
			return
		}
		up, err := net.Dial("tcp", p.to)
		if err != nil {
			c.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, c, up)
		p.mu.Unlock()
		p.work.Add(2)
		go p.pipe(c, up, true)
		go p.pipe(up, c, false)
	}
}

// pipe moves one direction; each chunk is due half a round trip after it came.
func (p *proxy) pipe(from, to net.Conn, upward bool) {
	defer p.work.Done()
	type chunk struct {
		data []byte
		due  time.Time
	}
	line := make(chan chunk, 4096)
	p.work.Add(1)
	go func() {
		defer p.work.Done()
		defer to.Close()
		for c := range line {
			time.Sleep(time.Until(c.due))
			if _, err := to.Write(c.data); err != nil {
				from.Close()
			}
		}
	}()
	defer close(line)
	var total int64
	for {
		b := make([]byte, 32<<10)
		n, err := from.Read(b)
		if n > 0 {
			total += int64(n)
			line <- chunk{b[:n], time.Now().Add(p.rtt / 2)}
		}
		if upward && p.cutAfter > 0 && total > p.cutAfter {
			from.Close()
			to.Close()
			p.once.Do(func() { close(p.cut) })
			return
		}
		if err != nil {
			return
		}
	}
}

// through is the target reached by way of a proxy, with its key known.
func (e *env) through(t *testing.T, p *proxy) Target {
	t.Helper()
	target := e.target
	target.Port = p.port()
	file := filepath.Join(t.TempDir(), "known_hosts")
	line := ScannedKey{Host: hostName("127.0.0.1", p.port()), Key: e.server.HostKey()}.Line()
	if err := os.WriteFile(file, []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	target.KnownHosts = []string{file}
	return target
}

// writeLocal makes a local file of pseudo-random bytes and returns its path.
func writeLocal(t *testing.T, size int64, seed byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "local")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	x := uint64(seed)*0x9e3779b97f4a7c15 + 1
	b := make([]byte, 64<<10)
	for left := size; left > 0; left -= int64(len(b)) {
		b = b[:min(left, int64(len(b)))]
		for i := range b {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
			b[i] = byte(x)
		}
		if _, err := f.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

func sameFile(t *testing.T, a, b string) {
	t.Helper()
	x, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	if string(x) != string(y) {
		t.Fatalf("%s (%d bytes) and %s (%d bytes) differ", a, len(x), b, len(y))
	}
}
