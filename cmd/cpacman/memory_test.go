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
	t.Setenv("GOGC", "")
	shortLived()(1)
	waitFor("a plan of one host", func(p uint64) bool { return p >= planGarbage && p < 1<<20 })
	for range 3 { // a cleanup is queued by one collection and run soon after
		runtime.GC()
	}
	waitFor("after the first collection", func(p uint64) bool { return p == planGarbage })
	debug.SetGCPercent(70)
	t.Setenv("GOGC", "70")
	shortLived()(10_000)
	waitFor("with GOGC", func(p uint64) bool { return p == 70 })
}
