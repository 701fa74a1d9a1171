package fleet

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/rpmpack"

	"cpacman/internal/host"
	"cpacman/internal/repo"
	"cpacman/internal/rpm"
	"cpacman/internal/store"
	"cpacman/inventory"
)

// packed makes the header of a package with one file, and the line of a host's listing that names it.
func packed(t *testing.T, name, file string) (host.Package, []byte) {
	t.Helper()
	p, err := rpmpack.NewRPM(rpmpack.RPMMetaData{Name: name, Version: "1", Release: "1", Arch: "noarch"})
	if err != nil {
		t.Fatal(err)
	}
	p.AddFile(rpmpack.RPMFile{Name: file, Mode: 0o100644})
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	f, err := rpm.ReadPackageFile(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	blob := f.Header.Immutable()
	h, err := rpm.ParseHeader(blob)
	if err != nil {
		t.Fatal(err)
	}
	return host.Package{Name: name, Version: "1", Release: "1", Arch: "noarch", Header: h.SHA256()}, blob
}

// What the headers of a host's packages take is bounded, and a stored one that cannot be read costs its package only.
func TestInstalledBounds(t *testing.T) {
	st, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	var listed []host.Package
	headers := map[string][]byte{}
	for i := range 3 {
		p, blob := packed(t, fmt.Sprint("p", i), "/"+strings.Repeat("x", 200))
		listed = append(listed, p)
		headers[p.Header] = blob
	}
	bad := host.Package{Name: "bad", Version: "1", Release: "1", Arch: "noarch", Header: strings.Repeat("0", 64)}
	headers[bad.Header] = []byte("no header")
	if err := st.PutHeaders(t.Context(), headers); err != nil {
		t.Fatal(err)
	}
	f := &Fleet{Store: st, log: slog.New(slog.DiscardHandler), now: time.Now}
	load := func(most int64, list ...host.Package) (*List, error) {
		in := &Installed{fleet: f, repos: &Repos{site: &inventory.Site{}}, most: most, headers: repo.OpenParsed(t.TempDir(), f.log, f.now), lists: map[string]*listing{}}
		return in.List(t.Context(), "digest", func() ([]host.Package, error) { return list, nil })
	}
	if l, err := load(maxInstalled, append(listed, bad)...); err != nil || len(l.Packages) != 3 || len(l.Missing) != 1 {
		t.Errorf("%+v %v", l, err)
	}
	if _, err := load(500, listed...); !errors.Is(err, host.ErrUnreadable) {
		t.Errorf("more than the bound: %v", err)
	}
}
