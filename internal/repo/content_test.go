package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cpacman/internal/rpm"
)

func TestAdvisories(t *testing.T) {
	r := open(t, fullRepo(t), Options{})
	got, err := r.Advisories()
	if err != nil {
		t.Fatal(err)
	}
	want := []Advisory{{
		ID: "A-1", Type: "security", Severity: "important", Status: "final", Title: "newer", Release: "R",
		Issued:  time.Date(2012, 2, 17, 0, 0, 0, 0, time.UTC),
		Updated: time.Date(2014, 1, 1, 0, 0, 0, 0, time.UTC),
		CVEs:    []string{"CVE-2012-1", "CVE-2012-2"},
		References: []Reference{{"cve", "CVE-2012-2", "h", "t"}, {"cve", "CVE-2012-1", "", ""},
			{"bugzilla", "7", "b", "CVE-2000-1"}},
		Packages: []AdvisoryPackage{
			{NEVRA: rpm.NEVRA{Name: "bar", EVR: rpm.EVR{Epoch: 2, Version: "1", Release: "1"}, Arch: "noarch"}, EpochKnown: true},
			// The epoch is the repository's: the notice says none.
			{NEVRA: rpm.NEVRA{Name: "foo", EVR: rpm.EVR{Epoch: 1, Version: "1.2", Release: "3.el9"}, Arch: "x86_64"}, Filename: "foo.rpm",
				EpochKnown: true, Modules: []AdvisoryModule{{"perl", "5.30", "820200101", "00000000", "x86_64"}}},
			{NEVRA: rpm.NEVRA{Name: "gone", EVR: rpm.EVR{Version: "1", Release: "1"}, Arch: "noarch"},
				EpochKnown: true, Modules: []AdvisoryModule{{"perl", "5.30", "820200101", "00000000", "x86_64"}}},
		},
		RebootSuggested: true,
	}, {ID: "A-2", Type: "bugfix", Status: "retracted", Updated: time.Unix(1356998400, 0).UTC()}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if !got[1].Retracted() || got[0].Retracted() {
		t.Error("retracted")
	}
	var words []string
	for _, p := range r.noticeIndex.problems {
		words = append(words, p.What)
	}
	all := strings.Join(words, "\n")
	for _, w := range []string{`"15mangled" is not understood`, "release or arch is missing", "no usable id"} {
		if !strings.Contains(all, w) {
			t.Errorf("nothing said of %q in\n%s", w, all)
		}
	}
}

// TestAdvisoryWords: what distributions write of one thing is one word here.
func TestAdvisoryWords(t *testing.T) {
	notice := func(body string) *Advisory {
		t.Helper()
		var got *Advisory
		give := func(u *xmlUpdate) { got, _ = u.advisory(&epochBook{}) }
		if err := readUpdateinfo(strings.NewReader(`<updates><update type="security"><id>A</id>`+body+`</update></updates>`), give); err != nil {
			t.Fatal(err)
		}
		return got
	}
	for in, want := range map[string]string{"medium": "moderate", " High\n": "important", "Urgent": "critical", "SEVERITY_MODERATE": "moderate", "Moderate": "moderate", "None": "none", "": ""} {
		if a := notice("<severity>" + in + "</severity>"); a.Severity != want {
			t.Errorf("severity %q is %q, want %q", in, a.Severity, want)
		}
	}
	bug := func(title string) string { return `<reference type="bugzilla" id="1" title="` + title + `"/>` }
	for in, want := range map[string]string{
		bug("CVE-2024-34397 glib2: x [fedora-40]") + bug("CVE-2024-34397 cve-2023-1234567: y"): "CVE-2023-1234567 CVE-2024-34397",
		bug("CVE-2024-1111 x") + `<reference type="cve" id="CVE-2024-2222"/>`:                  "CVE-2024-2222",
		bug("CVE-2024 CVE-2024-12 CVE-20244-1234 CVE-2024-x CVE-"):                             "",
		bug("CVE-2024-1111,CVE-2024-2222"):                                                     "CVE-2024-1111 CVE-2024-2222",
	} {
		if a := notice("<references>" + in + "</references>"); strings.Join(a.CVEs, " ") != want {
			t.Errorf("%s: %v, want %s", in, a.CVEs, want)
		}
	}
	if a := notice("<title>foo: fixes CVE-2024-1111</title>"); strings.Join(a.CVEs, " ") != "CVE-2024-1111" {
		t.Error(a.CVEs)
	}
	for _, in := range []string{
		"2023-01-02 03:04:05", "2023-01-02 03:04:05 UTC", "2023-01-02 03:04:05.000100", "2023-01-02T03:04:05Z", "2023-01-02T05:04:05+02:00",
		"2023-01-02 03:04:05+00:00", "2023-01-02 03:04:05 +0000", "2023-01-02T03:04:05+0000", "1672628645",
	} {
		a := notice(`<issued date="` + in + `"/>`)
		if got := a.Issued.Truncate(time.Second); !got.Equal(time.Date(2023, 1, 2, 3, 4, 5, 0, time.UTC)) {
			t.Errorf("date %q is %v", in, got)
		}
	}
}

// TestAdvisoryEpochs: where a notice says no epoch and the repository has several builds that differ in nothing else, the last one in the package
// list tells. A build that it has no more has the epoch of the others, if they have one.
func TestAdvisoryEpochs(t *testing.T) {
	with := func(epoch string) string { return packageXML("foo", `epoch="1"`, `epoch="`+epoch+`"`) }
	notice := `<updates><update type="bugfix"><id>A</id><pkglist><collection><package name="foo" version="1.2" release="3.el9" arch="x86_64"/>` +
		`<package name="foo" version="1.2" release="4.el9" arch="x86_64"/></collection></pkglist></update></updates>`
	for _, c := range []struct {
		order []string
		want  uint32
		rest  bool // the build that is not there has that epoch too
	}{{[]string{with("0"), with("7")}, 7, false}, {[]string{with("7"), with("0")}, 0, false}, {[]string{with("7")}, 7, true}} {
		dir := madeRepo(t, metaFile{kind: "primary", content: primaryXML(c.order...)}, metaFile{kind: "updateinfo", content: notice})
		list, err := open(t, dir, Options{}).Advisories()
		if err != nil || len(list) != 1 || len(list[0].Packages) != 2 {
			t.Fatal(list, err)
		}
		rest := uint32(0)
		if c.rest {
			rest = c.want
		}
		if p := list[0].Packages; !p[0].EpochKnown || p[0].Epoch != c.want || p[1].EpochKnown != c.rest || p[1].Epoch != rest {
			t.Errorf("want epoch %d: %+v", c.want, p)
		}
	}
}

// TestNoAdvisories: no updateinfo is no data, and a missing one is an error; neither is an empty answer that looks clean.
func TestNoAdvisories(t *testing.T) {
	primary := metaFile{kind: "primary", content: primaryXML(packageXML("foo"))}
	r := open(t, madeRepo(t, primary), Options{})
	if list, err := r.Advisories(); r.HasAdvisories() || err != nil || list != nil {
		t.Error(r.HasAdvisories(), list, err)
	}
	r = open(t, madeRepo(t, primary, metaFile{kind: "updateinfo", content: updateinfoXML, absent: true}), Options{})
	_, err := r.Advisories()
	wantDamage(t, err, "repodata/updateinfo", "missing")
	if !r.HasAdvisories() || len(r.Problems()) != 2 { // the other: it names no file lists
		t.Error(r.HasAdvisories(), r.Problems())
	}
	r = open(t, madeRepo(t, primary, metaFile{kind: "updateinfo", content: updateinfoXML[:500]}), Options{})
	_, err = r.Advisories()
	wantDamage(t, err, "repodata/updateinfo", "the XML ends in the middle")
	// Several updateinfo files are one list.
	r = open(t, madeRepo(t, primary,
		metaFile{kind: "updateinfo", href: "repodata/u1", content: `<updates><update type="security"><id>B</id></update></updates>`},
		metaFile{kind: "updateinfo", href: "repodata/u2", content: `<updates><update type="security"><id>C</id></update></updates>`}), Options{})
	if list, err := r.Advisories(); err != nil || len(list) != 2 {
		t.Error(list, err)
	}
}

func TestFiles(t *testing.T) {
	r := open(t, fullRepo(t), Options{})
	for path, want := range map[string]string{
		"/usr/share/x": "foo bar", "/x": "bar", "/usr/share": "foo", "/usr/share/": "", "/usr/share/doc/foo & co": "foo", "/nothing": "", "usr": "", "": "",
	} {
		got, err := r.ProvidersOf(path)
		var names []string
		for _, p := range got {
			names = append(names, p.Name)
		}
		if err != nil || strings.Join(names, " ") != want {
			t.Errorf("ProvidersOf(%q) = %v, %v; want %q", path, names, err, want)
		}
	}
	if _, err := r.FilesOf(&Package{Package: &rpm.Package{}}); err == nil {
		t.Error("files of a package of another repository")
	}
}

// TestNoFilelists: a repository without the file lists that it names opens; what the package list carries is answered, the rest is an error.
func TestNoFilelists(t *testing.T) {
	primary := metaFile{kind: "primary", content: primaryXML(packageXML("foo"))}
	for name, files := range map[string][]metaFile{
		"named and missing": {primary, {kind: "filelists", content: "x", absent: true}},
		"named and damaged": {primary, {kind: "filelists", content: "x"}},
		"only zchunk":       {primary, {kind: "filelists_zck", content: "\x00ZCK1"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := open(t, madeRepo(t, files...), Options{})
			for _, path := range []string{"/usr/bin/foo", "/etc/foo"} {
				if got, err := r.ProvidersOf(path); err != nil || len(got) != 1 {
					t.Errorf("%s: %v, %v", path, got, err)
				}
			}
			if _, err := r.ProvidersOf("/usr/share/x"); err == nil {
				t.Error("answered without file lists")
			}
			if _, err := r.FilesOf(r.Packages()[0]); err == nil {
				t.Error("a part given as the whole list")
			}
			var d *Damage
			if err := r.LoadFiles(context.Background()); !errors.As(err, &d) {
				t.Errorf("error %v", err)
			}
		})
	}
	// A package that the file lists do not know is not a package without files.
	r := open(t, madeRepo(t, primary, metaFile{kind: "filelists", content: filelistsXML(nil)}), Options{})
	_, err := r.FilesOf(r.Packages()[0])
	wantDamage(t, err, "repodata/filelists", "lack package foo-1:1.2-3.el9.x86_64")
}

// TestFilelistsNotNamed: a repository may have no file lists. Nobody carries a path beyond its package list then, which is told when it is opened and when
// it is checked; no list of files is called complete for that.
func TestFilelistsNotNamed(t *testing.T) {
	beyond := packageXML("bar", "/etc/bar", "/usr/share/bar")
	dir := madeRepo(t, metaFile{kind: "primary", content: primaryXML(packageXML("foo"), beyond)})
	r := open(t, dir, Options{})
	for path, want := range map[string]int{"/usr/bin/foo": 1, "/usr/share/bar": 1, "/usr/share/x": 0} {
		got, err := r.ProvidersOf(path)
		places, err2 := r.Lookup().Carriers(path)
		if err != nil || err2 != nil || len(got) != want || len(places) != want {
			t.Errorf("%s: %v, %v; %v, %v", path, got, err, places, err2)
		}
	}
	_, err := r.FilesOf(r.Packages()[0])
	wantDamage(t, err, repomdPath, "names no file lists")
	checked, err := Check(context.Background(), Config{"test", dir}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, list := range [][]Problem{r.Problems(), checked} { // it warns, and is no fault
		if !slices.Contains(list, Problem{Repo: "test", File: repomdPath, What: noFileLists, Note: i == 1}) {
			t.Errorf("nothing said of it: %v", list)
		}
	}
	if r := open(t, madeRepo(t, metaFile{kind: "primary", content: primaryXML()}), Options{}); len(r.Problems()) > 0 {
		t.Errorf("a repository without packages: %v", r.Problems())
	}
}

// TestThinPackageList: makers of repositories that list no configuration, or no files at all, in the package list have them in the file lists. Where the
// package list has some of a kind, it has all.
func TestThinPackageList(t *testing.T) {
	for name, c := range map[string]struct {
		listed []string
		want   map[string]int
	}{
		"nothing":       {nil, map[string]int{"/etc/foo.conf": 1, "/usr/bin/foo": 1, "/usr/share/foo": 1, "/etc/none": 0}},
		"programs only": {[]string{"/usr/bin/other"}, map[string]int{"/etc/foo.conf": 1, "/usr/bin/foo": 0, "/usr/bin/other": 1, "/usr/share/foo": 1}},
		"some of each":  {[]string{"/usr/bin/other", "/etc/other"}, map[string]int{"/etc/foo.conf": 0, "/usr/bin/foo": 0, "/etc/other": 1, "/usr/share/foo": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			files := append([]string{"/etc/foo.conf", "/usr/bin/foo", "/usr/share/foo"}, c.listed...)
			elements := ""
			for _, f := range c.listed {
				elements += "<file>" + f + "</file>\n"
			}
			pkg := packageXML("foo", "<file>/usr/bin/foo</file>", elements, `<file type="dir">/etc/foo</file>`, "")
			dir := madeRepo(t, metaFile{kind: "primary", content: primaryXML(pkg)},
				metaFile{kind: "filelists", content: filelistsXML(map[string][]string{"foo": files}, "foo")})
			r := open(t, dir, Options{})
			for path, want := range c.want {
				got, err := r.ProvidersOf(path)
				places, err2 := r.Lookup().Carriers(path)
				if err != nil || err2 != nil || len(got) != want || len(places) != want {
					t.Errorf("%s: %v, %v; %v, %v", path, got, err, places, err2)
				}
			}
		})
	}
}

func TestInPrimary(t *testing.T) {
	for path, want := range map[string]bool{
		"/usr/bin/x": true, "/sbin/x": true, "/opt/bin/deep/x": true, "/etc/x": true, "/usr/lib/sendmail": true,
		"/usr/lib/sendmail2": false, "/etc": false, "/usr/share/etc/x": false, "/bin": false,
	} {
		if InPrimary(path) != want {
			t.Errorf("InPrimary(%q) = %v", path, !want)
		}
	}
}

// TestRepeated: a package listed twice is one package; two packages of one name are the first, and a problem.
func TestRepeated(t *testing.T) {
	foo := packageXML("foo")
	other := packageXML("foo", hexSum([]byte("foo")), hexSum([]byte("other")), "Packages/foo", "Packages/other/foo")
	source := packageXML("foo", "<arch>x86_64", "<arch>src")
	delta := packageXML("foo", `type="rpm"`, `type="drpm"`)
	r := open(t, madeRepo(t, metaFile{kind: "primary", content: primaryXML(foo, foo, other, source, delta)}), Options{})
	if len(r.Packages()) != 1 || r.Packages()[0].Location != "Packages/foo-1.2-3.el9.x86_64.rpm" {
		t.Fatalf("packages %v", r.Packages())
	}
	var words []string
	for _, p := range r.Problems() {
		words = append(words, p.String())
	}
	all := strings.Join(words, "\n")
	for _, w := range []string{"two different packages have this name", "1 source packages", `a package of type "drpm" is ignored`} {
		if !strings.Contains(all, w) {
			t.Errorf("nothing said of %q in\n%s", w, all)
		}
	}
}

// TestElsewhere: xml:base says that packages are on a server. They can be here all the same; if not, the error says it.
func TestElsewhere(t *testing.T) {
	elsewhere := func(s string) string {
		return strings.Replace(s, "<location ", `<location xml:base="http://mirror/x" `, 1)
	}
	dir := madeRepo(t, metaFile{kind: "primary", content: primaryXML(elsewhere(packageXML("foo"))), change: elsewhere})
	r := open(t, dir, Options{})
	p := r.Packages()[0]
	_, err := r.FilePath(p)
	wantDamage(t, err, p.Location, "http://mirror/x")
	if !errors.Is(err, ErrNotLocal) || !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	write(t, filepath.Join(dir, p.Location), make([]byte, 100))
	if path, err := r.FilePath(p); err != nil || path != filepath.Join(r.Path(), p.Location) {
		t.Error(path, err)
	}
}

// TestURLs: metadata may give a whole URL for a package; the file is looked for under its name.
func TestURLs(t *testing.T) {
	for href, base := range map[string]string{"https://mirror/x/y/foo.rpm": "https://mirror/x/y/", "HTTPS://mirror/foo.rpm?token=a/b#c": "HTTPS://mirror/", "file:/srv/foo.rpm": "file:/srv/"} {
		dir := madeRepo(t, metaFile{kind: "primary", content: primaryXML(packageXML("foo", "Packages/foo-1.2-3.el9.x86_64.rpm", href), packageXML("bar"))})
		r := open(t, dir, Options{})
		p := r.Packages()[0]
		if p.Location != "foo.rpm" || p.Base != base {
			t.Errorf("%s: %q, %q", href, p.Location, p.Base)
		}
		_, err := r.FilePath(p)
		wantDamage(t, err, p.Location, fmt.Sprintf("the metadata has it at %q", base))
		if !errors.Is(err, ErrNotLocal) {
			t.Error(err)
		}
	}
}

// TestAmazonStore: metadata of Amazon Linux say that packages are in a store outside of the repository; its reposync puts them inside.
func TestAmazonStore(t *testing.T) {
	store := "../../../../blobstore/" + strings.Repeat("0aB1", 16) + "/"
	dir := madeRepo(t, metaFile{kind: "primary", content: primaryXML(packageXML("foo", `href="Packages/`, `href="`+store))})
	r := open(t, dir, Options{})
	p := r.Packages()[0]
	if p.Location != "foo-1.2-3.el9.x86_64.rpm" {
		t.Error(p.Location)
	}
	_, err := r.FilePath(p)
	wantDamage(t, err, p.Location, "the metadata has it at \""+store)
	write(t, filepath.Join(dir, p.Location), make([]byte, 100))
	if path, err := r.FilePath(p); err != nil || path != filepath.Join(r.Path(), p.Location) {
		t.Error(path, err)
	}
	for _, href := range []string{store + "../x/", "../blobstore/1234/", "../pool/", strings.TrimPrefix(store, "../../../../") + "../../../"} {
		dir := madeRepo(t, metaFile{kind: "primary", content: primaryXML(packageXML("foo", `href="Packages/`, `href="`+href))})
		_, err := Open(t.Context(), Config{ID: "t", Path: dir}, Options{})
		wantDamage(t, err, "repodata/primary", "leaves the repository")
	}
}

// TestSizeNotSaid: who does not know a size leaves it out, or empty, or writes 0. The checksum says what the file is.
func TestSizeNotSaid(t *testing.T) {
	for _, size := range []string{"", `<size package="" installed="" archive=""/>`, `<size package="0" installed="0" archive="0"/>`} {
		content := primaryXML(packageXML("foo", `<size package="100" installed="200" archive="300"/>`, size))
		dir := madeRepo(t, metaFile{kind: "primary", content: content, compress: "gz", change: func(s string) string {
			s, _, _ = strings.Cut(s, "<size>")
			return s + "<size>0</size><open-size>0</open-size></data>"
		}})
		r := open(t, dir, Options{})
		p := r.Packages()[0]
		if p.Size != -1 {
			t.Errorf("%s: size %d", size, p.Size)
		}
		write(t, filepath.Join(dir, p.Location), []byte("foo"))
		if _, err := r.VerifyPackage(t.Context(), p); err != nil {
			t.Errorf("%s: %v", size, err)
		}
	}
}

// TestZchunkBeside: the other form is read, and zchunk is no fault.
func TestZchunkBeside(t *testing.T) {
	dir := madeRepo(t, metaFile{kind: "primary_zck", content: "\x00ZCK1 something"}, metaFile{kind: "primary", compress: "gz", content: primaryXML(packageXML("foo"))})
	if n := len(open(t, dir, Options{}).Packages()); n != 1 {
		t.Error(n)
	}
	problems, err := Check(context.Background(), Config{"test", dir}, Options{})
	if err != nil || slices.ContainsFunc(problems, func(p Problem) bool { return strings.Contains(p.File, "primary") }) {
		t.Error(problems, err)
	}
}

// TestTwoLists: of two different package lists one is read, and that is told, also when it comes from the cache.
func TestTwoLists(t *testing.T) {
	list := func(href string, packages ...string) metaFile {
		return metaFile{kind: "primary", href: href, content: primaryXML(packages...)}
	}
	const want = "names several files of type primary: repodata/a is read, repodata/b is not"
	for _, other := range []metaFile{list("repodata/b", packageXML("bar")), list("repodata/b", packageXML("foo"))} {
		dir, opt := madeRepo(t, list("repodata/a", packageXML("foo")), other), Options{CacheDir: t.TempDir()}
		for range 2 {
			r := open(t, dir, opt)
			told := slices.ContainsFunc(r.Problems(), func(p Problem) bool { return p.What == want && !p.Note })
			if r.Packages()[0].Name != "foo" || told != strings.Contains(other.content, "bar") {
				t.Error(r.Packages(), r.Problems())
			}
		}
	}
}

// TestMoved: a repository stays on the directory it was opened at, however the link to it moves.
func TestMoved(t *testing.T) {
	a, b := rpmDir(t), t.TempDir()
	link := filepath.Join(t.TempDir(), "tier")
	if err := os.Symlink(a, link); err != nil {
		t.Fatal(err)
	}
	r := open(t, link, Options{})
	if err := errors.Join(os.Remove(link), os.Symlink(b, link)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.VerifyPackage(context.Background(), r.Packages()[0]); err != nil {
		t.Error(err)
	}
}

// TestCheckCollects finds several faults in one run.
func TestCheckCollects(t *testing.T) {
	dir := madeRepo(t,
		metaFile{kind: "primary", content: primaryXML(packageXML("foo"), packageXML("bar"))},
		metaFile{kind: "filelists", content: filelistsXML(nil, "foo")},
		metaFile{kind: "other", content: "x", absent: true},
		metaFile{kind: "group", content: "x", spoil: func([]byte) []byte { return []byte("y") }},
		metaFile{kind: "updateinfo", content: updateinfoXML},
		metaFile{kind: "modules", content: modulesYAML})
	write(t, filepath.Join(dir, "Packages/foo-1.2-3.el9.x86_64.rpm"), make([]byte, 99))
	problems, err := Check(context.Background(), Config{"test", dir}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, p := range problems {
		words = append(words, p.String())
	}
	all := strings.Join(words, "\n")
	for _, w := range []string{
		"repodata/other: missing", "repodata/group: checksum mismatch", "bar-1:1.2-3.el9.x86_64: the file lists lack this package",
		"foo-1.2-3.el9.x86_64.rpm: foo-1:1.2-3.el9.x86_64: truncated: 99 bytes, the metadata says 100",
		"bar-1.2-3.el9.x86_64.rpm: bar-1:1.2-3.el9.x86_64: package missing",
		`advisory "A-1" names this package`, `module "perl:5.30" names this package`,
	} {
		if !strings.Contains(all, w) {
			t.Errorf("nothing said of %q in\n%s", w, all)
		}
	}
	if n := strings.Count(all, "repodata/other"); n != 1 {
		t.Errorf("said %d times:\n%s", n, all)
	}
}

// TestConcurrent uses one repository from several goroutines; the race detector judges.
func TestConcurrent(t *testing.T) {
	r := open(t, fullRepo(t), Options{CacheDir: t.TempDir()})
	done := make(chan error)
	for range 4 {
		go func() {
			_, err1 := r.Advisories()
			_, _, err2 := r.Modules()
			_, err3 := r.ProvidersOf("/usr/share/x")
			_, err4 := r.FilesOf(r.Packages()[0])
			done <- errors.Join(err1, err2, err3, err4)
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func FuzzUpdateinfo(f *testing.F) {
	f.Add(updateinfoXML, 200)
	f.Add(strings.Replace(updateinfoXML, "</title>", "<b>x</b>y</title>", 1), 4000)
	f.Add(strings.ReplaceAll(updateinfoXML, "<pkglist>", "<pkglist><pkglist/><update></update>"), 300)
	f.Add(`<updates><update type="a" x:type="b"><id>1</id><id>2</id><issued date="1">2</issued><issued><a>3</a></issued><references><references><reference/>`+
		`</references></references><references/><references><reference id="&amp;"/></references><package name="no"/><pkglist><collection><package epoch="" epoch="2">`+
		`<filename/><reboot_suggested/></package><update/></collection><collection/></pkglist></update><x><update/></x><update/></updates>`, 30)
	f.Fuzz(func(t *testing.T, doc string, window int) {
		if window < 1 || window > 1<<16 || len(doc) > 1<<16 {
			return
		}
		var want []*xmlUpdate
		err := readUpdateinfo(strings.NewReader(doc), func(u *xmlUpdate) {
			want = append(want, u)
			a, _ := u.advisory(&epochBook{})
			if a == nil {
				return
			}
			for _, p := range a.Packages {
				if again, err := rpm.ParseNEVRA(p.NEVRA.String()); err != nil || again != p.NEVRA {
					t.Fatalf("%+v is written as %s and read as %+v: %v", p.NEVRA, p.NEVRA, again, err)
				}
			}
		})
		got, sure := scanUpdates(doc, window)
		if !sure {
			return
		}
		if err != nil {
			t.Fatalf("the scanner takes what encoding/xml refuses: %v", err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
	})
}

// scanUpdates runs the scanner alone over updateinfo.
func scanUpdates(doc string, window int) (list []*xmlUpdate, sure bool) {
	m := &metaReader[[]*xmlUpdate]{root: "updates", item: "update", window: window,
		sink:  func() chunkSink[[]*xmlUpdate] { return &updateSink{} },
		merge: func(part []*xmlUpdate) { list = append(list, part...) }}
	_, sure, err := m.scanAll(context.Background(), strings.NewReader(doc))
	return list, sure && err == nil
}

// TestUpdateinfoScanned: the usual form of notices is read by the scanner, in windows of any size.
func TestUpdateinfoScanned(t *testing.T) {
	for window := 100; window < len(updateinfoXML)+300; window += 97 {
		if list, sure := scanUpdates(updateinfoXML, window); !sure || len(list) != 4 {
			t.Fatalf("window %d: sure %v, %d notices", window, sure, len(list))
		}
	}
}
