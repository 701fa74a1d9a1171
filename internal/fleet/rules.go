package fleet

import (
	"slices"
	"sort"
	"strings"
	"time"

	"cpacman/internal/host"
	"cpacman/inventory"
	"cpacman/planner"
)

// given is all that the planner gets to know of a host, beside its packages. What belongs to no host alone may be shared.
type given struct {
	arch, kernel, rpmVersion string
	os                       host.OS
	modules                  []host.Module
	noModules                bool // modules are not known
	holds                    []host.Hold
	settings                 *inventory.Effective
	rules                    []inventory.Rule
}

// givenID is a given with lists and settings known by where they are: hosts of one are given the same, of two perhaps.
type givenID struct {
	arch, kernel, rpmVersion string
	os                       host.OS
	modules                  place[host.Module]
	noModules                bool
	holds                    place[host.Hold]
	settings                 *inventory.Effective
	rules                    place[inventory.Rule]
}

// place is where a list is.
type place[T any] struct {
	first *T
	n     int
}

func placeOf[T any](list []T) place[T] {
	if len(list) == 0 {
		return place[T]{}
	}
	return place[T]{&list[0], len(list)}
}

func (g *given) id() givenID {
	return givenID{g.arch, g.kernel, g.rpmVersion, g.os, placeOf(g.modules), g.noModules, placeOf(g.holds), g.settings, placeOf(g.rules)}
}

// given collects what a host is planned with at a time. The error is *inventory.PolicyConflict: two policies of equal priority disagree, and nobody may
// guess which is meant (INV-4).
func (f *Fleet) given(at time.Time, h *inventory.Host, facts *host.Facts) (given, error) {
	g := given{arch: facts.Arch, kernel: facts.Kernel, rpmVersion: facts.RPMVersion, os: facts.OS, modules: facts.Modules, noModules: facts.Modules == nil,
		holds: facts.Holds, settings: f.Site.Settings(h)}
	resolved, conflicts := f.Site.Policies(h, oneHost(facts), at)
	if len(conflicts) > 0 {
		return g, conflicts[0]
	}
	g.rules = resolved.Rules
	return g, nil
}

// plannerHost is a host in the planner's words, without its packages. The error is that of given.
func (f *Fleet) plannerHost(at time.Time, h *inventory.Host, facts *host.Facts) (planner.Host, error) {
	g, err := f.given(at, h, facts)
	if err != nil {
		return planner.Host{}, err
	}
	return g.host(), nil
}

func (g *given) host() planner.Host {
	s := g.settings
	out := planner.Host{Arch: g.arch, RunningKernel: g.kernel, RPMVersion: g.rpmVersion, ModulesUnknown: g.noModules,
		Exclude: s.Exclude, ExcludeFrom: s.ExcludeFrom, InstallOnly: s.InstallOnly, KeepInstallOnly: s.InstallOnlyKeep, ModulePatterns: s.KernelModules, SameVendors: s.SameVendor,
		ForbidVendorChange: s.VendorChange == inventory.VendorChangeForbid ||
			s.VendorChange == inventory.VendorChangeDefault && forbidsVendorChange(g.os)}
	if forbidsVendorChange(g.os) { // to libzypp all that begin so are one
		out.SameVendors = append(slices.Clip(out.SameVendors), []string{"SUSE*", "suse*"})
	}
	for _, m := range g.modules {
		if m.State == "enabled" {
			out.Modules = append(out.Modules, m.Name+":"+m.Stream)
		}
	}
	sort.Strings(out.Modules)
	addHolds(&out, g.holds)
	for _, r := range g.rules {
		out.Policies = append(out.Policies, planner.Rule{Action: string(r.Action), Pattern: r.Pattern, Value: r.Value, Arches: r.ArchList(),
			Priority: r.Priority, Policy: r.Policy, Owner: r.Owner, Reason: r.Reason, File: r.File, Line: r.Line})
	}
	return out
}

// forbidsVendorChange tells the families whose own package manager keeps the vendor of a package (zypper(8), "vendor change"; PLAN-15).
func forbidsVendorChange(os host.OS) bool {
	id := strings.ToLower(os.ID)
	return slices.ContainsFunc([]string{"sle", "sl-micro", "opensuse", "suse"}, func(p string) bool { return strings.HasPrefix(id, p) }) // sles, sles_sap, sled, sle_hpc, sle-micro …
}
