package inventory

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// decodable gives every table and key that the structs have, as in KeyDoc.
func decodable(t reflect.Type, table string, out map[string]bool) {
	for _, f := range reflect.VisibleFields(t) {
		key := f.Tag.Get("toml")
		if key == "" || key == "-" {
			continue
		}
		inner := f.Type
		for inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		join := key
		if table != "" {
			join = table + "." + key
		}
		switch {
		case inner.Kind() == reflect.Map && inner.Elem().Kind() == reflect.Pointer:
			decodable(inner.Elem().Elem(), key+".NAME", out)
			continue
		case inner.Kind() == reflect.Map:
			out[join+" NAME"] = true
		case inner.Kind() == reflect.Slice && inner.Elem().Kind() == reflect.Struct && len(taggedFields(inner.Elem())) > 0:
			decodable(inner.Elem(), "["+key+"]", out)
			continue
		case inner.Kind() == reflect.Struct && len(taggedFields(inner)) > 0:
			decodable(inner, join, out)
			if table == "" {
				continue
			}
		}
		out[table+" "+key] = true
	}
}

// TestKeysComplete: the documentation has every key that can be read, and no
// other that it calls supported.
func TestKeysComplete(t *testing.T) {
	want := make(map[string]bool)
	decodable(reflect.TypeFor[mainFile](), "", want)
	decodable(reflect.TypeFor[inventoryFile](), "", want)
	got := make(map[string]bool)
	for _, k := range Keys() {
		name := k.Table + " " + k.Key
		if k.Type == "" || k.Doc == "" || k.Where != whereMain && k.Where != whereInventory {
			t.Errorf("%s: incomplete: %+v", name, k)
		}
		if k.Supported {
			if got[name] {
				t.Errorf("%s is listed twice", name)
			}
			got[name] = true
		} else if want[name] {
			t.Errorf("%s can be read but is called unsupported", name)
		}
	}
	if diff := cmp.Diff(sortedKeys(want), sortedKeys(got)); diff != "" || len(got) < 80 {
		t.Errorf("%d keys (-structs +documentation):\n%s", len(got), diff)
	}
}

// TestDocumentedDefaults: a site with every documented default written out is the
// same as one without.
func TestDocumentedDefaults(t *testing.T) {
	need := map[string]string{
		"[repo]": "id = \"x\"\npath = \"x\"\n", "[class]": "name = \"x\"\n", "[level]": "name = \"x\"\n",
		"[policy]": "name = \"x\"\nowner = \"x\"\nreason = \"x\"\nremove = [\"x\"]\n", "notify.NAME": "", "health.NAME": "", "person.NAME": "", "cluster.NAME": "", "location.NAME": "", "ssh": "", "limits": "", "facts": "", "rollout": "", "trail": "", "": "",
	}
	written := map[string]string{"": "state = \"state\"\n"}
	for _, k := range Keys() {
		literal := regexp.MustCompile(`^("|\[|[0-9]+$|true$|false$)`).MatchString(k.Default)
		if k.Supported && literal && k.Table != "" && !(k.Table == "[policy]" && k.Key == "remove") {
			written[k.Table] += fmt.Sprintf("%s = %s\n", k.Key, k.Default)
		}
	}
	build := func(defaults bool) *Site {
		files := map[string]string{}
		for _, table := range sortedKeys(need) {
			name, text := MainFile, need[table]
			if table == "cluster.NAME" || table == "location.NAME" || table == "[policy]" {
				name = "inventory/x.toml"
			}
			if defaults {
				text += written[table]
			}
			if table == "health.NAME" {
				text += "http = \"http://{address}/\"\n"
			}
			if table == "notify.NAME" {
				text += "webhook = \"https://x/\"\n"
			}
			if table != "" {
				text = "[" + strings.Replace(table, "NAME", "x", 1) + "]\n" + text
			}
			files[name] += text
		}
		return mustLoad(t, files)
	}
	plain, full := build(false), build(true)
	if written["rollout"] == "" || written["[level]"] == "" || written["health.NAME"] == "" {
		t.Fatal("no defaults are documented")
	}
	opts := cmp.Options{
		cmpopts.IgnoreTypes(Source{}, Selector{}), cmpopts.IgnoreUnexported(Person{}), cmpopts.EquateEmpty(), cmp.AllowUnexported(Amount{}),
		cmp.Transformer("inSite", func(p string) string { return strings.Replace(p, full.Dir, plain.Dir, 1) }),
	}
	for what, pair := range map[string][2]any{
		"ssh": {plain.SSH, full.SSH}, "limits": {plain.Limits, full.Limits}, "facts": {plain.Facts, full.Facts}, "rollout": {plain.Rollout, full.Rollout}, "trail": {plain.Trail, full.Trail},
		"repo": {plain.Repos, full.Repos}, "level": {plain.Levels, full.Levels}, "health": {plain.Health["x"], full.Health["x"]}, "state": {plain.StateDir, full.StateDir}, "notify": {plain.Notify["x"], full.Notify["x"]}, "person": {plain.People["x"], full.People["x"]},
		"class": {plain.Classes, full.Classes}, "policy": {plain.Policy("x").Rules(), full.Policy("x").Rules()}, "cluster": {plain.Clusters["x"], full.Clusters["x"]}, "location": {plain.Locations["x"], full.Locations["x"]},
	} {
		if diff := cmp.Diff(pair[0], pair[1], opts); diff != "" {
			t.Errorf("%s (-default +documented):\n%s", what, diff)
		}
	}
}

// TestUnsupportedKeysAreKnown: every key of the list is refused as such, not as
// unknown, wherever it stands.
func TestUnsupportedKeysAreKnown(t *testing.T) {
	for _, k := range Keys() {
		if k.Supported {
			continue
		}
		table := strings.ReplaceAll(k.Table, "NAME", "x")
		text := fmt.Sprintf("[%s]\n%s = 1\n", table, k.Key)
		files := map[string]string{MainFile: "", "inventory/x.toml": text}
		if k.Where == whereMain {
			files = map[string]string{MainFile: text}
		}
		ps := problemsOf(t, writeSite(t, files))
		found := false
		for _, p := range ps {
			found = found || strings.HasSuffix(p.Message, "is not supported yet") && p.Line > 0
			if strings.Contains(p.Message, "unknown") {
				t.Errorf("%s %s: %v", k.Table, k.Key, p)
			}
		}
		if !found {
			t.Errorf("%s %s is not refused: %v", k.Table, k.Key, ps)
		}
	}
}

// TestInit: what is written loads, has no error, and mentions every key; with its
// examples taken in, it loads too.
func TestInit(t *testing.T) {
	parent := t.TempDir()
	if err := os.Chmod(parent, 0o755); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(parent, "new", "site")
	owners := testLoader().Owners
	if err := initSite(owners, dir); err != nil {
		t.Fatal(err)
	}
	loader := testLoader()
	s, err := loader.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if errs := Problems(s.Check()).Errors(); len(errs) > 0 {
		t.Errorf("check: %v", errs)
	}
	if err := initSite(owners, dir); err == nil || !strings.Contains(err.Error(), "there is a site already") {
		t.Errorf("a second time: %v", err)
	}
	examples := make(map[string]string)
	all := ""
	for _, name := range []string{MainFile, "inventory/example.toml"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for _, line := range strings.Split(string(data), "\n") {
			if len(line) > 1 && line[0] == '#' && line[1] != ' ' {
				line = line[1:]
			}
			lines = append(lines, line)
		}
		examples[name] = strings.Join(lines, "\n")
		all += "\n" + examples[name]
	}
	full, err := loader.Load(writeSite(t, examples))
	if err != nil {
		t.Fatal(err)
	}
	if len(full.Hosts) != 2 || len(full.Repos) != 1 || len(full.Health) != 6 {
		t.Errorf("examples: %d hosts, %d repositories, %d checks", len(full.Hosts), len(full.Repos), len(full.Health))
	}
	for _, k := range Keys() {
		if k.Supported && k.Key != "NAME" && !strings.Contains(all, "\n"+k.Key+" =") && !strings.Contains(all, "."+k.Key+"]") {
			t.Errorf("the templates do not mention %s %s", k.Table, k.Key)
		}
	}
}

func TestInitRefuses(t *testing.T) {
	owners := testLoader().Owners
	dir := writeSite(t, map[string]string{"inventory/example.toml": "mine"})
	if err := initSite(owners, dir); err == nil {
		t.Error("a file of the inventory is overwritten")
	}
	if _, err := os.Stat(filepath.Join(dir, MainFile)); err == nil {
		t.Error("half a site is written")
	}
	if data, err := os.ReadFile(filepath.Join(dir, "inventory/example.toml")); err != nil || string(data) != "mine" {
		t.Errorf("%q, %v", data, err)
	}
	open := writeSite(t, nil)
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := initSite(owners, open); err == nil || !strings.Contains(err.Error(), "others can write it") {
		t.Errorf("open to others: %v", err)
	}
	if entries, _ := os.ReadDir(open); len(entries) > 1 {
		t.Errorf("written into it: %v", entries)
	}
}

// TestSchemaTables: each word at the top of a file belongs to one kind of file.
func TestSchemaTables(t *testing.T) {
	s := newStrangeKeys()
	var main, inv, later []string
	for word, where := range s.tables {
		switch {
		case s.other[word]:
			later = append(later, word)
		case where == whereMain:
			main = append(main, word)
		default:
			inv = append(inv, word)
		}
	}
	for _, l := range [][]string{main, inv, later} {
		sort.Strings(l)
	}
	got := fmt.Sprint(main, inv, later)
	if want := "[class facts health hook level limits notify person repo rollout ssh state trail window] [cluster group host location policy] []"; got != want {
		t.Error(got)
	}
}
