package inventory

import (
	"errors"
	"path"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// db01 answers the selectors of the tests: location is known to be empty, os is
// not known.
func db01(key string) []string {
	return map[string][]string{
		"host":       {"db01.example.org"},
		"class":      {"production"},
		"level":      {"canary"},
		"group":      {"db", "linux"},
		"cluster":    {},
		"location":   {},
		"os_version": {"8.10"},
		"rack":       {"12"},
		"note":       {"two words"},
		"kernel":     {"5.14.0-427.el9"},
	}[key]
}

func TestSelector(t *testing.T) {
	for _, c := range []struct {
		text string
		want truth
	}{
		{"all", yes}, {"not all", no}, {"all or x", yes},
		{"db01.example.org", yes}, {"db*", yes}, {"*", yes}, {"web*", no}, {"db0?.*", yes}, {"db0[1-3].*", yes}, {"db0[!1-3].*", no},
		{`"db01.example.org"`, yes}, {"host=db01*", yes},
		{"class=production", yes}, {"class = production", yes}, {"class=prod*", yes}, {"class=prod", no}, {"class!=production", no}, {"class!=testing", yes},
		{"group=db", yes}, {"group=linux", yes}, {"group=web", no}, {"group!=db", no}, {"group!=web", yes}, {"not group=db", no},
		{"cluster=x", no}, {"cluster!=x", yes}, {"cluster=*", no}, {"not cluster=*", yes},
		{`note="two words"`, yes}, {`note='two*'`, yes}, {`note=two`, no},
		// Precedence: not, and, or.
		{"class=testing and group=db or level=canary", yes},
		{"level=canary or class=testing and group=web", yes},
		{"(level=canary or class=testing) and group=web", no},
		{"not group=web and class=testing", no},
		{"not (group=web and class=testing)", yes},
		{"not not group=db", yes}, {"not group=web or group=web", yes},
		{"class=production and level=canary and not group=web", yes},
		{"(((group=db)))", yes}, {"(group=db)and(level=canary)", yes},
		// Versions.
		{"os_version>=8", yes}, {"os_version>8", yes}, {"os_version>8.9", yes}, {"os_version>=8.10", yes}, {"os_version<=8.10", yes},
		{"os_version<8.10", no}, {"os_version>8.10", no}, {"os_version<9", yes}, {"os_version>=9", no}, {"os_version<8.9", no},
		{"rack>9", yes}, {"rack<100", yes}, {"rack>=12 and rack<=12", yes}, {"rack>012", no}, {"kernel>=5.14", yes}, {"kernel<5.9", no},
		{"class>1", no}, {"os_version=8*", yes}, {"os_version=8", no},
		// What is not known is neither true nor false.
		{"os=rocky9", unknown}, {"os!=rocky9", unknown}, {"not os=rocky9", unknown}, {"os=*", unknown}, {"arch>1", unknown},
		{"os=x or class=production", yes}, {"class=production or os=x", yes}, {"os=x and class=testing", no}, {"class=testing and os=x", no},
		{"os=x and class=production", unknown}, {"os=x or class=testing", unknown}, {"not (os=x or class=testing)", unknown},
	} {
		sel, err := ParseSelector([]string{c.text})
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if got := sel.eval(db01); got != c.want {
			t.Errorf("%s: %d, want %d", c.text, got, c.want)
		}
		if got := sel.Match(db01); got != (c.want == yes) {
			t.Errorf("%s: matches: %v", c.text, got)
		}
	}
}

func TestSelectorErrors(t *testing.T) {
	for text, want := range map[string]string{
		"and":                             `something is missing before "and"`,
		"a and":                           "something is missing at the end",
		"a or or b":                       `something is missing before "or"`,
		"a b":                             `neither and nor or before "b"`,
		"a AND b":                         `"AND": write and`,
		"(a":                              "a parenthesis that is not closed",
		"a)":                              "a parenthesis that was not opened",
		"()":                              `something is missing before ")"`,
		"not":                             "something is missing at the end",
		"class=":                          `no value for the key "class"`,
		"class= and x":                    `neither and nor or before "x"`,
		"=x":                              `something is missing before "="`,
		"class==x":                        `the operator "=="`,
		"class=>x":                        `the operator "=>"`,
		"class=x=y":                       `"=" in the wrong place`,
		"!x":                              `a lone "!"`,
		"a && b":                          `'&'`,
		"a,b":                             `','`,
		"\"a":                             "a quote \" that is not closed",
		"host=[a":                         "a [ that is not closed",
		"os_version>=el9":                 "needs a number or a version",
		"os_version>=9*":                  "needs a number or a version",
		"\"class\"=x":                     "in quotes",
		"cl*ss=x":                         "a key whose name",
		"a\x00b":                          "a character that cannot be printed",
		"a\xffb":                          "a character that cannot be printed",
		"host=\"\"":                       "an empty host name",
		strings.Repeat("(", 200):          "more than 100",
		strings.Repeat("not ", 200) + "a": "more than 100",
	} {
		_, err := ParseSelector([]string{text})
		if !errors.Is(err, ErrSelectorSyntax) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	for _, args := range [][]string{{""}, {" ", "\t"}, {"", ""}} {
		if _, err := ParseSelector(args); !errors.Is(err, ErrEmptySelector) {
			t.Errorf("%q: %v", args, err)
		}
	}
	if _, err := ParseSelector([]string{strings.Repeat("a or ", 20_000) + "a"}); !errors.Is(err, ErrSelectorSyntax) {
		t.Errorf("too long: %v", err)
	}
	if sel, err := ParseSelector(nil); err != nil || !sel.IsZero() || !sel.Match(db01) || sel.String() != "all" {
		t.Errorf("no arguments: %v, %v", sel, err)
	}
	if sel, err := ParseSelector([]string{"class=a", "and", "(web*", "or", "not db)"}); err != nil || strings.Join(sel.Keys(), " ") != "class host" {
		t.Errorf("joined: %v %v %v", sel, sel.Keys(), err)
	}
}

// TestSelectorLaws: De Morgan's laws and double negation hold in the logic of
// three values.
func TestSelectorLaws(t *testing.T) {
	term := rapid.SampledFrom([]string{"class=production", "class=x", "os=x", "not os=x", "rack>3", "rack>30", "group!=db"})
	eval := func(t *rapid.T, text string) truth {
		sel, err := ParseSelector([]string{text})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		return sel.eval(db01)
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := term.Draw(t, "a"), term.Draw(t, "b"), term.Draw(t, "c")
		for _, law := range [][2]string{
			{"not (" + a + " and " + b + ")", "not " + a + " or not " + b},
			{"not (" + a + " or " + b + ")", "not " + a + " and not " + b},
			{"not not " + a, a},
			{a + " or " + b + " and " + c, a + " or (" + b + " and " + c + ")"},
			{a + " and " + b, b + " and " + a},
			{a + " and (" + b + " or " + c + ")", a + " and " + b + " or " + a + " and " + c},
		} {
			if eval(t, law[0]) != eval(t, law[1]) {
				t.Fatalf("%s is not %s", law[0], law[1])
			}
		}
	})
}

func FuzzSelector(f *testing.F) {
	for _, s := range []string{"class=production and level=canary and not group=db", "(a or b*)", `note="x y"`, "os_version>=9", "[!a]", "a!=b", "not (not x)"} {
		f.Add(s, "value")
	}
	f.Fuzz(func(t *testing.T, text, value string) {
		sel, err := ParseSelector([]string{text})
		if err != nil {
			if !errors.Is(err, ErrSelectorSyntax) && !errors.Is(err, ErrEmptySelector) {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		get := func(string) []string { return []string{value, "7.1"} }
		again, err := ParseSelector([]string{sel.String()})
		if err != nil || again.Match(get) != sel.Match(get) {
			t.Errorf("%q: read back as %q: %v", text, sel, err)
		}
		negated, err := ParseSelector([]string{"not (" + text + ")"})
		if err == nil && negated.Match(get) == sel.Match(get) {
			t.Errorf("%q and its negation agree", text)
		}
	})
}

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		glob, s string
		want    bool
	}{
		{"", "", true}, {"*", "", true}, {"**", "a/b", true}, {"?", "", false}, {"?", "é", true}, {"a*b*c", "aXbYc", true}, {"a*b*c", "aXbY", false},
		{"[abc]x", "bx", true}, {"[!abc]x", "bx", false}, {"[^abc]x", "dx", true}, {"[a-c-]", "-", true}, {"[]a]", "]", true}, {"[!]a]", "]", false},
		{"[z-a]", "m", false}, {"[é-ü]", "ö", true}, {"a]", "a]", true}, {"*.example.org", "web.example.org", true}, {"a[", "a[", false},
	} {
		if got := matchGlob(c.glob, c.s); got != c.want {
			t.Errorf("%q on %q: %v", c.glob, c.s, got)
		}
	}
	if matchGlob(strings.Repeat("a*", 50)+"b", strings.Repeat("a", 5000)) {
		t.Error("a glob without end matches")
	}
}

// TestGlobPeer compares with the standard library where the languages agree: no
// slash, no backslash.
func TestGlobPeer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		glob := rapid.StringMatching(`([ab*?]|\[\^?[abc]-?[abc]\]){0,8}`).Draw(t, "glob")
		s := rapid.StringMatching(`[abcé]{0,8}`).Draw(t, "s")
		want, err := path.Match(glob, s)
		if err != nil {
			t.Skip("not a glob there")
		}
		if got := matchGlob(glob, s); got != want {
			t.Fatalf("%q on %q: %v, want %v", glob, s, got, want)
		}
	})
}

func TestCompareVersions(t *testing.T) {
	ordered := []string{"", "a", "b", "0", "1", "1.a", "1.0", "1.0.1", "1.1", "1.9", "1.10", "2", "8.9", "8.10", "9", "9.0", "10", "123456789012345678901234567890"}
	for i, a := range ordered {
		for j, b := range ordered {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := compareVersions(a, b); got != want {
				t.Errorf("%q and %q: %d, want %d", a, b, got, want)
			}
		}
	}
	for _, same := range [][2]string{{"1.0", "1-0"}, {"01", "1"}, {"8.", "8"}, {"el9", "el09"}} {
		if compareVersions(same[0], same[1]) != 0 {
			t.Errorf("%q and %q differ", same[0], same[1])
		}
	}
}

// TestCompareVersionsLaws: it is an order.
func TestCompareVersionsLaws(t *testing.T) {
	version := rapid.StringMatching(`[0-9a-c.~é-]{0,8}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := version.Draw(t, "a"), version.Draw(t, "b"), version.Draw(t, "c")
		if compareVersions(a, a) != 0 || compareVersions(a, b) != -compareVersions(b, a) {
			t.Fatalf("%q and %q", a, b)
		}
		if compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0 && compareVersions(a, c) > 0 {
			t.Fatalf("%q, %q, %q", a, b, c)
		}
	})
}
