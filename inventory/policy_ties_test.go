package inventory

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestDisagree is the whole table of actions on one name.
func TestDisagree(t *testing.T) {
	actions := []Action{ActionHold, ActionPin, ActionExclude, ActionInstall, ActionRemove, ActionAllowDowngrade,
		ActionAllowArchChange, ActionArches, ActionInstead, ActionRelease, ActionSameEverywhere}
	// A row and a column for each of the above, with different values: x marks
	// what cannot both be followed.
	table := []string{
		".x.xx......", // hold
		"xxx.x......", // pin
		".x.x.......", // exclude
		"x.x.x......", // install
		"xx.x.......", // remove
		"...........", // allow_downgrade
		"...........", // allow_arch_change
		".......x...", // arches
		"........x..", // instead
		".........x.", // release
		"...........", // same_everywhere
	}
	for i, a := range actions {
		for j, b := range actions {
			got := disagree(&Rule{Action: a, Value: "1"}, &Rule{Action: b, Value: "2"})
			if got != (table[i][j] == 'x') {
				t.Errorf("%s and %s: %t", a, b, got)
			}
		}
		if disagree(&Rule{Action: a, Value: "1"}, &Rule{Action: a, Value: "1"}) {
			t.Errorf("%s disagrees with itself", a)
		}
	}
}

// tiedSite has policies that tie, and some that do nothing.
func tiedSite(t *testing.T) *Site {
	return mustLoad(t, map[string]string{
		MainFile: "", "inventory/hosts.toml": "[group.db]\n[host.db01]\ngroups = [\"db\"]\n[host.db02]\ngroups = [\"db\"]\n[host.web01]\n",
		"inventory/a.toml": `
[[policy]]
name = "certified"
hosts = "group=db"
priority = 5
owner = "dba"
reason = "certified"
hold = ["postgresql*", "x*"]
release = "8.6"
`,
		"inventory/b.toml": `
[[policy]]
name = "standard"
priority = 5
install = ["postgresql-libs", "x*y"]
release = "8.8"
`,
		"inventory/c.toml": "[[policy]]\nname = \"gone\"\nremove = [\"a\"]\nexpires = 2020-01-01\n" +
			"[[policy]]\nname = \"nobody\"\nhosts = \"db03 or db0[4-5]\"\nremove = [\"a\"]\n[host.db03]\n" +
			"[[policy]]\nname = \"no-match\"\nhosts = \"not group=db and group=db\"\nremove = [\"a\"]\n" +
			"[[policy]]\nname = \"self\"\nhosts = \"web01\"\ninstall = [\"a*\"]\nexclude = [\"ab\"]\n" +
			"[[policy]]\nname = \"all\"\npriority = -1\nhosts = \"web01\"\ninstall = [\"c\", \"*\"]\n",
	})
}

// TestConflictText is what an operator reads, with both places.
func TestConflictText(t *testing.T) {
	s := tiedSite(t)
	when := at(t, "2026-05-01T00:00:00Z")
	r, conflicts := s.Policies(s.Host("db01"), nil, when)
	var got []string
	for _, c := range conflicts {
		got = append(got, strings.ReplaceAll(c.Error(), s.Dir+"/inventory/", ""))
	}
	want := []string{
		`policies "certified" (a.toml:9) and "standard" (b.toml:6) disagree on the release: stay in release 8.6, and stay in release 8.8, both with priority 5; give one of them a larger priority: the larger wins`,
		`policies "certified" (a.toml:8) and "standard" (b.toml:5) disagree on "postgresql-libs": hold postgresql*, and install postgresql-libs, both with priority 5; give one of them a larger priority: the larger wins`,
		`policies "certified" (a.toml:8) and "standard" (b.toml:5) disagree on "x*y": hold x*, and install x*y, both with priority 5; give one of them a larger priority: the larger wins`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if r.Release != nil {
		t.Errorf("a release is picked: %v", r.Release)
	}
	for name, conflict := range map[string]bool{"postgresql": false, "postgresql-libs": true, "xy": true, "xz": false, "y": false} {
		d, err := r.For(name)
		var typed *PolicyConflict
		if conflict != errors.As(err, &typed) || conflict && (typed.Subject != name || decided(d) != "") {
			t.Errorf("%s: %s, %v", name, decided(d), err)
		}
	}
	// A policy that has expired ties with nobody.
	if _, conflicts := s.Policies(s.Host("db03"), nil, at(t, "2019-01-01T00:00:00Z")); len(conflicts) != 0 {
		t.Errorf("%v", conflicts)
	}
}

// TestCheckPolicies is what `inventory check` says of them.
func TestCheckPolicies(t *testing.T) {
	s := tiedSite(t)
	var got []string
	for _, p := range s.CheckPolicies(nil, at(t, "2026-05-01T00:00:00Z")) {
		got = append(got, strings.ReplaceAll(p.Error(), s.Dir+"/inventory/", ""))
	}
	const larger = "\n  hint: give one of them a larger priority: the larger wins"
	want := []string{
		`b.toml:5: policies "certified" (a.toml:8) and "standard" (b.toml:5) disagree on "postgresql-libs": hold postgresql*, and install postgresql-libs, both with priority 5, on hosts db01, db02` + larger,
		`b.toml:5: policies "certified" (a.toml:8) and "standard" (b.toml:5) disagree on "x*y": hold x*, and install x*y, both with priority 5, on hosts db01, db02` + larger,
		`b.toml:6: policies "certified" (a.toml:9) and "standard" (b.toml:6) disagree on the release: stay in release 8.6, and stay in release 8.8, both with priority 5, on hosts db01, db02` + larger,
		"c.toml:1: warning: policy \"gone\" has expired: 2020-01-01\n  hint: remove it, or give it a new date",
		"c.toml:10: warning: policy \"no-match\" applies to no host",
		`c.toml:18: policy "self" contradicts itself on "ab": install a* (c.toml:17) and exclude ab (c.toml:18), on hosts web01` + "\n  hint: leave one of them out",
		`c.toml:23: warning: policy "all" installs "*", which names no package: nothing comes in by it` + "\n  hint: write the names of the packages, or globs of them like \"agent-*\"",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// drawRules gives rules that meet often.
func drawRules(t *rapid.T, n int) []Rule {
	patterns := []string{"a", "ab", "a*", "ab*", "*b", "?b", "*", "[ab]*"}
	actions := []Action{ActionHold, ActionPin, ActionExclude, ActionInstall, ActionRemove, ActionAllowDowngrade, ActionArches, ActionSameEverywhere, ActionRelease}
	out := make([]Rule, rapid.IntRange(0, n).Draw(t, "rules"))
	for i := range out {
		r := Rule{
			Action: rapid.SampledFrom(actions).Draw(t, "action"), Pattern: rapid.SampledFrom(patterns).Draw(t, "pattern"),
			Priority: rapid.IntRange(0, 3).Draw(t, "priority"), Policy: fmt.Sprintf("p%02d", i), File: "f", Line: i + 1,
		}
		switch r.Action {
		case ActionPin, ActionArches:
			r.Value = rapid.SampledFrom([]string{"1", "2"}).Draw(t, "value")
		case ActionRelease:
			r.Value, r.Pattern = rapid.SampledFrom([]string{"8", "9"}).Draw(t, "value"), ""
		}
		out[i] = r
	}
	return out
}

// effective gives the rules that a decision follows, without those that say the
// same once more.
func effective(d Decision) []*Rule {
	var out []*Rule
	for _, r := range []*Rule{d.Hold, d.Pin, d.Exclude, d.Install, d.Remove, d.AllowDowngrade, d.AllowArchChange, d.Arches, d.Instead} {
		if r != nil {
			out = append(out, r)
		}
	}
	return append(out, d.SameEverywhere...)
}

// TestDecisions states what a decision is without saying how it is found.
func TestDecisions(t *testing.T) {
	ties := 0
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t, 8)
		resolved := NewResolved(rules)
		for _, name := range []string{"a", "ab", "abc", "bb", "c"} {
			d, err := resolved.For(name)
			if err != nil {
				ties++
				checkTie(t, rules, name, err)
				continue
			}
			checkDecision(t, rules, name, d)
		}
	})
	if ties == 0 {
		t.Error("no case had a tie")
	}
}

// checkTie: both rules are about the name, have one priority, and no rule that is
// in force above them sets one aside.
func checkTie(t *rapid.T, rules []Rule, name string, err error) {
	var c *PolicyConflict
	if !errors.As(err, &c) || c.A.Priority != c.B.Priority || !disagree(&c.A, &c.B) || !c.A.Matches(name) || !c.B.Matches(name) {
		t.Fatalf("%s: %v", name, err)
	}
	var above []Rule
	for _, r := range rules {
		if r.Priority > c.A.Priority {
			above = append(above, r)
		}
	}
	d, err := NewResolved(above).For(name)
	if err != nil {
		t.Fatalf("%s: reported below a tie: %v, %v", name, c, err)
	}
	for _, r := range effective(d) {
		if disagree(r, &c.A) || disagree(r, &c.B) {
			t.Fatalf("%s: %v, but %s is above", name, c, r)
		}
	}
}

// checkDecision: what is followed agrees; what is not followed lost to something
// larger that is; nothing that matches is forgotten.
func checkDecision(t *rapid.T, rules []Rule, name string, d Decision) {
	followed := effective(d)
	for i, a := range followed {
		if !a.Matches(name) {
			t.Fatalf("%s: %s does not match", name, a)
		}
		for _, b := range followed[:i] {
			if disagree(a, b) {
				t.Fatalf("%s: %s and %s are both followed", name, a, b)
			}
		}
	}
	lost := make(map[Rule]bool)
	for _, o := range d.Overruled {
		lost[*o.Rule] = true
		if !disagree(o.Rule, o.By) || o.By.Priority <= o.Rule.Priority {
			t.Fatalf("%s: %v is set aside by %v", name, o.Rule, o.By)
		}
	}
	for _, r := range rules {
		if r.Action == ActionRelease || !r.Matches(name) || lost[r] {
			continue
		}
		found := false
		for _, f := range followed {
			found = found || f.Action == r.Action && f.Value == r.Value && f.Priority >= r.Priority
		}
		if !found {
			t.Fatalf("%s: %v is neither followed nor set aside", name, r)
		}
	}
}

// TestTieIsAlwaysAnError: two rules of the largest priority that disagree on a
// name are an error whatever else is there, and in whatever order.
func TestTieIsAlwaysAnError(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t, 6)
		pair := drawRules(t, 6)
		for i := range pair {
			pair[i].Priority, pair[i].Policy = 100, fmt.Sprintf("top%d", i)
		}
		name := rapid.SampledFrom([]string{"a", "ab", "bb"}).Draw(t, "name")
		want := false
		for i := range pair {
			for j := range pair[:i] {
				want = want || pair[i].Matches(name) && pair[j].Matches(name) && disagree(&pair[i], &pair[j])
			}
		}
		mixed := rapid.Permutation(append(rules, pair...)).Draw(t, "order")
		if _, err := NewResolved(mixed).For(name); want && err == nil || !want && err != nil && strings.Contains(err.Error(), "priority 100") {
			t.Fatalf("%s: tie %t, error %v", name, want, err)
		}
	})
}

// TestOrderOfRules: neither the order of rules nor the place where they stand
// changes what is resolved.
func TestOrderOfRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t, 8)
		a, b := NewResolved(rules), NewResolved(rapid.Permutation(rules).Draw(t, "order"))
		if a.Key != b.Key || !cmp.Equal(a.Rules, b.Rules) || !cmp.Equal(a.conflicts(), b.conflicts()) {
			t.Fatalf("%v\n%v", a, b)
		}
		for _, name := range []string{"a", "ab", "bb"} {
			d, errA := a.For(name)
			e, errB := b.For(name)
			if !cmp.Equal(d, e) || fmt.Sprint(errA) != fmt.Sprint(errB) {
				t.Fatalf("%s: %s %v, %s %v", name, decided(d), errA, decided(e), errB)
			}
		}
		if len(rules) > 0 {
			i := rapid.IntRange(0, len(rules)-1).Draw(t, "changed")
			moved := append([]Rule(nil), rules...)
			moved[i].File, moved[i].Line = "elsewhere", 1000
			other := append([]Rule(nil), rules...)
			other[i].Priority += 10
			if NewResolved(moved).Key != a.Key || NewResolved(other).Key == a.Key {
				t.Fatal("the key follows the place, or does not follow the priority")
			}
		}
	})
}

// TestStaticConflicts: what is reported without names is true of names, and a tie
// on a name that is written out is always reported.
func TestStaticConflicts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := drawRules(t, 8)
		r := NewResolved(rules)
		conflicts := r.conflicts()
		for _, c := range conflicts {
			plain := c.Subject != "" && !strings.ContainsAny(c.Subject, "*?[")
			if _, err := r.For(c.Subject); plain && err == nil {
				t.Fatalf("%v is reported, and decided", c)
			}
		}
		for _, name := range []string{"a", "ab"} {
			written := false
			for _, rule := range rules {
				written = written || rule.Pattern == name
			}
			var c *PolicyConflict
			if _, err := r.For(name); !written || !errors.As(err, &c) {
				continue
			}
			found := false
			for _, s := range conflicts {
				found = found || s.A == c.A && s.B == c.B
			}
			if !found {
				t.Fatalf("%v is not reported: %v", c, conflicts)
			}
		}
	})
}

// TestCovers: a pattern that covers a glob matches what the glob matches.
func TestCovers(t *testing.T) {
	yes := 0
	rapid.Check(t, func(t *rapid.T) {
		glob := rapid.StringMatching(`[ab*?]{0,4}|[ab]{0,2}\[ab\]\*`)
		pattern, subject := glob.Draw(t, "pattern"), glob.Draw(t, "subject")
		if !covers(pattern, subject) {
			return
		}
		yes++
		for range 20 {
			name := rapid.StringMatching(`[ab]{0,5}`).Draw(t, "name")
			if matchGlob(subject, name) && !matchGlob(pattern, name) {
				t.Fatalf("%q covers %q, but not %q", pattern, subject, name)
			}
		}
	})
	if yes == 0 {
		t.Error("nothing was covered")
	}
}

// TestPolicyBounds: as many rules as are allowed are resolved in a moment, and no
// more are taken.
func TestPolicyBounds(t *testing.T) {
	write := func(globs int) string {
		var b strings.Builder
		b.WriteString("[host.h]\n[[policy]]\nname = \"p\"\nexclude = [")
		for i := range 20_000 {
			fmt.Fprintf(&b, "\"n%d\",", i)
		}
		for i := range globs {
			fmt.Fprintf(&b, "\"g%d*\",", i)
		}
		b.WriteString("]\n")
		return writeSite(t, map[string]string{MainFile: "", "inventory/x.toml": b.String()})
	}
	s, err := testLoader().Load(write(maxGlobRules))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	r, conflicts := s.Policies(s.Host("h"), nil, start)
	took := time.Since(start)
	if len(r.Rules) != 20_000+maxGlobRules || len(conflicts) > 0 || took > 20*time.Second {
		t.Errorf("%d rules, %d conflicts in %v", len(r.Rules), len(conflicts), took)
	}
	t.Logf("%d rules in %v", len(r.Rules), took)
	ps := problemsWith(t, testLoader(), write(maxGlobRules+1))
	if len(ps) != 1 || ps[0].Line != 2 || !strings.Contains(ps[0].Message, "more than 5000 with a glob") {
		t.Errorf("%v", ps)
	}
}

// TestFilesNeverMatter: policies, groups and hosts in any files and any order
// give the same rules, conflicts and listing.
func TestFilesNeverMatter(t *testing.T) {
	site := policySite(t)
	tie := "[[policy]]\nname = \"tie\"\npriority = 10\nremove = [\"postgresql\"]\n"
	var tables []string
	for _, name := range []string{"inventory/hosts.toml", "inventory/policies.toml", "inventory/more/facts.toml"} {
		for _, table := range strings.Split(strings.ReplaceAll(site[name], "\n[", "\x00["), "\x00") {
			tables = append(tables, strings.TrimSpace(table)+"\n")
		}
	}
	tables = append(tables, tie)
	render := func(s *Site) string {
		var b strings.Builder
		when := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
		for _, h := range s.Hosts {
			r, conflicts := s.Policies(h, eightSix, when)
			fmt.Fprintln(&b, h.Name, h.Groups, r.Key)
			for _, c := range conflicts {
				fmt.Fprintln(&b, c.Subject, c.A.Policy, c.A, c.B.Policy, c.B)
			}
			for _, name := range []string{"postgresql", "postgresql15", "openssl", "foo"} {
				d, err := r.For(name)
				fmt.Fprintln(&b, decided(d), err != nil)
			}
		}
		for _, e := range s.PolicyList(eightSix, when) {
			fmt.Fprintln(&b, e.Name, e.Hosts, len(e.Rules))
		}
		return b.String()
	}
	load := func(order []string) *Site {
		files := map[string]string{MainFile: site[MainFile]}
		for i, table := range order {
			files[fmt.Sprintf("inventory/%d.toml", (i*7)%4)] += table
		}
		return mustLoad(t, files)
	}
	want := render(load(tables))
	if !strings.Contains(want, "postgresql hold-db-engine hold postgresql* tie remove postgresql") {
		t.Fatalf("no tie in\n%s", want)
	}
	rapid.Check(t, func(rt *rapid.T) {
		if diff := cmp.Diff(want, render(load(rapid.Permutation(tables).Draw(rt, "order")))); diff != "" {
			rt.Fatal(diff)
		}
	})
}
