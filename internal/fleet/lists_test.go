package fleet

import (
	"runtime"
	"testing"

	"cpacman/internal/host"
)

// Hosts with the same packages hold one list, and it goes with the last of them.
func TestPackageLists(t *testing.T) {
	var l packageLists
	own := []host.Package{{Name: "x", InstallTime: 7}}
	first := l.share("a", own)
	if second := l.share("a", []host.Package{{Name: "x", InstallTime: 8}}); second != first {
		t.Error("two lists of one digest")
	}
	if first.packages[0].InstallTime != 0 || own[0].InstallTime != 7 {
		t.Errorf("install times: shared %d, the host's own %d", first.packages[0].InstallTime, own[0].InstallTime)
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
