package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"

	"cpacman/internal/rollout"
	"cpacman/inventory"
)

// root is the top of the source tree.
const root = "../.."

// documents lists the pages that people read, relative to the top.
func documents(t *testing.T) []string {
	t.Helper()
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages in docs: %v", err)
	}
	out := []string{"README.md", "CONTRIBUTING.md"}
	for _, p := range pages {
		out = append(out, filepath.ToSlash(filepath.Join("docs", filepath.Base(p))))
	}
	return out
}

func page(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// generated holds a part of a page, between <!-- part: begin --> and <!-- part: end -->, to what the code says; with -update it
// is written.
func generated(t *testing.T, name, part, want string) {
	t.Helper()
	text := page(t, name)
	begin, end := "<!-- "+part+": begin -->\n", "<!-- "+part+": end -->"
	head, rest, ok := strings.Cut(text, begin)
	got, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no part %q", name, part)
	}
	want = "\n" + strings.TrimSpace(want) + "\n\n"
	if got == want {
		return
	}
	if !*update {
		t.Fatalf("%s: part %q is not what the code says; run go test ./cmd/cpacman -run TestDocs -update\n%s", name, part, cmp.Diff(got, want))
	}
	if err := os.WriteFile(filepath.Join(root, name), []byte(head+begin+want+end+tail), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestDocsConfiguration(t *testing.T) {
	var built, later []inventory.KeyDoc
	for _, k := range inventory.Keys() {
		if k.Supported {
			built = append(built, k)
		} else {
			later = append(later, k)
		}
	}
	generated(t, "docs/configuration.md", "keys", keyTables(built))
	generated(t, "docs/configuration.md", "later", laterTable(later))
}

// heading is a table's name as a file writes it.
func heading(table string) string {
	if table == "" {
		return "The top of the file"
	}
	return "`[" + table + "]`"
}

// keyTables writes one table for each table of the configuration.
func keyTables(keys []inventory.KeyDoc) string {
	var b strings.Builder
	last := "\x00"
	for _, k := range keys {
		if k.Table != last {
			last = k.Table
			fmt.Fprintf(&b, "\n### %s\n\nStands in `%s`.\n\n| key | type | unit | default | meaning |\n|---|---|---|---|---|\n", heading(k.Table), k.Where)
		}
		def := k.Default
		if strings.HasPrefix(def, `"`) || strings.HasPrefix(def, "[") || def != "" && !strings.Contains(def, " ") {
			def = "`" + def + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", k.Key, cell(k.Type), cell(k.Unit), cell(def), cell(k.Doc))
	}
	return b.String()
}

// laterTable lists what is refused, a line for each table.
func laterTable(keys []inventory.KeyDoc) string {
	var order []string
	byTable := map[string][]string{}
	for _, k := range keys {
		if byTable[k.Table] == nil {
			order = append(order, k.Table)
		}
		byTable[k.Table] = append(byTable[k.Table], "`"+k.Key+"`")
	}
	var b strings.Builder
	b.WriteString("| table | refused keys |\n|---|---|\n")
	for _, table := range order {
		fmt.Fprintf(&b, "| %s | %s |\n", cell(heading(table)), strings.Join(byTable[table], ", "))
	}
	return b.String()
}

// cell makes text fit into one cell of a Markdown table.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s)
}

func TestDocsStates(t *testing.T) {
	generated(t, "docs/states.md", "states", rollout.Markdown())
}

// leaf is a verb that does something, with its words: "rollout start".
type leaf struct {
	path    string
	command *cli.Command
}

func leaves(prefix string, commands []*cli.Command) []leaf {
	var out []leaf
	for _, c := range commands {
		path := strings.TrimSpace(prefix + " " + c.Name)
		if c.Hidden {
			continue
		}
		// A verb that does something by itself has flags of its own beside its subverbs.
		if len(c.Subcommands) == 0 || len(c.Flags) > 0 {
			out = append(out, leaf{path, c})
		}
		out = append(out, leaves(path, c.Subcommands)...)
	}
	return out
}

func TestDocsReference(t *testing.T) {
	app := newApp(&env{})
	var b strings.Builder
	for _, l := range leaves("", app.Commands) {
		fmt.Fprintf(&b, "\n### %s\n\n`cpacman %s`: %s.\n", l.path, strings.TrimSpace(l.path+" "+l.command.ArgsUsage), l.command.Usage)
		if d := strings.TrimSpace(l.command.Description); d != "" {
			fmt.Fprintf(&b, "\n%s\n", d)
		}
		b.WriteString(flagTableText(l.command.Flags))
	}
	generated(t, "docs/reference.md", "verbs", b.String())
	generated(t, "docs/reference.md", "flags", flagTableText(app.Flags))

	text := page(t, "docs/reference.md")
	for _, status := range []string{"0", "1", "2", "3", "4", "5", "6", "130"} {
		if !regexp.MustCompile(`(?m)^\| ` + status + ` \| .{10,} \|$`).MatchString(text) {
			t.Errorf("docs/reference.md: the table of exit statuses has no line for %s", status)
		}
	}
	for _, l := range leaves("", app.Commands) {
		if !strings.Contains(text, "cpacman "+l.path) {
			t.Errorf("docs/reference.md does not mention cpacman %s", l.path)
		}
		for _, f := range l.command.Flags {
			if !strings.Contains(text, "`--"+f.Names()[0]) {
				t.Errorf("docs/reference.md does not mention --%s of %s", f.Names()[0], l.path)
			}
		}
	}
}

// flagTableText writes the flags of a verb as a table; --help goes without saying.
func flagTableText(flags []cli.Flag) string {
	var b strings.Builder
	for _, f := range flags {
		d, ok := f.(cli.DocGenerationFlag)
		if !ok || f.Names()[0] == "help" {
			continue
		}
		usage := d.GetUsage()
		name := ""
		for i, n := range f.Names() {
			dash := "--"
			if len(n) == 1 {
				dash = "-"
			}
			if i > 0 {
				name += ", "
			}
			name += "`" + dash + n
			if placeholder := valueName(usage); d.TakesValue() && i == 0 {
				name += " " + placeholder
			}
			name += "`"
		}
		if v := strings.Trim(d.GetDefaultText(), `"`); d.TakesValue() && v != "" && v != "0s" && !strings.Contains(usage, "default") {
			usage += " (default: " + v + ")"
		}
		fmt.Fprintf(&b, "| %s | %s |\n", name, cell(strings.ReplaceAll(usage, "`", "")))
	}
	if b.Len() == 0 {
		return ""
	}
	return "\n| flag | meaning |\n|---|---|\n" + b.String()
}

// valueName is what urfave/cli shows for a flag's value: the word in backquotes.
func valueName(usage string) string {
	if _, rest, ok := strings.Cut(usage, "`"); ok {
		if word, _, ok := strings.Cut(rest, "`"); ok {
			return word
		}
	}
	return "VALUE"
}

// The fences of code, and links, which are looked for outside them.
var (
	fence = regexp.MustCompile("(?ms)^```([a-z]*)[^\n]*\n(.*?)^```")
	link  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	title = regexp.MustCompile(`(?m)^#+ +(.+)$`)
)

// anchor is the name GitHub gives to a heading.
func anchor(heading string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(heading) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r == '-' || r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r > 127:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func anchors(text string) []string {
	var out []string
	for _, m := range title.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		out = append(out, anchor(m[1]))
	}
	return out
}

func TestDocsLinks(t *testing.T) {
	for _, name := range documents(t) {
		text := fence.ReplaceAllString(page(t, name), "")
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target := m[1]
			if strings.HasPrefix(target, "https://") {
				continue
			}
			file, fragment, _ := strings.Cut(target, "#")
			path := filepath.Join(filepath.Dir(name), file)
			if file == "" {
				path = name
			}
			if _, err := os.Stat(filepath.Join(root, path)); err != nil {
				t.Errorf("%s links to %s, which is not there", name, target)
				continue
			}
			if fragment != "" && !slices.Contains(anchors(page(t, path)), fragment) {
				t.Errorf("%s links to %s, and %s has no such heading", name, target, path)
			}
		}
	}
	readme := page(t, "README.md")
	for _, name := range documents(t) {
		if strings.HasPrefix(name, "docs/") && !strings.Contains(readme, "("+name+")") {
			t.Errorf("README.md does not link to %s", name)
		}
	}
}

// TestDocsExamples holds every piece of configuration in the documents to the keys that are built.
func TestDocsExamples(t *testing.T) {
	known := map[string]bool{}
	for _, k := range inventory.Keys() {
		if k.Supported {
			known[strings.Trim(k.Table, "[]")+" "+k.Key] = true
		}
	}
	seen := 0
	for _, name := range documents(t) {
		for _, m := range fence.FindAllStringSubmatch(page(t, name), -1) {
			if m[1] != "toml" {
				continue
			}
			seen++
			var values map[string]any
			if _, err := toml.NewDecoder(bytes.NewBufferString(m[2])).Decode(&values); err != nil {
				t.Errorf("%s: %v in\n%s", name, err, m[2])
				continue
			}
			for _, k := range keysOf("", values) {
				if !known[k] && !known[regexp.MustCompile(` [^ ]+$`).ReplaceAllString(k, " NAME")] {
					t.Errorf("%s shows the key %q, which no site may have", name, k)
				}
			}
		}
	}
	if seen == 0 {
		t.Error("no configuration is shown at all")
	}
}

// keysOf lists the keys of decoded tables as "table key", names replaced by NAME.
func keysOf(table string, values map[string]any) []string {
	named := []string{"health", "person", "window", "notify", "group", "host", "cluster", "location"}
	var out []string
	for key, v := range values {
		switch v := v.(type) {
		case map[string]any:
			next := strings.TrimPrefix(table+"."+key, ".")
			if slices.Contains(named, table) {
				next = table + ".NAME"
			}
			out = append(out, keysOf(next, v)...)
		case []map[string]any:
			for _, one := range v {
				out = append(out, keysOf(key, one)...)
			}
		default:
			out = append(out, table+" "+key)
		}
	}
	return out
}
