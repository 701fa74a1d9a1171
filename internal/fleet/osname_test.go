package fleet

import (
	"testing"

	"cpacman/internal/host"
)

func TestOSName(t *testing.T) {
	for want, os := range map[string]host.OS{
		"rocky9": {ID: "rocky", VersionID: "9.4"}, "amzn2023": {ID: "amzn", VersionID: "2023"}, "fedora43": {ID: "fedora", VersionID: "43"}, "openEuler24": {ID: "openEuler", VersionID: "24.03"},
		"opensuse-leap15": {ID: "opensuse-leap", VersionID: "15.6"}, "opensuse-tumbleweed": {ID: "opensuse-tumbleweed", VersionID: "20250131"},
		"opensuse-microos": {ID: "opensuse-microos", VersionID: "20250131"}, "arch": {ID: "arch"},
	} {
		if got := OSName(os); got != want {
			t.Errorf("%+v is %q, want %q", os, got, want)
		}
	}
}
