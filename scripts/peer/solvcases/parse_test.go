package solvcases

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cpacman/internal/rpm"
)

func TestParseDep(t *testing.T) {
	for in, want := range map[string]string{
		"b":                              "b",
		"b = 2-1":                        "b = 2-1",
		"libx.so.1()(64bit)":             "libx.so.1()(64bit)",
		"b >= 1:2":                       "b >= 1:2",
		"(A & B) | (C & D)":              "((A and B) or (C and D))",
		"P = 2 <IF> (X & Y)":             "(P = 2 if (X and Y))",
		"a & (b <IF> c)":                 "(a and (b if c))",
		"a <IF> (b <ELSE> c)":            "(a if b else c)",
		"flour & ((m | c) <IF> dill)":    "(flour and ((m or c) if dill))",
		"x <UNLESS> y":                   "(x unless y)",
		"foo + bar":                      "(foo with bar)",
		"multiversion(kernel) & foo = 1": "(multiversion(kernel) and foo = 1)",
	} {
		d, err := ParseDep(in)
		if err != nil || d.String() != want {
			t.Errorf("%q: %q, %v; want %q", in, d.String(), err, want)
		}
	}
	for _, in := range []string{"", "a =", "a <NAMESPACE> b", "(a & b", "a & ", "a b", strings.Repeat("(", 100) + "a"} {
		if d, err := ParseDep(in); err == nil {
			t.Errorf("%q was taken as %q", in, d.String())
		}
	}
}

const smallCase = `# two questions
repo system 0 testtags <inline>
#>=Ver: 2.0
#>=Pkg: a 1 1 noarch
repo avail 1.5 testtags <inline>
#>=Pkg: a 1:2 1 noarch
#>+Req:
#>b = 1
#>c
#>-Req:
#>=Pkg: b 1 1 noarch
#>=Obs: old < 2-1
system x86_64 rpm system
poolflags one two
job update all packages [forcebest]
result transaction,problems <inline>
#>upgrade a-1-1.noarch@system a-1:2-1.noarch@avail
#>problem 1 info something
nextjob
poolflags !one
job update name a
result transaction <inline>
`

func TestParseTestCase(t *testing.T) {
	l, err := ParseTestCase("x/small.t", smallCase)
	if err != nil || len(l) != 2 {
		t.Fatalf("%d trials, %v", len(l), err)
	}
	a := l[0].Repos[1].Packages[0]
	if a.NEVRA.String() != "a-1:2-1.noarch" || len(a.Requires) != 2 || a.Requires[0].String() != "b = 1" {
		t.Errorf("package %s requires %v", a.NEVRA, a.Requires)
	}
	if o := l[0].Repos[1].Packages[1].Obsoletes; len(o) != 1 || o[0].Sense != rpm.Less {
		t.Errorf("obsoletes %v", o)
	}
	if l[0].Repos[1].Priority != 1 || l[0].System != "system" || !slices.Equal(l[1].PoolFlags, []string{"two"}) || l[1].Number != 2 {
		t.Errorf("trials %+v", l)
	}
	o, err := Expected(&l[0])
	if err != nil || !o.Refused || !slices.Equal(o.Changes, []string{"upgrade a-1-1.noarch a-1:2-1.noarch"}) {
		t.Errorf("expected %+v, %v", o, err)
	}
	for _, bad := range []string{"repo a b testtags <inline>", "repo a 0 helix x", "repo a 0 testtags ../up.repo", "repo a 0 testtags absent.repo"} {
		if _, err := ParseTestCase(filepath.Join(t.TempDir(), "bad.t"), bad+"\n"); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestReadTableRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t.tsv")
	for _, bad := range []string{"a\tb\tc\n", "a\tb\t \td\n", "a\tb\tc\td\na\tb\tc\td\n"} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadTable(path); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestReadFeature(t *testing.T) {
	l, err := ReadFeature("f", `
@top
Feature: something
Background:
  Given I use repository "r"
@one
Scenario Outline: do <what>
   When I execute dnf with args "upgrade <pkg>"
   Then stdout is
   """
   When I execute dnf with args "not this"
   """
    And Transaction is following
        | Action  | Package |
        | upgrade | <pkg>-2-1.noarch |
Examples:
  | what | pkg |
  | a    | x   |
  | b    | y   |
Scenario: last
   When I do nothing
`)
	if err != nil || len(l) != 3 {
		t.Fatalf("%d scenarios, %v", len(l), err)
	}
	s := l[1]
	if s.Name != "do b [b y]" || len(s.Steps) != 4 || s.Steps[1].Text != `I execute dnf with args "upgrade y"` || s.Steps[3].Table[1][1] != "y-2-1.noarch" {
		t.Errorf("%+v", s)
	}
	if !slices.Equal(s.Tags, []string{"@top", "@one"}) || len(l[2].Steps) != 2 {
		t.Errorf("tags %v, last %v", s.Tags, l[2].Steps)
	}
}

// TestDifferenceIsNoticed makes sure that the comparison can fail: a wrong expectation is neither agreed to nor explained.
func TestDifferenceIsNoticed(t *testing.T) {
	l, err := ParseTestCase("x.t", "repo system 0 testtags <inline>\n#>=Pkg: a 1 1 noarch\nrepo r 0 testtags <inline>\n#>=Pkg: a 2 1 noarch\n#>=Pkg: a 3 1 noarch\n"+
		"system x86_64 rpm system\njob update all packages\nresult transaction <inline>\n#>upgrade a-1-1.noarch@system a-2-1.noarch@r\n")
	if err != nil {
		t.Fatal(err)
	}
	want, _ := Expected(&l[0])
	got, err := answer(&l[0])
	if err != nil || got.Agrees(want) || Explain(&l[0], got, want) != "" {
		t.Errorf("got %s, want %s, %v: the difference was not noticed", got, want, err)
	}
	if got.String() != "upgrade a-1-1.noarch a-3-1.noarch" {
		t.Errorf("got %s", got)
	}
}

func FuzzParseTestCase(f *testing.F) {
	f.Add(smallCase)
	f.Add("repo a 0 testtags <inline>\n#>=Pkg: a 1 1 x\n#>=Req: (a & b) | c\njob install oneof a-1-1.x@a\nresult transaction <inline>\n")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ParseTestCase(filepath.Join(dir, "x.t"), text)
		if err != nil {
			return
		}
		for i := range l {
			_, _ = Expected(&l[i])
			_, _ = Convert(&l[i])
		}
	})
}

func FuzzReadFeature(f *testing.F) {
	f.Add("Scenario Outline: a <b>\nGiven I use repository \"x\"\n| a | b |\nExamples:\n| b |\n| 1 |\n")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ReadFeature("f", text)
		if err != nil {
			return
		}
		for i := range l {
			Play(&l[i], "fixtures")
		}
	})
}
