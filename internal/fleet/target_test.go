package fleet

import (
	"strings"
	"testing"

	"cpacman/internal/host"
)

func TestReadLock(t *testing.T) {
	got, err := ReadLock(strings.NewReader("# what stands\nbash-5.1-2.el9.x86_64\n\n  bind-32:9.16-1.el9.x86_64 # with epoch\ngpg-pubkey-1-2\nbash-5.1-2.el9.x86_64\n"))
	if err != nil || len(got) != 2 || got[0].String() != "bash-5.1-2.el9.x86_64" || got[1].Epoch != 32 {
		t.Errorf("ReadLock: %v, %v", got, err)
	}
	for text, want := range map[string]string{"": "names no package", "# only\n": "names no package", "bash-5.1-2.el9.x86_64\nfoo\n": "line 2"} {
		if _, err := ReadLock(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ReadLock(%q): %v, want %q", text, err, want)
		}
	}
}

// Hosts of other releases or machines are not made like a host; where facts do not tell, nobody is kept back.
func TestUnlike(t *testing.T) {
	facts := func(id, version, arch string) *host.Facts {
		return &host.Facts{OS: host.OS{ID: id, VersionID: version}, Arch: arch}
	}
	for name, c := range map[string]struct {
		model *Model
		facts *host.Facts
		want  string
	}{
		"no model":        {nil, facts("rocky", "9.4", "x86_64"), ""},
		"the same":        {&Model{Host: "m", OS: "rocky9", Arch: "x86_64"}, facts("rocky", "9.4", "x86_64"), ""},
		"another minor":   {&Model{Host: "m", OS: "rocky9", Arch: "x86_64"}, facts("rocky", "9.6", "x86_64"), ""},
		"another release": {&Model{Host: "m", OS: "rocky9", Arch: "x86_64"}, facts("rocky", "8.10", "x86_64"), "it is rocky8 on x86_64, and host m, which it is to be like, is rocky9 on x86_64"},
		"another machine": {&Model{Host: "m", OS: "rocky9", Arch: "aarch64"}, facts("rocky", "9.4", "x86_64"), "it is rocky9 on x86_64, and host m, which it is to be like, is rocky9 on aarch64"},
		"a listing":       {&Model{Host: "m", Arch: "x86_64"}, facts("rocky", "9.4", "x86_64"), ""},
	} {
		if got := c.model.unlike(c.facts); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
