package fleet

import (
	"slices"
	"strings"

	"cpacman/internal/host"
	"cpacman/planner"
)

// alwaysProtected never leave a host: without them it can neither be updated nor verified. What dnf protects beside is in the host's own
// configuration (dnf.conf(5), protected_packages) and comes with its facts.
var alwaysProtected = []string{"rpm"} //nolint:gochecknoglobals // a constant list

// addHolds turns what a host's own package manager would respect into rules of the planner: plain rpm ignores all of it.
// A version lock keeps its package as it is (dnf-plugins-core, versionlock; zypper addlock), an exclude keeps candidates out; a protected
// package may be updated and never leaves the host.
func addHolds(out *planner.Host, holds []host.Hold) {
	out.Protected = slices.Clone(alwaysProtected)
	for _, h := range holds {
		switch h.Kind {
		case "versionlock", "zypper-lock":
			if pattern, excluded := strings.CutPrefix(h.Pattern, "!"); excluded {
				out.Exclude = append(slices.Clone(out.Exclude), lockedName(pattern))
				continue
			}
			out.Hold = append(out.Hold, lockedName(h.Pattern))
		case "exclude":
			out.Exclude = append(slices.Clone(out.Exclude), h.Pattern)
		case "protected":
			if h.Pattern != "" && !strings.ContainsAny(h.Pattern, "/: ") { // "glob:/etc/…" names files, which facts have read
				out.Protected = append(out.Protected, h.Pattern)
			}
		}
	}
	slices.Sort(out.Hold)
	out.Hold = slices.Compact(out.Hold)
	slices.Sort(out.Protected)
	out.Protected = slices.Compact(out.Protected)
}

// lockedName is the package name in a line of a lock list: "bash-0:4.2-1.el7.*", "0:bash-4.2-1.el7.*", or a name or glob alone.
func lockedName(pattern string) string {
	rest := pattern
	if epoch, after, ok := strings.Cut(rest, ":"); ok && epoch != "" && strings.Trim(epoch, "0123456789") == "" {
		rest = after
	}
	release := strings.LastIndexByte(rest, '-')
	if release <= 0 {
		return rest
	}
	version := strings.LastIndexByte(rest[:release], '-')
	if version <= 0 || !strings.ContainsRune("0123456789*", rune(rest[version+1])) {
		return rest
	}
	return rest[:version]
}
