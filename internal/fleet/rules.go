package fleet

import (
	"sort"
	"strings"

	"cpacman/internal/host"
	"cpacman/inventory"
	"cpacman/planner"
)

// plannerHost is a host in the planner's words, without its packages; s is what is in force for it. The error is *inventory.PolicyConflict: two policies of equal
// priority disagree, and nobody may guess which is meant (INV-4).
func (f *Fleet) plannerHost(h *inventory.Host, s *inventory.Effective, facts *host.Facts) (planner.Host, error) {
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
	resolved, conflicts := f.Site.Policies(h, oneHost(facts), f.now())
	if len(conflicts) > 0 {
		return out, conflicts[0]
	}
	for _, r := range resolved.Rules {
		out.Policies = append(out.Policies, planner.Rule{Action: string(r.Action), Pattern: r.Pattern, Value: r.Value, Arches: r.ArchList(),
			Priority: r.Priority, Policy: r.Policy, Owner: r.Owner, Reason: r.Reason})
	}
	return out, nil
}

// forbidsVendorChange tells the families whose own package manager keeps the vendor of a package (zypper(8), "vendor change"; PLAN-15).
func forbidsVendorChange(os host.OS) bool {
	id := strings.ToLower(os.ID)
	return strings.HasPrefix(id, "sles") || strings.HasPrefix(id, "sled") || strings.HasPrefix(id, "opensuse") || strings.HasPrefix(id, "suse") || id == "sle-micro" || id == "sl-micro"
}
