package fleet

import (
	"runtime"
	"testing"

	"cpacman/internal/host"
)

// Hosts with the same packages hold one list, and it goes with the last of them.
func TestPackageLists(t *testing.T) {
	var l packageLists
	first := l.share("a", []host.Package{{Name: "x"}})
	if second := l.share("a", []host.Package{{Name: "x"}}); second != first {
		t.Error("two lists of one digest")
	}
	if other := l.share("b", []host.Package{{Name: "y"}}); other == first || other.packages[0].Name != "y" {
		t.Error("another digest got the same list")
	}
	runtime.KeepAlive(first)
	first = nil
	runtime.GC()
	if have := l.of["a"].Value(); have != nil {
		t.Error("nobody holds the list, and it is there")
	}
}
