package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/rpmpack"

	"cpacman/internal/rpm"
)

// rpmDir writes a few packages made by a library.
func rpmDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	rel := func(s string) *rpmpack.Relation {
		r, err := rpmpack.NewRelation(s)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, md := range []rpmpack.RPMMetaData{
		{Name: "app", Version: "1.0", Release: "1", Arch: "x86_64", Vendor: "Cafe & Co",
			Requires:  rpmpack.Relations{rel("lib>=2:1.0"), rel("/bin/sh"), rel("(a if b)")},
			Obsoletes: rpmpack.Relations{rel("oldapp<1")}, Recommends: rpmpack.Relations{rel("nice")}},
		{Name: "app", Version: "1.1~rc1", Release: "1", Arch: "x86_64"},
		{Name: "lib", Epoch: 2, Version: "1.0", Release: "1.el9", Arch: "i686", Conflicts: rpmpack.Relations{rel("lib<1:0")}},
		{Name: "lib", Epoch: 2, Version: "1.0^git1", Release: "1.el9", Arch: "noarch"},
	} {
		name := fmt.Sprintf("%s-%s-%s.%s.rpm", md.Name, md.Version, md.Release, md.Arch)
		write(t, filepath.Join(dir, "sub", name), rpmBytes(t, md, "/usr/bin/"+md.Name, "/usr/share/"+md.Name+"/data", "/etc/"+md.Name+".conf"))
	}
	return dir
}

func createrepo(t testing.TB, dir string, args ...string) {
	t.Helper()
	tool, err := exec.LookPath("createrepo_c")
	if err != nil {
		t.Skip("needs createrepo_c: install createrepo-c")
	}
	if out, err := exec.Command(tool, append(args, "-q", dir)...).CombinedOutput(); err != nil {
		t.Fatalf("createrepo_c %v: %v\n%s", args, err, out)
	}
}

// TestCreaterepo reads what createrepo_c makes of packages, in every form, and compares it with the packages' own headers.
func TestCreaterepo(t *testing.T) {
	for _, form := range []string{"gz", "bz2", "xz", "zst"} {
		for _, sums := range []string{"sha256", "sha512", "sha1", "md5"} {
			if form != "gz" && sums != "sha256" {
				continue
			}
			t.Run(form+" "+sums, func(t *testing.T) {
				dir := rpmDir(t)
				headers := open(t, dir, Options{})
				if form == "zst" { // not every createrepo_c can write it
					createrepo(t, dir)
					recompress(t, dir, form)
				} else {
					createrepo(t, dir, "--general-compress-type="+form, "--checksum="+sums, "--zck")
				}
				r := open(t, dir, Options{})
				if r.Kind() != KindRepomd || headers.Kind() != KindDirectory {
					t.Fatal(r.Kind(), headers.Kind())
				}
				compareWithHeaders(t, r, headers)
				for _, p := range r.Packages() {
					sha, err := r.VerifyPackage(context.Background(), p)
					if err != nil || len(sha) != 64 {
						t.Errorf("%s: %q, %v", p.NEVRA, sha, err)
					}
					if sums == "sha256" && sha != p.Checksum.Value {
						t.Errorf("sha256 %s, metadata says %s", sha, p.Checksum)
					}
				}
				problems, err := Check(context.Background(), Config{"test", dir}, Options{Full: true})
				if err != nil || slices.ContainsFunc(problems, func(p Problem) bool { return !p.Note }) {
					t.Errorf("check: %v, %v", problems, err)
				}
			})
		}
	}
}

// recompress writes a repository's metadata anew in another form.
func recompress(t *testing.T, dir, form string) {
	t.Helper()
	r, k, err := prepare(Config{"test", dir}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer k.root.Close()
	md, err := readRepomd(context.Background(), k.root, r.id)
	if err != nil {
		t.Fatal(err)
	}
	var files []metaFile
	for _, kind := range []string{"primary", "filelists"} {
		e, _ := md.find(kind)
		in, err := k.open(context.Background(), e)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(in)
		if err := errors.Join(err, in.finish(nil)); err != nil {
			t.Fatal(err)
		}
		files = append(files, metaFile{kind: kind, content: string(b), compress: form})
	}
	made := madeRepo(t, files...)
	old := filepath.Join(dir, "repodata")
	if err := errors.Join(os.RemoveAll(old), os.Rename(filepath.Join(made, "repodata"), old)); err != nil {
		t.Fatal(err)
	}
}

// compareWithHeaders demands that metadata and headers say the same of every package.
func compareWithHeaders(t *testing.T, r, headers *Repo) {
	t.Helper()
	byName := make(map[rpm.NEVRA]*Package)
	for _, p := range headers.Packages() {
		byName[p.NEVRA] = p
	}
	if len(byName) != 4 || len(r.Packages()) != 4 {
		t.Fatalf("%d packages, %d headers", len(r.Packages()), len(byName))
	}
	sortDeps := cmpopts.SortSlices(func(a, b rpm.Dep) bool { return a.String() < b.String() })
	for _, p := range r.Packages() {
		h := byName[p.NEVRA]
		if h == nil {
			t.Fatalf("%s is not in the directory", p.NEVRA)
		}
		files, err := r.FilesOf(p)
		if err != nil {
			t.Fatal(err)
		}
		got := *p.Package
		got.Files, got.FilesComplete = files, true
		// createrepo_c leaves out rpmlib() requirements as they are met by rpm itself, and repeated ones.
		d := cmp.Diff(*h.Package, got, sortDeps, cmpopts.IgnoreFields(rpm.Package{}, "Header", "Color", "ColorKnown", "BuildTime"), cmpopts.EquateEmpty(),
			cmpopts.IgnoreSliceElements(func(d rpm.Dep) bool { return strings.HasPrefix(d.Name, "rpmlib(") }))
		if d != "" {
			t.Errorf("%s (-header +metadata):\n%s", p.NEVRA, d)
		}
		if p.Location != h.Location || p.Size != h.Size {
			t.Errorf("%s at %s with %d bytes, file is %s with %d", p.NEVRA, p.Location, p.Size, h.Location, h.Size)
		}
	}
}

// TestPackageDamage damages the files of packages.
func TestPackageDamage(t *testing.T) {
	for _, kind := range []string{KindRepomd, KindDirectory} {
		for name, c := range map[string]struct {
			do   func(file string) error
			want string
		}{
			"missing":   {os.Remove, "missing"},
			"truncated": {func(f string) error { return os.Truncate(f, 200) }, "truncated: 200 bytes"},
			"longer":    {func(f string) error { return edit(f, func(b []byte) []byte { return append(b, 0) }) }, "bytes, the metadata says"},
			"one bit":   {func(f string) error { return edit(f, func(b []byte) []byte { b[len(b)-1] ^= 1; return b }) }, ""},
			"link out": {func(f string) error {
				return rename(f, func() error { return os.Symlink("/etc/passwd", f) })
			}, "escapes"},
			"directory": {func(f string) error { return rename(f, func() error { return os.Mkdir(f, 0o755) }) }, "not a regular file"},
		} {
			t.Run(kind+" "+name, func(t *testing.T) {
				dir := rpmDir(t)
				if kind == KindRepomd {
					createrepo(t, dir)
				}
				r := open(t, dir, Options{})
				p := r.Packages()[0]
				path, err := r.FilePath(p)
				if err != nil {
					t.Fatal(err)
				}
				if err := c.do(path); err != nil {
					t.Fatal(err)
				}
				_, err = r.VerifyPackage(context.Background(), p)
				wantDamage(t, err, p.Location, c.want)
				if name == "missing" && !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%v is not fs.ErrNotExist", err)
				}
				if _, err = r.FilePath(p); (err == nil) != (name == "one bit") {
					t.Errorf("FilePath: %v", err)
				}
				problems, err := Check(context.Background(), Config{"test", dir}, Options{Full: true})
				if err != nil {
					t.Fatal(err)
				}
				named := slices.ContainsFunc(problems, func(q Problem) bool { return q.File == p.Location && !q.Note })
				if want := kind == KindRepomd || name == "truncated" || name == "one bit" || name == "link out"; named != want && name != "longer" {
					t.Errorf("check names the file: %v, want %v: %v", named, want, problems)
				}
			})
		}
	}
}

// TestDirectory reads a plain directory: what it offers, what it leaves out, and that unchanged files are not read again.
func TestDirectory(t *testing.T) {
	dir := rpmDir(t)
	write(t, filepath.Join(dir, "sub", "repodata", "x.rpm"), []byte("not looked at"))
	write(t, filepath.Join(dir, ".hidden.rpm"), []byte("not looked at"))
	write(t, filepath.Join(dir, "app.drpm"), []byte("not looked at"))
	write(t, filepath.Join(dir, "README"), []byte("not looked at"))
	lib := "sub/lib-1.0-1.el9.i686.rpm"
	for link, to := range map[string]string{
		"out.rpm": "/etc/passwd", "nowhere.rpm": "x", "zz-again.rpm": lib, "loop": ".", "away": "/etc",
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	opt := Options{CacheDir: t.TempDir()}
	r := open(t, dir, opt)
	var paths []string
	for _, p := range r.Packages() {
		paths = append(paths, p.Location)
		if p.Package.Header == "" || !p.FilesComplete || len(p.Files) != 3 || p.Checksum.Type != "" {
			t.Errorf("package %+v", p)
		}
	}
	want := []string{"sub/app-1.0-1.x86_64.rpm", "sub/app-1.1~rc1-1.x86_64.rpm", lib, "sub/lib-1.0^git1-1.el9.noarch.rpm"}
	if d := cmp.Diff(want, paths); d != "" {
		t.Error(d)
	}
	if n := len(r.Problems()); n != 2 {
		t.Errorf("%d problems, want the two links that lead out: %v", n, r.Problems())
	}
	if r.HasAdvisories() || r.HasModules() {
		t.Error("a directory has advisories or modules")
	}
	who, err := r.ProvidersOf("/usr/share/lib/data")
	if err != nil || len(who) != 2 {
		t.Errorf("providers: %v, %v", who, err)
	}
	again := open(t, dir, opt)
	samePackages(t, r.Packages(), again.Packages())
	if r.Digest() != again.Digest() {
		t.Error("another digest from the cache")
	}
	// A file of unchanged identity is not read: its bytes can be nonsense.
	st, err := os.Stat(filepath.Join(dir, lib))
	if err != nil {
		t.Fatal(err)
	}
	if got := identity(st); got.Size == 0 || got.CTime == 0 || got.Inode == 0 {
		t.Errorf("identity %+v", got)
	}
	write(t, filepath.Join(dir, lib), rpmBytes(t, rpmpack.RPMMetaData{Name: "lib", Version: "9", Release: "1", Arch: "i686"}))
	changed := open(t, dir, opt)
	if changed.Digest() == r.Digest() || !slices.ContainsFunc(changed.Packages(), func(p *Package) bool { return p.Version == "9" }) {
		t.Error("a changed file was not read again")
	}
	if err := os.Remove(filepath.Join(dir, lib)); err != nil {
		t.Fatal(err)
	}
	if n := len(open(t, dir, opt).Packages()); n != 3 {
		t.Errorf("%d packages after one was removed", n)
	}
	bad := rpmBytes(t, rpmpack.RPMMetaData{Name: "longname", Version: "9", Release: "1", Arch: "i686"})
	write(t, filepath.Join(dir, "bad.rpm"), bytes.Replace(bad, []byte("longname"), []byte("longnama"), -1))
	_, err = Open(context.Background(), Config{"test", dir}, opt)
	wantDamage(t, err, "bad.rpm", "header has SHA")
	write(t, filepath.Join(dir, "bad.rpm"), []byte("\xed\xab\xee\xdb"))
	_, err = Open(context.Background(), Config{"test", dir}, opt)
	wantDamage(t, err, "bad.rpm", "is no whole RPM package")
}

// TestDirectoryCut: a file whose payload ends early is no package, and that is told when the directory is read, as for a header that ends early.
func TestDirectoryCut(t *testing.T) {
	whole := rpmBytes(t, rpmpack.RPMMetaData{Name: "a", Version: "1", Release: "1", Arch: "noarch"}, "/usr/bin/a")
	dir := t.TempDir()
	name := filepath.Join(dir, "a.rpm")
	for _, more := range [][]byte{whole, append(slices.Clone(whole), 0)} { // rpm takes what is longer
		write(t, name, more)
		if n := open(t, dir, Options{}).Len(); n != 1 {
			t.Fatalf("%d packages", n)
		}
	}
	for _, cut := range []int{1, 20} {
		write(t, name, whole[:len(whole)-cut])
		_, err := Open(context.Background(), Config{"test", dir}, Options{})
		wantDamage(t, err, "a.rpm", fmt.Sprintf("truncated: %d bytes, the package says %d", len(whole)-cut, len(whole)))
		problems, err := Check(context.Background(), Config{"test", dir}, Options{})
		if err != nil || len(problems) != 1 || problems[0].File != "a.rpm" {
			t.Errorf("check: %v, %v", problems, err)
		}
	}
}

// TestDirectoryCacheUsed: with the headers made unreadable behind an unchanged identity, only the cache can answer.
func TestDirectoryCacheUsed(t *testing.T) {
	dir := rpmDir(t)
	opt := Options{CacheDir: t.TempDir()}
	r := open(t, dir, opt)
	names, _ := filepath.Glob(filepath.Join(opt.CacheDir, "directory-*"))
	if len(names) != 1 {
		t.Fatal(names)
	}
	before := stamps(t, names)
	samePackages(t, r.Packages(), open(t, dir, opt).Packages())
	if d := cmp.Diff(before, stamps(t, names)); d != "" {
		t.Error("the cache was written again though nothing changed")
	}
	key := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(names[0]), "directory-"), cacheSuffix)
	known := r.loadDirectory(key)
	if len(known) != 4 {
		t.Errorf("%d files in the cache", len(known))
	}
}

// TestEmptyDirectory has no packages, and says so without an error.
func TestEmptyDirectory(t *testing.T) {
	r := open(t, t.TempDir(), Options{})
	if len(r.Packages()) != 0 || r.Kind() != KindDirectory || r.Digest() == "" {
		t.Errorf("%d packages, %s, %q", len(r.Packages()), r.Kind(), r.Digest())
	}
}
