package repo

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestPercent: where a location is written as in a URL, the file has that name, or the one that a server has it under; what the text would lead to is
// checked like the location itself.
func TestPercent(t *testing.T) {
	href := func(s string) string {
		return primaryXML(packageXML("foo", "Packages/foo-1.2-3.el9.x86_64.rpm", s, `package="100"`, `package="3"`))
	}
	dir := madeRepo(t, metaFile{kind: "primary", content: href("p/a%2Bb%5E1.rpm")})
	r := open(t, dir, Options{})
	p := r.Packages()[0]
	for _, name := range []string{"p/a+b^1.rpm", "p/a%2Bb%5E1.rpm"} { // the second takes the place of the first
		write(t, filepath.Join(dir, name), []byte("foo"))
		if path, err := r.FilePath(p); err != nil || path != filepath.Join(r.Path(), name) {
			t.Error(path, err)
		}
		if _, err := r.VerifyPackage(t.Context(), p); err != nil {
			t.Error(err)
		}
		d, err := r.OpenDir()
		if err != nil {
			t.Fatal(err)
		}
		if id, err := d.FileID(p); err != nil || id.Size != 3 {
			t.Error(id, err)
		}
		d.Close()
	}
	for _, s := range []string{"%2E%2E/x.rpm", "x%00.rpm", "%2Fetc/passwd", "a%zz.rpm", "%1B[0m.rpm", "p/none%2B.rpm"} {
		dir := madeRepo(t, metaFile{kind: "primary", content: href(s)})
		write(t, filepath.Join(filepath.Dir(dir), "x.rpm"), []byte("foo"))
		r := open(t, dir, Options{})
		_, err := r.FilePath(r.Packages()[0])
		wantDamage(t, err, s, "package missing")
		if !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		if err := os.Remove(filepath.Join(filepath.Dir(dir), "x.rpm")); err != nil {
			t.Fatal(err)
		}
	}
}
