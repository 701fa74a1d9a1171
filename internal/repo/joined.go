package repo

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"cpacman/internal/rpm"
)

// joinNotices makes one notice of all that have one id, whatever their order. Those of the newest date are joined with those that say no date, of
// which nobody knows whether they are older; then each older date adds what the newer ones leave open.
func joinNotices(list []Advisory) Advisory {
	newest := time.Time{}
	for i := range list {
		if t := list[i].changed(); t.After(newest) {
			newest = t
		}
	}
	date := func(a *Advisory) time.Time {
		if t := a.changed(); !t.IsZero() {
			return t
		}
		return newest
	}
	slices.SortStableFunc(list, func(a, b Advisory) int { return date(&b).Compare(date(&a)) })
	var out Advisory
	var seen listedOnce
	for from, to := 0, 0; from < len(list); from = to {
		for to = from; to < len(list) && date(&list[to]).Equal(date(&list[from])); to++ {
		}
		one := joinEqual(list[from:to])
		if from == 0 {
			out, seen = one, newListedOnce(&one)
		} else {
			fillIn(&out, &one, &seen)
		}
	}
	slices.Sort(out.CVEs)
	out.CVEs = slices.Compact(out.CVEs)
	return out
}

// listedOnce is what a notice has already: a hostile file has very many notices of one id.
type listedOnce struct {
	builds     map[rpm.NEVRA]bool
	references map[Reference]bool
}

func newListedOnce(a *Advisory) listedOnce {
	l := listedOnce{make(map[rpm.NEVRA]bool, len(a.Packages)), make(map[Reference]bool, len(a.References))}
	for i := range a.Packages {
		l.builds[a.Packages[i].NEVRA] = true
	}
	for _, x := range a.References {
		l.references[x] = true
	}
	return l
}

// joinEqual joins notices none of which is newer: of what can be only one, the more serious stands.
func joinEqual(list []Advisory) Advisory {
	a := list[0]
	if len(list) == 1 {
		return a
	}
	a.CVEs, a.References, a.Packages = slices.Clip(a.CVEs), slices.Clip(a.References), slices.Clip(a.Packages)
	for _, b := range list[1:] {
		a.Type = first(a.Type, b.Type, "security")
		a.Severity = first(a.Severity, b.Severity, "critical", "important", "moderate", "low")
		a.Status = first(a.Status, b.Status, "retracted")
		a.Title, a.Release = first(a.Title, b.Title), first(a.Release, b.Release)
		if a.Issued.IsZero() || !b.Issued.IsZero() && b.Issued.Before(a.Issued) {
			a.Issued = b.Issued
		}
		if b.Updated.After(a.Updated) {
			a.Updated = b.Updated
		}
		a.CVEs, a.References, a.Packages = append(a.CVEs, b.CVEs...), append(a.References, b.References...), append(a.Packages, b.Packages...)
		a.RebootSuggested = a.RebootSuggested || b.RebootSuggested
		a.RestartSuggested = a.RestartSuggested || b.RestartSuggested
	}
	slices.Sort(a.CVEs)
	a.CVEs = slices.Compact(a.CVEs)
	slices.SortFunc(a.References, compareReferences)
	a.References = slices.Compact(a.References)
	slices.SortFunc(a.Packages, compareListed)
	a.Packages = slices.CompactFunc(a.Packages, func(p, q AdvisoryPackage) bool { return compareListed(p, q) == 0 })
	return a
}

// first chooses one of two words: the one that stands first in the order, else any that is not empty, the same whichever comes first.
func first(a, b string, order ...string) string {
	rank := func(s string) int {
		switch i := slices.Index(order, s); {
		case s == "":
			return len(order) + 1
		case i < 0:
			return len(order)
		default:
			return i
		}
	}
	if c := cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a, b)); c > 0 {
		return b
	}
	return a
}

func compareReferences(x, y Reference) int {
	return cmp.Or(strings.Compare(x.Type, y.Type), strings.Compare(x.ID, y.ID), strings.Compare(x.Href, y.Href), strings.Compare(x.Title, y.Title))
}

// compareListed orders listed builds by all that is said of them.
func compareListed(p, q AdvisoryPackage) int {
	known := func(p AdvisoryPackage) int {
		if p.EpochKnown {
			return 1
		}
		return 0
	}
	return cmp.Or(strings.Compare(p.Name, q.Name), cmp.Compare(p.Epoch, q.Epoch), strings.Compare(p.Version, q.Version), strings.Compare(p.Release, q.Release),
		strings.Compare(p.Arch, q.Arch), strings.Compare(p.Filename, q.Filename), known(p)-known(q), slices.CompareFunc(p.Modules, q.Modules, compareModules))
}

func compareModules(m, n AdvisoryModule) int {
	return cmp.Or(strings.Compare(m.Name, n.Name), strings.Compare(m.Stream, n.Stream), strings.Compare(m.Version, n.Version),
		strings.Compare(m.Context, n.Context), strings.Compare(m.Arch, n.Arch))
}

// fillIn takes from an older notice of the same id the words that a newer one lacks, and its packages, CVEs and references too.
func fillIn(to, older *Advisory, seen *listedOnce) {
	for _, f := range []struct {
		to   *string
		from string
	}{{&to.Type, older.Type}, {&to.Severity, older.Severity}, {&to.Status, older.Status}, {&to.Title, older.Title}, {&to.Release, older.Release}} {
		if *f.to == "" {
			*f.to = f.from
		}
	}
	if to.Issued.IsZero() {
		to.Issued = older.Issued
	}
	for _, p := range older.Packages {
		if !seen.builds[p.NEVRA] {
			to.Packages, seen.builds[p.NEVRA] = append(to.Packages, p), true
		}
	}
	for _, x := range older.References {
		if !seen.references[x] {
			to.References, seen.references[x] = append(to.References, x), true
		}
	}
	to.CVEs = append(to.CVEs, older.CVEs...)
	to.RebootSuggested = to.RebootSuggested || older.RebootSuggested
	to.RestartSuggested = to.RestartSuggested || older.RestartSuggested
}

func (a *Advisory) changed() time.Time {
	if a.Updated.After(a.Issued) {
		return a.Updated
	}
	return a.Issued
}
