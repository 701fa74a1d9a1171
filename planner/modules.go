package planner

import (
	"slices"
	"strings"

	"cpacman/internal/rpm"
)

// DefaultModulePatterns are the names that out-of-tree kernel modules usually have (PLAN-5).
func DefaultModulePatterns() []string {
	return []string{"kmod-*", "*-kmod", "kmod-*-*", "dkms-*", "*-dkms", "akmod-*", "*-kmp-*"}
}

// isKernel tells whether an install-only package is a kernel, not a package of modules, nor what modules are built with.
func isKernel(p *rpm.Package) bool {
	return !strings.Contains(p.Name, "-devel") && !strings.Contains(p.Name, "-headers") && !strings.Contains(p.Name, "-livepatch") && strings.HasPrefix(p.Name, "kernel") && !slices.ContainsFunc(p.Provides, func(d rpm.Dep) bool { return d.Name == "installonlypkg(kernel-module)" })
}

// kernelDeps returns the requirements of a package that only a kernel fulfils.
func kernelDeps(p *rpm.Package) []rpm.Dep {
	var out []rpm.Dep
	for _, d := range p.Requires {
		if len(d.Name) == 0 || d.Name[0] != 'k' {
			continue
		}
		if strings.HasPrefix(d.Name, "kernel(") || strings.HasPrefix(d.Name, "ksym(") || d.Name == "kernel-uname-r" {
			out = append(out, d)
		}
	}
	return out
}

// outOfTree tells whether an installed package is a kernel module from outside of the kernel: it requires symbols or a build of a kernel, or
// its name says so; where the names are given, they alone do. kmod-libs has such a name and is none: the default patterns want a sign beside the name. Nor is a
// module's firmware in a package of its own, as of kmod-bnx2x of RHEL 6.
func outOfTree(h *Host, p *rpm.Package) bool {
	if strings.HasPrefix(p.Name, "kernel") {
		return false
	}
	if h.ModulePatterns != nil {
		return matchAny(h.ModulePatterns, func(g string) bool { return matchGlob(g, p.Name) })
	}
	if len(kernelDeps(p)) > 0 {
		return true
	}
	isFirmware := slices.ContainsFunc(p.Provides, func(d rpm.Dep) bool { return strings.HasPrefix(d.Name, "firmware(") })
	if isFirmware && len(moduleDirs(p)) == 0 {
		return false
	}
	if !strings.Contains(p.Name, "kmod") && !strings.Contains(p.Name, "dkms") && !strings.Contains(p.Name, "-kmp-") {
		return false // no default pattern has neither
	}
	if !matchAny(DefaultModulePatterns(), func(g string) bool { return matchGlob(g, p.Name) }) {
		return false
	}
	return strings.Contains(p.Name, "dkms") || len(moduleDirs(p)) > 0 ||
		slices.ContainsFunc(p.Requires, func(d rpm.Dep) bool { return d.Name == "dkms" || d.Name == "akmods" || d.Name == "kernel" }) ||
		slices.ContainsFunc(p.Provides, func(d rpm.Dep) bool {
			return d.Name == "installonlypkg(kernel-module)" || d.Name == "kernel-modules" || strings.HasPrefix(d.Name, "kmod(")
		})
}

// moduleDirs returns the kernel releases that a package has modules for, as its files say.
func moduleDirs(p *rpm.Package) []string {
	var out []string
	for _, f := range p.Files {
		if rest, ok := strings.CutPrefix(strings.TrimPrefix(f, "/usr"), "/lib/modules/"); ok {
			dir, _, _ := strings.Cut(rest, "/")
			out = append(out, dir)
		}
	}
	return out
}

// moduleClauses state that a new kernel comes only with a build of every out-of-tree module that is installed (PLAN-5). Kernels stand
// beside each other, so that rpm itself does not mind.
func (p *problem) moduleClauses() {
	if p.target != nil {
		return
	}
	var kernels []int32
	for n := int32(p.installed); n < int32(len(p.nodes)); n++ {
		if p.nodes[n].only && isKernel(p.nodes[n].pkg) {
			kernels = append(kernels, n)
		}
	}
	if len(kernels) == 0 {
		return
	}
	done := map[string]bool{}
	for m := range int32(p.installed) {
		pkg := p.nodes[m].pkg
		if done[pkg.Name] || !outOfTree(p.h, pkg) {
			continue
		}
		done[pkg.Name] = true
		for _, k := range kernels {
			if pkg.Arch != noarch && pkg.Arch != p.nodes[k].pkg.Arch {
				continue
			}
			family := p.kernelFamily(k)
			lits := []lit{neg(k)}
			missing := rpm.Dep{}
			for n := range int32(len(p.nodes)) {
				if p.nodes[n].pkg.Name != pkg.Name {
					continue
				}
				fits, d := buildFor(p.nodes[n].pkg, p.nodes[k].pkg, family, func(d rpm.Dep) bool { return len(p.modulesFor(d, p.nodes[k].pkg)) > 0 })
				if fits {
					lits = append(lits, pos(n))
					p.symbolClauses(k, n, family)
				} else if n == m {
					missing = d
				}
			}
			p.sat.add(p.because(whyModule, k, m, missing), lits...)
		}
	}
}

// modulesFor returns the nodes with what a module needs beside a kernel. What several builds of stand beside each other, as of kernels, counts in the
// build of that kernel only: an old one serves no new one. SUSE has part of a kernel's modules in kernel-default-extra and -optional.
func (p *problem) modulesFor(d rpm.Dep, kernel *rpm.Package) []int32 {
	var out []int32
	for _, n := range p.providersOf(d) {
		if pkg := p.nodes[n].pkg; !p.nodes[n].only || pkg.Arch == kernel.Arch && rpm.Compare(pkg.EVR, kernel.EVR) == 0 {
			out = append(out, n)
		}
	}
	return out
}

// symbolClauses state that beside a kernel a build of a module has those of its symbols that other modules give it.
func (p *problem) symbolClauses(k, n int32, family []*rpm.Package) {
	for _, d := range kernelDeps(p.nodes[n].pkg) {
		if given(family, d) {
			continue
		}
		lits := []lit{neg(k), neg(n)}
		for _, o := range p.modulesFor(d, p.nodes[k].pkg) {
			lits = append(lits, pos(o))
		}
		p.sat.add(p.because(whyModule, k, n, d), lits...)
	}
}

// given tells whether packages provide what a module requires.
func given(family []*rpm.Package, d rpm.Dep) bool {
	return slices.ContainsFunc(family, func(k *rpm.Package) bool {
		return slices.ContainsFunc(k.Provides, func(have rpm.Dep) bool { return have.Name == d.Name && rpm.Satisfies(have, d) })
	})
}

// kernelFamily lists the packages of the kernel that a package belongs to: same arch and EVR.
func (p *problem) kernelFamily(k int32) []*rpm.Package {
	kernel := p.nodes[k].pkg
	out := []*rpm.Package{kernel}
	for _, o := range p.u.providing("kernel-uname-r") {
		p.u.ready([]int32{o.id})
		out = p.joinFamily(out, kernel, o.id)
	}
	for _, name := range []string{"kernel", "kernel-core", "kernel-modules", "kernel-modules-core"} {
		for _, id := range p.u.named(name) {
			out = p.joinFamily(out, kernel, id)
		}
	}
	return out
}

func (p *problem) joinFamily(out []*rpm.Package, kernel *rpm.Package, id int32) []*rpm.Package {
	c := p.u.cands[id].Package
	if c.Arch != kernel.Arch || rpm.Compare(c.EVR, kernel.EVR) != 0 || slices.Contains(out, c) {
		return out
	}
	return append(out, c)
}

// buildFor tells whether a build of a module serves a kernel: that or, by others, another module has the symbols, or it is the build that is required, or the module
// names a range that has the kernel in it, or the module's files or its own version name the kernel. Otherwise it returns what is missing, if that has a name.
func buildFor(module, kernel *rpm.Package, family []*rpm.Package, others func(rpm.Dep) bool) (bool, rpm.Dep) {
	deps := kernelDeps(module)
	for _, d := range deps {
		if !given(family, d) && !others(d) {
			return false, d
		}
	}
	if len(deps) > 0 {
		return true, rpm.Dep{}
	}
	if servesRange(module, kernel) {
		return true, rpm.Dep{}
	}
	uname := kernel.Version + "-" + kernel.Release
	if dirs := moduleDirs(module); len(dirs) > 0 {
		return slices.ContainsFunc(dirs, func(d string) bool { return strings.HasPrefix(d, uname) || rpm.RunsAs(kernel.NEVRA, d) }), rpm.Dep{}
	}
	flat := func(s string) string { return strings.ReplaceAll(s, "-", "_") }
	return strings.Contains(flat(module.NEVRA.String()), flat(uname)), rpm.Dep{}
}

// servesRange tells whether a module says by "kernel-modules >= 3.10.0-327.el7.x86_64" that it is for this kernel too: modules that use only
// symbols of the kernel's stable list do (Red Hat's Driver Update Program, kmodtool).
func servesRange(module, kernel *rpm.Package) bool {
	build := rpm.Dep{Name: "kernel-modules", Sense: rpm.Equal, EVR: rpm.EVR{Version: kernel.Version, Release: kernel.Release + "." + kernel.Arch}}
	return slices.ContainsFunc(module.Provides, func(d rpm.Dep) bool {
		return d.Name == build.Name && d.Sense != 0 && rpm.Satisfies(d, build)
	})
}

// moduleLine says why a kernel waits.
func (s *solution) moduleLine(r reason) string {
	text := s.nodes[r.a].pkg.NEVRA.String() + " waits for a build of the out-of-tree module " + s.nodes[r.b].pkg.Name
	if r.dep.Name != "" {
		return text + ": " + s.nodes[r.b].pkg.NEVRA.String() + " requires " + r.dep.String() + ", which this kernel does not provide"
	}
	return text + ": " + s.nodes[r.b].pkg.NEVRA.String() + " is not for it"
}
