package solvcases

import (
	"fmt"
	"slices"
	"strings"

	"cpacman/internal/rpm"
)

// job is one line of a test case: what to do with which packages.
type job struct {
	verb   string
	all    bool
	repo   string   // "job update repo R"
	name   string   // name or provides
	what   rpm.Dep  // of provides, and the comparison of a name
	arch   string   // "name A . i686"
	pkgs   []string // "pkg X@repo", "oneof X@repo Y@repo"
	flags  []string
	by     string // all, repo, name, provides, pkg
	source string // the line
}

func (j *job) flag(f string) bool { return slices.Contains(j.flags, f) }

// parseJob reads "VERB KIND SELECTION [flags]".
func parseJob(line string) (job, error) {
	j := job{source: line}
	if i := strings.LastIndex(line, " ["); i > 0 && strings.HasSuffix(line, "]") {
		j.flags = strings.Split(line[i+2:len(line)-1], ",")
		line = line[:i]
	}
	f := strings.Fields(line)
	if len(f) < 2 {
		return j, fmt.Errorf("job %q is not understood", j.source)
	}
	j.verb, j.by = f[0], f[1]
	rest := f[2:]
	switch {
	case f[1] == "all" && len(rest) == 1 && rest[0] == "packages":
		j.all = true
	case f[1] == "repo" && len(rest) == 1:
		j.repo = rest[0]
	case f[1] == "pkg" && len(rest) == 1, f[1] == "oneof" && len(rest) > 0:
		j.by, j.pkgs = "pkg", rest
	case (f[1] == "name" || f[1] == "provides") && len(rest) > 0:
		if len(rest) == 3 && rest[1] == "." {
			j.arch, rest = rest[2], rest[:1]
		}
		d, err := ParseDep(strings.Join(rest, " "))
		if err != nil || d.IsRich() {
			return j, fmt.Errorf("job %q: its selection is not understood", j.source)
		}
		j.name, j.what = d.Name, d
	default:
		return j, fmt.Errorf("job %q: its selection is not understood", j.source)
	}
	return j, nil
}

// matches tells whether the job selects a package of a repository.
func (j *job) matches(p *rpm.Package, repo string) bool {
	switch {
	case j.all:
		return true
	case j.repo != "":
		return j.repo == repo
	case len(j.pkgs) > 0:
		return slices.Contains(j.pkgs, p.NEVRA.String()+"@"+repo)
	case j.arch != "" && p.Arch != j.arch:
		return false
	case j.by == "name":
		return p.Name == j.name && (j.what.Sense == 0 || rpm.Overlap(j.what.Sense, j.what.EVR, rpm.Equal, p.EVR))
	}
	if p.Name == j.name && (j.what.Sense == 0 || rpm.Overlap(rpm.Equal, p.EVR, j.what.Sense, j.what.EVR)) {
		return true
	}
	return slices.ContainsFunc(p.Provides, func(d rpm.Dep) bool { return rpm.Satisfies(d, j.what) })
}
