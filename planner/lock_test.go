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
