package host

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// restartPrograms are what the restart of services is made of.
var restartPrograms = []string{"detach", "restart"} //nolint:gochecknoglobals // a constant list

// Stale is a process that runs program files which are gone: replaced by an update, or erased.
type Stale struct {
	PID     int
	Unit    string // the service or scope it belongs to; "" for none
	Command string // name of the process
}

// StaleProcesses is what a host says of them.
type StaleProcesses struct {
	Systemd   bool
	Processes []Stale // in order of their ids, at most 2000
}

// Stale asks for the processes that run program files which are gone. Those of containers are not among them, nor the ones that carry
// this call.
func (s *Session) Stale(ctx context.Context) (StaleProcesses, error) {
	var out StaleProcesses
	a, err := s.call(ctx, "look for processes that run files which are gone", []string{"stale"})
	if err != nil {
		return out, err
	}
	_, out.Systemd = a.last("systemd")
	for _, l := range a.all("stale") {
		w := strings.SplitN(l, " ", 3)
		if len(w) < 3 {
			continue
		}
		pid, err := strconv.Atoi(w[0])
		if err != nil || pid < 1 || len(out.Processes) == 2000 {
			continue
		}
		p := Stale{PID: pid, Command: bounded(w[2], 64)}
		if unitName(w[1]) {
			p.Unit = w[1]
		}
		out.Processes = append(out.Processes, p)
	}
	slices.SortFunc(out.Processes, func(a, b Stale) int { return a.PID - b.PID })
	return out, nil
}

// unitName takes names of services and scopes in systemd's letters (systemd.unit(5)).
func unitName(s string) bool {
	return len(s) <= 255 && words(s, `:-_.\@`) && !strings.HasPrefix(s, "-") && (strings.HasSuffix(s, ".service") || strings.HasSuffix(s, ".scope"))
}

// Treatment says what is to be done about a unit that runs files which are gone.
type Treatment string

// The treatments.
const (
	TreatRestart Treatment = "restart"
	TreatReboot  Treatment = "reboot" // a restart would end sessions or take the host down with it: only a reboot helps
	TreatLeave   Treatment = "leave"  // people's own: a login, a shell
	TreatKeep    Treatment = "keep"   // the site wants it left alone
)

// rebootUnits are never restarted by themselves: what hangs on them would not come back, or people would lose their desktops; auditd
// refuses.
var rebootUnits = []string{"init.scope", "dbus.service", "dbus-broker.service", "dbus-daemon.service", "systemd-logind.service", "elogind.service",
	"auditd.service", "gdm.service", "gdm3.service", "sddm.service", "lightdm.service", "lxdm.service", "xdm.service", "kdm.service", "display-manager.service"}

// Treat says what is to be done about a unit. keep are globs of names, with or without ".service".
func Treat(unit string, keep []string) Treatment {
	name := strings.TrimSuffix(unit, ".service")
	switch {
	case slices.Contains(rebootUnits, unit):
		return TreatReboot
	case strings.HasPrefix(unit, "user@"), strings.HasSuffix(unit, ".scope"), strings.HasPrefix(unit, "getty@"), strings.HasPrefix(unit, "serial-getty@"),
		strings.HasPrefix(unit, "console-getty"), strings.HasPrefix(unit, "container-getty@"), strings.HasPrefix(unit, "cpacman"):
		return TreatLeave
	}
	for _, g := range keep {
		whole, _ := path.Match(g, unit)
		short, _ := path.Match(g, name)
		if whole || short {
			return TreatKeep
		}
	}
	return TreatRestart
}

// RestartPhase is how the restart of services after a transaction stands.
type RestartPhase string

// The phases.
const (
	RestartNone    RestartPhase = "none"
	RestartRunning RestartPhase = "running"
	RestartCut     RestartPhase = "cut" // by a boot, or its process was killed: to be asked for again
	RestartDone    RestartPhase = "done"
)

// RestartStatus is how it stands, with what came of each unit so far.
type RestartStatus struct {
	Phase RestartPhase
	Units []RestartedUnit
	Log   []string // what systemctl said, the last 4 KiB
}

// RestartedUnit is one unit.
type RestartedUnit struct {
	Unit   string
	OK     bool   // systemctl succeeded
	Active string // what systemctl is-active said afterwards
}

// RestartUnits asks the host to restart services after a transaction, detached; PollRestart tells what becomes of it. Once it has begun or
// is done, nothing is started. ErrBusy: a transaction is under way.
func (s *Session) RestartUnits(ctx context.Context, id string, units []string) (RestartStatus, error) {
	if len(units) == 0 || len(units) > 1000 {
		return RestartStatus{}, fmt.Errorf("host %s: restart of %d services", s.opt.Host, len(units))
	}
	for _, u := range units {
		if !unitName(u) || strings.HasSuffix(u, ".scope") {
			return RestartStatus{}, fmt.Errorf("host %s: restart: %q is no service", s.opt.Host, bounded(u, 100))
		}
	}
	return s.restart(ctx, id, append([]string{program("guard", "restarter")}, units...)...)
}

// PollRestart tells how the restart of services after a transaction stands.
func (s *Session) PollRestart(ctx context.Context, id string) (RestartStatus, error) {
	return s.restart(ctx, id)
}

func (s *Session) restart(ctx context.Context, id string, args ...string) (RestartStatus, error) {
	var out RestartStatus
	if !words(id, "._-/:") {
		return out, fmt.Errorf("host %s: %w: id %q", s.opt.Host, errTransaction, id)
	}
	a, err := s.call(ctx, "restart services after "+id, restartPrograms, append([]string{hostID(id)}, args...)...)
	if err != nil {
		return out, err
	}
	switch out.Phase = RestartPhase(a.get("standing")); out.Phase {
	case RestartNone, RestartRunning, RestartCut, RestartDone:
	default:
		return out, fmt.Errorf("host %s: restart services after %s: %w", s.opt.Host, id, ErrProtocol)
	}
	for _, l := range a.all("result") {
		w := strings.SplitN(l, " ", 3)
		if len(w) == 3 && unitName(w[2]) && len(out.Units) < 1000 {
			out.Units = append(out.Units, RestartedUnit{Unit: w[2], OK: w[0] == "0", Active: bounded(w[1], 32)})
		}
	}
	for _, l := range a.all("log") {
		out.Log = append(out.Log, bounded(l, 500))
	}
	return out, nil
}
