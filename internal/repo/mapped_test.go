package repo

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMappedCache: a mapped cache file says what it says when it is read, and damage to it is found.
func TestMappedCache(t *testing.T) {
	opt := Options{CacheDir: filepath.Join(t.TempDir(), "cache")}
	dir := fullRepo(t)
	want := everything(t, open(t, dir, opt))
	names, err := filepath.Glob(filepath.Join(opt.CacheDir, "*"+cacheSuffix))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	mapped := &cache{mapFrom: 1, now: opt.Now}
	read := &cache{now: opt.Now}
	for _, name := range names {
		for damaged := range 2 {
			f, err := os.OpenFile(name, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			st, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			if damaged > 0 {
				if _, err := f.WriteAt([]byte("x"), st.Size()-1); err != nil {
					t.Fatal(err)
				}
			}
			a, sumA, errA := mapped.content(f, st.Size())
			b, sumB, errB := read.content(f, st.Size())
			if errA != nil || errB != nil || sumA != sumB || string(a) != string(b) {
				t.Errorf("%s: %08x %v, read %08x %v", name, sumA, errA, sumB, errB)
			}
			f.Close()
		}
	}
	f, err := os.Open(names[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || mapFile(f, st.Size()+1<<20) != nil {
		t.Errorf("bytes that cannot be read are mapped (%v)", err)
	}
	opt.Mapped = true
	for range 2 { // the damaged files are made again, and then taken
		if d := cmp.Diff(want, everything(t, open(t, dir, opt))); d != "" {
			t.Error(d)
		}
	}
}
