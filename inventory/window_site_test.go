package inventory

import (
	"strings"
	"testing"
	"time"
)

const windowsMain = `
[[class]]
name = "production"
window = "nightly"
[[class]]
name = "testing"
[window.nightly]
rule = "FREQ=DAILY"
start = "01:00"
duration = "4h"
zone = "Europe/Berlin"
[window.weekend]
rule = "FREQ=WEEKLY;BYDAY=SA,SU"
start = "00:00"
duration = "24h"
zone = "UTC"
[window.spare]
rule = "FREQ=DAILY;UNTIL=20201231"
start = "00:00"
duration = "24h"
zone = "UTC"
`

// TestEffectiveWindows: the host's own beat those of its nearest group, and they those of its class.
func TestEffectiveWindows(t *testing.T) {
	s := mustLoad(t, map[string]string{MainFile: windowsMain, "inventory/x.toml": `
[group.db]
window = ["weekend", "nightly"]
[group.far]
groups = ["db"]
window = "spare"
[group.same]
window = ["nightly", "weekend"]
[group.plain]
[host.a]
class = "production"
[host.b]
class = "production"
groups = ["plain", "db"]
[host.c]
class = "production"
groups = ["db", "same"]
window = []
[host.d]
class = "testing"
[host.e]
class = "testing"
groups = ["db", "same"]
[host.f]
class = "production"
window = "spare"
`})
	at := instantOf(t, "2026-11-25T12:00:00Z") // a Wednesday
	for _, c := range []struct{ host, windows, origin, value, opens string }{
		{"a", "nightly", "cpacman.toml:4", "nightly (FREQ=DAILY at 01:00 for 4h, Europe/Berlin)", "2026-11-26T00:00:00Z"},
		{"b", "weekend, nightly", "x.toml:3", "weekend (FREQ=WEEKLY;BYDAY=SA,SU at 00:00 for 24h, UTC), nightly (FREQ=DAILY at 01:00 for 4h, Europe/Berlin)", "2026-11-26T00:00:00Z"},
		{"c", "", "x.toml:18", "any time", "2026-11-25T12:00:00Z"},
		{"d", "", OriginDefault, "any time", "2026-11-25T12:00:00Z"},
		{"e", "weekend, nightly", "x.toml:3, x.toml:8", "", "2026-11-26T00:00:00Z"},
		{"f", "spare", "x.toml:26", "spare (FREQ=DAILY;UNTIL=20201231 at 00:00 for 24h, UTC)", "never"},
	} {
		h := s.Host(c.host)
		if got := list(s.Effective(h).Windows); got != c.windows {
			t.Errorf("%s: windows %q, want %q", c.host, got, c.windows)
		}
		opens := "never"
		if from, _, ok := s.WindowsOf(h).Next(at); ok {
			opens = from.UTC().Format(time.RFC3339)
		}
		if opens != c.opens {
			t.Errorf("%s opens %s, want %s", c.host, opens, c.opens)
		}
		found := false
		for _, one := range s.Origins(h) {
			if one.Key != "window" {
				continue
			}
			found = true
			origin := strings.NewReplacer(s.Dir+"/inventory/", "", s.Dir+"/", "").Replace(one.Origin)
			if origin != c.origin || c.value != "" && one.Value != c.value {
				t.Errorf("%s: %q from %q, want %q from %q", c.host, one.Value, origin, c.value, c.origin)
			}
		}
		if !found {
			t.Errorf("%s: no line for windows", c.host)
		}
	}
}

func TestWindowsDisagree(t *testing.T) {
	ps := problemsOf(t, writeSite(t, map[string]string{MainFile: windowsMain, "inventory/x.toml": `
[group.a]
window = "nightly"
[group.b]
window = "weekend"
[host.x]
groups = ["a", "b"]
`}))
	if len(ps) != 1 || !strings.Contains(ps[0].Message, "disagree on window") || ps[0].Line != 7 {
		t.Errorf("%v", ps)
	}
}

// TestCheckWindows: what is not used and what never opens again is said.
func TestCheckWindows(t *testing.T) {
	s := mustLoad(t, map[string]string{MainFile: windowsMain, "inventory/x.toml": "[host.x]\nclass = \"production\"\n"})
	unused := 0
	for _, p := range s.Check() {
		if strings.HasPrefix(p.Message, "window ") && strings.HasSuffix(p.Message, "is not used") {
			unused++
		}
	}
	if unused != 2 {
		t.Errorf("%d windows are called unused: %v", unused, s.Check())
	}
	ps := s.CheckWindows(instantOf(t, "2026-11-25T12:00:00Z"))
	if len(ps) != 1 || !strings.Contains(ps[0].Message, `window "spare" never opens again`) || ps[0].Line == 0 || ps[0].Severity != SeverityError {
		t.Errorf("%v", ps)
	}
	if ps := s.CheckWindows(instantOf(t, "2020-12-31T12:00:00Z")); len(ps) != 0 {
		t.Errorf("%v", ps)
	}
}
