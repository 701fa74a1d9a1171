package planner

import (
	"fmt"
	"slices"
	"strings"
)

// ServiceAction is what a plan of TypeServices does with units.
type ServiceAction string

// The actions.
const (
	ServiceStop  ServiceAction = "stop"  // stopped, and kept from starting until a plan that starts them
	ServiceStart ServiceAction = "start" // what such a plan has stopped is as it was before
)

// Services is what a plan of TypeServices does on each of its hosts: where no fix exists yet, a service is stopped (ROLL-11).
type Services struct {
	Action ServiceAction `json:"action"`
	Units  []string      `json:"units"` // names of systemd units with their suffix
	// WithoutChecks are health checks that the rollout leaves out: they look at what is stopped.
	WithoutChecks []string `json:"without_checks,omitempty"`
}

// maxUnits bounds how many units one plan names.
const maxUnits = 100

// unitSuffixes are the kinds of unit that start something and can be kept from it (systemd.unit(5)).
var unitSuffixes = []string{".service", ".socket", ".timer", ".path"}

// unitsNeeded are the units without which a host cannot be reached or does not run, by name or by its beginning.
var unitsNeeded = []string{"ssh.", "sshd.", "ssh@", "sshd@", "sshd-", "dropbear.", "dbus.", "dbus-", "systemd-", "user@", "getty", "serial-getty@", "network.", "networking.",
	"NetworkManager.", "NetworkManager-", "wicked", "netctl", "connman.", "cloud-init", "rpm-ostree", "auditd.", "cpacman"}

// UnitName gives the full name of a unit: what has no suffix is a service.
func UnitName(name string) string {
	if slices.ContainsFunc(unitSuffixes, func(s string) bool { return strings.HasSuffix(name, s) }) {
		return name
	}
	return name + ".service"
}

// CheckUnit refuses what is no name of a unit that can be stopped, and units that a host cannot do without.
func CheckUnit(name string) error {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(`:-_.\@`, r)
	}
	switch {
	case name == "" || len(name) > 255 || strings.ContainsFunc(name, func(r rune) bool { return !plain(r) }) || strings.HasPrefix(name, "-") || strings.HasPrefix(name, "."):
		return fmt.Errorf("%.100q is no name of a unit", name)
	case UnitName(name) != name || slices.Contains(unitSuffixes, name):
		return fmt.Errorf("%q is no service, socket, timer or path", name)
	case strings.HasSuffix(strings.SplitN(name, ".", 2)[0], "@"):
		return fmt.Errorf("%q is a template: name its instances", name)
	}
	for _, needed := range unitsNeeded {
		if strings.HasPrefix(name, needed) {
			return fmt.Errorf("%q is never stopped: a host cannot be reached or does not run without it", name)
		}
	}
	return nil
}

// normalise sorts the lists.
func (s *Services) normalise() {
	if s == nil {
		return
	}
	slices.Sort(s.Units)
	s.Units = slices.Compact(s.Units)
	slices.Sort(s.WithoutChecks)
	s.WithoutChecks = slices.Compact(s.WithoutChecks)
}

// checkServices holds that plans of services say which, and that other plans name none.
func (p *Plan) checkServices() error {
	s := p.Services
	if p.Type != TypeServices {
		if s != nil {
			return fmt.Errorf("services in a plan of type %s", p.Type)
		}
		return nil
	}
	switch {
	case s == nil || len(s.Units) == 0 || len(s.Units) > maxUnits:
		return fmt.Errorf("a plan of services names between 1 and %d units", maxUnits)
	case s.Action != ServiceStop && s.Action != ServiceStart:
		return fmt.Errorf("unknown action %.100q", s.Action)
	}
	for _, u := range s.Units {
		if err := CheckUnit(u); err != nil {
			return err
		}
	}
	for _, name := range s.WithoutChecks {
		if name == "" || strings.ContainsFunc(name, notPlain) {
			return fmt.Errorf("bad name of a health check %.100q", name)
		}
	}
	for i := range p.Hosts {
		h := &p.Hosts[i]
		if set, _ := p.Set(h.Set); h.Set != "" && !set.Empty() || h.Rollback.Set != "" || !h.Keys.Empty() {
			return fmt.Errorf("host %q has packages or keys to change in a plan of services", h.Host)
		}
	}
	return nil
}
