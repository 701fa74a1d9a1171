package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
)

// TestShortLived: the heap may grow as far as the hosts need before anything is collected, and what the environment says goes before that.
func TestShortLived(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	percent := func() uint64 {
		s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(s)
		return s[0].Value.Uint64()
	}
	waitFor := func(what string, ok func(uint64) bool) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !ok(percent()); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: the heap may grow by %d %%", what, percent())
			}
		}
	}
	debug.SetGCPercent(70)
	t.Setenv("GOGC", "70")
	shortLived(false)(10_000)
	waitFor("with GOGC", func(p uint64) bool { return p == 70 })
	// This comes last: what is done after each collection goes on as long as the process lives.
	t.Setenv("GOGC", "")
	shortLived(true)(1)
	waitFor("a plan of one host", func(p uint64) bool { return p >= planGarbage && p < 1<<20 })
	// A cleanup is queued by one collection and run soon after; with little to do the runtime may leave it for the next one.
	waitFor("after some collections", func(p uint64) bool { runtime.GC(); return p == planGarbage })
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
