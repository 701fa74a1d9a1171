package solvcases

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"cpacman/internal/rpm"
	"cpacman/planner"
)

// Fixture is a repository that a scenario uses. The features' own packages are built by their authors from spec files; what stands in
// fixtures is made by this project and says of them only what the scenarios say themselves and what their tables need.
type Fixture struct {
	Packages   []*rpm.Package
	Advisories []planner.Advisory
}

// ReadFixture reads fixtures/NAME.repo: testtags, and lines "#adv ID TYPE SEVERITY NEVRA…". A repository without a file is an error that
// os.IsNotExist tells.
func ReadFixture(dir, name string) (*Fixture, error) {
	if filepath.Base(name) != name {
		return nil, fmt.Errorf("repository name %q", name)
	}
	b, err := os.ReadFile(filepath.Join(dir, name+".repo"))
	if err != nil {
		return nil, err
	}
	lines := strings.Split(string(b), "\n")
	f := &Fixture{}
	if f.Packages, err = ParseTestTags(lines); err != nil {
		return nil, fmt.Errorf("%s.repo: %w", name, err)
	}
	for n, line := range lines {
		w := strings.Fields(line)
		if len(w) == 0 || w[0] != "#adv" {
			continue
		}
		if len(w) < 5 {
			return nil, fmt.Errorf("%s.repo:%d: an advisory needs id, type, severity and packages", name, n+1)
		}
		a := planner.Advisory{ID: w[1], Type: w[2], Severity: w[3], Status: "final"}
		for _, s := range w[4:] {
			p, err := rpm.ParseNEVRA(s)
			if err != nil {
				return nil, fmt.Errorf("%s.repo:%d: %w", name, n+1, err)
			}
			a.Packages = append(a.Packages, p)
		}
		f.Advisories = append(f.Advisories, a)
	}
	return f, nil
}
