package inventory

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
)

// shape compares the scanner's tree with the values of the library: the same
// keys in every table, the same number of elements in every list of tables or
// values, and lines that are in the text.
func shape(path string, v any, p *position, lines int) error {
	if p.line < 1 || p.line > lines {
		return fmt.Errorf("%s: line %d of %d", path, p.line, lines)
	}
	switch v := v.(type) {
	case map[string]any:
		if len(v) != len(p.keys) {
			return fmt.Errorf("%s: %d keys, scanner has %d", path, len(v), len(p.keys))
		}
		for key, e := range v {
			c := p.keys[key]
			if c == nil {
				return fmt.Errorf("%s: scanner misses %q", path, key)
			}
			if err := shape(path+"."+key, e, c, lines); err != nil {
				return err
			}
		}
	case []map[string]any:
		if len(v) != len(p.items) {
			return fmt.Errorf("%s: %d tables, scanner has %d", path, len(v), len(p.items))
		}
		for i, e := range v {
			if err := shape(fmt.Sprintf("%s[%d]", path, i), e, p.items[i], lines); err != nil {
				return err
			}
		}
	case []any:
		if len(v) != len(p.items) {
			return fmt.Errorf("%s: %d values, scanner has %d", path, len(v), len(p.items))
		}
		for i, e := range v {
			if err := shape(fmt.Sprintf("%s[%d]", path, i), e, p.items[i], lines); err != nil {
				return err
			}
		}
	}
	return nil
}

// agree checks a text; ok is false when the library refuses it.
func agree(text string) (ok bool, err error) {
	pos, scanErr := scanPositions(text)
	var deep *structureError
	if errors.As(scanErr, &deep) {
		return false, nil
	}
	values := make(map[string]any)
	refused := func() (refused bool) {
		defer func() {
			if recover() != nil {
				refused = true // the library's own panics are refusals too
			}
		}()
		_, err := toml.Decode(text, &values)
		return err != nil
	}()
	if refused {
		return false, nil
	}
	if scanErr != nil {
		return true, scanErr
	}
	return true, shape("", values, pos, strings.Count(text, "\n")+1)
}

// tricky are texts that fool a scanner of lines.
func tricky() []string {
	return []string{
		"a = 1\n[b]\nc = 2\n",
		"a.b.c = 1\na.b.d = 2\n[e]\nf.g = 3",
		"\"a b\".'c.d' = 1\n[\"x.y\".'z']\n\"\" = 2\n",
		"[[a]]\nb = 1\n[[a]]\n[a.c]\nd = 1\n[[a.e]]\n[[a.e]]\nf = 2\n",
		"a = [1, 2,\n  # ]\n 3, # comment\n]\nb = [[1], [\n2, [3]]]\n",
		"a = {b = 1, c.d = [1, {e = 2}], \"f\" = {}}\n[g]\n",
		"a = \"\"\"\n[b]\nc = 1 \\\"\"\"\" # \"\nd = 2\"\"\"\ne = 3\n",
		"a = '''\n[b]\n'' ' '''''\nc = '''''''\nd = ''''''\n",
		"a = \"\"\"\"\"\"\nb = \"\"\"x\"\"\"\"\"\nc = \"\\\\\"\n",
		"a = \"#\" # [b]\n'#' = '\"' # \"\n",
		"a = 1979-05-27 07:32:00\nb = 1979-05-27T07:32:00Z\nc = +inf\nd = 0xdead_beef\n",
		"\"\\u0041\\t\\\"\\\\\\U0001F600\" = 1\n\"\\e\\x41\" = 2\n",
		"\xef\xbb\xbfa = 1\r\n[b]\r\nc = \"\"\"\r\n\\\r\n  x\"\"\"\r\n",
		"[a.b.c]\nd = 1\n[a]\ne = 2\n[a.b]\nf = 3\n",
		"a = [{b = 1}, {b = 2}]\nc = [[], {}]\n",
		"a = {\n b = 1, # }\n c = 2,\n}\n",
		"  a  .  b  =  1  \n\t[ c . d ]\t# x\n[[ e ]]\n",
		"a = \"\\\n\"\n", "a", "[", "[a", "a = [", "a = {", "a = '''", "=", "\"", "[[a]", "a = \"\"\"\\",
		"1 = 2\n1.2 = 3\n-_- = 4\n",
	}
}

func TestPositionsAgree(t *testing.T) {
	accepted := 0
	for _, text := range tricky() {
		ok, err := agree(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if ok {
			accepted++
		}
	}
	if accepted < 15 {
		t.Errorf("the library takes only %d of the texts", accepted)
	}
}

func TestPositionLines(t *testing.T) {
	text := "# one\na = '''\nb = 1\n'''\n[[t]]\nx = [\n  1,\n  {y = 2}]\n\n[[t]]\n'k' . \"l\" = 1 # c\n[u.v]\n[u]\nw = {m = 1,\n n = 2}\n"
	pos, err := scanPositions(text)
	if err != nil {
		t.Fatal(err)
	}
	tables := pos.child("t")
	for _, c := range []struct {
		name string
		got  *position
		want int
	}{
		{"a", pos.child("a"), 2},
		{"t[0]", tables.item(0), 5},
		{"t[0].x", tables.item(0).child("x"), 6},
		{"t[0].x[0]", tables.item(0).child("x").item(0), 7},
		{"t[0].x[1].y", tables.item(0).child("x").item(1).child("y"), 8},
		{"t[1]", tables.item(1), 10},
		{"t[1].k.l", tables.item(1).child("k").child("l"), 11},
		{"u.v", pos.child("u").child("v"), 12},
		{"u", pos.child("u"), 13},
		{"u.w.n", pos.child("u").child("w").child("n"), 15},
		{"u.w.none", pos.child("u").child("w").child("none"), 14},
	} {
		if c.got.line != c.want {
			t.Errorf("%s: line %d, want %d", c.name, c.got.line, c.want)
		}
	}
}

func TestPositionDepth(t *testing.T) {
	for _, text := range []string{
		"a = " + strings.Repeat("[", 1_000_000),
		"a = " + strings.Repeat("{a=", 1_000_000),
		strings.Repeat("a.", 1_000_000) + "b = 1",
		"[" + strings.Repeat("a.", 100) + "b]",
	} {
		if _, _, plain := parsePlain(text, newPlainHosts("x.toml", text)); plain {
			t.Errorf("%.20q… is taken for plain", text)
		}
		_, _, problem := parseAll("x.toml", text)
		if problem == nil || problem.Line != 1 || !strings.Contains(problem.Message, "more than") {
			t.Errorf("%.20q…: %v", text, problem)
		}
	}
}

func FuzzPositions(f *testing.F) {
	for _, text := range tricky() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := agree(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	})
}

// FuzzLoad feeds a text to both kinds of files: whatever it is, there is either a
// site or a list of problems with lines in the text, and both are printable.
func FuzzLoad(f *testing.F) {
	for _, text := range tricky() {
		f.Add(text)
	}
	for _, name := range []string{"template/cpacman.toml", "template/example.toml"} {
		text, err := templates.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(strings.ReplaceAll(string(text), "\n#", "\n"))
	}
	f.Add("[[policy]]\nname='p'\nowner='o'\nreason='r'\nexpires=2027-03-01T00:00:00Z\nhold=['a*']\npin=['b = 1:2-3']\narches=['c: i686']\ninstead={d='e'}\nrelease='8.6'\n[[policy]]\nname='q'\nremove=['a']\n[group.g]\ngroups=['!h']\n[group.h]\n[host.x]\n")
	schema := newSchema()
	f.Fuzz(func(t *testing.T, text string) {
		for _, main := range []bool{true, false} {
			loadText(t, schema, text, main)
		}
	})
}

// loadText runs everything but the file system on a text.
func loadText(t *testing.T, schema *schema, text string, main bool) {
	ld := &loading{Loader: testLoader(), dir: "/site", schema: schema, site: newSite("/site", nil)}
	var m mainFile
	m.setDefaults()
	var inv inventoryFile
	if main {
		ld.found(decodeText(schema, "cpacman.toml", text, &m))
	} else {
		ld.found(decodeText(schema, "inventory/x.toml", text, &inv))
	}
	ld.take(&m)
	ld.merge(&inv)
	ld.finish()
	lines := strings.Count(text, "\n") + 1
	for _, p := range ld.problems.sorted() {
		if p.Line > lines || printable(p.Message) == "" {
			t.Errorf("%q: %+v", text, p)
		}
	}
	if len(ld.problems) > 0 {
		return
	}
	for _, h := range ld.site.Hosts {
		ld.site.Origins(h)
		ld.site.ReposFor(h, nil)
		resolved, conflicts := ld.site.Policies(h, nil, time.Time{})
		for _, r := range resolved.Rules {
			// A tie on a name that is written out is always reported.
			if _, err := resolved.For(r.Pattern); err != nil && len(conflicts) == 0 && checkPackageName(r.Pattern) == nil {
				t.Errorf("%q: %v", text, err)
			}
		}
		for _, c := range conflicts {
			if c.A.Priority != c.B.Priority || !disagree(&c.A, &c.B) {
				t.Errorf("%q: %v", text, c)
			}
		}
	}
	ld.site.CheckPolicies(nil, time.Time{})
}
