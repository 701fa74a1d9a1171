package fleet

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/rpmpack"

	"cpacman/internal/repo"
	"cpacman/internal/rpm"
	"cpacman/internal/store"
	"cpacman/inventory"
	"cpacman/planner"
)

// rpmFile writes a package that restarts units in its %post, and has a configuration file.
func rpmFile(t *testing.T, file, version, post, config string) *rpm.Header {
	t.Helper()
	p, err := rpmpack.NewRPM(rpmpack.RPMMetaData{Name: "a", Version: version, Release: "1", Arch: "noarch"})
	if err != nil {
		t.Fatal(err)
	}
	p.AddPostin(post)
	p.AddFile(rpmpack.RPMFile{Name: "/etc/a.conf", Body: []byte(config), Mode: 0o644, Type: rpmpack.ConfigFile})
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := rpm.ReadPackageHeaders(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	return h.Header
}

// TestTouchesRemembered: what a package touches is found once and remembered for the same file and the same installed header, and not for others.
func TestTouchesRemembered(t *testing.T) {
	work := t.TempDir()
	dir := filepath.Join(work, "repo")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	old := rpmFile(t, filepath.Join(work, "old.rpm"), "1", "true", "one")
	rpmFile(t, filepath.Join(dir, "a.rpm"), "2", "systemctl try-restart a.service", "two")
	site := &inventory.Site{StateDir: filepath.Join(work, "state"), Repos: []inventory.Repo{{ID: "r", Path: dir}}}
	digest := fmt.Sprintf("%064d", 1)
	full := openStore(t, filepath.Join(work, "full"))
	if err := full.PutHeaders(t.Context(), map[string][]byte{digest: old.Immutable()}); err != nil {
		t.Fatal(err)
	}
	empty := openStore(t, filepath.Join(work, "empty"))
	// touches asks as a new process would; without the store's headers only what is remembered can be told.
	touches := func(st *store.Store, going string) (planner.Impact, bool) {
		t.Helper()
		f := New(site, st, Options{Log: slog.New(slog.DiscardHandler), Now: time.Now})
		defer f.Close()
		from := rpm.NEVRA{Name: "a", EVR: rpm.EVR{Version: "1", Release: "1"}, Arch: "noarch"}
		to := from
		to.Version = "2"
		g := &group{
			input:  planner.Host{Installed: []*rpm.Package{{NEVRA: from, Header: going}}},
			result: &planner.Result{Set: planner.Set{Upgrade: []planner.Move{{From: from, To: to}}}},
		}
		g.result.Packages = []planner.Used{{Candidate: planner.Candidate{Package: &rpm.Package{NEVRA: to}, Path: "a.rpm"}, Source: "r"}}
		out, err := f.touched(t.Context(), f.NewRepos(), []*group{g})
		if err != nil {
			t.Fatal(err)
		}
		return *out.impact(g), out.missing[[2]string{"r", "a.rpm"}]
	}
	check := func(what string, st *store.Store, going string, want planner.Impact) {
		t.Helper()
		got, missing := touches(st, going)
		if d := cmp.Diff(want, got); d != "" || missing {
			t.Errorf("%s: missing %v\n%s", what, missing, d)
		}
	}
	found := planner.Impact{Services: []string{"a.service"}, ConfigFiles: []string{"/etc/a.conf"}, Scriptlets: []string{"a-2-1.noarch: post"}}
	check("no header of what goes", empty, digest, planner.Impact{Unread: 1})
	check("the first time", full, digest, found)
	check("remembered", empty, digest, found)
	check("another installed header", empty, fmt.Sprintf("%064d", 2), planner.Impact{Unread: 1})

	rpmFile(t, filepath.Join(dir, "a.rpm"), "2", "systemctl try-restart b.service", "two")
	check("another file", empty, digest, planner.Impact{Unread: 1})
	found.Services = []string{"b.service"}
	check("another file, the first time", full, digest, found)
	check("another file, remembered", empty, digest, found)

	if err := os.Remove(filepath.Join(dir, "a.rpm")); err != nil {
		t.Fatal(err)
	}
	f := New(site, full, Options{Log: slog.New(slog.DiscardHandler), Now: time.Now})
	defer f.Close()
	one := &touch{id: touchID{repo: "r", path: "a.rpm"}, at: Located{nil, &repo.Package{Package: &rpm.Package{}, Location: "a.rpm", Size: -1}}}
	r, err := f.NewRepos().Open(t.Context(), "r")
	if err != nil {
		t.Fatal(err)
	}
	one.at.Repo = r
	for _, withDir := range []bool{true, false} {
		one.dir = nil
		if withDir {
			if one.dir, err = r.OpenDir(); err != nil {
				t.Fatal(err)
			}
			defer one.dir.Close()
		}
		one.missing, one.known, one.impact = false, false, planner.Impact{}
		if one.recall(repo.OpenDerived("", f.log, time.Now)); !one.missing || one.impact.Unread != 1 {
			t.Errorf("a file that is gone (directory there: %v): %+v", withDir, one)
		}
	}
}

func openStore(t *testing.T, dir string) *store.Store {
	t.Helper()
	st, err := store.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}
