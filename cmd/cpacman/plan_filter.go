package main

import (
	"path"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"cpacman/internal/repo"
	"cpacman/planner"
)

// filterFlags select updates (PLAN-7); plan, explain and audit have the same.
func filterFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "security", Usage: "only what fixes security advisories, to the version that fixes"},
		&cli.BoolFlag{Name: "bugfix", Usage: "only what fixes bugfix advisories"},
		&cli.StringSliceFlag{Name: "severity", Usage: "only advisories of this `SEVERITY` (critical, important, moderate, low); repeatable"},
		&cli.StringSliceFlag{Name: "advisory", Usage: "only what this advisory `ID` fixes; repeatable"},
		&cli.StringSliceFlag{Name: "cve", Usage: "only what fixes this `CVE`; repeatable"},
		&cli.StringSliceFlag{Name: "package", Usage: "only packages whose name matches this `GLOB` (or a NEVRA); repeatable"},
		&cli.StringSliceFlag{Name: "exclude", Usage: "leave packages out whose name matches this `GLOB`; repeatable"},
		&cli.BoolFlag{Name: "newest", Usage: "with advisories: the newest version instead of the first that fixes"},
	}
}

// filter reads filterFlags.
func (s *session) filter() (planner.Filter, error) {
	c := s.c
	f := planner.Filter{
		Security: c.Bool("security"), Bugfix: c.Bool("bugfix"), Severities: c.StringSlice("severity"),
		Advisories: c.StringSlice("advisory"), CVEs: c.StringSlice("cve"),
		Packages: c.StringSlice("package"), Exclude: c.StringSlice("exclude"), Newest: c.Bool("newest"),
		OverrideHolds: c.StringSlice("override-hold"),
	}
	for _, name := range f.OverrideHolds {
		if !planner.IsName(name) {
			return f, usagef("--override-hold wants the name of one package, not %q", name)
		}
	}
	for _, list := range [][]string{f.Severities, f.Advisories, f.CVEs, f.Packages, f.Exclude} {
		for _, one := range list {
			if strings.TrimSpace(one) == "" {
				return f, usagef("an empty name selects nothing; leave the flag out to select everything")
			}
		}
	}
	if err := checkFilter(&f); err != nil {
		return f, err
	}
	if f.Newest && !f.ByAdvisory() {
		return f, usagef("--newest goes with --security, --bugfix, --severity, --advisory or --cve; without them the newest is taken anyway")
	}
	return f, nil
}

// severities are those that --severity knows, from the worst.
var severities = []string{"critical", "important", "moderate", "low"}

// checkFilter refuses what can match nothing: a typo must not look like a host that has nothing to do. Severities get the words that notices are read with.
func checkFilter(f *planner.Filter) error {
	for i, one := range f.Severities {
		word := repo.SeverityWord(one)
		if !slices.Contains(severities, word) {
			return usagef("unknown severity %q (%s)", one, strings.Join(severities, ", "))
		}
		f.Severities[i] = word
	}
	for _, glob := range slices.Concat(f.Packages, f.Exclude) {
		if err := checkGlob(glob); err != nil {
			return err
		}
	}
	return nil
}

// checkGlob refuses a glob that is none.
func checkGlob(glob string) error {
	if _, err := path.Match(glob, "x"); err != nil {
		return usagef("bad glob %q: a [ or a \\ has no end", glob)
	}
	return nil
}
