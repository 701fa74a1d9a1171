package fleet

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cpacman/internal/rpm"
)

func dep(name, op, evr string) rpm.Dep {
	d := rpm.Dep{Name: name}
	if op == "" {
		return d
	}
	d.Sense = map[string]rpm.Sense{"=": rpm.Equal, ">=": rpm.Greater | rpm.Equal, "<": rpm.Less}[op]
	d.EVR, _ = rpm.ParseEVR(evr)
	return d
}

func TestCompareHeader(t *testing.T) {
	header := &rpm.Package{
		Provides:  []rpm.Dep{dep("app", "=", "2.0-1"), dep("app(x)", "", ""), dep("/bin/sh", "", "")},
		Requires:  []rpm.Dep{dep("lib", ">=", "2.0"), dep("rpmlib(PayloadIsZstd)", "<", "5.4"), dep("/usr/bin/app", "", ""), dep("/bin/sh", "", ""), dep("app(x)", "", ""), dep("libc.so.6(GLIBC_2.4)(64bit)", "", ""), dep("lib", ">=", "2.0")},
		Obsoletes: []rpm.Dep{dep("old", "<", "2.0")},
		Conflicts: []rpm.Dep{dep("other", "", "")},
		Files:     []string{"/usr/bin/app", "/usr/share/app"}, Recommends: []rpm.Dep{dep("weak", "", "")}, Vendor: "A  B",
	}
	same := func() *rpm.Package {
		return &rpm.Package{
			Vendor: "A B", Files: []string{"/usr/bin/app"}, Provides: header.Provides, Obsoletes: header.Obsoletes, Conflicts: header.Conflicts,
			Requires: []rpm.Dep{{Name: "lib", Sense: rpm.Greater | rpm.Equal, EVR: rpm.EVR{Version: "2.0"}, Pre: true}},
		}
	}
	for _, c := range []struct {
		name   string
		change func(*rpm.Package)
		want   string
	}{
		{"what createrepo_c leaves out is no difference", func(*rpm.Package) {}, ""},
		{"a requirement hidden", func(p *rpm.Package) { p.Requires = nil }, "metadata hides: requires lib >= 2.0"},
		{"a provide added", func(p *rpm.Package) { p.Provides = append(p.Provides[:3:3], dep("openssl", "=", "9-1")) }, "metadata adds: provides openssl = 9-1"},
		{"an obsolete added", func(p *rpm.Package) { p.Obsoletes = append(p.Obsoletes[:1:1], dep("openssh-server", "", "")) }, "metadata adds: obsoletes openssh-server"},
		{"a range widened", func(p *rpm.Package) { p.Obsoletes = []rpm.Dep{dep("old", "<", "9.0")} }, "metadata adds: obsoletes old < 9.0; metadata hides: obsoletes old < 2.0"},
		{"a vendor changed", func(p *rpm.Package) { p.Vendor = "" }, `metadata has the vendor "", the header "A B"`},
		{"weak dependencies as they are", func(p *rpm.Package) { p.Recommends = header.Recommends }, ""},
		{"a weak dependency added", func(p *rpm.Package) { p.Recommends = []rpm.Dep{dep("evil", "", "")} }, "metadata adds: recommends evil"},
		{"what it supplements added", func(p *rpm.Package) { p.Supplements = []rpm.Dep{dep("bash", "", "")} }, "metadata adds: supplements bash"},
		{"a file added", func(p *rpm.Package) { p.Files = []string{"/usr/bin/app", "/bin/sh"} }, "metadata adds: file /bin/sh"},
		{"a file in another encoding", func(p *rpm.Package) { p.Files = []string{"/usr/bin/\u00e4"} }, ""},
		{"a conflict hidden", func(p *rpm.Package) { p.Conflicts = nil }, "metadata hides: conflicts other"},
	} {
		p := same()
		c.change(p)
		if d := cmp.Diff(c.want, strings.Join(compareHeader(p, header), "; ")); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
	}
}

func TestMadeOlder(t *testing.T) {
	header := &rpm.Package{BuildTime: 1_700_000_000}
	for said, want := range map[int64]string{
		1_700_000_000: "", 1_700_000_001: "",
		1_699_999_999: "metadata says that it was built on 2023-11-14 22:13:19Z, the header on 2023-11-14 22:13:20Z",
	} {
		if got := strings.Join(madeOlder(&rpm.Package{BuildTime: said}, header), "; "); got != want {
			t.Errorf("%d: %q", said, got)
		}
	}
}
