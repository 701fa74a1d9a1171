package fleet

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"cpacman/internal/host"
	"cpacman/internal/rollout"
)

// Restarts are asked for how they stand this often, and waited for at most so long: a service that hangs is left to the checks.
const (
	restartEvery = time.Second
	restartLimit = 10 * time.Minute
)

// Restart implements rollout.Restarter.
func (w *worker) Restart(ctx context.Context) (rollout.Restarted, error) {
	var out rollout.Restarted
	if back, err := w.decided(ctx); err != nil || back {
		return out, err // on its way back the host restarts what it must
	}
	before, err := w.s.Stale(ctx)
	if err != nil {
		return out, stepError(err, rollout.ReasonRestart)
	}
	if !before.Systemd {
		return w.withoutSystemd(before), nil
	}
	st, err := w.restarted(ctx, before)
	if err != nil {
		return out, stepError(err, rollout.ReasonRestart)
	}
	after := before
	if len(st.Units) > 0 {
		if after, err = w.s.Stale(ctx); err != nil {
			return out, stepError(err, rollout.ReasonRestart)
		}
	}
	return w.judgeRestart(st, after), nil
}

// withoutSystemd tells what runs old files where nothing knows how services are restarted.
func (w *worker) withoutSystemd(s host.StaleProcesses) rollout.Restarted {
	n := len(s.Processes)
	if n == 0 {
		return rollout.Restarted{}
	}
	return rollout.Restarted{Due: true, Detail: fmt.Sprintf("there is no systemd on the host, so no service was restarted: %d %s files that are gone, first process %d (%s)",
		n, processesRun(n), s.Processes[0].PID, s.Processes[0].Command)}
}

func processesRun(n int) string {
	if n == 1 {
		return "process runs"
	}
	return "processes run"
}

// restarted asks for the restart of what may be restarted, unless that was done, and waits until it has ended.
func (w *worker) restarted(ctx context.Context, stale host.StaleProcesses) (host.RestartStatus, error) {
	st, err := w.s.PollRestart(ctx, w.job.TxID)
	if err != nil {
		return st, err
	}
	if st.Phase == host.RestartNone || st.Phase == host.RestartCut {
		units := w.toRestart(stale)
		if len(units) == 0 {
			return host.RestartStatus{Phase: host.RestartDone}, nil
		}
		if st, err = w.s.RestartUnits(ctx, w.job.TxID, units); err != nil {
			return st, err
		}
	}
	for until := time.Now().Add(restartLimit); st.Phase == host.RestartRunning && time.Now().Before(until); {
		select {
		case <-ctx.Done():
			return st, ctx.Err()
		case <-time.After(restartEvery):
		}
		if st, err = w.s.PollRestart(ctx, w.job.TxID); err != nil {
			return st, err
		}
	}
	return st, nil
}

// toRestart lists the services that run old files and may be restarted.
func (w *worker) toRestart(stale host.StaleProcesses) []string {
	var units []string
	for _, p := range stale.Processes {
		if p.Unit != "" && !slices.Contains(units, p.Unit) && host.Treat(p.Unit, w.job.NoRestart) == host.TreatRestart {
			units = append(units, p.Unit)
		}
	}
	slices.Sort(units)
	return units
}

// judgeRestart tells what came of the units that were restarted, and what still runs old files.
func (w *worker) judgeRestart(st host.RestartStatus, after host.StaleProcesses) rollout.Restarted {
	var out rollout.Restarted
	tried := map[string]bool{}
	for _, u := range st.Units {
		tried[u.Unit] = true
		switch {
		case u.OK:
			out.Done = append(out.Done, u.Unit)
		case u.Active == "active":
			out.Kept = append(out.Kept, u.Unit) // systemctl refused, and it runs as before
		default:
			out.Failed = append(out.Failed, u.Unit+" ("+u.Active+")")
		}
	}
	if st.Phase != host.RestartDone {
		out.Due, out.Detail = true, "the restart of services has not ended after "+restartLimit.String()
	}
	nowhere := 0
	for _, p := range after.Processes {
		switch treat := host.Treat(p.Unit, w.job.NoRestart); {
		case p.Unit == "":
			nowhere++
		case tried[p.Unit], treat == host.TreatLeave:
		case treat == host.TreatReboot:
			out.Reboot = append(out.Reboot, rebootName(p.Unit))
		default:
			out.Kept = append(out.Kept, p.Unit)
		}
	}
	if nowhere > 0 {
		out.Due = true
		text := strconv.Itoa(nowhere) + " " + processesRun(nowhere) + " files that are gone outside of any service"
		if out.Detail != "" {
			text = out.Detail + "; " + text
		}
		out.Detail = text
	}
	for _, list := range []*[]string{&out.Reboot, &out.Kept} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return out
}

// rebootName is what people call a unit that only a reboot helps.
func rebootName(unit string) string {
	if unit == "init.scope" {
		return "systemd"
	}
	return unit
}

// bootOf names the boot a host was in, as Session.Boot does; "" where its facts do not tell.
func bootOf(f *host.Facts) string {
	switch {
	case f.BootID != "":
		return f.BootID
	case f.BootTime > 0:
		return "time-" + strconv.FormatInt(f.BootTime, 10)
	}
	return ""
}
