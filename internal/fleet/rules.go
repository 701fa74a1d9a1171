package fleet

import (
	"errors"
	"slices"
	"sort"
	"strings"

	"cpacman/internal/host"
	"cpacman/inventory"
	"cpacman/planner"
)

// plannerHost is a host in the planner's words, without its packages. The error is *inventory.PolicyConflict: two policies of equal
// priority disagree, and nobody may guess which is meant (INV-4).
func (f *Fleet) plannerHost(h *inventory.Host, facts *host.Facts) (planner.Host, error) {
	s := f.Site.Effective(h)
	out := planner.Host{Arch: facts.Arch, RunningKernel: facts.Kernel, RPMVersion: facts.RPMVersion,
		Exclude: s.Exclude, InstallOnly: s.InstallOnly, KeepInstallOnly: s.InstallOnlyKeep, SameVendors: s.SameVendor,
		ForbidVendorChange: s.VendorChange == inventory.VendorChangeForbid ||
			s.VendorChange == inventory.VendorChangeDefault && forbidsVendorChange(facts.OS)}
	for _, m := range facts.Modules {
		if m.State == "enabled" {
			out.Modules = append(out.Modules, m.Name+":"+m.Stream)
		}
	}
	sort.Strings(out.Modules)
	addHolds(&out, facts.Holds)
	resolved, conflicts := f.Site.Policies(h, func(_ *inventory.Host, key string) []string { return FactAttr(facts, key) }, f.now())
	if len(conflicts) > 0 {
		return out, conflicts[0]
	}
	for _, r := range resolved.Rules {
		out.Policies = append(out.Policies, planner.Rule{Action: string(r.Action), Pattern: r.Pattern, Value: r.Value, Arches: r.ArchList(),
			Priority: r.Priority, Policy: r.Policy, Owner: r.Owner, Reason: r.Reason})
	}
	return out, nil
}

// isPolicyConflict tells whether policies that disagree kept a host from being planned.
func isPolicyConflict(err error) bool {
	var written *inventory.PolicyConflict
	var met *planner.PolicyConflict
	return errors.As(err, &written) || errors.As(err, &met)
}

// forbidsVendorChange tells the families whose own package manager keeps the vendor of a package (zypper(8), "vendor change"; PLAN-15).
func forbidsVendorChange(os host.OS) bool {
	id := strings.ToLower(os.ID)
	return strings.HasPrefix(id, "sles") || strings.HasPrefix(id, "sled") || strings.HasPrefix(id, "opensuse") || strings.HasPrefix(id, "suse") || id == "sle-micro" || id == "sl-micro"
}

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
