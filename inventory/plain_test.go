package inventory

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestPlainTextIsReadAsTOML: what the fast parser takes, the library and the scanner take too, and read the same.
func TestPlainTextIsReadAsTOML(t *testing.T) {
	for _, text := range append(tricky(), plainCases()...) {
		if err := plainAgrees(text); err != "" {
			t.Errorf("%q: %s", text, err)
		}
	}
	line := rapid.SampledFrom([]string{
		"[host.web01]", "[host.web01.meta]", "[host.web02.meta]", "[host.web01.ssh]", "rack = \"r\"", "rack = 4", "[host]", "[host.web02] # x", "[a.b.c]", "[a]", "[a.b]", "[[a]]", "[ a ]", "[a.\"b\"]", "[]", "[a..b]", "[a]b",
		"address = \"10.0.0.1\"", "level = \"x\"", "level = 2", "state = \"retired\"", "health = [\"x\"]", "os = [\"x\"]", "address=\"\"", "groups = [\"a\", \"b\",]", "groups = [ ]", "groups = [,]", "groups = [\"a\" \"b\"]", "n = 7", "n = -0", "n = 07",
		"n = 1.5", "n = 1979-05-27", "n = 0x1f", "n = 1_000", "n = 999999999999999999", "b = true", "b = falsehood", "b = False", "web01 = \"v\"", "host = 1", "meta = \"x\"",
		"a.b = 1", "a = { b = 1 }", "s = \"\"\"x\"\"\"", "s = 'x'", "s = \"a\\tb\"", "s = \"ü\"", "s = \"x", "s =", "= 1", "s", "s = \"x\" y", "s = \"#\" # \"",
		"", "  # comment", "\t", "# ü", "# \x01", "\r", "s = 1\r", "-_ = 1", "1 = 2", "\xef\xbb\xbf", "s = \"\x7f\"", "s = \"\x00\"",
	})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(line, 0, 6).Draw(t, "lines"), "\n")
		if rapid.Bool().Draw(t, "ended") {
			text += "\n"
		}
		if rapid.IntRange(0, 3).Draw(t, "damaged") == 0 && text != "" {
			at := rapid.IntRange(0, len(text)-1).Draw(t, "place")
			text = text[:at] + rapid.SampledFrom([]string{"", "\"", "]", "[", ".", "=", "#", "\n", "-", "0", " ", "\\"}).Draw(t, "instead") + text[at+1:]
		}
		if err := plainAgrees(text); err != "" {
			t.Fatalf("%q: %s", text, err)
		}
	})
}

// plainCases are texts that the fast parser is for.
func plainCases() []string {
	return []string{
		"",
		"[host.web01]\naddress = \"192.0.2.1\"\nclass = \"production\"\ngroups = [\"a\", \"b\"]\n\n[host.web02]\nport = 22\n\n[host.web01.meta]\nrack = \"r1\" # here\n",
		"a = 1\n[b.c]\n[b]\nd = true",
	}
}

func plainAgrees(text string) string {
	values, pos, ok := parsePlain(text, nil)
	if !ok {
		return ""
	}
	want, at, problem := parseAll("x.toml", text)
	switch {
	case problem != nil:
		return "taken, and the library says: " + problem.Message
	case !reflect.DeepEqual(values, want):
		return "other values"
	case !reflect.DeepEqual(pos, at):
		return "other positions"
	}
	return plainHostsAgree(text)
}

// plainHostsAgree reads the text as a file of the inventory both ways.
func plainHostsAgree(text string) string {
	schema := newSchema()
	var got, want inventoryFile
	problems, broken := decodeText(schema, "x.toml", text, &got)
	values, pos, problem := parseAll("x.toml", text)
	if problem != nil || broken {
		return "not TOML any more"
	}
	d := &decoder{file: "x.toml", schema: schema}
	d.table(values, pos, "", reflect.ValueOf(&want).Elem())
	if a, b := problems.sorted().Error(), d.problems.sorted().Error(); a != b {
		return "problems: " + a + "; the library: " + b
	}
	for _, h := range got.hosts {
		if got.Host[h.Name] != nil {
			return h.Name + " was read twice"
		}
		if got.Host == nil {
			got.Host = map[string]*Host{}
		}
		got.Host[h.Name] = h
	}
	for _, hosts := range []map[string]*Host{got.Host, want.Host} {
		for _, h := range hosts {
			// The order in which keys were found has no meaning.
			slices.SortFunc(h.set, func(a, b keyLine) int { return strings.Compare(a.key, b.key) })
		}
	}
	if len(got.Host)+len(want.Host) > 0 && !reflect.DeepEqual(got.Host, want.Host) {
		return "other hosts"
	}
	got.Host, got.hosts, got.Source, want.Host, want.Source = nil, nil, Source{}, nil, Source{}
	if !reflect.DeepEqual(got, want) {
		return "other tables"
	}
	return ""
}

// TestPlainHosts: which hosts are read at sight, and that the others are not lost.
func TestPlainHosts(t *testing.T) {
	const plain = "[host.web01]\naddress = \"192.0.2.1\"\nclass = \"production\"\ngroups = [\"a\", \"b\"]\n"
	for _, c := range []struct {
		text       string
		read, rest string
	}{
		{plain, "web01", ""},
		{plain + "[host.web02]\n\n[host.web03]\nhealth = []\n", "web01 web02 web03", ""},
		{plain + "[host.web02]\nstate = \"retired\"\n", "web01", "web02"},
		{plain + "[host.web02]\nlevel = 3\n", "web01", "web02"},
		{plain + "[host.web01.meta]\nrack = \"r1\"\n\nbox = \"7\"\n[host.web02]\n[host.web02.meta]\n", "web01 web02", ""},
		{plain + "[host.web01.meta]\nrack = \"r1\"\nslots = 12\nbox = \"7\"\n[host.web02]", "web02", "web01"},
		{plain + "[host.web01.meta]\nrack = \"r1\"\n[host.web01.ssh]\nport = 222\n[host.web02]", "web02", "web01"},
		{plain + "[host.web02]\n[host.web01.meta]\nrack = \"r1\"\n", "web02", "web01"},
		{"[host.web02.meta]\nrack = \"r1\"\n[host.web02]\n" + plain, "web01", "web02"},
		{"[host]\n[host.web02]\n" + plain, "web02 web01", ""},
		{"[host]\nweb02 = \"x\"\n" + plain, "web01", "web02"},
	} {
		if err := plainAgrees(c.text); err != "" {
			t.Errorf("%q: %s", c.text, err)
		}
		l := newPlainHosts("x.toml", c.text)
		values, _, ok := parsePlain(c.text, l)
		var read []string
		for _, h := range l.take() {
			read = append(read, h.Name)
		}
		tables, _ := values["host"].(map[string]any)
		if got, rest := strings.Join(read, " "), strings.Join(sortedKeys(tables), " "); !ok || got != c.read || rest != c.rest {
			t.Errorf("%q: read %q, left %q, %v", c.text, got, rest, ok)
		}
	}
	for _, text := range []string{
		plain + plain, plain + "[host]\n", plain + "address = \"x\"\naddress = \"y\"\n", plain + "[host.web01.meta]\n[host.web01]\n",
		plain + "[host.web01.meta]\na = \"x\"\na = \"y\"\n", plain + "[host.web01.meta]\n[host.web01.meta]\n", plain + "meta = \"x\"\n[host.web01.meta]\n",
		"[host]\nweb01 = \"x\"\n" + plain, "host = 1\n" + plain, plain + "[host.]\n", plain + "level = \"x\n",
	} {
		if _, _, ok := parsePlain(text, newPlainHosts("x.toml", text)); ok {
			t.Errorf("taken: %q", text)
		}
	}
}

// TestPlainTextIsTaken: the texts that it is for.
func TestPlainTextIsTaken(t *testing.T) {
	for _, text := range plainCases() {
		if _, _, ok := parsePlain(text, nil); !ok {
			t.Errorf("not taken: %q", text)
		}
	}
}

// FuzzPlain looks for texts that the two ways read differently.
func FuzzPlain(f *testing.F) {
	for _, text := range append(tricky(), plainCases()...) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if err := plainAgrees(text); err != "" {
			t.Fatalf("%q: %s", text, err)
		}
	})
}
