package host

import (
	"context"
	"fmt"
	"strings"
)

// UnitState is how one unit stands.
type UnitState string

// The states.
const (
	UnitDone   UnitState = "done"   // as it should be
	UnitDue    UnitState = "due"    // to be changed
	UnitAbsent UnitState = "absent" // the host has none of that name; of a start: cpacman has not stopped it
	UnitFailed UnitState = "failed" // could not be changed
)

// Unit is how one unit stands.
type Unit struct {
	Name   string
	State  UnitState
	Detail string // why it failed
}

// ServiceUnits are systemd units to be stopped and kept from starting, or to be again as they were before that.
type ServiceUnits struct {
	Start bool   // else: stop
	For   string // the transaction id, for who reads the drop-in on the host
	Units []string
}

// Services changes units of systemd, or with act false tells how they stand. It may be repeated. Stopping waits for each unit as long as
// systemd does. A *RemoteError with the code "nosystemd": there are no units.
func (s *Session) Services(ctx context.Context, u ServiceUnits, act bool) ([]Unit, error) {
	verb := "stop"
	if u.Start {
		verb = "start"
	}
	args := []string{verb, u.For}
	if !act {
		args = []string{"check", u.For, verb}
	}
	if !words(u.For, "._-/:") || len(u.Units) == 0 || len(u.Units) > 1000 {
		return nil, fmt.Errorf("host %s: %s services: %d units for %q", s.opt.Host, verb, len(u.Units), u.For)
	}
	asked := map[string]bool{}
	for _, name := range u.Units {
		if !words(name, `:-_.\@`) || strings.HasPrefix(name, "-") || strings.HasPrefix(name, ".") || len(name) > 255 {
			return nil, fmt.Errorf("host %s: %s services: %q is no name of a unit", s.opt.Host, verb, bounded(name, 100))
		}
		asked[name] = true
	}
	a, err := s.call(ctx, verb+" services", []string{"services"}, append(args, u.Units...)...)
	if err != nil {
		return nil, err
	}
	var out []Unit
	for _, l := range a.all("unit") {
		w := strings.SplitN(l, " ", 3)
		if len(w) < 2 || !asked[w[1]] {
			continue
		}
		asked[w[1]] = false
		one := Unit{Name: w[1], State: UnitState(w[0])}
		switch one.State {
		case UnitDone, UnitDue, UnitAbsent, UnitFailed:
		default:
			return nil, fmt.Errorf("host %s: %s services: %w: state %q", s.opt.Host, verb, ErrProtocol, bounded(w[0], 32))
		}
		if len(w) == 3 {
			one.Detail = bounded(w[2], 300)
		}
		out = append(out, one)
	}
	if len(out) != len(u.Units) {
		return nil, fmt.Errorf("host %s: %s services: %w: %d of %d units were told", s.opt.Host, verb, ErrProtocol, len(out), len(u.Units))
	}
	return out, nil
}
