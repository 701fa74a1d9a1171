package planner

import (
	"errors"
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
