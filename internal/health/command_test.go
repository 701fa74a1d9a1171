package health

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cpacman/transport"
)

// local runs commands on this machine as a host would: waiting for them ends at their timeout, they do not.
type local struct{ t *testing.T }

func (l local) Run(_ context.Context, cmd transport.Command) (transport.Result, error) {
	c := exec.Command("/bin/sh", append([]string{"-c", `"$@"; exit $?`, "sh"}, cmd.Argv...)...) // exit status 128+n after signal n
	var out, bad strings.Builder
	c.Stdout, c.Stderr = &out, &bad
	if err := c.Start(); err != nil {
		l.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	select {
	case <-ended:
		return transport.Result{Stdout: []byte(out.String()), Stderr: []byte(bad.String()), ExitStatus: c.ProcessState.ExitCode()}, nil
	case <-time.After(cmd.Timeout):
		return transport.Result{}, &transport.Error{Kind: transport.KindTimeout, Err: fmt.Errorf("no end after %s", cmd.Timeout)}
	}
}

func (local) Close() error { return nil }

// TestCommandEnds: a check that hangs is not left on the host, where each round of a soak would add one more.
func TestCommandEnds(t *testing.T) {
	if _, err := exec.LookPath("timeout"); err != nil {
		t.Skip("no timeout(1) here")
	}
	mark := filepath.Join(t.TempDir(), "alive")
	script := fmt.Sprintf("trap '' TERM; while :; do touch %s; sleep 0.05; done", mark)
	c := &Checker{Dial: func(context.Context, string) (Conn, error) { return local{t}, nil }}
	got := c.Run(t.Context(), Host{Name: "a"}, []Check{{Name: "x", Command: []string{"/bin/sh", "-c", script}, Timeout: 200 * time.Millisecond}}, nil)
	if got[0].Verdict != Unknown || !strings.Contains(got[0].Output, "no result within") {
		t.Errorf("%s %q", got[0].Verdict, got[0].Output)
	}
	for end := time.Now().Add(20 * time.Second); ; {
		if time.Now().After(end) {
			t.Fatal("it runs still")
		}
		_ = os.Remove(mark)
		time.Sleep(500 * time.Millisecond)
		if _, err := os.Stat(mark); err != nil {
			break
		}
	}
}

func TestCommandIsPassedOn(t *testing.T) {
	c := &Checker{Dial: func(context.Context, string) (Conn, error) { return local{t}, nil }}
	for _, x := range []struct {
		argv    []string
		verdict Verdict
		text    string
	}{
		{[]string{"/bin/echo", "a  b", "$HOME", "-k", ""}, Green, "a  b $HOME -k"},
		{[]string{"/bin/sh", "-c", "echo x >&2; exit 7"}, Red, "exit status 7: x"},
		{[]string{"/nope/nope"}, Red, "exit status 127"},
		{[]string{"/bin/sh", "-c", "kill -9 $$"}, Red, "exit status 137"},
	} {
		got := c.Run(t.Context(), Host{Name: "a"}, []Check{{Name: "x", Command: x.argv, Timeout: 10 * time.Second}}, nil)
		if got[0].Verdict != x.verdict || !strings.Contains(got[0].Output, x.text) {
			t.Errorf("%q: %s %q", x.argv, got[0].Verdict, got[0].Output)
		}
	}
}

// TestHTTPWords: what is said of an answer that is not the right one is enough to know what to change.
func TestHTTPWords(t *testing.T) {
	stop := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			w.Header().Set("Location", "/login?next=1")
			w.WriteHeader(http.StatusFound)
		case "/half":
			fmt.Fprint(w, "one moment")
			w.(http.Flusher).Flush()
			fallthrough
		default:
			select {
			case <-stop:
			case <-r.Context().Done():
			}
		}
	}))
	defer srv.Close()
	defer close(stop)
	c := &Checker{}
	for path, want := range map[string]string{
		"/away": `status 302, want 200: it leads to "/login`,
		"/hang": "no answer within 100ms",
		"/half": `status 200, but after 100ms the answer does not contain "ready" and has not ended: one moment`,
	} {
		check := Check{Name: "x", HTTP: srv.URL + path, Body: "ready", Timeout: 100 * time.Millisecond}
		if got := c.Run(t.Context(), Host{Name: "a"}, []Check{check}, nil); got[0].Verdict != Red || !strings.Contains(got[0].Output, want) || strings.Contains(got[0].Output, "\x1b") {
			t.Errorf("%s: %s %q", path, got[0].Verdict, got[0].Output)
		}
	}
}
