package repo

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
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
				out = append(out, asked{p.NEVRA, Notice{a.ID, a.Type, a.Severity, a.Status, a.CVEs}})
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
