package repo

import (
	"bytes"
	"crypto/sha256"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
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
	names, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(names) != 1 {
		t.Fatalf("cache files: %v", names)
	}
	whole, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	for cut := range len(whole) {
		log.Reset()
		write(t, names[0], whole[:cut])
		if _, found := reopen().Get(key("a")); found || !strings.Contains(log.String(), "cache file ignored") {
			t.Fatalf("cut at %d of %d: %v, %s", cut, len(whole), found, log.String())
		}
		if cut > cacheHead {
			write(t, names[0], resum(whole[:cut]))
			v := reopen()
			v.Get(key("a")) // anything but a panic
			v.Add(key("f"), []string{"z"})
			v.Save()
			if got, found := reopen().Get(key("f")); !found || len(got) != 1 {
				t.Fatalf("cut at %d of %d: what was added then is not kept", cut, len(whole))
			}
		}
	}
	none := OpenDerived("", slog.New(slog.NewTextHandler(&log, nil)), time.Now)
	none.Add(key("a"), []string{"x"})
	none.Save()
	if got, found := none.Get(key("a")); !found || len(got) != 1 {
		t.Errorf("without a directory: %v", got)
	}
}
