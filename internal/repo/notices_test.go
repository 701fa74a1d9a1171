package repo

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cpacman/internal/rpm"
)

// asked is what Notices says of names, in the form of what a walk over all advisories finds.
type asked struct {
	Build  rpm.NEVRA
	Notice Notice
}

func walk(list []Advisory, name string) (out []asked) {
	for _, a := range list {
		for _, p := range a.Packages {
			if p.Name == name {
				n := Notice{ID: a.ID, Type: a.Type, Severity: a.Severity, Status: a.Status, CVEs: a.CVEs}
				for _, m := range p.Modules {
					n.Streams = append(n.Streams, m.Name+":"+m.Stream)
				}
				out = append(out, asked{p.NEVRA, n})
			}
		}
	}
	return out
}

// TestNotices: the index gives what a walk over all advisories gives, from the cache as without it, and where both are asked for.
func TestNotices(t *testing.T) {
	dir, opt := fullRepo(t), Options{CacheDir: t.TempDir()}
	want, err := open(t, dir, Options{}).Advisories()
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range []*Repo{open(t, dir, Options{}), open(t, dir, opt), open(t, dir, opt)} {
		n, err := r.Notices()
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, name := range []string{"foo", "bar", "gone", "nobody", ""} {
			var got []asked
			n.Naming(name, func(b rpm.NEVRA, a Notice) { got = append(got, asked{b, a}) })
			if d := cmp.Diff(walk(want, name), got); d != "" {
				t.Errorf("%d: %s: %s", i, name, d)
			}
			found += len(got)
		}
		if found != 3 || n.Err() != nil || !n.Retracts() {
			t.Errorf("%d: %d builds, %v", i, found, n.Err())
		}
		if got, err := r.Advisories(); err != nil || cmp.Diff(want, got) != "" {
			t.Errorf("%d: %v %s", i, err, cmp.Diff(want, got))
		}
	}
	none := open(t, madeRepo(t, metaFile{kind: "primary", compress: "gz", content: primaryXML()}), Options{})
	n, err := none.Notices()
	n.Naming("foo", func(b rpm.NEVRA, _ Notice) { t.Error(b) })
	if err != nil || n.Err() != nil || n.Retracts() {
		t.Error(err, n.Err(), n.Retracts())
	}
}

// TestNoticesDamaged: whatever stands in an index behind a right checksum, it is answered from, or told and removed, and the next process has all of it.
func TestNoticesDamaged(t *testing.T) {
	dir, cacheDir := fullRepo(t), t.TempDir()
	var log bytes.Buffer
	opt := Options{CacheDir: cacheDir, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	want, err := open(t, dir, opt).Advisories()
	if err != nil {
		t.Fatal(err)
	}
	names, _ := filepath.Glob(filepath.Join(cacheDir, kindAdvisories+"-*"))
	if len(names) != 1 {
		t.Fatal(names)
	}
	whole, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for at := cacheHead; at < len(whole); at++ {
		for _, change := range []byte{1, 0x80} {
			damaged := bytes.Clone(whole)
			damaged[at] ^= change
			write(t, names[0], resum(damaged))
			n, err := open(t, dir, opt).Notices()
			if err != nil {
				t.Fatalf("byte %d: %v", at, err)
			}
			for _, name := range []string{"foo", "bar", "gone"} {
				n.Naming(name, func(rpm.NEVRA, Notice) {})
			}
			if n.Err() != nil {
				told++
				if _, err := os.Stat(names[0]); !os.IsNotExist(err) {
					t.Errorf("byte %d: the damaged file is still there", at)
				}
				if got, err := open(t, dir, opt).Advisories(); err != nil || cmp.Diff(want, got) != "" {
					t.Errorf("byte %d, the next process: %v %s", at, err, cmp.Diff(want, got))
				}
			}
			write(t, names[0], resum(damaged))
			if _, err := open(t, dir, opt).Advisories(); err != nil {
				t.Errorf("byte %d: %v", at, err)
			}
		}
	}
	if told == 0 {
		t.Error("no damage was told")
	}
}

// TestNoticesUnread: what of the notices is lost is told in one line when they are read, by every process; what is odd and read all the same is not lost.
func TestNoticesUnread(t *testing.T) {
	var log bytes.Buffer
	dir, opt := fullRepo(t), Options{CacheDir: t.TempDir(), Advisories: true, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	want := Problem{Repo: "test", File: "repodata/updateinfo.xz",
		What: `notices or packages of notices that could not be read: 2, first: advisory "A-1": a package is ignored: name, version, release or arch is missing: "no-1.noarch"`}
	for _, what := range []string{"parsed", "from the cache"} {
		log.Reset()
		r := open(t, dir, opt)
		for range 2 {
			if _, err := r.Notices(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := r.Advisories(); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]Problem{want}, r.Problems()); d != "" {
			t.Errorf("%s: %s", what, d)
		}
		if n := strings.Count(log.String(), "could not be read"); n != 1 {
			t.Errorf("%s: said %d times:\n%s", what, n, log.String())
		}
	}
	log.Reset()
	problems, err := Check(context.Background(), Config{"test", dir}, opt)
	if err != nil || slices.Contains(problems, want) || strings.Contains(log.String(), "could not be read") {
		t.Errorf("a check lists them one by one: %v %v\n%s", err, problems, log.String())
	}
	dated := `<updates><update type="security"><id>A</id><issued date="mangled"/></update></updates>`
	r := open(t, madeRepo(t, metaFile{kind: "primary", content: primaryXML()}, metaFile{kind: "updateinfo", content: dated}), opt)
	if _, err := r.Notices(); err != nil || len(r.Problems()) > 0 {
		t.Error(err, r.Problems())
	}
}

// TestNoticesMultiply: what an advisory says once is kept once, however many builds it lists. A file of 30 KB took gigabytes.
func TestNoticesMultiply(t *testing.T) {
	const n = 3000
	var builds, cves, streams strings.Builder
	for i := range n {
		fmt.Fprintf(&builds, `<package name="foo" epoch="0" version="%d" release="1" arch="noarch"/>`, i)
		fmt.Fprintf(&cves, `<reference type="cve" id="CVE-1-%d"/>`, i)
		fmt.Fprintf(&streams, `<module name="m%d" stream="s" version="1" context="c" arch="noarch"/>`, i)
	}
	notice := func(id, inside string) string {
		return `<update type="security"><id>` + id + `</id><references>` + cves.String() + `</references><pkglist><collection>` + inside + builds.String() +
			`</collection></pkglist></update>`
	}
	dir := madeRepo(t, metaFile{kind: "primary", content: primaryXML()},
		metaFile{kind: "updateinfo", content: `<updates>` + notice("A", "") + notice("B", streams.String()) + `</updates>`})
	r := open(t, dir, Options{})
	notices, err := r.Notices()
	if err != nil {
		t.Fatal(err)
	}
	var seen []Notice
	notices.Naming("foo", func(_ rpm.NEVRA, a Notice) { seen = append(seen, a) })
	if len(seen) != n || len(seen[0].CVEs) != n || &seen[0].CVEs[0] != &seen[n-1].CVEs[0] {
		t.Errorf("%d builds, each with CVEs of its own", len(seen))
	}
	if p := r.Problems(); len(p) != 1 || !strings.Contains(p[0].What, `advisory "B": a collection of 3000 packages is ignored: it is of 3000 module streams`) {
		t.Errorf("%v", p)
	}
}
