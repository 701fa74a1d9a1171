package rpm

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var goodRich = []string{
	"(foo)", "(foo and bar)", "(foo and bar and baz)", "(foo or bar >= 1.2-3 or baz < 2:4)", "(foo if bar)", "(foo if bar else baz)",
	"(foo unless bar)", "(foo unless bar else baz)", "(foo with foo < 2)", "(foo >= 1 with foo < 2 with baz)", "(foo without bar)",
	"((foo or bar) and (baz or qux))", "(foo if (bar and (baz or qux)))", "(perl(Foo::Bar) >= 1.0 and libc.so.6()(64bit))",
	"(/usr/bin/sh or /bin/sh)", "((kernel-core >= 5 with kernel-core < 6) if systemd else (a or b))", "((foo with bar) or baz)",
	"((foo or bar) with baz)", "(foo = 1.0~rc1^git2)", "(a%b and c+d)", "(if if if)",
}

// badRich are refused by rpm as well.
var badRich = []string{
	"(", "()", "(foo", "(foo and)", "(foo and bar", "(foo and bar or baz)", "(foo if bar if baz)", "(foo without bar without baz)",
	"(foo bar)", "(foo = )", "(foo =)", "(foo and bar))", "((foo and bar) with baz)", "((foo if bar) with baz)",
	"(foo with (bar and baz))", "(foo xor bar)", "(foo if bar else baz else qux)", "(foo and bar else baz)", "((foo)",
}

func TestParseRich(t *testing.T) {
	leaf := func(s string) *Rich { return &Rich{Dep: mustDep(t, s)} }
	for _, c := range []struct {
		text string
		want *Rich
	}{
		{"(foo)", leaf("foo")},
		{"(foo >= 1 and  bar,\tand (baz))", &Rich{Op: RichAnd, Args: []*Rich{leaf("foo >= 1"), leaf("bar"), leaf("baz")}}},
		{"(foo if bar else (a or b))", &Rich{Op: RichIf, Args: []*Rich{leaf("foo"), leaf("bar"), {Op: RichOr, Args: []*Rich{leaf("a"), leaf("b")}}}}},
		{"(p(x)(y) without p = 1:2-3)", &Rich{Op: RichWithout, Args: []*Rich{leaf("p(x)(y)"), leaf("p = 1:2-3")}}},
	} {
		got, err := ParseRich(c.text)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
		} else if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%q:\n%s", c.text, d)
		}
	}
	for _, s := range goodRich {
		r, err := ParseRich(s)
		if err != nil {
			t.Errorf("%q: %v", s, err)
		} else if r.String() != s {
			t.Errorf("%q prints as %q", s, r)
		}
	}
	for _, s := range append([]string{"", "foo", "(a else b)", "(foo) x", "(0( )", "(a = 1) )", "(a and \x00)"}, badRich...) {
		if r, err := ParseRich(s); !errors.Is(err, ErrRich) {
			t.Errorf("%q: %v, %v", s, r, err)
		}
	}
}

func TestParseRichBounds(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("(a and ", n-1) + "(b)" + strings.Repeat(")", n-1) }
	if _, err := ParseRich(deep(maxRichDepth)); err != nil {
		t.Error(err)
	}
	for _, s := range []string{deep(maxRichDepth + 1), strings.Repeat("(", 1<<20), "(" + strings.Repeat("a or ", maxRichLength) + "a)"} {
		if _, err := ParseRich(s); !errors.Is(err, ErrRich) {
			t.Errorf("%.20q…: %v", s, err)
		}
	}
}

// TestRichAgainstRPM lets rpm read the same expressions out of a spec file.
func TestRichAgainstRPM(t *testing.T) {
	if _, err := exec.LookPath("rpmspec"); err != nil {
		t.Skip("needs rpm: ", err)
	}
	// rpm takes "unless" in requirements below "or" only, in conflicts everywhere.
	tag := func(s string) string {
		if strings.Contains(s, "unless") {
			return "Conflicts: "
		}
		return "Requires: "
	}
	accepts := func(deps ...string) bool {
		spec := filepath.Join(t.TempDir(), "x.spec")
		text := "Name: x\nVersion: 1\nRelease: 1\nSummary: x\nLicense: x\n"
		for _, d := range deps {
			text += tag(d) + strings.ReplaceAll(d, "%", "%%") + "\n"
		}
		if err := os.WriteFile(spec, []byte(text+"%description\nx\n%files\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return exec.Command("rpmspec", "-q", "--requires", spec).Run() == nil
	}
	if !accepts(goodRich...) {
		for _, s := range goodRich {
			if !accepts(s) {
				t.Errorf("rpm refuses %q", s)
			}
		}
	}
	for _, s := range badRich {
		if accepts(s) {
			t.Errorf("rpm accepts %q", s)
		}
	}
}

func FuzzParseRich(f *testing.F) {
	for _, s := range append(goodRich, badRich...) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRich(s)
		if err != nil {
			return
		}
		again, err := ParseRich(r.String())
		if err != nil {
			t.Fatalf("%q prints as %q: %v", s, r, err)
		}
		if d := cmp.Diff(r, again); d != "" {
			t.Fatalf("%q prints as %q:\n%s", s, r, d)
		}
	})
}

// TestRichNamesOfNestedConditions: what stands in a condition with an else branch is named both ways, and 2^depth times it was walked.
func TestRichNamesOfNestedConditions(t *testing.T) {
	text := "x"
	for i := range maxRichDepth {
		text = fmt.Sprintf("(a%d if %s else b%d)", i, text, i)
	}
	r, err := ParseRich(text)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	r.Names(func(d Dep, condition bool) { count[fmt.Sprint(d.Name, condition)]++ })
	if len(count) != 2*(2*maxRichDepth+1)-2 { // the outermost a and b stand in no condition
		t.Errorf("%d names: %v", len(count), count)
	}
	for name, n := range count {
		if n != 1 {
			t.Errorf("%s %d times", name, n)
		}
	}
}
