package repo

import (
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cpacman/internal/rpm"
)

func TestModules(t *testing.T) {
	r := open(t, fullRepo(t), Options{})
	streams, defaults, err := r.Modules()
	if err != nil {
		t.Fatal(err)
	}
	artifact := rpm.NEVRA{Name: "foo", EVR: rpm.EVR{Epoch: 1, Version: "1.2", Release: "3.el9"}, Arch: "x86_64"}
	wantStreams := []ModuleStream{{Name: "perl", Stream: "5.30", Version: 820200101, Context: "00000000", Arch: "x86_64",
		Artifacts: []rpm.NEVRA{artifact, {Name: "gone", EVR: rpm.EVR{Version: "1", Release: "1"}, Arch: "noarch"}},
		Requires:  []map[string][]string{{"platform": {"el8"}, "other": nil}, {"platform": {"-el7"}}}}}
	wantDefaults := []ModuleDefault{{Name: "perl", Stream: "5.30", Profiles: map[string][]string{"5.30": {"common"}, "5.26": nil}}}
	if d := cmp.Diff(wantStreams, streams) + cmp.Diff(wantDefaults, defaults); d != "" {
		t.Error(d)
	}
	for name, c := range map[string]struct{ doc, want string }{
		"not YAML":     {"a: b: c", "document 1"},
		"bad artifact": {strings.Replace(modulesYAML, "gone-0:1-1.noarch", "gone", 1), `not a name-[epoch:]version-release.arch`},
		"no name":      {strings.Replace(modulesYAML, "name: perl", "nome: perl", 1), "a module has no name"},
		"control":      {strings.Replace(modulesYAML, "name: perl", `name: "perl\e[0m"`, 1), "control characters"},
		"bomb": {"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n" +
			"e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ndocument: modulemd\nversion: 2\ndata:\n  name: x\n  artifacts: {rpms: [*f,*f,*f,*f]}\n", "document 1"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := madeRepo(t, metaFile{kind: "primary", content: primaryXML()}, metaFile{kind: "modules", content: c.doc})
			_, _, err := open(t, dir, Options{}).Modules()
			wantDamage(t, err, "repodata/modules", c.want)
		})
	}
}

// TestModuleTexts: what libmodulemd takes for text or for a number is that here, whatever YAML makes of it; from the cache as from the file.
func TestModuleTexts(t *testing.T) {
	doc := `document: modulemd
version: 2
data:
  name: null
  stream: null
  version: "8000020190828150510"
  context: 010
  arch: ~
  dependencies:
  - requires: {null: [null, 1.10, -on], yes: [], any: null, one: 5.0}
  - buildrequires: {platform: [el8]}
  demodularized: {rpms: [foo, on, 0x1]}
  artifacts:
    rpms: [a-0:1-1.noarch, a-0:1-1.src, a-0:1-1.nosrc]
---
document: modulemd
version: 2
data: {name: b, stream: , version: 010}
`
	want := []ModuleStream{{Name: "null", Stream: "null", Version: 8000020190828150510, Context: "010", Arch: "~",
		Artifacts:     []rpm.NEVRA{{Name: "a", EVR: rpm.EVR{Version: "1", Release: "1"}, Arch: "noarch"}},
		Requires:      []map[string][]string{{"null": {"null", "1.10", "-on"}, "yes": nil, "any": nil, "one": {"5.0"}}, {}},
		Demodularized: []string{"foo", "on", "0x1"}}, {Name: "b", Version: 10}}
	dir, opt := madeRepo(t, metaFile{kind: "primary", content: primaryXML()}, metaFile{kind: "modules", content: doc}), Options{CacheDir: t.TempDir()}
	for _, what := range []string{"read", "from the cache"} {
		got, _, err := open(t, dir, opt).Modules()
		if err != nil || cmp.Diff(want, got) != "" {
			t.Errorf("%s: %v %s", what, err, cmp.Diff(want, got))
		}
	}
	for name, c := range map[string]struct{ old, with, want string }{
		"version":       {`"8000020190828150510"`, "new", `version "new" is no number`},
		"alias":         {"{null: [null, 1.10, -on]", "{null: &x [a], b: *x", "no list of texts"},
		"nested":        {"[null, 1.10, -on]", "[[a]]", "no text"},
		"twice":         {"any: null", "yes: []", `"yes" stands twice`},
		"no map":        {"{null: [null, 1.10, -on], yes: [], any: null, one: 5.0}", "[a]", "no map"},
		"demodularized": {"[foo, on, 0x1]", `["a\e[0m"]`, "has a character no name has"},
		"requires":      {"any: null", `"a\e[0m": []`, "control characters"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(doc, c.old) {
				t.Fatal("nothing to replace")
			}
			dir := madeRepo(t, metaFile{kind: "primary", content: primaryXML()}, metaFile{kind: "modules", content: strings.Replace(doc, c.old, c.with, 1)})
			_, _, err := open(t, dir, Options{}).Modules()
			wantDamage(t, err, "repodata/modules", c.want)
		})
	}
}

func FuzzModules(f *testing.F) {
	f.Add(modulesYAML)
	f.Fuzz(func(t *testing.T, doc string) {
		var data moduleData
		if readModules(strings.NewReader(doc), &data) != nil {
			return
		}
		for _, s := range data.streams {
			if s.Name == "" {
				t.Fatal("a stream without a name")
			}
		}
	})
}

// What a mirror may write to take the memory or the time of whoever plans is refused, and soon.
func TestHostileModules(t *testing.T) {
	const head = "document: modulemd\nversion: 2\ndata:\n"
	many := strings.Repeat
	for name, text := range map[string]string{
		"a list":               head + "  x: [" + many("1,", 8<<20) + "]\n",
		"lines":                head + "  x:\n" + many("  - 1\n", 4<<20),
		"the same key":         head + "  x: {" + many("? ,", 600<<10) + "}\n",
		"many keys":            head + "  name: a\n  stream: b\n" + keysOf(200_000),
		"keys of the document": "a: 1\n" + many("a: 1\n", 300<<10),
		"keys of dependencies": head + "  name: a\n  stream: b\n  dependencies:\n" + many("  - {"+many("a: 1, ", 1000)+"}\n", 200),
		"lists in lists":       head + "  x: " + many("[", 500_000),
		"maps in maps":         head + "  x: " + many("{a: ", 300_000),
		"documents":            many("---\na: 1\n", maxModules+1),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			var data moduleData
			err := readModules(strings.NewReader(text), &data)
			runtime.ReadMemStats(&after)
			if err == nil || len(err.Error()) > 500 {
				t.Errorf("error %.600v", err)
			}
			if mib, took := (after.TotalAlloc-before.TotalAlloc)>>20, time.Since(start); mib > 800 || took > 10*time.Second {
				t.Errorf("%d MiB and %s for %d bytes: %v", mib, took, len(text), err)
			} else {
				t.Log(mib, took, err)
			}
		})
	}
}

func keysOf(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  k%d: 1\n", i)
	}
	return b.String()
}

// TestModuleVersions: streams of version 1, as Fedora 28 had them, are streams. Of a version that nobody knows yet the packages would look as if they
// were of no stream, which is more than a note.
func TestModuleVersions(t *testing.T) {
	old := `document: modulemd
version: 1
data:
  name: perl
  stream: 5.26
  version: 1
  dependencies: {buildrequires: {platform: f28}, requires: {platform: f28}}
  artifacts: {rpms: [a-0:1-1.noarch]}
---
{document: modulemd, version: 1, data: {name: bare}}
---
{document: modulemd-packager, version: 3, data: {}}
`
	dir := madeRepo(t, metaFile{kind: "primary", content: primaryXML()}, metaFile{kind: "modules", content: old + "---\n{document: modulemd, version: 7, data: {}}\n"})
	want := []ModuleStream{{Name: "perl", Stream: "5.26", Version: 1, Artifacts: []rpm.NEVRA{{Name: "a", EVR: rpm.EVR{Version: "1", Release: "1"}, Arch: "noarch"}},
		Requires: []map[string][]string{{"platform": {"f28"}}}}, {Name: "bare"}}
	opt := Options{CacheDir: t.TempDir()}
	for _, how := range []string{"read", "from the cache"} {
		var out strings.Builder
		opt.Logger = slog.New(slog.NewTextHandler(&out, nil))
		got, _, err := open(t, dir, opt).Modules()
		if err != nil || cmp.Diff(want, got) != "" {
			t.Errorf("%s: %v %s", how, err, cmp.Diff(want, got))
		}
		if log := out.String(); !strings.Contains(log, "level=WARN") || !strings.Contains(log, "packages of none") || strings.Contains(log, "packager") {
			t.Errorf("%s: %s", how, log)
		}
	}
	problems, err := Check(t.Context(), Config{"test", dir}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for what, note := range map[string]bool{`"modulemd" of version "7"`: false, `"modulemd-packager" of version "3"`: true} {
		if !slices.ContainsFunc(problems, func(p Problem) bool { return strings.Contains(p.What, what) && p.Note == note }) {
			t.Errorf("%s: %v", what, problems)
		}
	}
}
