package repo

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// dataDir is where repositories of real distributions lie; they are not part of the project.
func dataDir(t testing.TB) string {
	dir := os.Getenv("CPACMAN_DATA")
	if dir == "" {
		t.Skip("needs data: set CPACMAN_DATA to a directory with repositories of real distributions")
	}
	return dir
}

// TestRealRepositories opens every repository below CPACMAN_DATA, cold and from the cache, and prints what it found. A
// repository may be refused, but only with a *Damage.
func TestRealRepositories(t *testing.T) {
	dir := dataDir(t)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "/"+repomdPath) {
			return err
		}
		base := filepath.Dir(filepath.Dir(path))
		name, _ := filepath.Rel(dir, base)
		t.Run(strings.ReplaceAll(name, "/", "_"), func(t *testing.T) { openReal(t, base) })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func openReal(t *testing.T, base string) {
	ctx := context.Background()
	opt := Options{CacheDir: t.TempDir()}
	began := time.Now()
	r, err := Open(ctx, Config{"real", base}, opt)
	cold := time.Since(began)
	if err != nil {
		var d *Damage
		if !errors.As(err, &d) {
			t.Fatalf("error %T is no Damage: %v", err, err)
		}
		t.Logf("refused: %v", err)
		return
	}
	runtime.GC()
	began = time.Now()
	again, err := Open(ctx, Config{"real", base}, opt)
	warm := time.Since(began)
	if err != nil {
		t.Fatal(err)
	}
	samePackages(t, r.Packages(), again.Packages())
	t.Logf("%d packages, cold %v, warm %v", len(r.Packages()), cold, warm)
	for _, p := range r.Problems() {
		t.Logf("problem: %v", p)
	}
	began = time.Now()
	if err := r.LoadFiles(ctx); err != nil {
		t.Logf("files: %v", err)
	} else {
		n := len(r.files.dir)
		cold = time.Since(began)
		began = time.Now()
		if err := again.LoadFiles(ctx); err != nil {
			t.Fatal(err)
		}
		t.Logf("%d files, cold %v, warm %v", n, cold, time.Since(began))
	}
	began = time.Now()
	advisories, err := r.Advisories()
	if err != nil {
		t.Logf("advisories: %v", err)
	} else if r.HasAdvisories() {
		cves := make(map[string]bool)
		for _, a := range advisories {
			for _, c := range a.CVEs {
				cves[c] = true
			}
		}
		t.Logf("%d advisories, %d CVEs, %v, %d problems", len(advisories), len(cves), time.Since(began), len(r.noticeIndex.problems))
	}
	streams, defaults, err := r.Modules()
	if err != nil {
		t.Logf("modules: %v", err)
	} else if r.HasModules() {
		t.Logf("%d streams, %d defaults", len(streams), len(defaults))
	}
}

// TestRealDirectories checks directories of real packages, damaged ones among them, as plain directories of RPMs.
func TestRealDirectories(t *testing.T) {
	list, _ := filepath.Glob(filepath.Join(dataDir(t), "rpms", "*"))
	for _, dir := range list {
		if st, err := os.Stat(dir); err != nil || !st.IsDir() {
			continue
		}
		t.Run(filepath.Base(dir), func(t *testing.T) {
			r, k, err := prepare(Config{"real", dir}, Options{Full: true})
			if err != nil {
				t.Fatal(err)
			}
			defer k.root.Close()
			c := &checker{r: r, k: k}
			c.directory(context.Background())
			t.Logf("%d packages, %d source packages, %d problems", len(r.packages), len(r.sources), len(c.found))
			for _, p := range c.found {
				t.Log(p)
			}
		})
	}
}
