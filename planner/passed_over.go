package planner

import (
	"slices"

	"cpacman/internal/rpm"
)

// What a plan that leads to a given set passes over: it takes what was there, whatever policies and the host say of it by now. The next plan for
// updates obeys them again, so that a person has to know.

// notePassedOver notes it of each package of the result.
func (s *solution) notePassedOver() {
	if s.target == nil {
		return
	}
	for _, n := range s.result.Set.Incoming() {
		for _, text := range s.passedOver(n) {
			s.note("%s: %s", n, text)
		}
	}
	for _, r := range s.result.Set.Remove {
		if text := s.wantedBack(r.NEVRA); text != "" {
			s.note("%s: %s", r.NEVRA, text)
		}
	}
}

// passedOver says what would keep a build out of a plan for updates, or move it on with the next.
func (s *solution) passedOver(n rpm.NEVRA) []string {
	if s.target == nil || slices.ContainsFunc(s.installedAs(n.Name), func(p *rpm.Package) bool { return p.NEVRA == n }) {
		return nil // what is put in again is there already
	}
	var out []string
	r := s.name(n.Name)
	if r.removes(n) {
		out = append(out, "policy "+printable(r.remove.Policy)+" wants it away: it leaves again with the next plan for updates, unless something needs it")
	}
	if r.pin != nil && r.pin.Because == "" && !pinned(r.pin.Value, n.EVR) {
		out = append(out, "policy "+printable(r.pin.Policy)+" pins it to "+printable(r.pin.Value)+": the next plan for updates moves it again, if it can")
	}
	if x := r.excludedBy(n); x != nil {
		out = append(out, "excluded "+x.by()+"; it goes back all the same")
	}
	if id, taken := s.u.retracted(n); taken {
		out = append(out, "retracted by "+id+"; it goes back all the same")
	}
	if l := lockedOut(r.locks, n); l != nil {
		out = append(out, l.Text+"; it goes back all the same")
	}
	for _, id := range s.u.named(n.Name) {
		if c := &s.u.cands[id]; c.NEVRA == n {
			if rule, because := s.u.moduleRule(c, s.h.Modules); rule != "" {
				out = append(out, because+"; it comes in all the same, and no update of it does until that is changed")
			}
			break
		}
	}
	return out
}

// installedAs lists what is installed under a name.
func (s *solution) installedAs(name string) []*rpm.Package {
	var out []*rpm.Package
	for _, n := range s.name(name).installed {
		out = append(out, s.nodes[n].pkg)
	}
	return out
}

// wantedBack says which policy brings a package in again that the target does not have; "" for none.
func (s *solution) wantedBack(n rpm.NEVRA) string {
	r := s.name(n.Name)
	if r.install == nil || slices.ContainsFunc(r.installed, func(i int32) bool { return s.model[i] }) ||
		slices.ContainsFunc(s.result.Set.Incoming(), func(in rpm.NEVRA) bool { return in.Name == n.Name }) {
		return ""
	}
	return "policy " + printable(r.install.Policy) + " installs it: it comes in again with the next plan for updates"
}
