package planner

import (
	"fmt"
	"slices"

	"cpacman/internal/rpm"
)

// A transaction that is cut leaves two builds of a package: rpm puts the new one in before it takes the old one out. Their files have the same names, so that
// whichever of the two stays may stand in the database with files of the other. Where a repository has it, it is put in again, and the same transaction takes
// the other one out: rpm -U --replacepkgs does that by name.

// putAgain writes the line of an installed build that leaves while another of its name and arch stays. It is false where nothing stays, or what
// stays cannot be put in again; the latter is noted.
func (s *solution) putAgain(n int32) bool {
	stays := s.staysOf(n)
	if stays < 0 {
		return false
	}
	from, to := s.nodes[n].pkg, s.nodes[stays].pkg
	c := s.copyOf(stays)
	if c == nil || !s.againByName(n) {
		why := "no repository has " + to.NEVRA.String() + " to put it in again"
		if c != nil {
			why = "rpm would take more out if it were put in again"
		}
		s.note("of %s and %s the former leaves, and the files of the latter may be those of it: %s, so look with rpm -V and do it by hand", from.NEVRA, to.NEVRA, why)
		return false
	}
	if !slices.ContainsFunc(s.result.Packages, func(p Used) bool { return p.NEVRA == to.NEVRA }) {
		s.use(c)
	}
	s.move(from, to, true)
	return true
}

// staysOf gives the installed build that stays where one leaves that it cannot stand beside: in a plan that mends or goes back, and not of what stands
// beside older builds anyway; -1 for none.
func (s *solution) staysOf(n int32) int32 {
	if s.nodes[n].only || s.target == nil && s.r.Type != TypeRepair {
		return -1
	}
	for _, m := range s.name(s.nodes[n].pkg.Name).installed {
		if m != n && s.model[m] && sameFiles(s.nodes[m].pkg.NEVRA, s.nodes[n].pkg.NEVRA) {
			return m
		}
	}
	return -1
}

// sameFiles tells whether two builds of a name are for one place: of one arch, or one of them noarch, as where a change of arch was cut.
func sameFiles(a, b rpm.NEVRA) bool {
	return a.Arch == b.Arch || (a.Arch == "noarch") != (b.Arch == "noarch") && rpm.Compare(a.EVR, b.EVR) != 0
}

// oldFiles notes what stays although something obsoletes it that leaves, as where that had not taken it out yet: the files may be those of it.
func (s *solution) oldFiles(n int32) {
	for m := range int32(s.installed) {
		if stays := s.nodes[m].pkg; s.model[m] && stays.Name != s.nodes[n].pkg.Name && !s.moves[stays.NEVRA] && obsoletes(s.nodes[n].pkg, stays) {
			s.result.Notes = append(s.result.Notes, fmt.Sprintf("%s leaves and obsoletes %s, which is there too: the files of the latter may be those of it, "+
				"so look with rpm -V and put it in again by hand (rpm -U --replacepkgs)", s.nodes[n].pkg.NEVRA, stays.NEVRA))
		}
	}
}

// againByName tells whether all that stays of a name can be put in again: rpm takes out by name, all of it or nothing.
func (s *solution) againByName(n int32) bool {
	if s.alone {
		return false
	}
	for _, m := range s.name(s.nodes[n].pkg.Name).installed {
		if s.model[m] || s.next(m) != nil {
			continue
		}
		if stays := s.staysOf(m); stays < 0 || s.copyOf(stays) == nil || s.takesOther(stays) {
			return false
		}
	}
	return true
}

// takesOther tells whether rpm -U of a build that stays would take out another one that stays and is not put in again: of another arch, without ELF files.
func (s *solution) takesOther(n int32) bool {
	builds := s.name(s.nodes[n].pkg.Name).installed
	again := func(m int32) bool {
		return slices.ContainsFunc(builds, func(l int32) bool { return !s.model[l] && s.staysOf(l) == m })
	}
	p := s.nodes[n].pkg
	return slices.ContainsFunc(builds, func(m int32) bool {
		q := s.nodes[m].pkg
		return m != n && s.model[m] && !again(m) && (!disjoint(p, q) || dependencyColor(p) == 0)
	})
}

// copyOf is an installed build as a repository has it, the best one first; nil for none, or where the request excludes it.
func (s *solution) copyOf(n int32) *candidate {
	pkg := s.nodes[n].pkg
	if firstMatch(s.r.Filter.Exclude, pkg.NEVRA) != "" {
		return nil
	}
	var best *candidate
	for _, id := range s.u.named(pkg.Name) {
		c := &s.u.cands[id]
		if c.NEVRA == pkg.NEVRA && (best == nil || s.u.sources[c.source].Priority < s.u.sources[best.source].Priority) {
			best = c
		}
	}
	return best
}

// putsAgain tells whether the set puts something in again.
func (s *solution) putsAgain() bool {
	again := func(m Move) bool { return m.Again }
	return slices.ContainsFunc(s.result.Set.Upgrade, again) || slices.ContainsFunc(s.result.Set.Downgrade, again)
}

// moves are all lines of the set that replace one build by another.
func (s *Set) moves() []Move { return slices.Concat(s.Upgrade, s.Downgrade) }
