package planner

import (
	"errors"
	"strings"
	"testing"

	"cpacman/internal/rpm"
)

// brokenNotices found out that it gave wrong answers.
type brokenNotices struct{ err error }

func (brokenNotices) Naming(string, func(rpm.NEVRA, *Advisory)) {}
func (brokenNotices) Retracts() bool                            { return true }
func (b brokenNotices) Err() error                              { return b.err }

// TestBrokenNotices: no result counts that came from advisories that made no sense.
func TestBrokenNotices(t *testing.T) {
	want := errors.New("damaged")
	u, err := NewUniverse(View{Notices: []Notices{brokenNotices{want}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Solve(Host{Arch: "x86_64"}, Request{}); !errors.Is(err, want) {
		t.Errorf("got %v", err)
	}
}

// TestNoticesOrder: what is looked up stands after the list of the view, and the last that takes a build back is named.
func TestNoticesOrder(t *testing.T) {
	build := rpm.NEVRA{Name: "a", EVR: rpm.EVR{Version: "1", Release: "1"}, Arch: "noarch"}
	one := func(id string) Advisory { return Advisory{ID: id, Status: "retracted", Packages: []rpm.NEVRA{build}} }
	u, err := NewUniverse(View{Advisories: []Advisory{one("A")}, Notices: []Notices{newNoticeList([]Advisory{one("B"), one("C")})}})
	if err != nil {
		t.Fatal(err)
	}
	if id, ok := u.retracted(build); id != "C" || !ok {
		t.Errorf("taken back by %q", id)
	}
	if got := u.listedBy(build); len(got) != 3 || got[0] != "A" || got[2] != "C" {
		t.Errorf("listed by %v", got)
	}
	build.Release = "2"
	if id, ok := u.retracted(build); ok {
		t.Errorf("another build is taken back by %q", id)
	}
}

// TestFixes: an update is of all advisories that it steps over, of the host's own streams.
func TestFixes(t *testing.T) {
	build := func(s string) rpm.NEVRA {
		n, err := rpm.ParseNEVRA(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	one := func(id, n string, streams ...string) Advisory {
		return Advisory{ID: id, Status: "final", Streams: streams, Packages: []rpm.NEVRA{build(n)}}
	}
	back := one("BACK", "a-2-1.noarch")
	back.Status = "retracted"
	u, err := NewUniverse(View{Advisories: []Advisory{one("OLD", "a-1-1.noarch"), one("SEC", "a-2-1.noarch"), one("BUG", "a-3-1.noarch"), one("NEXT", "a-4-1.noarch"),
		one("ARCH", "a-3-1.x86_64"), one("STREAM", "a-3-1.noarch", "a:3"), back, one("NEW", "b-1-1.noarch")}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from, to string
		modules  []string
		want     string
	}{
		{"a-1-1.noarch", "a-3-1.noarch", nil, "BUG SEC"},
		{"a-1-1.noarch", "a-3-1.noarch", []string{"a:3"}, "BUG SEC STREAM"},
		{"a-3-1.noarch", "a-3-1.noarch", nil, ""},
		{"a-3-1.noarch", "b-2-1.noarch", nil, "NEW"},
	} {
		if got := strings.Join(u.Fixes(build(c.from), build(c.to), c.modules), " "); got != c.want {
			t.Errorf("%s -> %s: %q, want %q", c.from, c.to, got, c.want)
		}
	}
}
