package rollout

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
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
	seen      witness
	events    []Event
	told      int64
	forgets   bool // does not keep the events: there are too many
	commands  []Command
	epoch     int64
	held      *Owner
	writes    int
	written   int  // by all engines together
	dieAt     int  // the write that fails; 0: none
	dieAfter  bool // it is on disk when it fails
	dead      bool
	step      *atomic.Int64                 // how far the clock of the engine is off; nil: not at all
	script    func(j *memJournal, ev Event) // reacts to what is written; called with mu held
}

var errDead = errors.New("disk full")

// stepped is how far the engine's clock is off.
func (j *memJournal) stepped() time.Duration {
	if j.step == nil {
		return 0
	}
	return time.Duration(j.step.Load())
}

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
	j.seen = witness{j: j}
	j.seen.look()
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
	j.written++
	if j.dead || j.dieAt == j.writes && !j.dieAfter {
		j.dead = true
		return errDead
	}
	j.seen.before(c)
	if c.Rollout != nil {
		j.ro = *c.Rollout
	}
	for _, w := range c.Waves {
		j.waves[w.Index] = w
	}
	for _, h := range c.Hosts {
		old := j.hosts[h.Host]
		j.hosts[h.Host] = h
		j.seen.after(old, h)
	}
	if c.Approval != nil {
		j.approvals = append(j.approvals, *c.Approval)
	}
	for _, ev := range c.Events {
		j.told++
		if ev.Seq = j.told; !j.forgets {
			j.events = append(j.events, ev)
		}
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

func (j *memJournal) Load(context.Context, string) (Snapshot, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.hosts == nil {
		return Snapshot{}, ErrNotFound
	}
	j.seen.j = j
	j.seen.look()
	s := Snapshot{Rollout: j.ro, Schedule: j.schedule, Waves: j.waves, Approvals: j.approvals}
	for _, h := range j.hosts {
		s.Hosts = append(s.Hosts, h)
	}
	if j.forgets { // a copy by way of JSON takes longer than the rest; nothing in records is changed in place
		s.Waves = slices.Clone(s.Waves)
		return s, nil
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
