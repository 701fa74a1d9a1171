package planner

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"slices"
	"strconv"

	"cpacman/internal/rpm"
)

// Key is a digest of everything that changes a host's answer (PLAN-11): hosts of one key are solved once. view names the universe, for
// example a digest over the repositories and their settings. The order of lists changes nothing.
func Key(h Host, view string, r Request) string {
	d := sha256.New()
	k := keyWriter{d}
	k.list("view", view)
	k.list("host", h.Arch, h.RunningKernel, h.RPMVersion, strconv.Itoa(h.KeepInstallOnly))
	k.sorted("install-only", h.InstallOnly)
	k.sorted("exclude", h.Exclude)
	k.sorted("hold", h.Hold)
	k.sorted("modules", h.Modules)
	k.sorted("protected", h.Protected)
	k.policies(h.Policies)
	k.list("vendors", fmt.Sprint(h.ForbidVendorChange, len(h.SameVendors)))
	for _, l := range h.SameVendors {
		k.sorted("same-vendor", l)
	}
	k.list("out-of-tree", fmt.Sprint(h.ModulePatterns == nil))
	k.sorted("module-patterns", h.ModulePatterns)
	f := r.Filter.normal()
	t := r.Type
	if t == "" {
		t = TypeUpdate
	}
	k.list("request", string(t), fmt.Sprint(f.Security, f.Bugfix, f.Newest, r.Weak))
	target := make([]string, len(r.Target))
	for i, n := range r.Target {
		target[i] = n.String()
	}
	k.sorted("target", target)
	k.list("severities", f.Severities...)
	k.list("advisories", f.Advisories...)
	k.list("cves", f.CVEs...)
	k.list("packages", f.Packages...)
	k.list("without", f.Exclude...)
	k.list("override-holds", f.OverrideHolds...)
	for _, p := range sortedInstalled(&h) {
		k.list("package", p.NEVRA.String(), p.Header, p.Vendor, p.ModularityLabel, fmt.Sprint(p.ColorKnown, p.Color))
		if p.Header == "" { // nothing else vouches for the dependencies
			k.deps(p.Provides)
			k.deps(p.Requires)
			k.deps(p.Conflicts)
			k.deps(p.Obsoletes)
			k.deps(p.Recommends)
			k.sorted("files", p.Files)
		}
	}
	return hex.EncodeToString(d.Sum(nil))
}

// keyWriter writes lists so that no two different ones have the same bytes.
type keyWriter struct{ h hash.Hash }

func (k keyWriter) list(name string, values ...string) {
	k.text(name)
	k.text(strconv.Itoa(len(values)))
	for _, v := range values {
		k.text(v)
	}
}

// text writes a string behind its length. A hash never fails.
func (k keyWriter) text(s string) {
	_, _ = io.WriteString(k.h, strconv.Itoa(len(s)))
	_, _ = io.WriteString(k.h, ":")
	_, _ = io.WriteString(k.h, s)
}

func (k keyWriter) sorted(name string, values []string) {
	l := slices.Clone(values)
	slices.Sort(l)
	k.list(name, slices.Compact(l)...)
}

// policies writes rules in an order of their own.
func (k keyWriter) policies(rules []Rule) {
	l := make([]*Rule, len(rules))
	for i := range rules {
		l[i] = &rules[i]
	}
	slices.SortFunc(l, compareRules)
	k.list("policies", strconv.Itoa(len(l)))
	for _, r := range l {
		k.list("rule", r.Action, r.Pattern, r.Value, strconv.Itoa(r.Priority), r.Policy, r.Owner, r.Reason)
		k.sorted("arches", r.Arches)
	}
}

func (k keyWriter) deps(deps []rpm.Dep) {
	l := make([]string, len(deps))
	for i, d := range deps {
		l[i] = d.String()
	}
	k.sorted("deps", l)
}
