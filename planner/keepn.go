package planner

import (
	"fmt"
	"slices"
	"strings"

	"cpacman/internal/rpm"
)

// minInstallOnly is the least number of builds that keep-N leaves: the new one and one to go back to.
const minInstallOnly = 2

// isRunning tells whether a package belongs to the running kernel: by its version, by what it provides, or by the kernel that is in it.
func isRunning(p *rpm.Package, uname string) bool {
	if rpm.RunsAs(p.NEVRA, uname) {
		return true
	}
	return slices.ContainsFunc(p.Provides, func(d rpm.Dep) bool {
		return d.Name == "kernel-uname-r" && d.EVR.Epoch == 0 && d.EVR.Version+"-"+d.EVR.Release == uname
	}) || slices.ContainsFunc(p.Files, func(f string) bool {
		return f == "/boot/vmlinuz-"+uname || strings.TrimPrefix(f, "/usr") == "/lib/modules/"+uname+"/vmlinuz"
	})
}

// mayRun is what is said of a package that Host.mayRun holds for.
const mayRun = "it is the running kernel, or may be"

// mayRun tells whether an install-only package is of the running kernel, as far as that is known.
func (h *Host) mayRun(p *rpm.Package) bool {
	return h.RunningKernel == "" || isRunning(p, h.RunningKernel)
}

// keepN removes the oldest builds of each install-only name down to the number to keep, where it or another of its family gets a new one: never the
// running kernel, never what something else needs that stays (PLAN-5).
func (s *solution) keepN() {
	if s.h.KeepInstallOnly <= 0 {
		return
	}
	keep := max(s.h.KeepInstallOnly, minInstallOnly)
	out := map[int32]bool{}
	for _, it := range s.onlyItems() {
		old := slices.DeleteFunc(slices.Clone(it.inst), func(n int32) bool { return !s.model[n] })
		excess := len(old) - keep
		if s.comesIn(it) {
			excess++
		}
		if excess <= 0 {
			continue
		}
		if s.h.RunningKernel == "" {
			s.note("no build of %s is removed: the running kernel is not known", it.key)
			continue
		}
		why := map[string]bool{}
		for _, n := range old { // oldest first
			if excess == 0 {
				break
			}
			if spare := s.spared(n); spare != "" {
				why[spare] = true
			} else {
				out[n] = true
				excess--
			}
		}
		if excess > 0 {
			s.note("%d more builds of %s stay than keep-n allows: %s", excess, it.key, strings.Join(sortedKeys(why), ", "))
		}
	}
	s.sparing(out, keep)
	for n := range int32(s.installed) {
		if out[n] {
			s.result.Set.Remove = append(s.result.Set.Remove, Remove{s.nodes[n].pkg.NEVRA, ruleKeepN,
				fmt.Sprintf("%d builds of %s are kept", keep, s.nodes[n].pkg.NameArch())})
		}
	}
}

// onlyItems lists the install-only names of families of which something comes in. A family is what marks install-only packages in one way (libdnf,
// limit_installonly_packages): a build of kernel-core leaves with its kernel, also where its newest is there already.
func (s *solution) onlyItems() (out []*item) {
	coming := map[string]bool{}
	for _, it := range s.items {
		if it.only && s.comesIn(it) {
			for _, n := range it.cands {
				for _, m := range s.marks(n) {
					coming[m] = coming[m] || s.model[n]
				}
			}
		}
	}
	for _, it := range s.items {
		if it.only && (s.comesIn(it) || slices.ContainsFunc(it.inst, func(n int32) bool {
			return slices.ContainsFunc(s.marks(n), func(m string) bool { return coming[m] })
		})) {
			out = append(out, it)
		}
	}
	return out
}

// comesIn tells whether a new build of an item comes in.
func (s *solution) comesIn(it *item) bool {
	return slices.ContainsFunc(it.cands, func(n int32) bool { return s.model[n] })
}

// marks lists what makes a package install-only: its name, provides, globs of the host.
func (s *solution) marks(n int32) (out []string) {
	p := s.nodes[n].pkg
	if marksInstallOnly(p.Name) {
		out = append(out, p.Name)
	}
	for i := range p.Provides {
		if marksInstallOnly(p.Provides[i].Name) {
			out = append(out, p.Provides[i].Name)
		}
	}
	for _, g := range s.h.InstallOnly {
		if matchGlob(g, p.Name) {
			out = append(out, g)
		}
	}
	return out
}

// spared says why keep-N leaves a build; "" where it may go.
func (s *solution) spared(n int32) string {
	pkg := s.nodes[n].pkg
	if isRunning(pkg, s.h.RunningKernel) {
		return "one of them is running"
	}
	if l, _ := lockedIn(s.name(pkg.Name).locks, pkg.NEVRA); l != nil && l.Not {
		return "one of them is " + l.Text
	}
	if outOfTree(s.h, pkg) && s.servesRunning(pkg) {
		return "one of them is for the kernel that runs"
	}
	return ""
}

// servesRunning tells whether a build of an out-of-tree module is for the running kernel.
func (s *solution) servesRunning(module *rpm.Package) bool {
	if slices.Contains(moduleDirs(module), s.h.RunningKernel) {
		return true
	}
	var family []*rpm.Package
	for n := range s.installed {
		if p := s.nodes[n].pkg; p != module && isRunning(p, s.h.RunningKernel) && !outOfTree(s.h, p) {
			family = append(family, p)
		}
	}
	return slices.ContainsFunc(family, func(k *rpm.Package) bool {
		fits, _ := buildFor(module, k, family, func(d rpm.Dep) bool { return len(s.modulesFor(d, k)) > 0 })
		return isKernel(k) && fits
	})
}

func (s *solution) note(format string, a ...any) {
	s.result.Notes = append(s.result.Notes, fmt.Sprintf(format, a...))
}

// sparing takes out of a removal what the rest needs, until nothing breaks. What needs it and is itself one build more than are kept goes too: a kernel
// package of which no new build comes would keep all that it consists of.
func (s *solution) sparing(out map[int32]bool, keep int) {
	stays := map[int32]bool{}
	for changed := true; changed && len(out) > 0; {
		changed = false
		for m := range int32(len(s.nodes)) {
			if !s.model[m] || out[m] {
				continue
			}
			for n := s.breaksAny(m, out); n >= 0; n = s.breaksAny(m, out) {
				changed = true
				if !stays[m] && s.tooMany(m, out, keep) {
					out[m] = true
					break
				}
				delete(out, n)
				stays[n] = true
				s.note("%s stays: %s needs it", s.nodes[n].pkg.NEVRA, s.nodes[m].pkg.NEVRA)
			}
		}
	}
}

// tooMany tells whether an installed node is the oldest build that stays of an install-only name, of which there are more than keep-N leaves.
func (s *solution) tooMany(m int32, out map[int32]bool, keep int) bool {
	if int(m) >= s.installed || !s.nodes[m].only || s.spared(m) != "" {
		return false
	}
	left := slices.DeleteFunc(slices.Clone(s.itemOf[m].inst), func(n int32) bool { return !s.model[n] || out[n] })
	return left[0] == m && len(left) > keep
}

// breaksAny returns a package to be removed that another cannot do without, or -1: it requires it, or a boolean conflict would begin to hold.
func (s *solution) breaksAny(m int32, out map[int32]bool) int32 {
	for _, d := range s.nodes[m].pkg.Requires {
		if n := s.breaks(d, true, out); n >= 0 {
			return n
		}
	}
	for _, d := range s.nodes[m].pkg.Conflicts {
		if d.IsRich() {
			if n := s.breaks(d, false, out); n >= 0 {
				return n
			}
		}
	}
	return -1
}

// leavingOf lists the packages whose leaving rpm would not let pass, of those that an expression names. Of one that was broken before it
// looks at whatever it names again (againClauses).
func leavingOf(r *rpm.Rich, wanted bool, there func(rpm.Dep) []int32) (all []int32) {
	if evalRich(r, there) == wanted {
		r.Leaves(func(leaf rpm.Dep) { all = append(all, there(leaf)...) })
		return all
	}
	r.Names(func(leaf rpm.Dep, condition bool) {
		if condition != wanted {
			all = append(all, there(rpm.Dep{Name: leaf.Name})...)
		}
	})
	return all
}

// breaks returns the newest of the packages to be removed that a dependency cannot do without, or -1; a requirement is to hold, a boolean
// conflict is not.
func (s *solution) breaks(d rpm.Dep, wanted bool, out map[int32]bool) int32 {
	if isRpmlib(d.Name) {
		return -1
	}
	left := func(d rpm.Dep) []int32 {
		return slices.DeleteFunc(s.there(d), func(q int32) bool { return out[q] })
	}
	var all []int32
	if d.IsRich() {
		r, err := rpm.ParseRich(d.Name)
		if err != nil || evalRich(r, left) == wanted {
			return -1
		}
		all = leavingOf(r, wanted, s.there)
	} else {
		if len(left(d)) > 0 {
			return -1
		}
		all = s.there(d)
	}
	best := int32(-1)
	for _, q := range all {
		if out[q] && q > best { // installed nodes are in NEVRA order
			best = q
		}
	}
	return best
}
