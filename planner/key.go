package planner

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"time"

	"cpacman/internal/rpm"
)

// Key is a digest of everything that changes a host's answer (PLAN-11): hosts of one key are solved once. view names the universe, for
// example a digest over the repositories and their settings. The order of lists changes nothing.
func Key(h Host, view string, r Request) string {
	k := &keyWriter{make([]byte, 0, 1024)}
	k.list("view", view)
	k.list("host", h.Arch, h.RunningKernel, h.RPMVersion, strconv.Itoa(h.KeepInstallOnly))
	k.sorted("install-only", h.InstallOnly)
	k.sorted("exclude", h.Exclude)
	k.list("exclude-from", h.ExcludeFrom...)
	k.sorted("hold", h.Hold)
	for i := range h.Locks {
		l := &h.Locks[i]
		k.list("lock", l.Names, yesNo(l.Regexp, l.Not, l.Stay), l.Text)
		for _, w := range l.When {
			k.list("when", w.Key, strconv.Itoa(int(w.Op)), w.Value)
		}
	}
	k.sorted("modules", h.Modules)
	if h.ModulesUnknown {
		k.list("modules-unknown")
	}
	k.sorted("protected", h.Protected)
	k.policies(h.Policies)
	k.list("vendors", yesNo(h.ForbidVendorChange), strconv.Itoa(len(h.SameVendors)))
	for _, l := range h.SameVendors {
		k.sorted("same-vendor", l)
	}
	k.list("out-of-tree", yesNo(h.ModulePatterns == nil))
	k.sorted("module-patterns", h.ModulePatterns)
	f := r.Filter.normal()
	t := r.Type
	if t == "" {
		t = TypeUpdate
	}
	k.list("request", string(t), yesNo(f.Security, f.Bugfix, f.Newest, r.Weak))
	target := make([]string, len(r.Target))
	for i, n := range r.Target {
		target[i] = n.String()
	}
	k.sorted("target", target)
	k.list("at", r.At.UTC().Format(time.RFC3339Nano))
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
	sum := sha256.Sum256(k.out)
	return hex.EncodeToString(sum[:])
}

// yesNo writes answers with yes or no.
func yesNo(answers ...bool) string {
	out := make([]byte, len(answers))
	for i, yes := range answers {
		out[i] = 'n'
		if yes {
			out[i] = 'y'
		}
	}
	return string(out)
}

// keyWriter writes lists so that no two different ones have the same bytes. A key is made for every host of a fleet.
type keyWriter struct{ out []byte }

func (k *keyWriter) list(name string, values ...string) {
	k.text(name)
	k.out = append(strconv.AppendInt(k.out, int64(len(values)), 10), ';')
	for _, v := range values {
		k.text(v)
	}
}

// text writes a string behind its length.
func (k *keyWriter) text(s string) {
	k.out = append(strconv.AppendInt(k.out, int64(len(s)), 10), ':')
	k.out = append(k.out, s...)
}

func (k *keyWriter) sorted(name string, values []string) {
	if len(values) > 1 {
		values = slices.Clone(values)
		slices.Sort(values)
		values = slices.Compact(values)
	}
	k.list(name, values...)
}

// policies writes rules in an order of their own.
func (k *keyWriter) policies(rules []Rule) {
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

func (k *keyWriter) deps(deps []rpm.Dep) {
	l := make([]string, len(deps))
	for i, d := range deps {
		l[i] = d.String()
	}
	k.sorted("deps", l)
}
