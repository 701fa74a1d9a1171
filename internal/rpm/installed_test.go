package rpm

import (
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite"
)

// databaseBlobs returns the headers of an rpmdb.sqlite.
func databaseBlobs(t *testing.T, path string) [][]byte {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query("SELECT blob FROM Packages ORDER BY hnum")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var out [][]byte
	for rows.Next() {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	if rows.Err() != nil || len(out) == 0 {
		t.Fatalf("%d headers: %v", len(out), rows.Err())
	}
	return out
}

// compareDatabase compares every header of a database directory with what rpm says of it.
func compareDatabase(t *testing.T, dir string) {
	t.Helper()
	blobs := databaseBlobs(t, filepath.Join(dir, "rpmdb.sqlite"))
	out, err := exec.Command("rpm", "--dbpath", dir, "-qa", "--qf", `%{NAME}-%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}.%{ARCH} %|SHA256HEADER?{%{SHA256HEADER}}:{%{SHA1HEADER}}| %{INSTALLTIME}\n`).Output()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, l := range strings.Split(strings.TrimSpace(strings.ReplaceAll(string(out), "-0:", "-")), "\n") {
		want[l] = true
	}
	unknown := 0
	for i, b := range blobs {
		in, err := ParseInstalled(b)
		if err != nil {
			t.Errorf("header %d: %v", i, err)
			continue
		}
		line := fmt.Sprintf("%s %s %d", in.NEVRA, in.Header, in.InstallTime)
		if in.Name == PubkeyName {
			line = fmt.Sprintf("%s (none) %d", in.NEVRA, in.InstallTime) // rpm keeps no digest of keys
			if !want[line] {
				line = fmt.Sprintf("%s %s %d", in.NEVRA, in.Header, in.InstallTime)
			}
		}
		if !want[line] {
			unknown++
			t.Errorf("rpm does not say %q", line)
		}
	}
	if len(want) != len(blobs) {
		t.Errorf("%d headers, rpm lists %d", len(blobs), len(want))
	}
	t.Logf("%s: %d headers, %d differ", filepath.Base(dir), len(blobs), unknown)
}

// TestInstalledAgainstRPM installs packages into a database of its own, headers only, and reads that database.
func TestInstalledAgainstRPM(t *testing.T) {
	path := toFile(t, write(t, sample(t)))
	built := buildSpec(t, "built", []string{"Epoch: 0", "Provides: x = 1"})
	db := t.TempDir()
	out, err := exec.Command("rpm", "--dbpath", db, "-i", "--justdb", "--nodeps", "--noscripts", "--ignorearch", "--nosignature", path, built).CombinedOutput()
	if err != nil {
		t.Skipf("needs rpm: it does not install here: %v: %.300s", err, out)
	}
	if _, err := os.Stat(filepath.Join(db, "rpmdb.sqlite")); err != nil {
		t.Skip("needs rpm: its database is not sqlite")
	}
	compareDatabase(t, db)
}

// TestRealDatabases does the same with real databases.
func TestRealDatabases(t *testing.T) {
	dir := dataDir(t)
	if _, err := exec.LookPath("rpm"); err != nil {
		t.Skip("needs rpm: ", err)
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "rpmdb.sqlite" {
			return err
		}
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			copied := t.TempDir()
			if err := os.WriteFile(filepath.Join(copied, "rpmdb.sqlite"), data, 0o600); err != nil {
				t.Fatal(err)
			}
			compareDatabase(t, copied)
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
