package planner

import (
	"slices"
	"strings"
	"testing"

	"cpacman/internal/rpm"
)

const (
	freeHost = `repo base
  db-2-1.x86_64
  db-3-1.x86_64
  web-2-1.x86_64
installed
  db-1-1.x86_64
  web-1-1.x86_64
`
	partlyHost = `repo base
  db-2-1.x86_64
  db-3-1.x86_64
    requires nowhere
installed
  db-1-1.x86_64
`
	stuckHost = `repo base
  db-9-1.x86_64
    requires nowhere
installed
  db-0.5-1.x86_64
`
)

func planOf(t *testing.T, name, text string) HostPlan {
	t.Helper()
	u, c := oneCase(t, text)
	res, err := u.Solve(c.host, c.request)
	if err != nil {
		t.Fatal(err)
	}
	return HostPlan{Name: name, Universe: u, Host: c.host, Request: c.request, Result: res}
}

func TestSameEverywhere(t *testing.T) {
	rule := Rule{Action: ActionSameEverywhere, Pattern: "db*", Policy: "one-db", Owner: "dba", Reason: "replication"}
	for name, x := range map[string]struct {
		hosts   []string
		planned bool
		evr     string
	}{
		"all alike":             {[]string{freeHost, freeHost}, true, "3-1"},
		"the newest for all":    {[]string{freeHost, partlyHost}, true, "2-1"},
		"none where one cannot": {[]string{freeHost, partlyHost, stuckHost}, false, ""},
	} {
		var plans []HostPlan
		for i, h := range x.hosts {
			plans = append(plans, planOf(t, string(rune('a'+i)), h))
		}
		before := written(plans[0].Result)
		out, said, err := SameEverywhere(rule, plans)
		if err != nil {
			t.Fatal(name, err)
		}
		if len(said) != 1 || said[0].Name != "db" || said[0].Planned != x.planned || x.planned && said[0].EVR.String() != x.evr {
			t.Errorf("%s: %+v", name, said)
		}
		if !x.planned && !slices.ContainsFunc(said[0].Because, func(s string) bool { return strings.Contains(s, "c cannot go to 2-1") }) {
			t.Errorf("%s: no reason: %q", name, said[0].Because)
		}
		for i := range out {
			now, after := ends(&out[i], "db")
			want := now
			if x.planned {
				want = []rpm.EVR{said[0].EVR}
			}
			if !slices.Equal(after, want) {
				t.Errorf("%s: host %d ends at %v, not %v", name, i, after, want)
			}
		}
		if !slices.ContainsFunc(out[0].Result.Set.Upgrade, func(m Move) bool { return m.To.Name == "web" }) {
			t.Errorf("%s: the rest of the plan is lost", name)
		}
		if !slices.Equal(before, written(plans[0].Result)) {
			t.Errorf("%s: the plans that were given changed", name)
		}
	}
}

// TestSameEverywhereObeys: another policy of a host, of whatever priority, is a reason that it cannot move, and not set aside.
func TestSameEverywhereObeys(t *testing.T) {
	rule := Rule{Action: ActionSameEverywhere, Pattern: "db", Policy: "one-db"}
	for _, r := range []Rule{
		{Action: ActionHold, Pattern: "db", Policy: "other"}, {Action: ActionHold, Pattern: "d*", Policy: "other", Priority: -5},
		{Action: ActionHold, Pattern: "db", Policy: "other", Priority: 9}, {Action: ActionPin, Pattern: "db", Value: "1", Policy: "other"},
		{Action: ActionExclude, Pattern: "db-[23]*", Policy: "other"},
	} {
		free := planOf(t, "free", freeHost)
		bound := planOf(t, "bound", freeHost)
		bound.Host.Policies = []Rule{r}
		var err error
		if bound.Result, err = bound.Universe.Solve(bound.Host, bound.Request); err != nil {
			t.Fatal(err)
		}
		out, said, err := SameEverywhere(rule, []HostPlan{free, bound})
		if err != nil {
			t.Fatal(err)
		}
		if len(said) != 1 || said[0].Planned && said[0].EVR.String() != "1-1" || !slices.ContainsFunc(said[0].Because, func(s string) bool { return strings.Contains(s, "by policy other") }) {
			t.Errorf("%s of priority %d: %+v", r.Action, r.Priority, said)
		}
		for i := range out {
			if _, after := ends(&out[i], "db"); len(after) != 1 || after[0].String() != "1-1" {
				t.Errorf("%s of priority %d: %s ends at %v", r.Action, r.Priority, out[i].Name, after)
			}
		}
	}
}

func TestRollbackPossible(t *testing.T) {
	p := planOf(t, "a", freeHost)
	at := func(n rpm.NEVRA) bool { return n.Name == "web" }
	if got := RollbackPossible(p.Result.Set, at); got.Complete || len(got.Missing) != 1 || got.Missing[0].String() != "db-1-1.x86_64" {
		t.Errorf("%+v", got)
	}
	if got := RollbackPossible(p.Result.Set, func(rpm.NEVRA) bool { return true }); !got.Complete {
		t.Errorf("%+v", got)
	}
}

// TestSameEverywhereSays: whoever stays behind is told which policy keeps it where, and which host cannot follow and why; not of a pin or a hold
// that nobody wrote.
func TestSameEverywhereSays(t *testing.T) {
	rule := Rule{Action: ActionSameEverywhere, Pattern: "db", Policy: "one-db", Owner: "dba", Reason: "replication"}
	const by = "policy one-db (same_everywhere, owner dba: replication) keeps it at "
	lacks := strings.Replace(partlyHost, "  db-3-1.x86_64\n    requires nowhere\n", "", 1)
	for _, x := range []struct {
		hosts []string
		want  string // of the first
	}{
		{[]string{freeHost, partlyHost}, by + "2-1, because host b cannot go to 3-1: db-3-1.x86_64 requires nowhere, which nothing provides"},
		{[]string{freeHost, lacks}, by + "2-1, because host b cannot go to 3-1: no repository of its view has that"},
		{[]string{freeHost, stuckHost}, by + "1-1, because host b cannot go to 3-1: no repository of its view has that"},
		{[]string{partlyHost, "installed\n  db-4-1.x86_64\n", freeHost}, by + "1-1, because host b cannot go to 2-1: it has 4-1, which is newer"},
		{[]string{freeHost, "repo base\n  db-2-1.x86_64\ninstalled\n  db-3-1.x86_64\n"}, ""},
	} {
		var plans []HostPlan
		for i, h := range x.hosts {
			plans = append(plans, planOf(t, string(rune('a'+i)), h))
		}
		out, _, err := SameEverywhere(rule, plans)
		if err != nil {
			t.Fatal(err)
		}
		var got string
		for _, b := range out[0].Result.Set.Blocked {
			if b.NEVRA.Name == "db" {
				if got = b.Because; b.Rule != ActionSameEverywhere {
					t.Errorf("rule %s: %s", b.Rule, got)
				}
			}
		}
		if got != x.want {
			t.Errorf("%q\nis said, not\n%q", got, x.want)
		}
	}
}
