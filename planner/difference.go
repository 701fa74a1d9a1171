package planner

import (
	"slices"
	"strings"

	"cpacman/internal/rpm"
)

// DifferenceKind says how a package fares differently in two sets.
type DifferenceKind string

// The kinds.
const (
	DifferenceAdded   DifferenceKind = "added"   // only the later set touches it
	DifferenceRemoved DifferenceKind = "removed" // only the earlier set touches it
	DifferenceChanged DifferenceKind = "changed" // both do, in different ways
)

// Difference is one package that two sets treat differently.
type Difference struct {
	Kind    DifferenceKind `json:"kind"`
	Package string         `json:"package"`       // name.arch
	Was     string         `json:"was,omitempty"` // what the earlier set does, "upgrade EVR to EVR"; several joined by ", "
	Now     string         `json:"now,omitempty"` // what the later set does
}

// Differences compares two sets by what they do to packages, in the order of names. Reasons, held and blocked updates are no part of
// it: sets that do the same have no difference, whatever their ids.
func Differences(was, now Set) []Difference {
	before, after := was.does(), now.does()
	keys := make([]rpm.NameArch, 0, len(before)+len(after))
	for k := range before {
		keys = append(keys, k)
	}
	for k := range after {
		if _, both := before[k]; !both {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b rpm.NameArch) int {
		return strings.Compare(a.Name+"\x00"+a.Arch, b.Name+"\x00"+b.Arch)
	})
	out := []Difference{}
	for _, k := range keys {
		d := Difference{Package: k.Name + "." + k.Arch, Was: words(before[k]), Now: words(after[k])}
		switch {
		case d.Was == d.Now:
			continue
		case d.Was == "":
			d.Kind = DifferenceAdded
		case d.Now == "":
			d.Kind = DifferenceRemoved
		default:
			d.Kind = DifferenceChanged
		}
		out = append(out, d)
	}
	return out
}

// does lists what a set does to each package. A move to another arch counts for the package that goes.
func (s Set) does() map[rpm.NameArch][]string {
	out := map[rpm.NameArch][]string{}
	add := func(n rpm.NEVRA, text string) {
		k := rpm.NameArch{Name: n.Name, Arch: n.Arch}
		out[k] = append(out[k], text)
	}
	move := func(what string, m Move) {
		text := what + " " + m.From.EVR.String() + " to " + m.To.EVR.String()
		if m.To.Arch != m.From.Arch {
			text += "." + m.To.Arch
		}
		if m.Again {
			text += ", put in again"
		}
		add(m.From, text)
	}
	for _, m := range s.Upgrade {
		move("upgrade", m)
	}
	for _, m := range s.Downgrade {
		move("downgrade", m)
	}
	for _, i := range s.Install {
		add(i.NEVRA, "install "+i.NEVRA.EVR.String())
	}
	for _, r := range s.Remove {
		add(r.NEVRA, "remove "+r.NEVRA.EVR.String()+" ("+r.Rule+")")
	}
	return out
}

func words(list []string) string {
	slices.Sort(list)
	return strings.Join(list, ", ")
}

// Agrees tells whether a host keeps to a same_everywhere rule with the hosts of a plan (PLAN-9): of each name that the pattern matches, it
// ends with a version that the plan's sets bring, or, where they bring none, moves nothing. installed is what it has before after.
func Agrees(pattern string, plan []Set, installed []rpm.NEVRA, after Set) bool {
	brings := map[string][]rpm.EVR{}
	for _, s := range plan {
		for _, n := range s.Incoming() {
			brings[n.Name] = append(brings[n.Name], n.EVR)
		}
	}
	leaves, comes, ends := map[rpm.NEVRA]bool{}, map[string]bool{}, map[string][]rpm.EVR{}
	for _, m := range slices.Concat(after.Upgrade, after.Downgrade) {
		leaves[m.From] = true
	}
	for _, r := range after.Remove {
		leaves[r.NEVRA] = true
	}
	end := func(n rpm.NEVRA) {
		if matchPackage(pattern, n) {
			ends[n.Name] = append(ends[n.Name], n.EVR)
		}
	}
	for _, n := range installed {
		if !leaves[n] {
			end(n)
		}
	}
	for _, n := range after.Incoming() {
		comes[n.Name] = true
		end(n)
	}
	for name, have := range ends {
		want := brings[name]
		if len(want) == 0 && comes[name] || len(want) > 0 && !slices.ContainsFunc(have, func(e rpm.EVR) bool { return slices.Contains(want, e) }) {
			return false
		}
	}
	return true
}

// Moves tells whether the set brings a package that a pattern of a policy matches.
func (s Set) Moves(pattern string) bool {
	return slices.ContainsFunc(s.Incoming(), func(n rpm.NEVRA) bool { return matchPackage(pattern, n) })
}
