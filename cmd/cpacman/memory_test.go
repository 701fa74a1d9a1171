package main

import (
	"os"
	"os/exec"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"
	"time"
)

// TestShortLived: the heap may grow as far as the hosts need before anything is collected, and what the environment says goes before that.
func TestShortLived(t *testing.T) {
	for name, c := range map[string]struct {
		gogc  string
		large bool
		hosts int
		want  func(percent uint64) bool
		after uint64
	}{
		"with GOGC":          {"70", false, 10_000, func(p uint64) bool { return p == 70 }, 70},
		"a plan of one host": {"", true, 1, func(p uint64) bool { return p >= planGarbage && p < 1<<20 }, planGarbage},
	} {
		t.Run(name, func(t *testing.T) {
			// What is done after each collection goes on as long as the process lives, and other tests plan in this one: each case has its own.
			if os.Getenv(ownProcess) == "" {
				test := exec.Command(os.Args[0], "-test.run=^TestShortLived$/^"+strings.ReplaceAll(name, " ", "_")+"$", "-test.v")
				test.Env = append(os.Environ(), ownProcess+"=1", "GOGC="+c.gogc, "GOMEMLIMIT=")
				out, err := test.CombinedOutput()
				if err != nil || !strings.Contains(string(out), "--- PASS: TestShortLived/") {
					t.Fatalf("%v\n%s", err, out)
				}
				return
			}
			shortLived(c.large)(c.hosts)
			waitForGarbage(t, "when the hosts are known", c.want)
			// A cleanup is queued by one collection and run soon after; with little to do the runtime may leave it for the next one.
			waitForGarbage(t, "after some collections", func(p uint64) bool { runtime.GC(); return p == c.after })
		})
	}
}

// ownProcess is the variable that tells a test that its process has no other.
const ownProcess = "CPACMAN_TEST_OWN_PROCESS"

// waitForGarbage waits until the heap may grow by a percentage that is ok.
func waitForGarbage(t *testing.T, what string, ok func(percent uint64) bool) {
	t.Helper()
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if metrics.Read(s); ok(s[0].Value.Uint64()) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: the heap may grow by %d %%", what, s[0].Value.Uint64())
		}
	}
}

// TestNamesOneHost: what may be more than one host is not taken for one.
func TestNamesOneHost(t *testing.T) {
	for text, want := range map[string]bool{"web01": true, "web01.example.org": true, "all": false, "web*": false, "class=production": false,
		"web01 or web02": false, "not web01": false, "web[01]": false, "(web01)": false, "": true} {
		if namesOneHost([]string{text}) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
	if namesOneHost(nil) || namesOneHost([]string{"web01", "web02"}) {
		t.Error("none, or several")
	}
}

// TestGarbageFor: a small heap may grow to three times its size, a large one by a part.
func TestGarbageFor(t *testing.T) {
	for live, want := range map[uint64]int{0: 200, 1: 200, 64 << 20: 200, 128 << 20: 200, 256 << 20: 100, 512 << 20: 50, 1 << 30: leastGarbage, 1 << 62: leastGarbage} {
		if got := garbageFor(live); got != want {
			t.Errorf("%d: %d, want %d", live, got, want)
		}
	}
}
