package planner

import (
	"slices"
	"strings"

	"cpacman/internal/rpm"
)

// archLine lists what a machine of the first arch can run, best first (rpm's arch_compat tables, shortened to what
// distributions ship). noarch is always last.
var archLines = [...][]string{
	{"x86_64", "amd64", "i686", "i586", "i486", "i386"},
	{"x86_64_v2", "x86_64", "amd64", "i686", "i586", "i486", "i386"},
	{"x86_64_v3", "x86_64_v2", "x86_64", "amd64", "i686", "i586", "i486", "i386"},
	{"x86_64_v4", "x86_64_v3", "x86_64_v2", "x86_64", "amd64", "i686", "i586", "i486", "i386"},
	{"i686", "i586", "i486", "i386"},
	{"i586", "i486", "i386"},
	{"i486", "i386"},
	{"i386"},
	{"aarch64"},
	{"armv7hl", "armv6hl"},
	{"ppc64le"},
	{"ppc64p7", "ppc64", "ppc"},
	{"ppc64", "ppc"},
	{"s390x", "s390"},
	{"riscv64"},
	{"loongarch64"},
}

const noarch = "noarch"

// families are arches of one kind, the best first. rpm's %{_target_cpu} is the arch that it builds for: x86_64 on a machine that runs x86_64_v3, and
// i386 on one that runs i686 (buildarchtranslate in rpmrc; measured with rpm 4.20 and 6.1, and with 4.18).
var families = [...][]string{
	{"x86_64_v4", "x86_64_v3", "x86_64_v2", "x86_64"},
	{"i686", "i586", "i486", "i386"},
	{"ppc64p7", "ppc64"},
}

// machine is the arch that a host can run: the best of its family that something installed has.
func (h *Host) machine() string {
	for _, f := range families {
		at := slices.Index(f, h.Arch)
		if at < 0 {
			continue
		}
		for _, p := range h.Installed {
			if p == nil {
				continue
			}
			if i := slices.Index(f[:at], p.Arch); i >= 0 {
				at = i
			}
		}
		return f[at]
	}
	return h.Arch
}

// SameFamily tells whether two words are arches of one kind of machine: rpm, the kernel and people call it differently.
func SameFamily(a, b string) bool {
	return a == b || slices.ContainsFunc(families[:], func(f []string) bool { return slices.Contains(f, a) && slices.Contains(f, b) })
}

// wide tells of the levels of x86_64, which are all native: what is built for more of them stands beside what is not.
func wide(arch string) bool { return strings.HasPrefix(arch, "x86_64") }

// archRank tells how well a package arch suits the host: 0 for native and noarch, larger is worse, -1 does not run there.
func archRank(host, pkg string) int {
	if pkg == noarch || pkg == host {
		return 0
	}
	for _, line := range archLines {
		if line[0] != host {
			continue
		}
		if i := slices.Index(line, pkg); i < 0 || !wide(pkg) {
			return i
		}
		return 0
	}
	return -1
}

// mayObsolete tells whether a package of arch a may take the place of one of arch b by Obsoletes: rpm knows no arch there, cpacman
// lets native and noarch packages do it, and any package of the same arch (PLAN-2).
func mayObsolete(host, a, b string) bool {
	return a == b || archRank(host, a) == 0
}

// knownArch tells whether a word is an arch that some machine here can run.
func knownArch(a string) bool {
	if a == noarch {
		return true
	}
	for _, line := range archLines {
		for _, b := range line {
			if a == b {
				return true
			}
		}
	}
	return false
}

// disjoint tells whether rpm lets two packages of one name stand beside each other: both coloured, in different colours.
func disjoint(a, b *rpm.Package) bool {
	return a.ColorKnown && b.ColorKnown && a.Color != 0 && b.Color != 0 && a.Color&b.Color == 0
}

// apart tells whether rpm leaves an installed package where it is when a build of its name comes in at the same EVR in another arch. It does so
// for different colours only: without ELF files, rpm -U of foo-1-1.i686 erases foo-1-1.x86_64 (measured with rpm 4.16, 4.18, 4.20 and 6.1).
// Repository metadata has no colours; a package that provides a library, or asks for the dynamic linker, has ELF files.
func apart(c, installed *rpm.Package) bool {
	if disjoint(c, installed) {
		return true
	}
	a, b := likelyColor(c), likelyColor(installed)
	return a != 0 && b != 0 && a&b == 0
}

// likelyColor gives the colour of a package, where headers do not tell by what its dependencies say of its files.
func likelyColor(p *rpm.Package) rpm.Color {
	if p.ColorKnown {
		return p.Color
	}
	return dependencyColor(p)
}

// dependencyColor gives the colour of the ELF files that dependencies were made of. What comes in has it in rpm's eyes, whatever its header says of its
// files: with none of it, rpm -U takes every other arch out (measured with rpm 4.18).
func dependencyColor(p *rpm.Package) rpm.Color {
	const elf32, elf64 rpm.Color = 1, 2
	var out rpm.Color
	for i := range p.Provides {
		switch name := p.Provides[i].Name; {
		case !strings.Contains(name, ".so") || name[0] == '/':
		case strings.HasSuffix(name, "(64bit)"):
			out |= elf64
		default:
			out |= elf32
		}
	}
	if out == 0 && slices.ContainsFunc(p.Requires, func(d rpm.Dep) bool { return d.Name == "rtld(GNU_HASH)" }) {
		out = elf32
		if slices.ContainsFunc(p.Requires, func(d rpm.Dep) bool { return strings.HasSuffix(d.Name, "(64bit)") }) {
			out = elf64
		}
	}
	return out
}
