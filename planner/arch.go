package planner

// archLine lists what a machine of the first arch can run, best first (rpm's arch_compat tables, shortened to what
// distributions ship). noarch is always last.
var archLines = [...][]string{
	{"x86_64", "amd64", "i686", "i586", "i486", "i386"},
	{"x86_64_v2", "x86_64", "i686", "i586", "i486", "i386"},
	{"i686", "i586", "i486", "i386"},
	{"i586", "i486", "i386"},
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

// archRank tells how well a package arch suits the host: 0 for native and noarch, larger is worse, -1 does not run there.
func archRank(host, pkg string) int {
	if pkg == noarch || pkg == host {
		return 0
	}
	for _, line := range archLines {
		if line[0] != host {
			continue
		}
		for i, a := range line {
			if a == pkg {
				return i
			}
		}
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
