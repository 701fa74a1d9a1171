package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cpacman/internal/rollout"
	"cpacman/internal/store"
)

// standing is what stands beside the records of a rollout: who runs it, and what people left with it.
type standing struct {
	lease  store.Lease
	people rollout.People
	live   bool
	notes  []rollout.Note
	given  map[string]bool // gates for which all that is missing is an engine that takes the approvals
	now    time.Time
}

// standing reads where a rollout stands.
func (s *session) standing(id string) (rollout.Snapshot, standing, error) {
	snap, err := s.store.Load(s.ctx, id)
	if err != nil {
		return snap, standing{}, rolloutError(err, id)
	}
	st, err := s.beside(id)
	if err != nil {
		return snap, st, err
	}
	soon, err := s.ballot(snap)
	if err != nil {
		return snap, st, err
	}
	st.given = map[string]bool{}
	for _, v := range soon.All() {
		st.given[v.Scope] = v.Open()
	}
	return snap, st, nil
}

// beside reads what stands beside the records of a rollout.
func (s *session) beside(id string) (st standing, err error) {
	if st.lease, err = s.store.Lease(s.ctx, id); err != nil {
		return st, err
	}
	st.now, st.people = s.now(), s.people()
	st.live = st.lease.Live(st.now)
	st.notes, err = s.store.Notes(s.ctx, id)
	return st, err
}

// died tells that an engine ended without giving the rollout back.
func (st standing) died() bool { return !st.live && st.lease.Epoch > 0 && !st.lease.Released }

// engine is who runs it, or nil.
func (st standing) engine() *rollout.Owner {
	if !st.live {
		return nil
	}
	return &st.lease.Owner
}

// step is one thing that is due.
type step struct {
	What    string     `json:"what"`
	At      *time.Time `json:"at"`                // null: no time is known
	Command string     `json:"command,omitempty"` // what a person can do about it
}

// dueTime is how a time is written that people of several shifts, or countries, read.
func dueTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04Z") }

// String is the step as one line.
func (d step) String() string {
	text := d.What
	if d.At != nil {
		text += " " + dueTime(*d.At)
	}
	if d.Command != "" {
		text += ": " + d.Command
	}
	return text
}

// halfDone says what mends hosts on which a transaction was left in the middle: a retry does not.
func halfDone(snap rollout.Snapshot) []step {
	var names []string
	for _, h := range snap.Hosts {
		if h.State == rollout.StateTxPartial {
			names = append(names, h.Host)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	hosts := strings.Join(names, " ")
	if len(names) > 6 {
		hosts = "HOST…"
	}
	return []step{{What: fmt.Sprintf("%d %s in the middle: look at %s (%s)", len(names), plural(len(names), "host was left", "hosts were left"), plural(len(names), "it", "them"), someOf(names, 6)),
		Command: fmt.Sprintf("cpacman plan %s --repair, or cpacman plan %s --undo %s", hosts, hosts, snap.Rollout.ID)}}
}

// decisions are the commands that can do something about a rollout that stopped.
func decisions(snap rollout.Snapshot, now time.Time) string {
	id := snap.Rollout.ID
	can := func(kind rollout.CommandKind) bool {
		return slices.ContainsFunc(snap.Hosts, func(h rollout.HostRecord) bool {
			why, _ := rollout.MayRedo(snap, rollout.Command{Kind: kind, Host: h.Host}, now)
			return why == "" && h.State != rollout.StateSkipped
		})
	}
	var verbs []string
	for _, kind := range []rollout.CommandKind{rollout.CommandRetry, rollout.CommandSkip} {
		if can(kind) {
			verbs = append(verbs, string(kind))
		}
	}
	others := fmt.Sprintf("cpacman rollout resume %s, or cpacman rollout abort %s", id, id)
	if len(verbs) == 0 {
		return others
	}
	return fmt.Sprintf("cpacman rollout %s %s HOST, %s", strings.Join(verbs, "|"), id, others)
}

// nextSteps says what is due in a rollout, in order: who must do something, what happens when by itself, what comes after.
func nextSteps(snap rollout.Snapshot, st standing) []step {
	id, state := snap.Rollout.ID, snap.Rollout.State
	out := []step{}
	if snap.Rollout.Unreconciled {
		out = append(out, step{What: "the journal was restored from a backup: every host that is not at an end is asked before anything is done"})
		if !st.live {
			out[0].Command = "cpacman rollout resume " + id
		}
		return out
	}
	out = append(out, owedSteps(snap, st)...)
	out = append(out, halfDone(snap)...)
	out = append(out, amendSteps(snap, st)...)
	switch state {
	case rollout.RolloutDone:
		if n := retryable(snap.Hosts); n > 0 {
			out = append(out, step{What: fmt.Sprintf("%d %s failed, held or not reached", n, plural(n, "host is", "hosts are")), Command: "cpacman rollout retry " + id + ", then cpacman rollout resume " + id})
		}
		return out
	case rollout.RolloutAborted:
		return append(out, step{What: "it was aborted; a new plan finds what is left"})
	case rollout.RolloutStopped:
		return append(out, step{What: "it stands until somebody decides", Command: decisions(snap, st.now)})
	}
	gates := rollout.Gates(rollout.BallotOf(snap, st.people))
	if !st.live && state != rollout.RolloutPaused && state != rollout.RolloutWaiting {
		out = append(out, step{What: "engine: none, so nothing happens", Command: "cpacman rollout resume " + id})
	}
	out = append(out, waveSteps(snap, st, gates)...)
	if at := snap.Rollout.ExpiresAt; !at.IsZero() && anyPending(snap.Waves) {
		out = append(out, step{What: "no wave starts any more when the plan expires, at", At: &at})
	}
	return out
}

// owedSteps says which after-hooks are still to be run.
func owedSteps(snap rollout.Snapshot, st standing) []step {
	hosts, names := 0, slices.Clone(snap.Rollout.Owed)
	names = append(names, snap.Rollout.OwedLevel...)
	for _, w := range snap.Waves {
		names = append(names, w.Owed...)
	}
	for _, h := range snap.Hosts {
		if len(h.Owed) > 0 {
			hosts++
			names = append(names, h.Owed...)
		}
	}
	if len(names) == 0 || st.live {
		return nil // an engine runs them in their time
	}
	slices.Sort(names)
	text := "after-hooks are owed: " + strings.Join(slices.Compact(names), ", ")
	if hosts > 0 {
		text += fmt.Sprintf(" (%d %s)", hosts, plural(hosts, "host", "hosts"))
	}
	return []step{{What: text, Command: "cpacman rollout resume " + snap.Rollout.ID}}
}

// waveSteps says what the wave that is being worked on waits for, and which approvals come after it.
func waveSteps(snap rollout.Snapshot, st standing, gates []rollout.Gate) []step {
	id, state := snap.Rollout.ID, snap.Rollout.State
	var out []step
	switch state {
	case rollout.RolloutPaused:
		out = append(out, step{What: "it is paused", Command: fmt.Sprintf("cpacman rollout resume %s, or cpacman rollout abort %s", id, id)})
	case rollout.RolloutWaiting:
		if snap.Rollout.WaitingFor == "" {
			out = append(out, windowStep(snap, st))
			break
		}
		command := "cpacman rollout approve " + id
		if !st.live {
			command += ", then cpacman rollout resume " + id
		}
		what := "waits for approval of " + snap.Rollout.WaitingFor
		for i, g := range gates {
			if g.Scope == snap.Rollout.WaitingFor {
				what, gates = "waits for approval of "+g.String(), append(append([]rollout.Gate{}, gates[:i]...), gates[i+1:]...)
				break
			}
		}
		if scope := snap.Rollout.WaitingFor; st.given[scope] {
			what, command = "the approvals of "+scope+" are recorded, and no engine runs that takes them", "cpacman rollout resume "+id
			if st.live {
				what, command = "the approvals of "+scope+" are recorded, and the engine takes them within seconds", ""
			}
		}
		out = append(out, step{What: what, Command: command})
	case rollout.RolloutCreated:
		out = append(out, step{What: fmt.Sprintf("%d of %d hosts must be reachable before anything starts", snap.Schedule.Quorum, snap.Schedule.Hosts)})
	}
	for _, w := range snap.Waves {
		if w.State == rollout.WavePassed {
			continue
		}
		if d, ok := waveStep(snap, w); ok {
			out = append(out, d)
		}
		break
	}
	for _, g := range gates {
		out = append(out, step{What: fmt.Sprintf("before wave %d: approval of %s", g.Wave+1, g), Command: fmt.Sprintf("cpacman rollout approve %s --scope '%s'", id, g.Scope)})
	}
	return out
}

// windowStep says which maintenance window a rollout waits for.
func windowStep(snap rollout.Snapshot, st standing) step {
	d := step{What: "waits: " + snap.Rollout.Stop.Text}
	if cal, err := rollout.NewCalendar(&snap.Schedule); err == nil {
		if from, _, ok := cal.Next(snap.Rollout.Stop.Host, st.now); ok {
			d.What, d.At = d.What+"; goes on at", &from
		}
	}
	if !st.live {
		d.Command = windowNext(snap.Rollout.ID)
	}
	return d
}

// windowNext is what a person can do about a rollout that waits for a window and has no engine.
func windowNext(id string) string {
	return fmt.Sprintf("cpacman rollout resume %s when it is open, or now with --wait or --detach", id)
}

// waveStep says what happens in a wave that has not passed.
func waveStep(snap rollout.Snapshot, w rollout.WaveRecord) (step, bool) {
	plan := snap.Schedule.Waves[w.Index]
	level := snap.Schedule.Levels[plan.Level]
	name := fmt.Sprintf("wave %d (class %s, level %s)", w.Index+1, level.Class, level.Level)
	switch w.State {
	case rollout.WaveSoaking:
		if w.SoakLeft > 0 {
			return step{What: fmt.Sprintf("%s: %s of its soak are left, which stands still", name, w.SoakLeft.Round(time.Second))}, true
		}
		at := w.SoakUntil
		return step{What: "soak of " + name + " ends", At: &at}, true
	case rollout.WaveRunning:
		begun, left := 0, 0
		for _, h := range snap.Hosts {
			switch {
			case h.Wave != w.Index || h.State.Final():
			case h.State == rollout.StatePending || h.State == rollout.StateDeferred:
				left++
			default:
				begun++
			}
		}
		return step{What: fmt.Sprintf("%s: %d at work, %d not begun, then a soak of %s", name, begun, left, level.Soak)}, true
	case rollout.WavePending:
		if snap.Rollout.State == rollout.RolloutRunning {
			return step{What: fmt.Sprintf("%s begins: %d %s", name, len(plan.Hosts), plural(len(plan.Hosts), "host", "hosts"))}, true
		}
	}
	return step{}, false
}

func anyPending(waves []rollout.WaveRecord) bool {
	for _, w := range waves {
		if w.State == rollout.WavePending {
			return true
		}
	}
	return false
}

// retryable counts the hosts that a retry could bring on.
func retryable(hosts []rollout.HostRecord) int {
	n := 0
	for _, h := range hosts {
		if _, ok := rollout.Next(h.State, rollout.OnRetry); (ok || h.State == rollout.StateLost) && h.State != rollout.StateSkipped {
			n++
		}
	}
	return n
}

// statusNext ends with what is due next, when, and whose word is missing.
func (s *session) statusNext(snap rollout.Snapshot, st standing) {
	steps := nextSteps(snap, st)
	if len(steps) > 0 {
		s.say("next:")
	}
	for _, d := range steps {
		s.say("  %s", d)
	}
	switch snap.Rollout.State {
	case rollout.RolloutCreated, rollout.RolloutRunning:
		if st.live { // nobody is waited for now
			s.say("next: cpacman rollout watch %s", snap.Rollout.ID)
			return
		}
	}
	for _, d := range steps {
		if d.Command != "" {
			s.say("next: %s", d.Command)
			return
		}
	}
}
