package host

import (
	"context"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"

	"cpacman/internal/rpm"
)

// Verification is what a transaction made of the host (PUSH-6).
type Verification struct {
	After      *Facts
	OK         bool        // the whole installed set is before − removed + added
	Unchanged  bool        // it is exactly what it was before
	Missing    []rpm.NEVRA // expected and not installed
	Unexpected []rpm.NEVRA // installed and not expected
	// ConfigFiles are .rpmnew, .rpmsave and .rpmorig files that were made.
	ConfigFiles []string
	// FailedScriptlets are rpm's own lines. rpm before 6 ends with 0 after a failed %post.
	FailedScriptlets []string
	UnmetAfter       []string // unmet dependencies, as rpm -Va prints them
	NewUnmet         []string // those that Preflight did not have
	Restarted        []string // systemd services that were started since rpm began; nil: not known
	Errors           []string // rpm's other error lines
}

// Verify compares the host with what the transaction was to do. before is the set right before it (Preflight), unmetBefore
// what was unmet then. erased says that step (c) ran as well. When all is as expected the host's state becomes verified.
func (s *Session) Verify(ctx context.Context, tx Transaction, before *Facts, unmetBefore []string, erased bool) (Verification, error) {
	after, _, err := Collect(ctx, s.c, CollectOptions{Host: s.opt.Host, Sudo: s.opt.Sudo, Force: true, Spool: s.opt.Dir, Random: s.opt.Random, Now: s.opt.Now})
	if err != nil {
		return Verification{}, err
	}
	v := Verification{After: after}
	v.Missing, v.Unexpected = compareSets(expectedSet(tx, before, erased), after.Packages)
	v.OK = len(v.Missing) == 0 && len(v.Unexpected) == 0
	v.Unchanged = before.InstalledDigest == after.InstalledDigest
	state := ""
	if v.OK {
		state = "verified"
	}
	a, err := s.call(ctx, "verify transaction "+tx.ID, []string{"after"}, hostID(tx.ID), state)
	if err != nil {
		return v, err
	}
	v.readOutput(a.all("out"))
	v.UnmetAfter = unmetLines(a.all("unmet"))
	for _, u := range v.UnmetAfter {
		if !slices.Contains(unmetBefore, u) && !slices.Contains(v.NewUnmet, u) { // rpm says it for each time that a package requires it
			v.NewUnmet = append(v.NewUnmet, u)
		}
	}
	v.Restarted = restarted(a)
	return v, nil
}

// expectedSet counts packages by NEVRA: two of one NEVRA would be a fault that must not vanish in a map of flags.
func expectedSet(tx Transaction, before *Facts, erased bool) map[rpm.NEVRA]int {
	want := map[rpm.NEVRA]int{}
	for _, p := range before.Packages {
		want[p.NEVRA()]++
	}
	for _, n := range slices.Concat(tx.First, tx.Removes) {
		delete(want, n)
	}
	for _, f := range append(append([]File{}, tx.Upgrade...), tx.InstallOnly...) {
		want[f.NEVRA] = 1
	}
	if erased {
		for _, n := range tx.Erase {
			delete(want, n)
		}
	}
	return want
}

// compareSets uses up want; both results are in order.
func compareSets(want map[rpm.NEVRA]int, have []Package) (missing, unexpected []rpm.NEVRA) {
	for _, p := range have {
		n := p.NEVRA()
		if want[n] > 0 {
			want[n]--
		} else {
			unexpected = append(unexpected, n)
		}
	}
	for n, c := range want {
		if c > 0 {
			missing = append(missing, n)
		}
	}
	slices.SortFunc(missing, rpm.CompareNEVRA)
	slices.SortFunc(unexpected, rpm.CompareNEVRA)
	return missing, unexpected
}

// madeFile matches "warning: /etc/a created as /etc/a.rpmnew" and "… saved as …rpmsave".
var madeFile = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^warning: .* (?:created|saved) as (/.*\.rpm(?:new|save|orig))$`)
})

func (v *Verification) readOutput(lines []string) {
	for _, l := range lines {
		l = bounded(l, 2000)
		switch m := madeFile().FindStringSubmatch(l); {
		case m != nil:
			v.ConfigFiles = append(v.ConfigFiles, m[1])
		case strings.Contains(l, "scriptlet failed") && (strings.HasPrefix(l, "warning: %") || strings.HasPrefix(l, "error: %")):
			v.FailedScriptlets = append(v.FailedScriptlets, l)
		case strings.HasPrefix(l, "error: "):
			v.Errors = append(v.Errors, l)
		}
	}
}

// restarted reads `systemctl show`: services whose start lies after the beginning of the transaction. Both clocks of the host
// are read in the same call.
func restarted(a *answer) []string {
	up, err1 := strconv.ParseInt(a.get("uptime"), 10, 64)
	began, err2 := strconv.ParseInt(a.get("began"), 10, 64)
	now, err3 := strconv.ParseInt(a.get("now"), 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return nil
	}
	since := (up - (now - began)) * 1e6 // microseconds since boot
	out := []string{}
	id, active := "", false
	for _, l := range a.all("show") {
		k, v, _ := strings.Cut(l, "=")
		switch k {
		case "Id":
			id, active = bounded(v, 256), false
		case "ActiveState":
			active = v == "active"
		case "ActiveEnterTimestampMonotonic":
			if t, err := strconv.ParseInt(v, 10, 64); err == nil && t >= since && active && !strings.HasPrefix(id, "cpacman-") {
				out = append(out, id)
			}
		}
	}
	sort.Strings(out)
	return out
}
