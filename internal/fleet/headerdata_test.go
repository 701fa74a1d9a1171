package fleet

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"cpacman/internal/repo"
	"cpacman/internal/rpm"
)

// TestHeadersOfRealPackages: what createrepo_c writes of packages of real distributions is never taken for a difference from their headers.
func TestHeadersOfRealPackages(t *testing.T) {
	data := os.Getenv("CPACMAN_DATA")
	if data == "" {
		t.Skip("needs data: set CPACMAN_DATA to a directory with packages of real distributions")
	}
	tool, err := exec.LookPath("createrepo_c")
	if err != nil {
		t.Skip("needs createrepo_c")
	}
	dir := t.TempDir()
	_ = filepath.WalkDir(filepath.Join(data, "rpms"), func(p string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(p, ".rpm") {
			err = os.Symlink(p, filepath.Join(dir, strings.ReplaceAll(strings.TrimPrefix(p, data), "/", "_")))
		}
		return err
	})
	if out, err := exec.Command(tool, "-q", dir).CombinedOutput(); err != nil {
		t.Logf("createrepo_c: %v: %s", err, out)
	}
	r, err := repo.Open(t.Context(), repo.Config{ID: "real", Path: dir}, repo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, p := range r.Packages() {
		f, err := os.Open(filepath.Join(dir, p.Location))
		if err != nil {
			t.Fatal(err)
		}
		file, err := rpm.ReadPackageFile(f)
		f.Close()
		if err != nil {
			continue // packages that nobody takes are among them
		}
		header, err := file.Header.Package()
		if err != nil {
			continue
		}
		if slices.ContainsFunc(append(header.Provides, header.Requires...), func(d rpm.Dep) bool { return !utf8.ValidString(d.Name) }) {
			continue // names of dependencies in latin-1: what createrepo_c makes of them is another name, and refused
		}
		seen++
		if diff := compareHeader(p.Package, header); len(diff) > 0 {
			t.Errorf("%s: %s", p.NEVRA, strings.Join(diff, "; "))
		}
	}
	t.Logf("%d packages", seen)
	if seen < 20 {
		t.Errorf("only %d packages of %s were compared", seen, data)
	}
}
