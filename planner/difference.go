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

// DiffersIn tells whether two sets do different things to a package that a pattern of a policy matches.
func DiffersIn(pattern string, was, now Set) bool {
	return !slices.Equal(was.matched(pattern), now.matched(pattern))
}

// Moves tells whether the set does anything to a package that a pattern of a policy matches.
func (s Set) Moves(pattern string) bool { return len(s.matched(pattern)) > 0 }

// matched lists what a set leads matching packages to, sorted: the version that comes, or that one leaves.
func (s Set) matched(pattern string) []string {
	var out []string
	for _, n := range s.Incoming() {
		if matchPackage(pattern, n) {
			out = append(out, "+"+n.String())
		}
	}
	for _, r := range s.Remove {
		if matchPackage(pattern, r.NEVRA) {
			out = append(out, "-"+r.NEVRA.Name+"."+r.NEVRA.Arch)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
