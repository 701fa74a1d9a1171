package planner

import (
	"fmt"
	"slices"
	"strings"

	"cpacman/internal/rpm"
)

// world is a set of packages on a host, evaluated from nothing: who provides what, and what is wrong. It shares no index with the
// search, so that it can judge its results.
type world struct {
	pkgs     []*rpm.Package
	provides *capabilities
	files    map[string][]int32
	only     func(*rpm.Package) bool
	rpmlib   func(rpm.Dep) bool // asked for packages in fresh only
	fresh    map[*rpm.Package]bool
	effort   effort
}

// newWorld indexes packages. carries answers for files that a package does not list; it may be nil.
func newWorld(pkgs []*rpm.Package, only func(*rpm.Package) bool, carries func(path string) (map[*rpm.Package]bool, error)) (*world, error) {
	w := &world{pkgs: pkgs, provides: newCapabilities(pkgs), files: map[string][]int32{}, only: only}
	paths := map[string]bool{}
	for _, p := range pkgs {
		collectPaths(p, paths)
	}
	named := newPathFilter(paths)
	for n, p := range pkgs {
		for _, f := range p.Files {
			if named.may(f) && paths[f] {
				w.files[f] = append(w.files[f], int32(n))
			}
		}
	}
	if carries == nil {
		return w, nil
	}
	for _, path := range sortedKeys(paths) {
		who, err := carries(path)
		if err != nil {
			return nil, err
		}
		for n, p := range pkgs {
			if len(who) > 0 && who[p] {
				w.files[path] = append(w.files[path], int32(n))
			}
		}
	}
	return w, nil
}

func sortedKeys(m map[string]bool) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// providers returns the packages that fulfil a plain dependency.
func (w *world) providers(d rpm.Dep) []int32 {
	var out []int32
	for ref := range w.provides.named(d.Name) {
		w.effort.spend(compareSteps)
		if w.provides.provides(ref, &d) {
			out = append(out, ref.id)
		}
	}
	if strings.HasPrefix(d.Name, "/") {
		out = append(out, w.files[d.Name]...)
	}
	return out
}

// met tells whether a requirement of a package is fulfilled.
func (w *world) met(p *rpm.Package, d *rpm.Dep) bool {
	if isRpmlib(d.Name) {
		return !w.fresh[p] || w.rpmlib(*d)
	}
	if d.IsRich() {
		r, err := rpm.ParseRich(d.Name)
		return err == nil && evalRich(r, w.providers)
	}
	for ref := range w.provides.named(d.Name) {
		w.effort.spend(compareSteps)
		if w.provides.provides(ref, d) {
			return true
		}
	}
	return strings.HasPrefix(d.Name, "/") && len(w.files[d.Name]) > 0
}

// faults lists everything that is wrong, each once, sorted by text.
func (w *world) faults() []Fault {
	var out []Fault
	first := make(map[string]int32, len(w.pkgs))
	builds := map[string][]rpm.NEVRA{} // by name, where there is more than one
	for n, p := range w.pkgs {
		for i := range p.Requires {
			if d := &p.Requires[i]; !w.met(p, d) {
				out = append(out, unmet(p, d))
			}
		}
		for _, d := range p.Conflicts {
			out = w.conflicts(out, int32(n), d)
		}
		if len(out) > maxFaults {
			panic(tooMuch{fmt.Errorf("%w: more than %d faults, most likely because of packages such as %s", ErrTooHard, maxFaults, p.NEVRA)})
		}
		if w.only(p) {
			continue
		}
		if at, another := first[p.Name]; !another {
			first[p.Name] = int32(n)
		} else if l := builds[p.Name]; l == nil {
			builds[p.Name] = []rpm.NEVRA{w.pkgs[at].NEVRA, p.NEVRA}
		} else {
			builds[p.Name] = append(l, p.NEVRA)
		}
	}
	for _, p := range w.pkgs { // not over the map: its order is not ours
		if len(builds) == 0 {
			break
		}
		if l := builds[p.Name]; len(l) > 1 {
			slices.SortFunc(l, rpm.CompareNEVRA)
			for i := range l { // by pairs, so that losing one build is no new fault
				for _, other := range l[i+1:] {
					if sameFiles(l[i], other) {
						out = append(out, Fault{"duplicate", l[i].String() + " and " + other.String() + " are both installed"})
					}
				}
			}
			builds[p.Name] = nil
		}
	}
	slices.SortFunc(out, func(a, b Fault) int { return strings.Compare(a.Text, b.Text) })
	return slices.Compact(out)
}

// conflicts adds the faults of one Conflicts entry; a package does not conflict with itself.
func (w *world) conflicts(out []Fault, n int32, d rpm.Dep) []Fault {
	p := w.pkgs[n]
	if d.IsRich() {
		if r, err := rpm.ParseRich(d.Name); err == nil && evalRich(r, w.providers) {
			out = append(out, Fault{"conflicts", conflict(p, &d)})
		}
		return out
	}
	for _, q := range w.providers(d) {
		if q != n {
			out = append(out, Fault{"conflicts", conflict(p, &d) + ", which " + w.pkgs[q].NEVRA.String() + " provides"})
		}
	}
	return out
}

func requirement(p *rpm.Package, d *rpm.Dep) string {
	return p.NEVRA.String() + " requires " + d.String()
}
func conflict(p *rpm.Package, d *rpm.Dep) string {
	return p.NEVRA.String() + " conflicts with " + d.String()
}

// unmet is the fault of a requirement that nothing fulfils.
func unmet(p *rpm.Package, d *rpm.Dep) Fault {
	return Fault{"requires", requirement(p, d) + ", which nothing provides"}
}

// PreBroken lists what is wrong with a host as it is: unmet requirements, conflicts, duplicates (FACT-4). Install-only packages
// and gpg-pubkey are never duplicates.
func PreBroken(h Host) (faults []Fault) {
	var err error
	defer func() {
		if err != nil {
			faults = []Fault{{"effort", err.Error()}}
		}
	}()
	defer giveUp(&err)
	w, err := newWorld(sortedInstalled(&h), onlyByName(sortedInstalled(&h), &h), nil)
	if err != nil {
		return nil // cannot be: there is no file source to fail
	}
	return w.faults()
}

// onlyByName makes the install-only rule hold for a name as soon as one of its builds says so.
func onlyByName(pkgs []*rpm.Package, h *Host) func(*rpm.Package) bool {
	names := map[string]bool{}
	for _, p := range pkgs {
		if isInstallOnly(p, h.InstallOnly) {
			names[p.Name] = true
		}
	}
	return func(p *rpm.Package) bool { return names[p.Name] }
}
