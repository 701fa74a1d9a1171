package rollout

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestKilledAnywhere: an engine that dies at any write, before or after it is on disk, is followed by one that leaves no host locked, and
// whose hosts begin only after every before-hook of their wave has come to its end.
func TestKilledAnywhere(t *testing.T) {
	for _, after := range []bool{false, true} {
		for at := 2; at < 48; at++ {
			for _, k := range []kind{plain, red} {
				sim(t, fmt.Sprint(k, at, after), func(t *testing.T) {
					r := hooked(t, k, "b")
					r.w.hooks.takes = time.Second // a hook that is cut leaves no run behind
					r.j.dieAt, r.j.dieAfter = at, after
					_, err := r.start()
					for range 4 {
						if err == nil {
							break
						}
						r.j.revive()
						_, err = r.resume()
					}
					if err != nil {
						t.Fatal(err)
					}
					r.promises()
					for name, h := range r.w.hosts {
						if h.owner != "" {
							t.Errorf("%s is still locked", name)
						}
					}
					for name, rec := range r.j.hosts {
						if rec.Locked {
							t.Errorf("%s is locked by the journal", name)
						}
					}
					runs := r.w.hooks.runs
					for _, host := range []string{"a", "b"} {
						begun := slices.Index(runs, "drain "+host)
						for _, before := range []string{"open", "enter", "begin"} {
							if at := slices.IndexFunc(runs, func(s string) bool { return strings.HasPrefix(s, before) }); begun >= 0 && (at < 0 || at > begun) {
								t.Errorf("%s began without %s: %q", host, before, runs)
							}
						}
					}
				})
			}
		}
	}
}
