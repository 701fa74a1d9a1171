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
		"nothing done":     {host.Verification{Unchanged: true}, host.Status{RC: map[string]int{"u": 1}, Log: dnf[2:]}, rollout.VerifyOld, "log: " + dnf[2]},
		"killed, complete": {host.Verification{OK: true}, host.Status{RC: map[string]int{"u": 137}, Log: []string{"== test.u", "x"}}, rollout.VerifyExpected, "signal 9 ended rpm -U"},
		"killed": {host.Verification{}, host.Status{RC: map[string]int{"u": 137}, Log: []string{"== test.u", "rpm: a warning of the test", "== u.err", "warning: x"}}, rollout.VerifyPartial,
			"signal 9 ended rpm -U; log: warning: x"},
		"nothing but the test spoke": {host.Verification{Unchanged: true}, host.Status{RC: map[string]int{"u": 1}, Log: []string{"== test.u", "rpm: a warning of the test"}}, rollout.VerifyOld,
			"rpm said nothing, and ended with a status other than 0: step u 1"},
		"dnf's own status": {host.Verification{OK: true}, host.Status{RC: map[string]int{"u": 200}}, rollout.VerifyExpected, "all is as it should be, but not every step ended with status 0: step u 200"},
		"half done":        {host.Verification{}, host.Status{RC: map[string]int{"u": 1}}, rollout.VerifyPartial, "rpm said nothing, and ended with a status other than 0: step u 1"},
	} {
		got := verification(c.v, c.st, false)
		if got.Outcome != c.outcome || strings.TrimSpace(got.Detail) != c.want {
			t.Errorf("%s: %s %q, want %s %q", name, got.Outcome, got.Detail, c.outcome, c.want)
		}
	}
}

// A runner that lived on after its rpm was killed calls the transaction done; it was cut all the same. A way back that ended is compared, not begun again.
func TestKilledIsCut(t *testing.T) {
	for name, c := range map[string]struct {
		st   host.Status
		want rollout.TxPhase
	}{
		"done":              {host.Status{Phase: host.Done, Mode: "install", RC: map[string]int{"u": 0}}, rollout.TxDone},
		"failed":            {host.Status{Phase: host.Done, Mode: "install", RC: map[string]int{"u": 3}}, rollout.TxDone},
		"killed":            {host.Status{Phase: host.Done, Mode: "install", RC: map[string]int{"u": 0, "i": 137}}, rollout.TxInterrupted},
		"killed and whole":  {host.Status{Phase: host.Verified, Mode: "install", RC: map[string]int{"u": 143}}, rollout.TxInterrupted},
		"killed on its way": {host.Status{Phase: host.Done, Mode: "back", RC: map[string]int{"u": 137}}, rollout.TxDone},
	} {
		if got := txStatus(c.st); got.Phase != c.want {
			t.Errorf("%s: %s, want %s", name, got.Phase, c.want)
		}
	}
}
