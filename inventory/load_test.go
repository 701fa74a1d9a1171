package inventory

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// siteFiles gives the files of testdata/site.txtar.
func siteFiles(t testing.TB) map[string]string { return archive(t, "testdata/site.txtar") }

// archive gives the files of an archive in the form of txtar.
func archive(t testing.TB, path string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]string)
	for _, part := range strings.Split(string(data), "\n-- ")[1:] {
		name, text, ok := strings.Cut(part, " --\n")
		if !ok {
			t.Fatalf("%s: %.30q", path, part)
		}
		files[name] = text + "\n"
	}
	return files
}

// words writes values with a blank between all of them.
func words(v ...any) string { return strings.TrimSuffix(fmt.Sprintln(v...), "\n") }

// TestBegin: the state directory is told before the hosts are read, and only where nothing is wrong with it.
func TestBegin(t *testing.T) {
	for main, want := range map[string]string{"": "state", "state = \"var\"\n": "var", "state = \"/srv/x\"\n": "/srv/x", "state = \"\"\n": "", "nonsense = 1\n": "", "state": ""} {
		dir := writeSite(t, map[string]string{"cpacman.toml": main, "inventory/hosts.toml": "[host.a]\nnonsense = 1\n"})
		got, l := "", testLoader()
		l.Begin = func(stateDir string) { got = stateDir }
		if _, err := l.Load(dir); err == nil {
			t.Errorf("%q: loaded", main)
		}
		if want != "" && !filepath.IsAbs(want) {
			want = filepath.Join(dir, want)
		}
		if got != want {
			t.Errorf("%q: told %q, want %q", main, got, want)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := writeSite(t, siteFiles(t))
	s, err := testLoader().Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	abs := func(p string) string { return filepath.Join(dir, p) }
	h := s.Host("web01")
	for _, c := range []struct{ name, got, want string }{
		{"state", s.StateDir, abs("var")},
		{"identity", words(s.SSH.Identity), words([]string{"/home/operator/.ssh/id_ed25519", abs("keys/id"), "/abs/id"})},
		{"known_hosts", s.SSH.KnownHosts, "/home/operator/.ssh/known_hosts"},
		{"jump", fmt.Sprintf("%v %v", s.SSH.Jump, s.SSH.Jump[1].Identity), "[gate hop@[2001:db8::1]:2222] [/home/operator/hop]"},
		{"limits", words(s.Limits.Connections, s.Limits.Starts, s.Limits.Bandwidth, s.Limits.LockWait), "200 30 50MB/s 10m0s"},
		{"facts", s.Facts.MaxAge.String(), "168h0m0s"},
		{"repo path", s.Repo("apps").Path, abs("repos/apps")},
		{"repo", words(s.Repo("base8").Priority, s.Repo("base8").Auto, s.Repo("base8").Signed, s.Repo("base9").Signed), "10 false required optional"},
		{"waves", words(s.Level("broad").Waves, s.Level("canary").Waves), "[5% 10 100%] [100%]"},
		{"rollout", words(s.Rollout.MaxFailures, s.Rollout.MaxUnreachable, s.Rollout.Strict, s.Rollout.Order), "3 5% true inventory"},
		{"basic", words(s.Health["basic"].Passes, s.Health["basic"].Kind()), "2 basic"},
		{"units", words(s.Health["units"].Systemd, s.Health["units"].Kind()), "[sshd.service] systemd"},
		{"hosts", words(s.Hosts[0].Name, s.Hosts[1].Name, s.Hosts[2].Name), "db01 plain web01"},
		{"address", h.Address + " " + s.Host("db01").Address, "192.0.2.11 db01"},
		{"meta", words(h.Meta), "map[rack:r1 slots:12 team:host tier:1.5 zone:true]"},
		{"meta of a group", words(s.Host("db01").Meta), "map[rack:r2 zone:true]"},
		{"place", strings.TrimPrefix(h.At(), dir), "/inventory/hosts.toml:1"},
		{"place of a key", strings.TrimPrefix(s.Host("db01").Origin("meta.rack"), dir), "/inventory/hosts.toml:22"},
		{"order", words(s.ClassIndex("testing"), s.ClassIndex("production"), s.ClassIndex("x"), s.LevelIndex("broad")), "0 1 -1 1"},
		{"unknown", words(s.Host("x"), s.Class("x"), s.Level("x"), s.Repo("x")), "<nil> <nil> <nil> <nil>"},
		{"members", words(len(s.Members("front")), len(s.Members("x"))), "1 0"},
		{"for", words(s.Health["lb"].For(h).Program, s.Health["web"].For(&Host{Name: "v6", Address: "2001:db8::7"}).HTTP), "[/usr/local/bin/lb state web01 192.0.2.11] https://[2001:db8::7]/v6"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", c.name, c.got, c.want)
		}
	}
}

// TestOrderNeverMatters: the same tables in other files and another order give
// the same site.
func TestOrderNeverMatters(t *testing.T) {
	files := siteFiles(t)
	render := func(s *Site) string {
		s.Dir, s.SSH.Identity[1] = "", "" // the only paths that differ
		var b strings.Builder
		for _, h := range s.Hosts {
			fmt.Fprintln(&b, h.Name, h.Meta, s.Effective(h).Health, s.Effective(h).Exclude, s.Effective(h).SSH.User)
			for _, set := range s.Origins(h) {
				fmt.Fprintln(&b, set.Key, set.Value)
			}
		}
		return b.String()
	}
	want := render(mustLoad(t, files))
	var tables []string
	for _, name := range []string{"inventory/hosts.toml", "inventory/more/groups.toml"} {
		tables = append(tables, strings.Split(strings.ReplaceAll(files[name], "\n[", "\x00["), "\x00")...)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 10 {
		mixed := map[string]string{MainFile: files[MainFile]}
		random.Shuffle(len(tables), func(i, j int) { tables[i], tables[j] = tables[j], tables[i] })
		for _, table := range tables {
			// A table and those in it must share a file: two files that both
			// define a host are an error.
			name := strings.FieldsFunc(table, func(r rune) bool { return strings.ContainsRune("[.]", r) })[1]
			mixed[fmt.Sprintf("inventory/%c%d.toml", name[len(name)-1], len(name))] += table + "\n"
		}
		if diff := cmp.Diff(want, render(mustLoad(t, mixed))); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestHostTwice(t *testing.T) {
	dir := writeSite(t, map[string]string{
		MainFile:           "",
		"inventory/a.toml": "[group.g]\n[host.web01]\n",
		"inventory/b.toml": "\n\n[host.web01]\nadress = \"x\"\n[group.g]\n",
	})
	want := fmt.Sprintf("%[1]s/inventory/b.toml:3: host \"web01\" is defined twice, first at %[1]s/inventory/a.toml:2\n  hint: keep one of them\n"+
		"%[1]s/inventory/b.toml:4: unknown key \"adress\" in [host.web01]\n  hint: did you mean \"address\"?\n"+
		"%[1]s/inventory/b.toml:5: group \"g\" is defined twice, first at %[1]s/inventory/a.toml:1\n  hint: keep one of them", dir)
	if diff := cmp.Diff(want, problemsOf(t, dir).Error()); diff != "" {
		t.Error(diff)
	}
}

// TestBrokenFileHidesNoOther: every file is reported, but nothing is called
// unknown that may stand in the file that cannot be read.
func TestBrokenFileHidesNoOther(t *testing.T) {
	dir := writeSite(t, map[string]string{
		MainFile:           "[[class]\n",
		"inventory/a.toml": "[host.a]\nclass = \"production\"\nx = 1\n",
		"inventory/b.toml": "[host.b\n",
	})
	var lines []string
	for _, p := range problemsOf(t, dir) {
		lines = append(lines, strings.TrimPrefix(p.where(), dir+"/"))
	}
	if got := strings.Join(lines, " "); got != "cpacman.toml:2 inventory/a.toml:3 inventory/b.toml:2" {
		t.Errorf("problems at %s", got)
	}
}

func TestFilesOfInventory(t *testing.T) {
	dir := writeSite(t, map[string]string{
		MainFile:                      "",
		"inventory/a.toml":            "[host.a]\n",
		"inventory/sub/deep/b.toml":   "[host.b]\n",
		"inventory/.hidden.toml":      "[broken\n",
		"inventory/.git/x.toml":       "[broken\n",
		"inventory/web.tml":           "[broken\n",
		"inventory/README.md":         "# broken\n",
		"elsewhere/c.toml":            "[host.c]\n",
		"repos.toml":                  "[broken\n",
		".editor.toml":                "[broken\n",
		"elsewhere/dir/d.toml":        "[host.d]\n",
		"inventory/weird\x1b[31m.txt": "",
	})
	for link, target := range map[string]string{"c.toml": "../elsewhere/c.toml", "again.toml": "a.toml", "linked": "../elsewhere/dir", "loop": "."} {
		if err := os.Symlink(target, filepath.Join(dir, "inventory", link)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := testLoader().Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, h := range s.Hosts {
		names = append(names, h.Name)
	}
	if got := strings.Join(names, " "); got != "a b c d" {
		t.Errorf("hosts: %s", got)
	}
	var ignored []string
	for _, p := range s.Check() {
		if p.Message == "is not read" {
			ignored = append(ignored, strings.TrimPrefix(strings.TrimPrefix(p.Error(), dir+"/"), "inventory/"))
		}
	}
	want := []string{"web.tml: warning: is not read", "weird\\x1b[31m.txt: warning: is not read", "repos.toml: warning: is not read"}
	for i := range ignored {
		ignored[i], _, _ = strings.Cut(ignored[i], "\n")
	}
	if diff := cmp.Diff(want, ignored); diff != "" {
		t.Error(diff)
	}
}

func TestUnreadableFiles(t *testing.T) {
	dir := writeSite(t, map[string]string{MainFile: "", "inventory/a.toml/x": "", "inventory/ok.toml": "[host.a]\n"})
	if err := os.Symlink("nowhere", filepath.Join(dir, "inventory", "gone.toml")); err != nil {
		t.Fatal(err)
	}
	ps := problemsOf(t, dir)
	if len(ps) != 1 || !strings.Contains(ps.Error(), "gone.toml: cannot be read: no such file or directory") {
		t.Errorf("a dangling link: %v", ps)
	}
	for what, prepare := range map[string]func(string) error{
		"missing":        func(p string) error { return os.Remove(p) },
		"it is a direct": func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o755)) },
	} {
		dir := writeSite(t, map[string]string{MainFile: ""})
		if err := prepare(filepath.Join(dir, MainFile)); err != nil {
			t.Fatal(err)
		}
		if ps := problemsOf(t, dir); len(ps) != 1 || ps[0].File != filepath.Join(dir, MainFile) {
			t.Errorf("%s: %v", what, ps)
		}
	}
	if _, err := testLoader().Load(filepath.Join(dir, "nothing")); err == nil {
		t.Error("a directory that is not there is loaded")
	}
	if _, err := testLoader().Load(filepath.Join(dir, MainFile)); err == nil {
		t.Error("a file is loaded as a site")
	}
}

func TestBounds(t *testing.T) {
	files := map[string]string{MainFile: ""}
	for i := range maxSiteFiles + 5 {
		files[fmt.Sprintf("inventory/%04d.toml", i)] = ""
	}
	ps := problemsOf(t, writeSite(t, files))
	if len(ps) != 1 || !strings.HasSuffix(ps[0].Message, "more than 1000 files") {
		t.Errorf("%v", ps)
	}
	dir := writeSite(t, map[string]string{MainFile: "", "inventory/a.toml": "", "inventory/b.toml": ""})
	for _, name := range []string{"a.toml", "b.toml"} {
		if err := os.Truncate(filepath.Join(dir, "inventory", name), maxSiteBytes*9/16); err != nil {
			t.Fatal(err)
		}
	}
	ps = problemsOf(t, dir)
	if len(ps) != 2 || !strings.HasSuffix(ps[1].Message, "larger than 64MiB together") {
		t.Errorf("%v", ps)
	}
	deep := "inventory/" + strings.Repeat("d/", maxSiteDepth+2)
	if ps := problemsOf(t, writeSite(t, map[string]string{MainFile: "", deep + "x.toml": ""})); len(ps) != 1 {
		t.Errorf("%v", ps)
	}
}

// bigSite writes hosts as a fleet has them.
func bigSite(t testing.TB, hosts, perFile int) string {
	files := siteFiles(t)
	delete(files, "inventory/hosts.toml")
	for i := range hosts {
		files[fmt.Sprintf("inventory/rack%d.toml", i/perFile)] += fmt.Sprintf("[host.h%05d]\naddress = \"10.%d.%d.%d\"\nclass = \"production\"\nlevel = \"broad\"\ngroups = [\"web\", \"berlin\"]\nclusters = [\"front\"]\nlocation = \"berlin\"\n[host.h%05d.meta]\nrack = \"r%d\"\n",
			i, i>>16, i>>8&255, i&255, i, i/40)
	}
	return writeSite(t, files)
}

// TestTenThousandHosts: a large fleet is loaded and selected from well within a
// second. The bound leaves room for a slow machine; the time is logged.
func TestTenThousandHosts(t *testing.T) {
	dir := bigSite(t, 10_000, 500)
	start := time.Now()
	s, err := testLoader().Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	loaded := time.Since(start)
	start = time.Now()
	hosts, err := s.Select([]string{"class=production and rack=r1* and not (host=h00001 or cluster=x*)"}, nil)
	if err != nil || len(hosts) != 4440 {
		t.Errorf("%d hosts: %v", len(hosts), err)
	}
	selected := time.Since(start)
	start = time.Now()
	warnings := s.Check()
	t.Logf("loaded in %v, selected in %v, checked in %v (%d problems)", loaded, selected, time.Since(start), len(warnings))
	// Half a second on an idle machine; the limit only has to tell a quadratic loader from a busy machine.
	if loaded > time.Minute {
		t.Errorf("loading took %v", loaded)
	}
}

func BenchmarkLoad(b *testing.B) {
	for _, perFile := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("%d hosts a file", perFile), func(b *testing.B) {
			dir := bigSite(b, 10_000, perFile)
			for b.Loop() {
				if _, err := testLoader().Load(dir); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
