package main

import (
	"cmp"
	"strings"

	"cpacman/internal/rpm"
	"cpacman/planner"
)

// neededBy says who wants a new package, or what it replaces, and which advisories it is of.
func neededBy(i planner.Install, advisories string) string {
	var who, weak, old, text []string
	for _, s := range i.NeededBy {
		switch replaced, is := strings.CutPrefix(s, "obsoletes "); {
		case is:
			old = append(old, replaced)
		case strings.HasPrefix(s, "recommended by "), strings.HasPrefix(s, "supplements "):
			weak = append(weak, s)
		case s == "the target":
			text = append(text, "the target has it")
		case s != "requested":
			who = append(who, s)
		}
	}
	if len(who) > 0 {
		text = append(text, "needed by "+strings.Join(who, ", "))
	}
	text = append(text, weak...)
	if len(old) > 0 {
		text = append(text, "replaces "+strings.Join(old, ", "))
	}
	return strings.TrimSpace(cmp.Or(strings.Join(text, "; "), "requested") + " " + advisories)
}

// toward names what would, or does, take the place of a build: the version alone where it is of the same package.
func toward(from, to rpm.NEVRA) string {
	if from.NameArch() == to.NameArch() {
		return to.EVR.String()
	}
	return to.String()
}

// moveTo is what a package moves to, with the arch where that changes.
func moveTo(m planner.Move) string {
	if m.Again {
		return toward(m.From, m.To) + ", which is there too and is put in again"
	}
	if m.From.Arch != m.To.Arch {
		return m.To.EVR.String() + "." + m.To.Arch
	}
	return m.To.EVR.String()
}
