package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestVerdict(t *testing.T) {
	for name, tc := range map[string]struct {
		ratio  float64
		target *target
		want   string
		words  string
	}{
		"no target":       {0.5, nil, "-", "-"},
		"at most, met":    {0.8, &target{limit: 0.8, atMost: true}, "met", "<= 0.8"},
		"at most, missed": {0.88, &target{limit: 0.8, atMost: true}, "missed by 10.0 %", "<= 0.8"},
		"at least, met":   {1.1, &target{limit: 1.1}, "met", ">= 1.1"},
		"at least, half":  {1.5, &target{limit: 3}, "missed by 50.0 %", ">= 3"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (comparison{ratio: tc.ratio, target: tc.target}).verdict(); got != tc.want {
				t.Errorf("verdict %q, want %q", got, tc.want)
			}
			if got := tc.target.String(); got != tc.words {
				t.Errorf("target %q, want %q", got, tc.words)
			}
		})
	}
}

func TestMedian(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SliceOfN(rapid.Float64Range(0, 1000), 1, 20).Draw(t, "v")
		before := append([]float64{}, v...)
		m := median(v)
		if diff := cmp.Diff(before, v); diff != "" {
			t.Fatalf("median changed its argument: %s", diff)
		}
		below, above := 0, 0
		for _, x := range v {
			if x < m {
				below++
			}
			if x > m {
				above++
			}
		}
		if below > len(v)/2 || above > len(v)/2 {
			t.Fatalf("median %v of %v has %d below and %d above", m, v, below, above)
		}
	})
	if got := median([]float64{4, 1, 3, 2}); got != 2.5 {
		t.Errorf("median of four is %v, want 2.5", got)
	}
	if got := median(nil); got != 0 {
		t.Errorf("median of none is %v", got)
	}
}

func TestOptions(t *testing.T) {
	always := []string{"--bin", "/b", "--work", "/w"}
	for name, tc := range map[string]struct {
		args []string
		want string // in the error; empty: none
	}{
		"defaults":       {nil, ""},
		"one part":       {[]string{"facts"}, ""},
		"unknown part":   {[]string{"fact"}, `no part "fact"`},
		"flag after":     {[]string{"facts", "--rounds", "1"}, "flags stand before"},
		"bad round trip": {[]string{"--rtt", "10"}, `--rtt "10"`},
		"no rounds":      {[]string{"--rounds", "0"}, "--rounds 0"},
		"unknown flag":   {[]string{"--host", "3"}, "-host"},
		"own host":       {[]string{"--rpmdb", "/d", "--release", "rocky9.4", "--kernel", "5.14", "--repo", "a", "--repo", "/b", "real"}, ""},
		"no database":    {[]string{"--release", "rocky9", "--kernel", "5.14", "--repo", "/b", "real"}, "--rpmdb FILE"},
		"no version":     {[]string{"--rpmdb", "/d", "--release", "rocky", "--kernel", "5.14", "--repo", "/b", "real"}, `--release "rocky"`},
		"not for repos":  {[]string{"--rpmdb", "/d", "repos"}, "for the part real"},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := parseOptions(append(append([]string{}, always...), tc.args...), io.Discard)
			if tc.want == "" {
				if err != nil || len(o.parts) == 0 || len(o.rtts) != 3 {
					t.Errorf("options %+v, error %v", o, err)
				}
				return
			}
			if !errors.Is(err, errUsage) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one of usage with %q", err, tc.want)
			}
		})
	}
}

// TestDelayProxy sends through the proxy to an echo and back: nothing is lost or changed, a
// round trip takes as long as it should, and the rate is not limited by it.
func TestDelayProxy(t *testing.T) {
	const rtt = 40 * time.Millisecond
	echo, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	port := startDelay(t, echo.Addr().String(), rtt)
	c, err := net.Dial("tcp4", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	one := make([]byte, 1)
	for i := range 3 {
		start := time.Now()
		if _, err := c.Write([]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, one); err != nil || one[0] != byte(i) {
			t.Fatalf("got %v, %v", one, err)
		}
		if took := time.Since(start); took < rtt {
			t.Errorf("a round trip took %v, want at least %v", took, rtt)
		}
	}
	// 8 MiB at 64 KiB a round trip would take 5 s.
	payload := bytes.Repeat([]byte("0123456789abcdef"), 8<<20/16)
	start := time.Now()
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = c.Write(payload)
		_ = c.(*net.TCPConn).CloseWrite()
	})
	got, err := io.ReadAll(c)
	wg.Wait()
	if err != nil || !bytes.Equal(got, payload) {
		t.Errorf("%d bytes came back of %d, error %v", len(got), len(payload), err)
	}
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("%d bytes took %v: the proxy limits the rate", len(payload), took)
	}
}

// startDelay runs `bench delay` within the test and returns its port.
func startDelay(t *testing.T, to string, rtt time.Duration) string {
	t.Helper()
	in, stop := io.Pipe()
	out, port := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- delayMain(context.Background(), []string{"-to", to, "-rtt", rtt.String()}, in, port) }()
	t.Cleanup(func() {
		stop.Close()
		if err := <-ended; err != nil {
			t.Errorf("delay proxy: %v", err)
		}
	})
	line := make([]byte, 16)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(line[:n]))
}

// TestTime measures real programs: success, a status that counts as success, failure, and a
// program that ends well without having done its work.
func TestTime(t *testing.T) {
	b := &bench{o: options{work: t.TempDir()}, stderr: io.Discard}
	if err := os.Mkdir(filepath.Join(b.o.work, "out"), 0o700); err != nil {
		t.Fatal(err)
	}
	sh := func(text string) []string { return []string{"/bin/sh", "-c", text} }
	for name, tc := range map[string]struct {
		program program
		want    string
	}{
		"good":         {program{argv: sh("sleep 0.05; echo one; echo two"), check: atLeast(2, "lines", func(string) bool { return true })}, ""},
		"ok status":    {program{argv: sh("exit 100"), okStatus: []int{100}}, ""},
		"wrong status": {program{argv: sh("exit 0"), okStatus: []int{100}}, "exit status 0"},
		"fails":        {program{argv: sh("echo no such thing >&2; exit 3")}, "no such thing"},
		"idle":         {program{argv: sh("echo one"), check: atLeast(2, "lines", func(string) bool { return true })}, "1 lines, at least 2"},
		"not there":    {program{argv: []string{"/nonexistent/program"}, okStatus: []int{0}}, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := b.time(t.Context(), "one", tc.program)
			if tc.want != "" {
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Fatalf("error %v, want %q", err, tc.want)
				}
				return
			}
			if err != nil || s.wall <= 0 || s.rss <= 0 {
				t.Errorf("sample %+v, error %v", s, err)
			}
			if name == "good" && s.wall < 50*time.Millisecond {
				t.Errorf("measured %v of a program that sleeps 50 ms", s.wall)
			}
		})
	}
}

// TestReport prints a run with one contestant of each kind.
func TestReport(t *testing.T) {
	r := newReport(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), strings.NewReplacer("/tmp/x", "$WORK"))
	s := r.newSeries("facts", "cpacman facts, first run")
	s.samples = []sample{{wall: 3 * time.Second, cpu: time.Second, rss: 40e6}, {wall: 2 * time.Second, cpu: time.Second, rss: 50e6}}
	r.newSeries("facts", "never ran")
	r.command(s.name, program{argv: []string{"cpacman", "--site", "/tmp/x/site", "facts", "it's all"}}.line())
	r.compare(comparison{what: "first run / clush", ours: "2.50 s", peer: "5.00 s", ratio: 0.5, target: &target{limit: 0.8, atMost: true}})
	r.note("Skipped: %s is not installed.", "ansible")
	r.note("Skipped: %s is not installed.", "ansible")
	var page bytes.Buffer
	if err := r.markdown(&page, []string{"2 cores"}); err != nil {
		t.Fatal(err)
	}
	want := `# Benchmark of 2026-03-01 12:00 UTC

## Result

| what | cpacman | peer | ratio | target | verdict |
|---|---|---|---|---|---|
| first run / clush | 2.50 s | 5.00 s | 0.50 | <= 0.8 | met |

## Measured

| part | what | median | each round (s) | processor time | peak memory |
|---|---|---|---|---|---|
| facts | cpacman facts, first run | 2.50 s | 3.00 2.00 | 1.00 s | 50 MB |

## Notes and conditions

- Skipped: ansible is not installed.
- 2 cores

## Commands

` + "```" + `
# cpacman facts, first run
cpacman --site $WORK/site facts 'it'\''s all'
` + "```\n"
	if diff := cmp.Diff(want, page.String()); diff != "" {
		t.Error(diff)
	}
	var text bytes.Buffer
	if err := r.text(&text); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"first run / clush", "met", "2.50 s", "ansible is not installed"} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("the text lacks %q:\n%s", part, text.String())
		}
	}
}

func TestTicks(t *testing.T) {
	used, all, err := ticks("cpu  100 10 20 500 50 1 2 3 7 7\ncpu0 1 2 3\n")
	if err != nil || used != 136 || all != 686 {
		t.Errorf("used %d of %d, error %v; want 136 of 686", used, all, err)
	}
	for _, bad := range []string{"", "cpu 1 2 3\n", "intr 1 2 3 4 5 6 7 8 9\n", "cpu 1 2 3 4 5 6 7 x\n"} {
		if _, _, err := ticks(bad); err == nil {
			t.Errorf("no error for %q", bad)
		}
	}
}
