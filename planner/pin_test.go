package planner

import (
	"testing"

	"cpacman/internal/rpm"
)

func TestPinned(t *testing.T) {
	for _, c := range []struct {
		value string
		evr   string
		want  bool
	}{
		{"2", "2-1", true},
		{"2", "1:2-1", true},
		{"0:2", "2-1", true},
		{"0:2", "1:2-1", false},
		{"0:2-1", "2-1", true},
		{"0:*", "2-1", true},
		{"1:2-1", "1:2-1", true},
		{"2-1", "2-2", false},
		{"5.*8", "5.1-8", false},
		{"5.*8", "5.1.8-3", true},
		{"*.el8", "5.1-3.el8", false},
		{"5.*-*.el8", "5.1-3.el8", true},
		{"5.[1-2]", "5.2-3", true},
		{"5.[1-2]-3", "5.2-3", true},
		{"[!2]*", "2-1", false},
		{"[!2]*", "3-1", true},
		{"x:2", "2-1", false},
		{"2-", "2-1", false},
	} {
		e, err := rpm.ParseEVR(c.evr)
		if err != nil {
			t.Fatal(err)
		}
		if got := pinned(c.value, e); got != c.want {
			t.Errorf("%q of %s: %v", c.value, c.evr, got)
		}
	}
}
