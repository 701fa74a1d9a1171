package notify

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cpacman/internal/rollout"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inbox is a server that keeps what it gets.
type inbox struct {
	*httptest.Server
	mu     sync.Mutex
	got    []Message
	tokens []string
}

// newInbox answers with the statuses given, then with 200.
func newInbox(t *testing.T, secure bool, statuses ...int) *inbox {
	t.Helper()
	in := &inbox{}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var m Message
		if err := json.Unmarshal(body, &m); err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %v: %s", r.Method, r.Header.Get("Content-Type"), err, body)
		}
		in.mu.Lock()
		defer in.mu.Unlock()
		in.tokens = append(in.tokens, r.Header.Get("Authorization"))
		if len(statuses) > 0 {
			w.WriteHeader(statuses[0])
			statuses = statuses[1:]
			return
		}
		in.got = append(in.got, m)
	})
	if secure {
		in.Server = httptest.NewTLSServer(handler)
	} else {
		in.Server = httptest.NewServer(handler)
	}
	t.Cleanup(in.Close)
	return in
}

func (in *inbox) messages() []Message {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.Clone(in.got)
}

func (in *inbox) asked() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.tokens)
}

func webhook(name, url string, on ...Occasion) Receiver {
	if len(on) == 0 {
		on = []Occasion{Gate, Failure, End}
	}
	return Receiver{Name: name, On: on, Timeout: 5 * time.Second, Sender: &Webhook{URL: url, Client: NewClient(nil)}}
}

// warnings collects them.
type warnings struct {
	mu   sync.Mutex
	text []string
}

func (w *warnings) add(s string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, s)
}

func (w *warnings) all() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.text, "\n")
}

// quick is a Sleep that only notes how long it would have been.
func quick(total *atomic.Int64) func(context.Context, time.Duration) error {
	return func(ctx context.Context, d time.Duration) error {
		total.Add(int64(d))
		return ctx.Err()
	}
}

var events = []rollout.Event{
	{Kind: rollout.EventRollout, To: "running", Wave: -1}, // the state an engine found
	{Kind: rollout.EventRollout, From: "created", To: "running", Wave: -1},
	{Kind: rollout.EventHost, Host: "a", From: "pending", To: "connecting"},
	{Kind: rollout.EventHost, Host: "a", From: "connecting", To: "ok"},
	{Kind: rollout.EventWave, From: "running", To: "soaking"},
	{Kind: rollout.EventWave, From: "soaking", To: "passed"},
	{Kind: rollout.EventRollout, From: "running", To: "waiting", Wave: 1, Reason: rollout.Reason{Code: rollout.ReasonApproval, Text: "waits for an approval of class production"}},
	{Kind: rollout.EventCommand, From: "waiting", To: "paused", Wave: -1, User: "kim", Reason: rollout.Reason{Text: "pause by kim: lunch"}},
	{Kind: rollout.EventCommand, From: "paused", To: "paused", Wave: -1, User: "kim"}, // a refused one
	{Kind: rollout.EventRollout, From: "paused", To: "running", Wave: 1},
	{Kind: rollout.EventHost, Host: "b", Wave: 1, From: "transacting", To: "lost", Reason: rollout.Reason{Text: "no answer\x1b[31m; see https://user:pw@mon.example.net/x for\nmore"}},
	{Kind: rollout.EventRollout, From: "running", To: "stopped", Wave: 1, Host: "b", Reason: rollout.Reason{Code: rollout.ReasonWorst, Text: "1 hosts are lost"}},
	{Kind: rollout.EventRollout, From: "stopped", To: "done", Wave: -1},
}

func TestWhatIsTold(t *testing.T) {
	all, failures, ends := newInbox(t, false), newInbox(t, false), newInbox(t, false)
	n := New(Config{
		Rollout: "r1", Plan: "p1", Host: "desk", Counts: map[rollout.State]int{rollout.StatePending: 2},
		Receivers: []Receiver{webhook("all", all.URL), webhook("failures", failures.URL, Failure), webhook("ends", ends.URL, End)},
		Warn:      func(s string) { t.Error(s) },
	})
	for _, ev := range events {
		n.Observe(ev)
	}
	n.Failed(errors.New("write the journal: disk full"))
	n.Close(10 * time.Second)
	names := func(in *inbox) string {
		var out []string
		for _, m := range in.messages() {
			out = append(out, m.Event)
		}
		return strings.Join(out, " ")
	}
	if got, want := names(all), "wave_passed waiting paused host_lost stopped done engine_failed"; got != want {
		t.Errorf("all: %s, want %s", got, want)
	}
	if got, want := names(failures), "host_lost stopped engine_failed"; got != want {
		t.Errorf("failures: %s, want %s", got, want)
	}
	if got, want := names(ends), "stopped done"; got != want {
		t.Errorf("ends: %s, want %s", got, want)
	}
	m := all.messages()
	if m[0].Text != "cpacman: rollout r1: wave 1 passed (1 pending, 1 ok)" || m[0].Wave != 1 || m[0].Counts[rollout.StateOK] != 1 || m[0].Plan != "p1" || m[0].ControlHost != "desk" {
		t.Errorf("wave: %+v", m[0])
	}
	if m[2].User != "kim" || m[2].Wave != 0 || !strings.HasSuffix(m[2].Text, "pause by kim: lunch") {
		t.Errorf("paused: %+v", m[2])
	}
	if lost := m[3]; lost.Host != "b" || strings.Contains(lost.Text+lost.Reason.Text, "://") || strings.ContainsAny(lost.Text, "\x1b\n") || !strings.Contains(lost.Text, "(address)") {
		t.Errorf("lost: %+v", lost)
	}
}

func TestTriesThreeTimes(t *testing.T) {
	var slept atomic.Int64
	var w warnings
	cured, dead, refused := newInbox(t, false, 503, 429), newInbox(t, false, 500, 500, 500), newInbox(t, false, 403)
	n := New(Config{
		Rollout: "r", Receivers: []Receiver{webhook("cured", cured.URL), webhook("dead", dead.URL), webhook("refused", refused.URL)},
		Warn: w.add, Sleep: quick(&slept),
	})
	n.Observe(rollout.Event{Kind: rollout.EventWave, To: "passed"})
	n.Close(10 * time.Second)
	if cured.asked() != 3 || len(cured.messages()) != 1 {
		t.Errorf("cured was asked %d times and has %d messages", cured.asked(), len(cured.messages()))
	}
	if dead.asked() != 3 || refused.asked() != 1 {
		t.Errorf("dead was asked %d times, want 3; refused %d, want 1", dead.asked(), refused.asked())
	}
	if time.Duration(slept.Load()) != 12*time.Second {
		t.Errorf("slept %s in all, want twice 1 s and 5 s", time.Duration(slept.Load()))
	}
	for _, want := range []string{"notify dead: wave_passed was not delivered", "500", "3 of 3 tries", "notify refused", "403"} {
		if !strings.Contains(w.all(), want) {
			t.Errorf("no warning says %q:\n%s", want, w.all())
		}
	}
	if strings.Contains(w.all(), "cured") {
		t.Error(w.all())
	}
}

// A server that never answers, one that is not there: the engine does not wait, the other receivers are told, and the end comes
// in time.
func TestDeadAndSlowServersHoldNobodyUp(t *testing.T) {
	hang := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	defer slow.Close()
	defer close(hang)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	good := newInbox(t, false)
	var w warnings
	n := New(Config{
		Rollout: "r", Warn: w.add,
		Receivers: []Receiver{webhook("slow", slow.URL+"/secret-path"), webhook("dead", "http://"+closed.Addr().String()+"/secret-path"), webhook("good", good.URL)},
	})
	begin := time.Now()
	const count = MaxQueue + 50
	for i := range count {
		n.Observe(rollout.Event{Kind: rollout.EventWave, Wave: i, To: "passed"})
	}
	if took := time.Since(begin); took > time.Second {
		t.Errorf("observing %d events took %s", count, took)
	}
	begin = time.Now()
	n.Close(1500 * time.Millisecond)
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("closing took %s", took)
	}
	if len(good.messages()) == 0 {
		t.Error("the good receiver was told nothing")
	}
	for _, want := range []string{"notify slow", "notify dead", "gave up on"} {
		if !strings.Contains(w.all(), want) {
			t.Errorf("no warning says %q:\n%s", want, w.all())
		}
	}
	if strings.Contains(w.all(), "secret-path") {
		t.Errorf("a warning shows the path of a URL:\n%s", w.all())
	}
}

func TestQueueDropsTheOldest(t *testing.T) {
	l := newLine(Receiver{})
	for i := range MaxQueue + 3 {
		l.put(Message{Wave: i})
	}
	m, ok := l.take()
	if !ok || m.Wave != 3 || m.Dropped != 3 || !strings.Contains(m.Text, "3 earlier messages") {
		t.Errorf("%+v", m)
	}
	if m, _ = l.take(); m.Wave != 4 || m.Dropped != 0 {
		t.Errorf("%+v", m)
	}
}

func TestWebhookTrust(t *testing.T) {
	ctx := context.Background()
	in := newInbox(t, true)
	body := []byte("{}")
	var final *FinalError
	if err := (&Webhook{URL: in.URL, Client: NewClient(nil)}).Send(ctx, body); !errors.As(err, &final) || in.asked() != 0 {
		t.Errorf("a certificate that nobody vouches for: %v, asked %d times", err, in.asked())
	}
	roots := x509.NewCertPool()
	roots.AddCert(in.Certificate())
	ok := &Webhook{URL: in.URL, Client: NewClient(roots), Token: func() ([]byte, error) { return []byte("Bearer s3cret"), nil }}
	if err := ok.Send(ctx, body); err != nil || in.tokens[0] != "Bearer s3cret" {
		t.Errorf("%v, %q", err, in.tokens)
	}
	// A redirect would carry the token away.
	elsewhere := newInbox(t, false)
	moved := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer moved.Close()
	if err := (&Webhook{URL: moved.URL, Client: NewClient(nil), Token: ok.Token}).Send(ctx, body); !errors.As(err, &final) || elsewhere.asked() != 0 {
		t.Errorf("redirect: %v, asked %d times", err, elsewhere.asked())
	}
	unreadable := &Webhook{URL: in.URL, Client: NewClient(roots), Token: func() ([]byte, error) { return nil, errors.New("mode 0644") }}
	if err := unreadable.Send(ctx, body); !errors.As(err, &final) || in.asked() != 1 {
		t.Errorf("no token: %v, asked %d times", err, in.asked())
	}
}

func TestCommand(t *testing.T) {
	dir := t.TempDir()
	script := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	trust := func(string) error { return nil }
	out := filepath.Join(dir, "out")
	t.Setenv("SECRET", "do not pass on")
	good := &Command{Verify: trust, Args: []string{script("good", `cat >"$1"; env >"$1.env"`), out}}
	if err := good.Send(context.Background(), []byte(`{"event":"test"}`)); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(out); string(b) != "{\"event\":\"test\"}\n" {
		t.Errorf("standard input was %q", b)
	}
	if b, _ := os.ReadFile(out + ".env"); strings.Contains(string(b), "SECRET") {
		t.Errorf("environment:\n%s", b)
	}
	var final *FinalError
	bad := &Command{Verify: trust, Args: []string{script("bad", "echo '\x1b[1mno pager'; exit 3")}}
	if err := bad.Send(context.Background(), nil); !errors.As(err, &final) || !strings.Contains(err.Error(), "no pager") || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	begin := time.Now()
	slow := &Command{Verify: trust, Args: []string{script("slow", "sleep 60 & sleep 60")}}
	if err := slow.Send(ctx, nil); err == nil || !strings.Contains(err.Error(), "killed") || time.Since(begin) > 10*time.Second {
		t.Errorf("after %s: %v", time.Since(begin), err)
	}
	swapped := &Command{Verify: func(string) error { return errors.New("others can write it") }, Args: good.Args}
	if err := swapped.Send(context.Background(), nil); err == nil {
		t.Error("a program that others can write was run")
	}
}

func FuzzClean(f *testing.F) {
	f.Add("see https://a/b\x1b[0m\u2028x")
	f.Add(strings.Repeat("ä", maxText))
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s)
		if strings.ContainsAny(got, "\x00\x1b\n\r\t\u2028") || len(got) > maxText+len(" …") || strings.Contains(got, "://") {
			t.Errorf("%q", got)
		}
		if _, err := json.Marshal(Message{Text: got}); err != nil {
			t.Error(err)
		}
	})
}

// TestWordsOfFailures: what was not delivered says what to change.
func TestWordsOfFailures(t *testing.T) {
	stop := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			w.Header().Set("Location", "https://chat.example/secret")
			w.WriteHeader(http.StatusMovedPermanently)
			return
		}
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	}))
	defer srv.Close()
	defer close(stop)
	dir := t.TempDir()
	for name, text := range map[string]string{"text": "no line\n", "gone": "#!/nonexistent/sh\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	fine := func(string) error { return nil }
	for want, sender := range map[string]Sender{
		"answered 301 Moved Permanently; redirects are not followed: write the address that it leads to": &Webhook{URL: srv.URL + "/away", Client: NewClient(nil)},
		": no answer in time": &Webhook{URL: srv.URL + "/hang", Client: NewClient(nil)},
		"it is no program for this machine, and its first line names none (#!/bin/sh)": &Command{Args: []string{filepath.Join(dir, "text")}, Verify: fine},
		"it is not there, or the program that its first line names (#!) is not there":  &Command{Args: []string{filepath.Join(dir, "gone")}, Verify: fine},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		err := sender.Send(ctx, []byte("{}"))
		cancel()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
