package inventory

import (
	"reflect"
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
		"[host.web01]", "[host.web01.meta]", "[host]", "[host.web02] # x", "[a.b.c]", "[a]", "[a.b]", "[[a]]", "[ a ]", "[a.\"b\"]", "[]", "[a..b]", "[a]b",
		"address = \"10.0.0.1\"", "address=\"\"", "groups = [\"a\", \"b\",]", "groups = [ ]", "groups = [,]", "groups = [\"a\" \"b\"]", "n = 7", "n = -0", "n = 07",
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
	values, pos, ok := parsePlain(text)
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
	return ""
}

// TestPlainTextIsTaken: the texts that it is for.
func TestPlainTextIsTaken(t *testing.T) {
	for _, text := range plainCases() {
		if _, _, ok := parsePlain(text); !ok {
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
