package repo

import (
	"context"
	"path/filepath"
	"runtime"
	"testing"
)

// benchRepos are the real repositories that are measured, relative to CPACMAN_DATA.
var benchRepos = []string{"el7-72-to-73/centos-7.2.1511-os", "el7-72-to-73/rhel-7.3-beta/Server", "el6-63z/rhel-6server"}

// BenchmarkOpenCold parses and indexes, without a cache.
func BenchmarkOpenCold(b *testing.B) {
	for _, name := range benchRepos {
		b.Run(filepath.Base(name), func(b *testing.B) {
			cfg := Config{"bench", filepath.Join(dataDir(b), name)}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Open(context.Background(), cfg, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOpenWarm takes the packages from the cache.
func BenchmarkOpenWarm(b *testing.B) {
	for _, name := range benchRepos {
		b.Run(filepath.Base(name), func(b *testing.B) {
			cfg := Config{"bench", filepath.Join(dataDir(b), name)}
			opt := Options{CacheDir: b.TempDir()}
			if _, err := Open(context.Background(), cfg, opt); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Open(context.Background(), cfg, opt); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLive reports the memory an opened repository keeps.
func BenchmarkLive(b *testing.B) {
	for _, cached := range []string{"cold", "warm"} {
		b.Run(cached, func(b *testing.B) {
			cfg := Config{"bench", filepath.Join(dataDir(b), benchRepos[0])}
			opt := Options{CacheDir: b.TempDir()}
			if cached == "cold" {
				opt.CacheDir = ""
			} else if _, err := Open(context.Background(), cfg, opt); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				before := liveHeap()
				r, err := Open(context.Background(), cfg, opt)
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(liveHeap()-before)/(1<<20), "MiB-live")
				runtime.KeepAlive(r)
			}
		})
	}
}

func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
