package repo

import (
	"bytes"
	"crypto/sha256"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestDerived: what is kept is what was added, by each process; a damaged cache holds nothing and is told.
func TestDerived(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	reopen := func() *Derived { return OpenDerived(dir, slog.New(slog.NewTextHandler(&log, nil)), time.Now) }
	key := func(s string) DerivedKey { return sha256.Sum256([]byte(s)) }
	want := map[string][][]string{"a": {{"x", "y"}, nil}, "b": {nil, nil, {"", "\xff\n"}}, "c": nil, "d": {{"x"}}}
	for _, k := range []string{"a", "b", "c", "d"} {
		v := reopen()
		v.Add(key(k), want[k]...)
		v.Save()
	}
	check := func(v *Derived) {
		t.Helper()
		for range 2 {
			for k, lists := range want {
				got, found := v.Get(key(k))
				if d := cmp.Diff(lists, got, cmpopts.EquateEmpty()); d != "" || !found {
					t.Errorf("%s: %v %s", k, found, d)
				}
			}
			if got, found := v.Get(key("e")); found {
				t.Errorf("a key nobody added: %v", got)
			}
		}
	}
	check(reopen())
	again := reopen()
	again.Save() // nothing was added: nothing is written
	check(again)
	if log.Len() > 0 {
		t.Error(log.String())
	}
	cutCache(t, dir, &log, func() bool { _, found := reopen().Get(key("a")); return found }, func() {
		v := reopen()
		v.Get(key("a"))
		v.Add(key("f"), []string{"z"})
		v.Save()
		if got, found := reopen().Get(key("f")); !found || len(got) != 1 {
			t.Fatal("what was added to a damaged one is not kept")
		}
	})
	none := OpenDerived("", slog.New(slog.NewTextHandler(&log, nil)), time.Now)
	none.Add(key("a"), []string{"x"})
	none.Save()
	if got, found := none.Get(key("a")); !found || len(got) != 1 {
		t.Errorf("without a directory: %v", got)
	}
}
