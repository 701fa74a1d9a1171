package fleet

import (
	"strings"
	"testing"

	"cpacman/internal/host"
	"cpacman/internal/rollout"
)

// What is installed is the verdict; what else was wrong is told, also where nothing but an exit status says so.
func TestVerification(t *testing.T) {
	dnf := []string{"== u.err", "[7/7] Removing app-0:1-1.noarch", "Createrepo_c process exited with code 255"}
	for name, c := range map[string]struct {
		v       host.Verification
		st      host.Status
		outcome rollout.VerifyOutcome
		want    string // the whole detail
	}{
		"all well":        {host.Verification{OK: true}, host.Status{RC: map[string]int{"u": 0, "i": 0}, Log: dnf}, rollout.VerifyExpected, ""},
		"a plugin of dnf": {host.Verification{OK: true}, host.Status{RC: map[string]int{"u": 1, "i": 0}, Log: dnf}, rollout.VerifyExpected, "all is as it should be, but not every step ended with status 0: step u 1, last line: Createrepo_c process exited with code 255"},
		"nothing said":    {host.Verification{OK: true}, host.Status{RC: map[string]int{"u": 1, "i": 2}}, rollout.VerifyExpected, "all is as it should be, but not every step ended with status 0: step i 2, step u 1"},
		"a scriptlet": {host.Verification{OK: true, FailedScriptlets: []string{"%post of app"}}, host.Status{RC: map[string]int{"u": 1}, Log: dnf}, rollout.VerifyExpected,
			"failed scriptlets: %post of app"},
		"nothing done": {host.Verification{Unchanged: true}, host.Status{RC: map[string]int{"u": 1}, Log: dnf[2:]}, rollout.VerifyOld, "log: " + dnf[2]},
		"half done":    {host.Verification{}, host.Status{RC: map[string]int{"u": 1}}, rollout.VerifyPartial, ""},
	} {
		got := verification(c.v, c.st, false)
		if got.Outcome != c.outcome || strings.TrimSpace(got.Detail) != c.want {
			t.Errorf("%s: %s %q, want %s %q", name, got.Outcome, got.Detail, c.outcome, c.want)
		}
	}
}
