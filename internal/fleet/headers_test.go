package fleet

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/rpmpack"

	"cpacman/internal/repo"
	"cpacman/internal/rpm"
)

// A repository that is a directory of packages has no metadata that says where in a file the header is. It is found there all the same, so that
// no host is asked for what we have.
func TestHeaderFromDirectory(t *testing.T) {
	dir := t.TempDir()
	p, err := rpmpack.NewRPM(rpmpack.RPMMetaData{Name: "a", Version: "1", Release: "1", Arch: "noarch"})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.rpm"), b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := repo.Open(t.Context(), repo.Config{ID: "dir", Path: dir}, repo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	one := r.Packages()[0]
	blob, err := readHeader(Located{r, one})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rpm.CheckHeader(blob, one.Header); err != nil {
		t.Error(err)
	}
}
