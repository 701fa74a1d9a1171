package repo

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cpacman/internal/rpm"
)

const modulesYAML = `---
document: modulemd
version: 2
data:
  name: perl
  stream: 5.30
  version: 820200101
  context: 00000000
  arch: x86_64
  dependencies:
  - requires: {platform: [el8], other: []}
  - requires: {platform: [-el7]}
  artifacts:
    rpms:
    - foo-1:1.2-3.el9.x86_64
    - gone-0:1-1.noarch
    - foo-1:1.2-3.el9.src
...
---
document: modulemd-defaults
version: 1
data:
  module: perl
  stream: 5.30
  profiles:
    5.30: [common]
    5.26: []
...
---
document: modulemd-obsoletes
version: 1
data: {module: perl}
`

const updateinfoXML = `<?xml version="1.0"?><updates>
<update from="x" status="Final" type="Security" version="1"><id>A-1</id><title>one</title><severity>Important</severity>
<release>R</release><issued date="2012-02-17 00:00:00"/><updated date="2013-01-27 16:08:05 UTC"/>
<references><reference href="h" id="CVE-2012-2" title="t" type="cve"/><reference id="CVE-2012-1" type="cve" href="" title=""/><reference id="7" type="bugzilla" href="b" title="CVE-2000-1"/></references>
<pkglist><collection short="s"><name>n</name><module name="perl" stream="5.30" version="820200101" context="00000000" arch="x86_64"/>
<package name="foo" version="1.2" release="3.el9" arch="x86_64" src="s"><filename>foo.rpm</filename><reboot_suggested>True</reboot_suggested></package>
<package name="gone" epoch="0" version="1" release="1" arch="noarch"><restart_suggested>False</restart_suggested></package>
<package name="no" version="1" release="" arch="noarch"/>
</collection></pkglist></update>
<update status="retracted" type="bugfix"><id>A-2</id><issued date="15mangled"/><updated>1356998400</updated></update>
<update type="bugfix"><title>nameless</title></update>
<update status="final" type="security"><id>A-1</id><title>newer</title><updated date="2014-01-01"/><pkglist><collection><package name="bar" epoch="2" version="1" release="1" arch="noarch"/></collection></pkglist></update>
</updates>`

// fullRepo has every kind of metadata that is read.
func fullRepo(t testing.TB) string {
	return madeRepo(t,
		metaFile{kind: "primary", compress: "gz", content: primaryXML(packageXML("foo"), packageXML("bar"))},
		metaFile{kind: "filelists", compress: "zst", content: filelistsXML(map[string][]string{
			"foo": {"/usr/bin/foo", "/usr/share/doc/foo & co", "/usr/share", "/usr/share/x"}, "bar": {"/usr/share/x", "/x"}}, "bar", "foo")},
		metaFile{kind: "updateinfo", compress: "xz", content: updateinfoXML},
		metaFile{kind: "modules", content: modulesYAML})
}

// everything asks a repository for all it has.
func everything(t testing.TB, r *Repo) any {
	t.Helper()
	advisories, err := r.Advisories()
	if err != nil {
		t.Fatal(err)
	}
	streams, defaults, err := r.Modules()
	if err != nil {
		t.Fatal(err)
	}
	var files [][]string
	for _, p := range r.Packages() {
		f, err := r.FilesOf(p)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return []any{r.Digest(), r.Packages(), r.Problems(), advisories, streams, defaults, files}
}

// TestCache: the cache gives what parsing gives, is not written again, and any damage to it is told and repaired.
func TestCache(t *testing.T) {
	dir, cacheDir := fullRepo(t), filepath.Join(t.TempDir(), "cache")
	var log bytes.Buffer
	opt := Options{CacheDir: cacheDir, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	want := everything(t, open(t, dir, Options{}))
	if d := cmp.Diff(want, everything(t, open(t, dir, opt))); d != "" {
		t.Fatalf("with an empty cache:\n%s", d)
	}
	names, _ := filepath.Glob(filepath.Join(cacheDir, "*"))
	if len(names) != 4 {
		t.Fatalf("cache files: %v", names)
	}
	before := stamps(t, names)
	if d := cmp.Diff(want, everything(t, open(t, dir, opt))); d != "" {
		t.Fatalf("from the cache:\n%s", d)
	}
	if d := cmp.Diff(before, stamps(t, names)); d != "" {
		t.Fatalf("the cache was written again:\n%s", d)
	}
	for _, damage := range []struct {
		name string
		do   func(string) error
	}{
		{"cut", func(f string) error { return os.Truncate(f, 50) }},
		{"empty", func(f string) error { return os.Truncate(f, 0) }},
		{"one bit", func(f string) error { return edit(f, func(b []byte) []byte { b[len(b)/2] ^= 1; return b }) }},
		{"other format", func(f string) error {
			return edit(f, func(b []byte) []byte { b[len(cacheMagic)]++; return b })
		}},
		{"nonsense with a right sum", func(f string) error {
			return edit(f, func(b []byte) []byte { return resum(b[:cacheHead+(len(b)-cacheHead)/2]) })
		}},
		{"of another repository", func(f string) error {
			return edit(f, func(b []byte) []byte {
				i := bytes.Index(b, []byte(open(t, dir, Options{}).Digest()))
				b[i] ^= 1
				return resum(b)
			})
		}},
		{"writable by others", func(f string) error { return os.Chmod(f, 0o666) }},
		{"a directory", func(f string) error { return rename(f, func() error { return os.Mkdir(f, 0o755) }) }},
		{"a link", func(f string) error { return rename(f, func() error { return os.Symlink(f+"x", f) }) }},
	} {
		for _, f := range names {
			if err := damage.do(f); err != nil {
				t.Fatal(damage.name, err)
			}
		}
		log.Reset()
		if d := cmp.Diff(want, everything(t, open(t, dir, opt))); d != "" {
			t.Fatalf("%s:\n%s", damage.name, d)
		}
		// After an update of the program that is as it should be, and no word for an operator.
		if told := strings.Contains(log.String(), "cache file ignored"); told == (damage.name == "other format") {
			t.Errorf("%s: logged: %q", damage.name, log.String())
		}
		for _, f := range names {
			os.RemoveAll(f) //nolint:errcheck // the next line makes them again
		}
		everything(t, open(t, dir, opt))
	}
}

func edit(name string, f func([]byte) []byte) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	return os.WriteFile(name, f(b), 0o600)
}

func rename(name string, f func() error) error {
	if err := os.Rename(name, name+"x"); err != nil {
		return err
	}
	return f()
}

// resum makes length and sum of a cache file right.
func resum(b []byte) []byte {
	binary.LittleEndian.PutUint64(b[len(cacheMagic)+4:], uint64(len(b)-cacheHead))
	binary.LittleEndian.PutUint32(b[len(cacheMagic)+12:], castagnoli(b[cacheHead:]))
	return b
}

func stamps(t *testing.T, names []string) (out []time.Time) {
	for _, n := range names {
		st, err := os.Stat(n)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, st.ModTime())
	}
	return out
}

// TestCacheSeesDamage: the cache does not hide that the package list on disk is not the one any more.
func TestCacheSeesDamage(t *testing.T) {
	dir := fullRepo(t)
	opt := Options{CacheDir: t.TempDir()}
	want := everything(t, open(t, dir, opt))
	primary := filepath.Join(dir, "repodata", "primary.gz")
	b, err := os.ReadFile(primary)
	if err != nil {
		t.Fatal(err)
	}
	write(t, primary, b) // another time, the same bytes
	if d := cmp.Diff(want, everything(t, open(t, dir, opt))); d != "" {
		t.Fatal(d)
	}
	spoiled := bytes.Clone(b)
	spoiled[len(b)/2] ^= 1
	write(t, primary, spoiled)
	_, err = Open(context.Background(), Config{"test", dir}, opt)
	wantDamage(t, err, "repodata/primary.gz", "checksum mismatch")
	write(t, primary, b[:10])
	_, err = Open(context.Background(), Config{"test", dir}, opt)
	wantDamage(t, err, "repodata/primary.gz", "truncated")
	if err := os.Remove(primary); err != nil {
		t.Fatal(err)
	}
	_, err = Open(context.Background(), Config{"test", dir}, opt)
	wantDamage(t, err, "repodata/primary.gz", "missing")
}

func TestCachePrune(t *testing.T) {
	dir, opt := fullRepo(t), Options{CacheDir: t.TempDir()}
	old := filepath.Join(opt.CacheDir, "packages-old.index")
	others := filepath.Join(opt.CacheDir, "letters.index")
	for _, f := range []string{old, others} {
		write(t, f, nil)
		if err := os.Chtimes(f, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
	}
	open(t, dir, opt)
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Error("an old file of ours stays")
	}
	if _, err := os.Stat(others); err != nil {
		t.Error("a file that is not ours was removed")
	}
}

// TestCacheUnwritable: a cache that cannot be written costs time and nothing else.
func TestCacheUnwritable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, nil)
	everything(t, open(t, fullRepo(t), Options{CacheDir: filepath.Join(file, "x")}))
}

// lookAt asks an index of any bytes for everything, as a repository whose package list is gone.
func lookAt(x *index) {
	if x == nil {
		return
	}
	r := &Repo{ix: x, packages: make([]*Package, x.n), unread: x.n, md: &repomd{}, opt: Options{}, path: "/nowhere",
		cache: &cache{log: slog.New(slog.DiscardHandler)}}
	l := r.Lookup()
	for _, key := range []string{"foo", "bar", "libfoo", "/usr/bin/foo", "foo.rpm", "", "\xff"} {
		l.Named(key)
		l.Lists(key)
		l.Requires(key)
		l.Located(key)
		l.Provides(key, func(place int32, _ rpm.Dep) { l.At(place) })
		l.Obsoletes(key, func(place, dep int32) {
			if p := l.At(place); r.fault == nil {
				_ = p.Obsoletes[dep]
			}
		})
	}
	l.Names(func(string) bool { return true })
	for i := range x.n {
		l.Places([]int32{int32(i)})
	}
	r.Packages()
}

// FuzzCache: no bytes of a cache file make the decoders panic.
func FuzzCache(f *testing.F) {
	dir := fullRepo(f)
	opt := Options{CacheDir: f.TempDir()}
	everything(f, open(f, dir, opt))
	names, _ := filepath.Glob(filepath.Join(opt.CacheDir, "*"))
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[cacheHead:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, read := range []func(*decoder){
			func(d *decoder) { d.fileID(); d.problems("x"); d.packages(); lookAt(d.index()) },
			func(d *decoder) { d.packages() },
			func(d *decoder) {
				if x := d.parsed(); x != nil {
					p := &Parsed{ix: x, cache: &cache{log: slog.New(slog.DiscardHandler)}, known: map[string]*rpm.Package{}}
					p.Get("")
					p.Get("aa")
				}
			},
			func(d *decoder) {
				if s := d.storedLists(); d.err == nil {
					for i := range s.len() {
						s.key(i)
						s.read(i)
					}
				}
			},
			func(d *decoder) {
				if x := d.noticeIndex("x"); x != nil {
					n := Notices{x: x}
					for _, name := range []string{"foo", "bar", "", "\xff"} {
						n.Naming(name, func(rpm.NEVRA, Notice) {})
					}
					x.list()
				}
			},
			func(d *decoder) { d.modules("x") },
			func(d *decoder) {
				if x := decodeFiles(d, 2); x != nil {
					x.link()
					x.find("/usr/share/x")
					for e := range x.dir {
						x.path(uint32(e))
					}
				}
			},
		} {
			d := newDecoder(b)
			d.str()
			d.str()
			read(d)
			read(newDecoder(b))
		}
	})
}

// TestCacheKnowsTheCopy: the package list of a repository that was copied is proven by its checksum once, and any other file of it again.
func TestCacheKnowsTheCopy(t *testing.T) {
	dir, opt := fullRepo(t), Options{CacheDir: t.TempDir()}
	everything(t, open(t, dir, opt))
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	r := open(t, copied, opt)
	primary, err := r.md.primary(r.id)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(copied, primary.Location)
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	other := identity(info)
	other.MTime++
	if c := r.cache; !c.known(r.digest, identity(info)) || c.known(r.digest, other) || c.known(strings.Repeat("0", 64), identity(info)) {
		t.Error("not the copy, or more than the copy, is known")
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	write(t, name, b)
	_, err = Open(context.Background(), Config{"test", copied}, opt)
	wantDamage(t, err, primary.Location, "checksum mismatch")
	everything(t, open(t, dir, opt))
}
