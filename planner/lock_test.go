package planner

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"cpacman/internal/rpm"
)

// lockOps are the comparisons of locks as cases write them.
var lockOps = map[string]rpm.Sense{ //nolint:gochecknoglobals // a constant table
	"=": rpm.Equal, "!=": rpm.Less | rpm.Greater, "<": rpm.Less, "<=": rpm.Less | rpm.Equal, ">": rpm.Greater, ">=": rpm.Greater | rpm.Equal,
}

// What dnf 5.4 was seen to do with a condition on the versions 1-1 to 4-1 (versionlock.toml), and zypper's ranges, which are those of dependencies.
func TestLockCondition(t *testing.T) {
	for _, c := range []struct {
		key, op, value, build string
		want                  bool
	}{
		{LockEVR, "=", "2-1", "foo-2-1.noarch", true},
		{LockEVR, "=", "2", "foo-2-1.noarch", false},
		{LockEVR, "=", "2*", "foo-2-1.noarch", false},
		{LockEVR, "<", "3", "foo-2-1.noarch", true},
		{LockEVR, "<", "3", "foo-3-1.noarch", false},
		{LockEVR, "<=", "3", "foo-3-1.noarch", false},
		{LockEVR, ">", "3", "foo-3-1.noarch", true},
		{LockEVR, "!=", "0:4-1", "foo-4-1.noarch", false},
		{LockEVR, "!=", "0:4-1", "foo-3-1.noarch", true},
		{LockEVR, ">=", "3:570", "foo-3:570.1-1.noarch", true},
		{LockEVR, ">=", "3:570", "foo-580-1.noarch", false},
		{LockEVR, "=", "a:1", "foo-1-1.noarch", false},
		{LockEdition, "=", "2", "foo-2-1.noarch", true},
		{LockEdition, "!=", "2", "foo-2-1.noarch", false},
		{LockEdition, "!=", "2", "foo-3-1.noarch", true},
		{LockEdition, "<=", "3", "foo-3-1.noarch", true},
		{LockEdition, "<", "3", "foo-3-1.noarch", false},
		{LockEdition, "<", "0:3-2", "foo-3-1.noarch", true},
		{LockEpoch, "=", "0", "foo-2-1.noarch", true},
		{LockEpoch, ">", "1", "foo-2:2-1.noarch", true},
		{LockEpoch, "=", "x", "foo-2-1.noarch", false},
		{LockArch, "=", "x86_64", "foo-2-1.noarch", false},
		{LockArch, "!=", "x86_64", "foo-2-1.noarch", true},
		{LockBuild, "=", "foo-0:2-1.*", "foo-2-1.noarch", true},
		{LockBuild, "=", "foo-2*", "foo-2-1.noarch", true},
		{LockBuild, "=", "foo-3*", "foo-2-1.noarch", false},
		{"colour", "=", "red", "foo-2-1.noarch", false},
	} {
		w := LockCondition{c.key, lockOps[c.op], c.value}
		if got := w.holds(mustNEVRA(t, c.build)); got != c.want {
			t.Errorf("%s %s %s of %s: %v", c.key, c.op, c.value, c.build, got)
		}
	}
}

// What an untrusted host may have of locks and excludes (the bounds of its facts) does not keep the control host busy: a name is looked up, not searched for.
func TestManyLocks(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	const names, rules = 500, 50_000
	var b strings.Builder
	b.WriteString("repo base\n")
	for i := range names {
		fmt.Fprintf(&b, "  foo%d-2-1.x86_64\n", i)
	}
	b.WriteString("installed\n")
	for i := range names {
		fmt.Fprintf(&b, "  foo%d-1-1.x86_64\n", i)
	}
	u, c := oneCase(t, b.String())
	for i := range rules {
		c.host.Locks = append(c.host.Locks, Lock{Names: fmt.Sprintf("bar%d", i), Not: true, Stay: true, Text: "a lock"})
		c.host.Exclude = append(c.host.Exclude, fmt.Sprintf("bar%d-1*", i))
	}
	for range 200 {
		c.host.Locks = append(c.host.Locks, Lock{Names: "(?i)x.*y.*z", Regexp: true, Not: true}, Lock{Names: "*x*y*z", Not: true})
		c.host.Exclude = append(c.host.Exclude, "*x*y*z*")
	}
	c.host.Locks = append(c.host.Locks, Lock{Names: "foo7", Not: true, Stay: true, Text: "the lock"})
	start := time.Now()
	res, err := u.Solve(c.host, c.request)
	if err != nil || len(res.Set.Upgrade) != names-1 {
		t.Fatalf("%d upgrades: %v", len(res.Set.Upgrade), err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("%s for %d locks and excludes", took, rules)
	}
}

// A lock, an exclude or a protected name that a host got after its set was computed is found in the set; those of before cannot be broken by it.
func TestForbids(t *testing.T) {
	set := Set{
		Upgrade: []Move{{From: mustNEVRA(t, "foo-1-1.noarch"), To: mustNEVRA(t, "foo-2-1.noarch")}},
		Install: []Install{{NEVRA: mustNEVRA(t, "new-1-1.noarch")}},
		Remove:  []Remove{{NEVRA: mustNEVRA(t, "old-1-1.noarch"), Rule: ruleObsoleted}, {NEVRA: mustNEVRA(t, "kernel-1-1.noarch"), Rule: ruleKeepN}},

		Downgrade: []Move{{From: mustNEVRA(t, "two-2-1.noarch"), To: mustNEVRA(t, "two-1-1.noarch"), Again: true}},
	}
	build := func(s string) []LockCondition { return []LockCondition{{LockBuild, rpm.Equal, s}} }
	for name, c := range map[string]struct {
		host Host
		ask  Filter
		kind PlanType
		want string
	}{
		"nothing":            {},
		"others":             {host: Host{Exclude: []string{"bar*"}, Locks: []Lock{{Names: "bar", Not: true, Stay: true}}, Protected: []string{"foo", "kernel"}}},
		"a name":             {host: Host{Locks: []Lock{{Names: "foo", Not: true, Stay: true, Text: "a lock"}}}, want: "foo-1-1.noarch would be replaced: a lock"},
		"another build":      {host: Host{Locks: []Lock{{Names: "foo", When: build("foo-1*"), Text: "a lock"}}}, want: "foo-2-1.noarch would come in: a lock"},
		"that build":         {host: Host{Locks: []Lock{{Names: "foo", When: build("foo-2*"), Text: "a lock"}}}},
		"not that build":     {host: Host{Locks: []Lock{{Names: "new", Not: true, When: build("new-1*"), Text: "a lock"}}}, want: "new-1-1.noarch would come in: a lock"},
		"a build that goes":  {host: Host{Locks: []Lock{{Names: "old", When: build("old-1*"), Text: "a lock"}}}, want: "old-1-1.noarch would leave: a lock"},
		"a protected name":   {host: Host{Protected: []string{"o*"}}, want: "old-1-1.noarch would leave, and the host protects it"},
		"one of two":         {host: Host{Locks: []Lock{{Names: "two", When: build("two-1*"), Text: "a lock"}}, Protected: []string{"two"}, Exclude: []string{"two"}}},
		"the other of two":   {host: Host{Locks: []Lock{{Names: "two", When: build("two-2*"), Text: "a lock"}}}, want: "two-2-1.noarch would leave: a lock"},
		"both of two":        {host: Host{Locks: []Lock{{Names: "two", Not: true, Stay: true, Text: "a lock"}}}, want: "two-2-1.noarch would be replaced: a lock"},
		"an exclude":         {host: Host{Exclude: []string{"n*"}, ExcludeFrom: []string{"dnf.conf"}}, want: "new-1-1.noarch would come in: excluded by dnf.conf: n*"},
		"overridden":         {host: Host{Exclude: []string{"n*"}}, ask: Filter{OverrideHolds: []string{"new"}}},
		"a rollback goes on": {host: Host{Exclude: []string{"*"}}, kind: TypeRollback},
	} {
		if got := Forbids(&c.host, c.kind, &c.ask, &set); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
