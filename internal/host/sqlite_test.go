package host

import (
	"context"
	"database/sql"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cpacman/internal/rpm"
)

// makeDatabase returns the bytes of a database that the statements make.
func makeDatabase(t *testing.T, statements string) []byte {
	t.Helper()
	p := filepath.Join(t.TempDir(), "x.sqlite")
	db, err := sql.Open("sqlite", p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(statements); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A database that rpm wrote reads here as it does over a session: same packages, digests, keys, and the write-ahead log counts.
func TestImportDatabaseLikeCollect(t *testing.T) {
	t.Parallel()
	l := newLab(t, pkg{nevra: "app-2:1-1.noarch", requires: []string{"base >= 1"}})
	f, _, err := Collect(context.Background(), l.host, CollectOptions{Host: "h1"})
	if err != nil {
		t.Fatal(err)
	}
	if backend := strings.TrimSpace(l.host.sh("rpm --eval %_db_backend")); backend == "bdb" {
		t.Skip("needs rpm with a database of SQLite: that of this system has Berkeley DB")
	}
	dir := t.TempDir()
	if out, err := exec.Command("cp", l.host.path("/var/lib/rpm/rpmdb.sqlite"), l.host.path("/var/lib/rpm/rpmdb.sqlite-wal"), dir).CombinedOutput(); err != nil {
		t.Fatalf("%s", out)
	}
	got, headers, err := ImportDatabase(context.Background(), filepath.Join(dir, "rpmdb.sqlite"), "h1", someTime)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(f.Packages, got.Packages); d != "" || f.InstalledDigest != got.InstalledDigest {
		t.Errorf("packages differ: %s", d)
	}
	if d := cmp.Diff(f.Keys, got.Keys); d != "" {
		t.Errorf("keys differ: %s", d)
	}
	if len(headers) != len(got.Packages) {
		t.Errorf("%d headers of %d packages", len(headers), len(got.Packages))
	}
	for _, p := range got.Packages {
		h, err := rpm.CheckHeader(headers[p.Header], p.Header)
		if err != nil {
			t.Fatal(err)
		}
		one, err := h.Package()
		if err != nil {
			t.Fatal(err)
		}
		if p.Name == "app" && !strings.Contains(one.Requires[0].String(), "base >= 1") {
			t.Errorf("dependencies %+v", one.Requires)
		}
	}
}
