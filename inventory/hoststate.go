package inventory

import "time"

// HostState is where a host is in its life (INV-9).
type HostState string

// The states. A host without one is active. "new" belongs to enrolment, which is
// not built yet.
const (
	HostActive      HostState = "active"
	HostMaintenance HostState = "maintenance" // in no plan and no quorum; still in reports
	HostRetired     HostState = "retired"     // nowhere but in the list of hosts
)

func (HostState) values() []string { return []string{"active", "maintenance", "retired"} }

// Maintenance tells whether the host is in maintenance at a time, and, in words,
// until when and why. After its end the host is active again, whatever the file
// says.
func (h *Host) Maintenance(at time.Time) (string, bool) {
	if h.State != HostMaintenance || !h.Until.Active(at) {
		return "", false
	}
	if h.Until.Never() {
		return "in maintenance: " + h.Reason, true
	}
	return "in maintenance until " + h.Until.String() + ": " + h.Reason, true
}

// StateAt is the state of the host at a time.
func (h *Host) StateAt(at time.Time) HostState {
	if h.State == "" {
		return HostActive
	}
	if _, still := h.Maintenance(at); h.State == HostMaintenance && !still {
		return HostActive
	}
	return h.State
}

// checkState validates the state of a host with what belongs to it.
func (ld *loading) checkState(h *Host) {
	at := ld.at(&h.Source)
	switch {
	case h.State == HostMaintenance && h.Reason == "" && !h.spoilt("reason"):
		at("state", `write reason = "…"`, "host %q is in maintenance and nobody says why", clip(h.Name))
	case h.State != HostMaintenance && h.IsSet("until") && !h.spoilt("state"):
		at("until", `write state = "maintenance", or remove it`, "host %q has an end of a maintenance and is in none", clip(h.Name))
	case h.State != HostMaintenance && h.State != HostRetired && h.IsSet("reason") && !h.spoilt("state"):
		at("reason", "remove it", "host %q is active and has a reason", clip(h.Name))
	}
}

// retire takes retired hosts out of all that reads Hosts. It runs last, so that
// what they say is still validated.
func (ld *loading) retire() {
	s := ld.site
	kept := s.Hosts[:0]
	for _, h := range s.Hosts {
		if h.State == HostRetired {
			s.Retired = append(s.Retired, h)
		} else {
			kept = append(kept, h)
		}
	}
	s.Hosts = kept
}

// CheckStates reports what is probably not meant about the states of hosts at a
// time.
func (s *Site) CheckStates(at time.Time) []Problem {
	c := &checker{site: s}
	for _, h := range s.Hosts {
		if h.State == HostMaintenance && h.StateAt(at) == HostActive {
			c.warn(h.File, h.LineOf("until"), "remove state, until and reason, or write a later end", "the maintenance of host %q ended: it is active again", h.Name)
		}
	}
	return c.problems.sorted()
}

// SelectRetired gives the retired hosts that a selector of known names matches,
// sorted by name; none is no error.
func (s *Site) SelectRetired(args []string, extra ExtraFunc) ([]*Host, error) {
	sel, err := ParseSelector(args)
	if err != nil {
		return nil, err
	}
	var out []*Host
	for _, h := range s.Retired {
		if s.match(sel, h, extra) == yes {
			out = append(out, h)
		}
	}
	return out, nil
}
