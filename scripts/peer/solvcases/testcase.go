package solvcases

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"cpacman/internal/rpm"
)

// maxCaseBytes bounds a file of test cases; libsolv's largest has 14 kB.
const maxCaseBytes = 4 << 20

// Repo is one repository of a test case.
type Repo struct {
	Name     string
	Priority int // larger wins, as in libsolv
	Packages []*rpm.Package
}

// Trial is one question of a test case: libsolv divides a file by "nextjob".
type Trial struct {
	Path        string // of the file
	Number      int    // in the file, from 1
	Repos       []Repo
	Arch        string // "unset" when the case says so
	DistType    string // rpm, deb, …; "*" and "" mean the default
	System      string // name of the repository with the installed packages
	PoolFlags   []string
	SolverFlags []string
	Disabled    []string // "pkg NEVRA@repo"
	Jobs        []string
	Other       []string // words of lines that need what cpacman does not have: namespace, genid, evrcmp …
	Wants       []string // kinds of result asked for: transaction, problems, rules …
	Result      []string
}

// caseReader holds what a file has said so far.
type caseReader struct {
	dir    string
	now    Trial
	out    []Trial
	inline *[]string // where "#>" lines go
	tags   [][]string
	sealed bool // the repositories were parsed
}

// ReadTestCase reads one .t file with the repositories that it names beside it.
func ReadTestCase(path string) ([]Trial, error) {
	b, err := readBounded(path, maxCaseBytes)
	if err != nil {
		return nil, err
	}
	return ParseTestCase(path, string(b))
}

func readBounded(path string, limit int64) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if st.Size() > limit {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, limit)
	}
	return os.ReadFile(path)
}

// ParseTestCase reads the text of a test case; path says where files that it names are looked for.
func ParseTestCase(path, text string) ([]Trial, error) {
	r := &caseReader{dir: filepath.Dir(path), now: Trial{Path: path, Number: 1}}
	for n, line := range strings.Split(text, "\n") {
		if rest, ok := strings.CutPrefix(line, "#>"); ok {
			if r.inline != nil {
				*r.inline = append(*r.inline, strings.TrimRight(rest, " "))
			}
			continue
		}
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		r.inline = nil
		if err := r.directive(strings.Fields(line), line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n+1, err)
		}
	}
	if err := r.finish(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r.out, nil
}

func (r *caseReader) directive(f []string, line string) error {
	rest := strings.TrimSpace(strings.TrimPrefix(line, f[0]))
	t := &r.now
	switch f[0] {
	case "repo":
		return r.repo(f)
	case "system":
		if len(f) > 1 {
			t.Arch = f[1]
		}
		if len(f) > 2 {
			t.DistType = f[2]
		}
		if len(f) > 3 {
			t.System = f[3]
		}
	case "poolflags":
		for _, w := range f[1:] { // they stay for the next trials; "!" takes one back
			if name, off := strings.CutPrefix(w, "!"); off {
				t.PoolFlags = without(t.PoolFlags, name)
			} else {
				t.PoolFlags = append(t.PoolFlags, w)
			}
		}
	case "solverflags":
		t.SolverFlags = append(t.SolverFlags, f[1:]...)
	case "disable":
		t.Disabled = append(t.Disabled, rest)
	case "job":
		t.Jobs = append(t.Jobs, rest)
	case "result":
		if len(f) > 1 {
			t.Wants = append(t.Wants, strings.Split(f[1], ",")...)
		}
		r.inline = &t.Result
	case "nextjob":
		return r.finish()
	case "feature":
	default:
		t.Other = append(t.Other, f[0])
	}
	return nil
}

func without(l []string, name string) []string {
	var out []string
	for _, s := range l {
		if s != name {
			out = append(out, s)
		}
	}
	return out
}

// repo reads "repo NAME PRIO[.SUBPRIO] KIND FILE".
func (r *caseReader) repo(f []string) error {
	if len(f) < 4 || r.sealed {
		return fmt.Errorf("a repo line that is not understood")
	}
	prio, _, _ := strings.Cut(f[2], ".")
	p, err := strconv.Atoi(prio)
	if err != nil {
		return fmt.Errorf("repo %s: priority %q", f[1], f[2])
	}
	r.now.Repos = append(r.now.Repos, Repo{Name: f[1], Priority: p})
	var lines []string
	switch {
	case f[3] == "empty":
	case f[3] != "testtags" || len(f) < 5:
		return fmt.Errorf("repo %s: kind %q is not read", f[1], f[3])
	case f[4] != "<inline>":
		if filepath.Base(f[4]) != f[4] {
			return fmt.Errorf("repo %s: file %q leaves the folder", f[1], f[4])
		}
		b, err := readBounded(filepath.Join(r.dir, f[4]), maxCaseBytes)
		if err != nil {
			return err
		}
		lines = strings.Split(string(b), "\n")
	}
	r.tags = append(r.tags, lines)
	r.inline = &r.tags[len(r.tags)-1]
	return nil
}

// finish ends a trial and prepares the next, which inherits the repositories and the pool.
func (r *caseReader) finish() error {
	if !r.sealed {
		r.sealed = true
		for i, lines := range r.tags {
			pkgs, err := ParseTestTags(lines)
			if err != nil {
				r.now.Other = append(r.now.Other, "unreadable")
				continue
			}
			r.now.Repos[i].Packages = pkgs
		}
	}
	r.out = append(r.out, r.now)
	t := r.now
	r.now = Trial{Path: t.Path, Number: t.Number + 1, Repos: t.Repos, Arch: t.Arch, DistType: t.DistType, System: t.System,
		PoolFlags: t.PoolFlags, Disabled: t.Disabled}
	r.inline = nil
	return nil
}
