package solvcases

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// dataDir returns the folder of the reference data, or skips.
func dataDir(t testing.TB, part string) string {
	t.Helper()
	root := os.Getenv("CPACMAN_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	dir := filepath.Join(root, part)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("needs data: %s is not there (CPACMAN_DATA names the folder)", dir)
	}
	return dir
}

// tally counts what became of the cases, and prints it.
type tally struct {
	read, asked, pass, refused int
	differ, out                map[string]int
	used                       map[string]bool
}

func newTally() *tally {
	return &tally{differ: map[string]int{}, out: map[string]int{}, used: map[string]bool{}}
}

func (c *tally) String() string {
	s := fmt.Sprintf("%d cases read, %d in domain: %d the same, %d refused by both", c.read, c.asked, c.pass, c.refused)
	for _, m := range []struct {
		word string
		n    map[string]int
	}{{"differ by rule", c.differ}, {"out of domain", c.out}} {
		keys := make([]string, 0, len(m.n))
		sum := 0
		for k, v := range m.n {
			keys = append(keys, k)
			sum += v
		}
		slices.Sort(keys)
		s += fmt.Sprintf("\n%d %s", sum, m.word)
		for _, k := range keys {
			s += fmt.Sprintf("\n  %3d  %s", m.n[k], k)
		}
	}
	return s
}

// judge compares one answer with what is expected, with the rule that shows in the difference, and with the table.
func (c *tally) judge(t *testing.T, name string, got, want Outcome, rule string, table map[string]Difference) {
	c.asked++
	d, listed := table[name]
	c.used[name] = c.used[name] || listed
	switch {
	case got.Agrees(want) && listed:
		t.Errorf("%s: the table lists it as different by %s, but it agrees now", name, d.Rule)
	case got.Agrees(want) && want.Refused:
		c.refused++
	case got.Agrees(want):
		c.pass++
	case rule != "" && listed:
		t.Errorf("%s: the table lists it, and %s explains it without", name, rule)
	case rule != "":
		c.differ[rule]++
	case listed && d.Ours == got.String():
		c.differ[d.Rule]++
	case listed:
		t.Errorf("%s: our answer changed\n got   %s\n table %s\n want  %s", name, got, d.Ours, want)
	default:
		t.Errorf("%s: differs and no rule explains it\n got   %s\n want  %s", name, got, want)
	}
}

// stale reports lines of the table that no case stands behind.
func (c *tally) stale(t *testing.T, prefix string, table map[string]Difference) {
	for name := range table {
		if strings.HasPrefix(name, prefix) && !c.used[name] {
			t.Errorf("%s: the table lists it, and there is no such case in domain", name)
		}
	}
}

func TestLibsolv(t *testing.T) {
	libsolvFiles(t, dataDir(t, "solver-cases"), "libsolv")
}

// TestOwn asks the cases of the folder own, which this project made where libsolv's own left something open.
func TestOwn(t *testing.T) {
	libsolvFiles(t, ".", "own")
}

// libsolvFiles asks every test case below a folder.
func libsolvFiles(t *testing.T, dir, folder string) {
	table, err := ReadTable("expected.tsv")
	if err != nil {
		t.Fatal(err)
	}
	c := newTally()
	var files []string
	err = filepath.WalkDir(filepath.Join(dir, folder), func(p string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(p, ".t") {
			files = append(files, p)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("no test cases in %s: %v", dir, err)
	}
	for _, f := range files {
		trials, err := ReadTestCase(f)
		if err != nil {
			t.Error(err)
			continue
		}
		rel, _ := filepath.Rel(dir, f)
		for i := range trials {
			c.libsolv(t, fmt.Sprintf("%s#%d", filepath.ToSlash(rel), trials[i].Number), &trials[i], table)
		}
	}
	c.stale(t, folder+"/", table)
	t.Logf("%s: %s", folder, c)
}

// libsolv asks one trial.
func (c *tally) libsolv(t *testing.T, name string, trial *Trial, table map[string]Difference) {
	c.read++
	q, err := Convert(trial)
	var out *OutOfDomain
	if errors.As(err, &out) {
		c.out[out.Reason]++
		return
	}
	want, err2 := Expected(trial)
	if err := errors.Join(err, err2); err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	got, _, err := Ask(q)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	rule := ""
	if !got.Agrees(want) {
		rule = Explain(trial, got, want)
	}
	c.judge(t, name, got, want, rule, table)
}
