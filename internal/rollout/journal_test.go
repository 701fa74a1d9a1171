package rollout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"cpacman/inventory"
)

// memJournal is a journal, the commands and the leases in memory, with the promises checked at every write.
type memJournal struct {
	mu        sync.Mutex
	w         *world
	schedule  Schedule
	ro        Rollout
	waves     []WaveRecord
	hosts     map[string]HostRecord
	approvals []Approval
	events    []Event
	commands  []Command
	epoch     int64
	held      *Owner
	writes    int
	dieAt     int  // the write that fails; 0: none
	dieAfter  bool // it is on disk when it fails
	dead      bool
	script    func(j *memJournal, ev Event) // reacts to what is written; called with mu held
}

var errDead = errors.New("disk full")

func (j *memJournal) Create(_ context.Context, s Snapshot, again bool) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.hosts != nil && !again {
		return &PlanStartedError{Plan: s.Rollout.PlanID, Rollout: j.ro.ID}
	}
	s = copySnapshot(s)
	j.ro, j.schedule, j.waves, j.approvals = s.Rollout, s.Schedule, s.Waves, s.Approvals
	j.hosts = map[string]HostRecord{}
	for _, h := range s.Hosts {
		j.hosts[h.Host] = h
	}
	return nil
}

func copySnapshot(s Snapshot) Snapshot {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	var out Snapshot
	if err := json.Unmarshal(b, &out); err != nil {
		panic(err)
	}
	return out
}

func (j *memJournal) Append(_ context.Context, id string, epoch int64, c Change) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if epoch != j.epoch {
		return ErrLeaseLost
	}
	j.writes++
	if j.dead || j.dieAt == j.writes && !j.dieAfter {
		j.dead = true
		return errDead
	}
	j.check(c)
	if c.Rollout != nil {
		j.ro = *c.Rollout
	}
	for _, w := range c.Waves {
		j.waves[w.Index] = w
	}
	for _, h := range c.Hosts {
		j.hosts[h.Host] = h
	}
	if c.Approval != nil {
		j.approvals = append(j.approvals, *c.Approval)
	}
	for _, ev := range c.Events {
		ev.Seq = int64(len(j.events) + 1)
		j.events = append(j.events, ev)
		if j.script != nil {
			j.script(j, ev)
		}
	}
	if j.dieAt == j.writes {
		j.dead = true
		return errDead
	}
	return nil
}

// check looks at the promises that can be seen in a change. Called with mu held.
func (j *memJournal) check(c Change) {
	for _, ev := range c.Events {
		if ev.Kind != EventHost {
			continue
		}
		old := j.hosts[ev.Host]
		seen.Store([2]string{ev.From, string(ev.On)}, true)
		if to, ok := Next(old.State, ev.On); !ok || string(to) != ev.To || string(old.State) != ev.From {
			j.w.break_("%s: %s on %s to %s is not in the table", ev.Host, old.State, ev.On, ev.To)
		}
		switch ev.On {
		case OnAdmitted:
			for i := range ev.Wave {
				if j.waves[i].PassedAt.IsZero() {
					j.w.break_("%s of wave %d admitted before the gate of wave %d", ev.Host, ev.Wave, i)
				}
			}
			if j.ro.State != RolloutRunning {
				j.w.break_("%s admitted while the rollout is %s", ev.Host, j.ro.State)
			}
			j.checkBudget(ev)
			j.checkWindow(ev)
			j.checkAmended(ev)
		case OnStart:
			if j.ro.State == RolloutStopped || j.ro.State == RolloutAborted {
				j.w.break_("%s starts while the rollout is %s", ev.Host, j.ro.State)
			}
			j.checkBudget(ev)
			j.checkWindow(ev)
		}
	}
	for _, w := range c.Waves {
		if w.State == WavePassed && j.waves[w.Index].State != WavePassed {
			j.checkGate(w, c)
		}
	}
}

func (j *memJournal) failures(wave int) int {
	n := 0
	for _, h := range j.hosts {
		if (wave < 0 || h.Wave == wave) && h.State.Info().Counts == CountsFailure {
			n++
		}
	}
	return n
}

// checkBudget: nothing begins once a budget by count is exceeded.
func (j *memJournal) checkBudget(ev Event) {
	if j.ro.DryRun {
		return
	}
	b := j.schedule.Waves[ev.Wave].Budget
	if n := j.failures(ev.Wave); !b.Percent && n > b.Max {
		j.w.break_("%s %s in wave %d with %d failures, budget %d", ev.Host, ev.On, ev.Wave, n, b.Max)
	}
	if n := j.failures(-1); !j.schedule.Budget.Percent && n > j.schedule.Budget.Max {
		j.w.break_("%s %s with %d failures in all, budget %d", ev.Host, ev.On, n, j.schedule.Budget.Max)
	}
}

// checkAmended: no amended host begins without the approvals of its class and level, for the digest of now.
func (j *memJournal) checkAmended(ev Event) {
	if j.schedule.Host[ev.Host].Plan == "" {
		return
	}
	level := j.schedule.Levels[j.schedule.Waves[ev.Wave].Level]
	need := map[string]int{level.Scope(): level.Approve}
	for _, l := range j.schedule.Levels {
		if l.Class == level.Class && l.ClassApprove > 0 {
			need[l.ClassScope()] = l.ClassApprove
		}
	}
	for _, a := range j.approvals {
		if a.Digest == j.ro.Digest {
			need[a.Scope]--
		}
	}
	for scope, n := range need {
		if n > 0 {
			j.w.break_("amended %s admitted without %d approvals of %s", ev.Host, n, scope)
		}
	}
}

// checkWindow: nothing begins outside of a window.
func (j *memJournal) checkWindow(ev Event) {
	if why := j.outside(ev.Host); why != "" {
		j.w.break_("%s %s at %s, %s", ev.Host, ev.On, time.Now().UTC(), why)
	}
}

// outside says that a host is outside of its windows, by the windows that were started with and without the engine's calendar.
// Called with mu held.
func (j *memJournal) outside(host string) string {
	names := j.schedule.Host[host].Windows
	if len(names) == 0 || j.ro.DryRun || j.ro.IgnoreWindow {
		return ""
	}
	for _, p := range j.schedule.Windows {
		if !slices.Contains(names, p.Name) {
			continue
		}
		w, err := inventory.NewWindow(p.Name, p.Rule, p.Start, p.Duration, p.Zone)
		if err != nil {
			return err.Error()
		}
		if _, open := w.Open(time.Now()); open {
			return ""
		}
	}
	return fmt.Sprintf("outside of its windows %v", names)
}

// checkGate: at an open gate every host is final, failures are within the integers, and each updated host was green.
func (j *memJournal) checkGate(w WaveRecord, c Change) {
	for _, h := range j.schedule.Waves[w.Index].Hosts {
		rec := j.hosts[h]
		if !rec.State.Final() {
			j.w.break_("gate of wave %d opens with %s %s", w.Index, h, rec.State)
		}
		for _, res := range rec.Checks {
			if rec.State == StateOK && res.Verdict != Green && !res.RedBefore {
				j.w.break_("gate of wave %d opens with %s %s on %s", w.Index, res.Check, res.Verdict, h)
			}
		}
	}
	j.checkSoak(w)
	if n, b := j.failures(w.Index), j.schedule.Waves[w.Index].Budget.Max; n > b && !j.ro.DryRun {
		j.w.break_("gate of wave %d opens with %d failures, budget %d", w.Index, n, b)
	}
}

// checkSoak: a wave in which hosts were updated passes after its soak, of an emergency too, and not before it has ended.
func (j *memJournal) checkSoak(w WaveRecord) {
	old, soak := j.waves[w.Index], j.schedule.Levels[j.schedule.Waves[w.Index].Level].Soak
	updated := slices.ContainsFunc(j.schedule.Waves[w.Index].Hosts, func(h string) bool { return j.hosts[h].State == StateOK })
	switch {
	case j.ro.DryRun || soak == 0 || !updated:
	case old.State != WaveSoaking:
		j.w.break_("gate of wave %d opens from %s, without a soak of %s", w.Index, old.State, soak)
	case old.SoakUntil.IsZero() || time.Now().Before(old.SoakUntil):
		j.w.break_("gate of wave %d opens at %s, before the soak ends at %s", w.Index, time.Now(), old.SoakUntil)
	}
}

func (j *memJournal) Load(context.Context, string) (Snapshot, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.hosts == nil {
		return Snapshot{}, ErrNotFound
	}
	s := Snapshot{Rollout: j.ro, Schedule: j.schedule, Waves: j.waves, Approvals: j.approvals}
	for _, h := range j.hosts {
		s.Hosts = append(s.Hosts, h)
	}
	return copySnapshot(s), nil
}

func (j *memJournal) Pending(_ context.Context, _ string, after int64) ([]Command, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if after >= int64(len(j.commands)) {
		return nil, nil
	}
	return slices.Clone(j.commands[after:]), nil
}

// command adds a command. Called with mu held, or before the engine runs.
func (j *memJournal) command(c Command) {
	c.Seq = int64(len(j.commands) + 1)
	if c.User == "" {
		c.User = "ann"
	}
	j.commands = append(j.commands, c)
}

func (j *memJournal) Acquire(_ context.Context, id string, o Owner) (int64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.held != nil {
		return 0, &LeaseHeldError{Rollout: id, Owner: *j.held}
	}
	j.epoch++
	j.held = &o
	return j.epoch, nil
}

func (j *memJournal) Renew(_ context.Context, _ string, epoch int64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if epoch != j.epoch {
		return ErrLeaseLost
	}
	return nil
}

func (j *memJournal) Release(_ context.Context, _ string, epoch int64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if epoch == j.epoch {
		j.held = nil
	}
	return nil
}

// revive is a new process on the same disk.
func (j *memJournal) revive() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.dead, j.dieAt, j.held, j.writes = false, 0, nil, 0
}

func (j *memJournal) states() map[string]State {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := map[string]State{}
	for h, r := range j.hosts {
		out[h] = r.State
	}
	return out
}
