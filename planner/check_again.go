package planner

import (
	"slices"

	"cpacman/internal/rpm"
)

// putAgain finds what the set puts in again: installed packages of which another build leaves, in the files of some repository.
func (c *checker) putAgain() map[rpm.NEVRA]bool {
	again := map[rpm.NEVRA]bool{}
	for _, m := range c.set.moves() {
		builds := c.installed(m.To.Name)
		at := slices.IndexFunc(builds, func(p *rpm.Package) bool { return p.NEVRA == m.To })
		if !m.Again {
			if at >= 0 {
				c.fault("execution", "%s is to come in and is installed", m.To)
			}
			continue
		}
		switch {
		case at < 0 || m.From.Name != m.To.Name || !sameFiles(m.From, m.To) || c.isOnly(builds[at]) || !c.toTarget() && c.r.Type != TypeRepair:
			c.fault("execution", "%s is to be put in again in the place of %s, and is not one of two builds", m.To, m.From)
		case !slices.ContainsFunc(c.u.named(m.To.Name), func(id int32) bool { return c.u.cands[id].NEVRA == m.To }):
			c.fault("source", "no repository has %s", m.To)
		case !again[m.To]:
			again[m.To] = true
			c.kept = append(c.kept, builds[at])
		}
	}
	return again
}

// oneTooMany tells whether the target has another build that is installed in the place of one.
func (c *checker) oneTooMany(p *rpm.Package) bool {
	return c.toTarget() && !c.isOnly(p) && slices.ContainsFunc(c.installed(p.Name), func(q *rpm.Package) bool {
		return q != p && sameFiles(q.NEVRA, p.NEVRA) && slices.Contains(c.r.Target, q.NEVRA)
	})
}
