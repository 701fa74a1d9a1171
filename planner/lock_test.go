package planner

import (
	"testing"

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
