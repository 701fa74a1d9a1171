package solvcases

import (
	"slices"

	"cpacman/internal/rpm"
)

// Reduce makes a trial smaller as long as it still shows what is looked for: it takes away packages, then single dependencies, until
// nothing more can go. The trial itself is not changed.
func Reduce(t *Trial, shows func(*Trial) bool) *Trial {
	t = copyTrial(t)
	for changed := true; changed; {
		changed = false
		for r := range t.Repos {
			for i := len(t.Repos[r].Packages) - 1; i >= 0; i-- {
				smaller := copyTrial(t)
				smaller.Repos[r].Packages = slices.Delete(smaller.Repos[r].Packages, i, i+1)
				if shows(smaller) {
					t, changed = smaller, true
				}
			}
		}
		for r := range t.Repos {
			for i := range t.Repos[r].Packages {
				for _, list := range depLists(t.Repos[r].Packages[i]) {
					for k := len(*list) - 1; k >= 0; k-- {
						rest := slices.Delete(slices.Clone(*list), k, k+1)
						old := *list
						if *list = rest; shows(t) {
							changed = true
						} else {
							*list = old
						}
					}
				}
			}
		}
	}
	return t
}

func depLists(p *rpm.Package) []*[]rpm.Dep {
	return []*[]rpm.Dep{&p.Requires, &p.Provides, &p.Conflicts, &p.Obsoletes}
}

// copyTrial copies a trial with its packages, so that one copy can change alone.
func copyTrial(t *Trial) *Trial {
	c := *t
	c.Repos = slices.Clone(t.Repos)
	for r := range c.Repos {
		l := slices.Clone(c.Repos[r].Packages)
		for i, p := range l {
			q := *p
			l[i] = &q
		}
		c.Repos[r].Packages = l
	}
	return &c
}
