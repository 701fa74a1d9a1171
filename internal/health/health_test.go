package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cpacman/transport"
)

// fakeConn answers commands from a table.
type fakeConn struct {
	answer func(cmd transport.Command) (transport.Result, error)
	closed *int
}

func (f fakeConn) Run(_ context.Context, cmd transport.Command) (transport.Result, error) {
	return f.answer(cmd)
}

func (f fakeConn) Close() error { *f.closed++; return nil }

// checker dials fake hosts; it returns how often it dialled and closed.
func checker(answer func(cmd transport.Command) (transport.Result, error)) (c *Checker, dials, closes *int) {
	dials, closes = new(int), new(int)
	return &Checker{Dial: func(context.Context, string) (Conn, error) {
		*dials++
		return fakeConn{answer, closes}, nil
	}}, dials, closes
}

func stdout(s string, status int) (transport.Result, error) {
	return transport.Result{Stdout: []byte(s), ExitStatus: status}, nil
}

func TestBasic(t *testing.T) {
	base := func(evidence string) []Result { return []Result{{Check: Basic, Evidence: evidence}} }
	for _, c := range []struct {
		name     string
		out      string
		status   int
		baseline []Result
		want     Verdict
		text     string
	}{
		{"no systemd", "none\nend\n", 0, []Result{}, Green, ""},
		{"nothing failed", "begin\nend\n", 0, []Result{}, Green, ""},
		{"taking the baseline", "begin\nfoo.service loaded failed failed Foo\nend\n", 0, nil, Green, "failed already: foo.service"},
		{"failed before", "begin\nfoo.service loaded failed failed Foo\nend\n", 0, base(`["foo.service"]`), Green, "failed before too"},
		{"newly failed", "begin\n● bar.service loaded failed failed Bar\nfoo.service loaded failed failed Foo\nend\n", 0, base(`["foo.service"]`), Red, "newly failed units: bar.service"},
		{"ours does not count", "begin\ncpacman-r1.service loaded failed failed x\nend\n", 0, base(`[]`), Green, ""},
		{"no entry in the baseline", "begin\nfoo.service loaded failed failed Foo\nend\n", 0, []Result{}, Red, "foo.service"},
		{"baseline could not be read", "begin\nfoo.service loaded failed failed Foo\nend\n", 0, base(""), Unknown, "no baseline"},
		{"cut answer", "begin\nfoo.service loaded", 0, base(`[]`), Unknown, "could not be read"},
		{"empty answer", "", 0, base(`[]`), Unknown, "could not be read"},
		{"systemctl failed", "begin\n", 1, base(`[]`), Unknown, "exit status 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ch, _, closes := checker(func(transport.Command) (transport.Result, error) { return stdout(c.out, c.status) })
			r := ch.Run(t.Context(), Host{Name: "a"}, []Check{{Name: Basic}}, c.baseline)[0]
			if r.Verdict != c.want || !strings.Contains(r.Output, c.text) || r.Check != Basic {
				t.Errorf("%s %q, want %s %q", r.Verdict, r.Output, c.want, c.text)
			}
			if *closes != 1 {
				t.Errorf("closed %d times", *closes)
			}
		})
	}
}

func TestUnreachableHost(t *testing.T) {
	ch := &Checker{Dial: func(context.Context, string) (Conn, error) { return nil, errors.New("no route to host") }}
	got := ch.Run(t.Context(), Host{Name: "a"}, []Check{{Name: Basic}, {Name: "cmd", Command: []string{"true"}}}, nil)
	if got[0].Verdict != Red || !strings.Contains(got[0].Output, "no route") {
		t.Errorf("basic %+v", got[0])
	}
	if got[1].Verdict != Unknown {
		t.Errorf("a command that could not be run is %s", got[1].Verdict)
	}
}

func TestHostChecks(t *testing.T) {
	timeout := &transport.Error{Host: "a", Op: "run", Kind: transport.KindTimeout, Err: errors.New("3s")}
	for _, c := range []struct {
		name   string
		check  Check
		out    string
		status int
		err    error
		want   Verdict
		text   string
	}{
		{"command green", Check{Command: []string{"x"}}, "fine", 0, nil, Green, "fine"},
		{"command red", Check{Command: []string{"x"}}, "queue is full", 2, nil, Red, "exit status 2: queue is full"},
		{"command timeout", Check{Command: []string{"x"}}, "", 0, timeout, Unknown, "timeout"},
		{"command lost", Check{Command: []string{"x"}}, "", 0, errors.New("reset"), Unknown, "reset"},
		{"units active", Check{Systemd: []string{"a", "b"}}, "active\nactive\n", 0, nil, Green, ""},
		{"one of two failed, exit status 0", Check{Systemd: []string{"a", "b"}}, "active\nfailed\n", 0, nil, Red, "b is failed"},
		{"activating is not active", Check{Systemd: []string{"a"}}, "activating\n", 3, nil, Red, "a is activating"},
		{"no systemd", Check{Systemd: []string{"a"}}, "", 127, nil, Unknown, "exit status 127"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ch, dials, _ := checker(func(transport.Command) (transport.Result, error) {
				r, _ := stdout(c.out, c.status)
				return r, c.err
			})
			c.check.Name = "x"
			got := ch.Run(t.Context(), Host{Name: "a"}, []Check{c.check, c.check}, nil)
			if got[0].Verdict != c.want || !strings.Contains(got[0].Output, c.text) {
				t.Errorf("%s %q, want %s %q", got[0].Verdict, got[0].Output, c.want, c.text)
			}
			if *dials != 1 {
				t.Errorf("%d connections for one run", *dials)
			}
		})
	}
}

func TestTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	check := Check{Name: "port", TCP: l.Addr().String(), Timeout: time.Second}
	run := func() Result { return (&Checker{}).Run(t.Context(), Host{}, []Check{check}, nil)[0] }
	if r := run(); r.Verdict != Green {
		t.Errorf("open port: %+v", r)
	}
	l.Close()
	if r := run(); r.Verdict != Red || !strings.Contains(r.Output, "refused") {
		t.Errorf("closed port: %+v", r)
	}
}

func TestHTTP(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "all is ok here") })
	mux.HandleFunc("/bad", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "pool empty", http.StatusServiceUnavailable)
	})
	mux.HandleFunc("/move", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ok", http.StatusFound) })
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	})
	plain, secure := httptest.NewServer(mux), httptest.NewTLSServer(mux)
	defer plain.Close()
	defer secure.Close()
	trusting := &Checker{RootCAs: secure.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	for _, c := range []struct {
		name  string
		ch    *Checker
		check Check
		want  Verdict
		text  string
	}{
		{"ok", &Checker{}, Check{HTTP: plain.URL + "/ok", Body: "is ok"}, Green, "status 200"},
		{"wrong body", &Checker{}, Check{HTTP: plain.URL + "/ok", Body: "ready"}, Red, "all is ok here"},
		{"wrong status", &Checker{}, Check{HTTP: plain.URL + "/bad"}, Red, "status 503, want 200: pool empty"},
		{"wanted status", &Checker{}, Check{HTTP: plain.URL + "/bad", Status: 503}, Green, ""},
		{"redirects are not followed", &Checker{}, Check{HTTP: plain.URL + "/move"}, Red, "status 302"},
		{"slow", &Checker{}, Check{HTTP: plain.URL + "/slow", Timeout: 50 * time.Millisecond}, Red, "no answer within"},
		{"endless is bounded", &Checker{}, Check{HTTP: plain.URL + "/endless", Timeout: 5 * time.Second}, Green, ""},
		{"unknown certificate", &Checker{}, Check{HTTP: secure.URL + "/ok"}, Red, "certificate"},
		{"known certificate", trusting, Check{HTTP: secure.URL + "/ok"}, Green, ""},
		{"not http", &Checker{}, Check{HTTP: "file:///etc/passwd"}, Unknown, "no http"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.check.Name = "web"
			r := c.ch.Run(t.Context(), Host{}, []Check{c.check}, nil)[0]
			if r.Verdict != c.want || !strings.Contains(r.Output, c.text) || len(r.Output) > MaxOutput {
				t.Errorf("%s %q, want %s %q", r.Verdict, r.Output, c.want, c.text)
			}
		})
	}
}

// script writes a program for the control host.
func script(t *testing.T, body string) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "prog")
	if err := os.WriteFile(p, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestProgram(t *testing.T) {
	run := func(c *Checker, timeout time.Duration, argv ...string) Result {
		return c.Run(t.Context(), Host{Name: "web01", Address: "10.0.0.1"}, []Check{{Name: "lb", Program: argv, Timeout: timeout}}, nil)[0]
	}
	t.Setenv("SECRET", "hunter2")
	r := run(&Checker{}, 0, script(t, `echo "$CPACMAN_HOST $CPACMAN_ADDRESS [$SECRET] $1"`), "$(id)")
	if r.Verdict != Green || r.Output != "web01 10.0.0.1 [] $(id)" {
		t.Errorf("environment and arguments: %+v", r)
	}
	if r := run(&Checker{}, 0, script(t, "echo not in pool >&2; exit 3")); r.Verdict != Red || !strings.Contains(r.Output, "not in pool") {
		t.Errorf("exit status: %+v", r)
	}
	if r := run(&Checker{}, 0, "lb", "check"); r.Verdict != Unknown || !strings.Contains(r.Output, "absolute") {
		t.Errorf("relative path: %+v", r)
	}
	if r := run(&Checker{}, 0, "/nonexistent/lb"); r.Verdict != Unknown {
		t.Errorf("missing program: %+v", r)
	}
	refuse := &Checker{VerifyProgram: func(string) error { return errors.New("writable by others") }}
	if r := run(refuse, 0, script(t, "exit 0")); r.Verdict != Unknown || !strings.Contains(r.Output, "writable") {
		t.Errorf("refused program: %+v", r)
	}
	if r := run(&Checker{}, 0, script(t, "head -c 1000000 /dev/zero | tr '\\0' x")); r.Verdict != Green || len(r.Output) > MaxOutput {
		t.Errorf("much output: %s, %d bytes", r.Verdict, len(r.Output))
	}
}

// TestProgramIsKilledWithItsGroup: a timeout ends children too, and a child that keeps the output open does not hang the check.
func TestProgramIsKilledWithItsGroup(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "mark")
	begin := time.Now()
	c := Check{Name: "lb", Program: []string{script(t, "(sleep 2; touch "+mark+") & sleep 60")}, Timeout: 100 * time.Millisecond}
	if r := (&Checker{}).Run(t.Context(), Host{}, []Check{c}, nil)[0]; r.Verdict != Unknown || !strings.Contains(r.Output, "killed") {
		t.Errorf("%+v", r)
	}
	c = Check{Name: "lb", Program: []string{script(t, "(sleep 60) & exit 0")}, Timeout: 10 * time.Second}
	if r := (&Checker{}).Run(t.Context(), Host{}, []Check{c}, nil)[0]; r.Verdict != Green {
		t.Errorf("%+v", r)
	}
	if d := time.Since(begin); d > 8*time.Second {
		t.Errorf("took %s", d)
	}
	time.Sleep(time.Until(begin.Add(2500 * time.Millisecond)))
	if _, err := os.Stat(mark); err == nil {
		t.Error("a child outlived the timeout")
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []Check{
		{Name: "x"}, {Name: "x", TCP: "a:1", HTTP: "http://a"}, {Name: "x", Program: []string{"lb"}},
		{Name: "x", HTTP: "ftp://a"}, {Name: Basic, Timeout: -1},
	} {
		if c.Validate() == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}

func FuzzUnits(f *testing.F) {
	f.Add("begin\nfoo.service loaded failed failed Foo\nend\n", 0)
	f.Add("none\nend", 0)
	f.Fuzz(func(t *testing.T, out string, status int) {
		units, err := parseUnits(transport.Result{Stdout: []byte(out), ExitStatus: status})
		if err == nil && status != 0 {
			t.Error("a failed command gave an answer")
		}
		for _, u := range units {
			if u == "" || strings.HasPrefix(u, ownUnits) || strings.ContainsAny(u, " \n\t") {
				t.Errorf("unit %q", u)
			}
		}
	})
}
