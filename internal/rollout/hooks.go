package rollout

import (
	"fmt"
	"slices"
	"strings"

	"cpacman/inventory"
)

// hook finds one of the schedule.
func (s *Schedule) hook(name string) (HookPlan, bool) {
	for _, h := range s.Hooks {
		if h.Name == name {
			return h, true
		}
	}
	return HookPlan{}, false
}

// at names the hooks of waves, levels or the rollout for one time.
func (s *Schedule) at(when inventory.HookWhen) []string {
	var out []string
	for _, h := range s.Hooks {
		if h.When == when {
			out = append(out, h.Name)
		}
	}
	return out
}

// runHook runs one hook.
func (r *run) runHook(name string, run HookRun) error {
	h, ok := r.sched.hook(name)
	if !ok || r.cfg.Hooks == nil {
		return fmt.Errorf("hook %s: it is not defined", name)
	}
	run.Hook, run.Rollout = h, r.id
	if err := r.cfg.Hooks.RunHook(r.ctx, run); err != nil {
		return fmt.Errorf("hook %s: %w", name, err)
	}
	return nil
}

// hookRun describes a run for this host. Its id is the same when it is run again.
func (h *hostRun) hookRun(name string) HookRun {
	rec, l := h.r.record(h.host), h.r.sched.Levels[h.r.sched.Waves[h.plan.Wave].Level]
	return HookRun{ID: strings.Join([]string{h.r.id, h.host, fmt.Sprint(rec.Attempt), name}, "/"), Host: h.host, Class: l.Class, Level: l.Level,
		Wave: h.plan.Wave + 1, State: rec.State, Flags: rec.Flags}
}

// drain runs the before-hooks of the host. Its after-hooks are owed from the moment before, whatever becomes of it (ROLL-9).
func (h *hostRun) drain() bool {
	if len(h.plan.Before) == 0 && len(h.plan.After) == 0 {
		return true
	}
	if !h.advance(OnDrain, func(rec *HostRecord) { rec.Owed = slices.Clone(h.plan.After) }) {
		return false
	}
	for _, name := range h.plan.Before {
		err := h.r.runHook(name, h.hookRun(name))
		if h.ctx().Err() != nil {
			return false
		}
		if err != nil {
			return h.end(OnRefused, Reason{ReasonHook, err.Error()})
		}
	}
	return true
}

// finish ends the work on a host: what is owed to it is run, and what this attempt holds is given back. After a detach both are left to
// whoever resumes.
func (h *hostRun) finish() {
	h.afterHooks()
	h.giveBack()
}

// afterHooks runs what is owed once the host has come to rest. A lost host is owed still: nobody knows what it is.
func (h *hostRun) afterHooks() {
	for {
		rec := h.r.record(h.host)
		if len(rec.Owed) == 0 || !rec.State.Final() && rec.State != StatePending && rec.State != StateDeferred ||
			rec.State == StateLost || h.ctx().Err() != nil {
			return
		}
		name := rec.Owed[0]
		err := h.r.runHook(name, h.hookRun(name))
		if h.ctx().Err() != nil {
			return
		}
		why := Reason{}
		if err != nil {
			why = Reason{ReasonHook, err.Error()}
		}
		if h.r.note(h.host, why, func(rec *HostRecord) {
			rec.Owed = slices.Clone(rec.Owed[1:])
			if err != nil {
				rec.Flags = addFlags(rec.Flags, FlagHookFailed)
				rec.Remark = boundText(strings.TrimPrefix(rec.Remark+"; "+err.Error(), "; "))
			}
		}) != nil {
			return
		}
	}
}

// settleHosts puts hosts at rest to work to which something is owed still: an engine died before it ran their after-hooks or gave their
// locks back. Called with mu held.
func (r *run) settleHosts() {
	for _, h := range sortedKeys(r.hosts) {
		if rec := r.hosts[h]; rec.owed() && !r.atWork[h] && rec.State.Final() {
			r.settling[h] = true
			r.put(h, func(hr *hostRun) {
				hr.locked = hr.r.record(hr.host).Locked
				hr.finish()
			})
		}
	}
}

// owed tells whether a host at rest has after-hooks to be run or a lock to be given back. A lost host has neither yet.
func (rec HostRecord) owed() bool {
	return len(rec.Owed) > 0 && rec.State != StateLost || rec.Locked && rec.State.releasesLock()
}

// hooksTooEarly is laterHosts of a wave whose before-hooks have not run: where no host may begin, they wait for the window too. Called
// with mu held.
func (r *run) hooksTooEarly(w int) (later []string, others int) {
	if r.hookless(w) {
		return nil, 0
	}
	return r.laterHosts(w)
}

// hookless tells whether no before-hook is to be run for a wave, or none any more. Called with mu held.
func (r *run) hookless(w int) bool {
	return len(r.sched.Hooks) == 0 || r.dryRun || r.waves[w].Prepared
}

// prepare runs the before-hooks of a wave in the background, with those of its level and of the rollout where these begin with it. What is
// owed for them is on disk before. True when all have run. Called with mu held.
func (r *run) prepare(w int) bool {
	level := r.sched.Waves[w].Level
	if r.hookless(w) {
		return true
	}
	if r.background > 0 {
		return false
	}
	ro, rec := r.ro, r.waves[w]
	var names []string
	if !ro.Hooked {
		names = r.sched.at(inventory.BeforeRollout)
		ro.Owed = r.sched.at(inventory.AfterRollout)
	}
	if ro.LevelHooked != level+1 {
		names = append(names, r.sched.at(inventory.BeforeLevel)...)
		ro.LevelHooked, ro.OwedLevel = -(level + 1), r.sched.at(inventory.AfterLevel)
	}
	names = append(names, r.sched.at(inventory.BeforeWave)...)
	rec.Owed = r.sched.at(inventory.AfterWave)
	if r.commit(Change{Rollout: &ro, Waves: []WaveRecord{rec}}) != nil {
		return false
	}
	r.background++
	r.goBackground(func() { r.prepareWave(w, names) })
	return false
}

// prepareWave runs before-hooks until one fails.
func (r *run) prepareWave(w int, names []string) {
	var failed error
	name := ""
	for _, name = range names {
		if failed = r.runHook(name, r.waveRun(w, name)); failed != nil {
			break
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.background--
	defer r.e.poke()
	switch {
	case r.ctx.Err() != nil:
	case failed != nil:
		_ = r.stop(StopReason{Scope: fmt.Sprintf("wave %d", w+1), Output: boundText(failed.Error()),
			Reason: Reason{ReasonHook, "before-hook " + name + " failed; no host of the wave was touched"}})
	default:
		ro, rec := r.ro, r.waves[w]
		ro.Hooked, ro.LevelHooked, rec.Prepared = true, r.sched.Waves[w].Level+1, true
		_ = r.commit(Change{Rollout: &ro, Waves: []WaveRecord{rec}})
	}
}

// waveRun describes a run of a hook that is for no host.
func (r *run) waveRun(w int, name string) HookRun {
	l := r.sched.Levels[r.sched.Waves[w].Level]
	return HookRun{ID: fmt.Sprintf("%s/wave-%d/%s", r.id, w+1, name), Class: l.Class, Level: l.Level, Wave: w + 1}
}

// settleHooks runs the after-hooks whose time has come: of a wave that has passed or failed, or waits for a maintenance window, of a level
// with the first wave of the next, of all when the rollout rests (over). True while some are under way. Called with mu held.
func (r *run) settleHooks(over bool) bool {
	if len(r.sched.Hooks) == 0 {
		return false
	}
	if r.background > 0 {
		return true
	}
	w := min(r.current, len(r.waves)-1)
	for i := range r.waves {
		if rec := r.waves[i]; len(rec.Owed) > 0 && (over || rec.State == WavePassed || rec.State == WaveFailed || r.waitsForWindow()) {
			r.settle(i, rec.Owed[0], func(_ *Rollout, rec *WaveRecord) { rec.Owed, rec.Prepared = rec.Owed[1:], rec.State == WavePassed })
			return true
		}
	}
	if len(r.ro.OwedLevel) > 0 && (over || max(r.ro.LevelHooked, -r.ro.LevelHooked) != r.sched.Waves[w].Level+1) {
		r.settle(w, r.ro.OwedLevel[0], func(ro *Rollout, rec *WaveRecord) {
			if ro.OwedLevel = ro.OwedLevel[1:]; over && len(ro.OwedLevel) == 0 {
				ro.LevelHooked, rec.Prepared = 0, false
			}
		})
		return true
	}
	if over && len(r.ro.Owed) > 0 {
		r.settle(w, r.ro.Owed[0], func(ro *Rollout, rec *WaveRecord) {
			if ro.Owed = ro.Owed[1:]; len(ro.Owed) == 0 {
				ro.Hooked, rec.Prepared = false, false
			}
		})
		return true
	}
	return false
}

// settle runs one after-hook in the background; one that fails is a warning in the history and is not run again. Called with mu held.
func (r *run) settle(w int, name string, paid func(*Rollout, *WaveRecord)) {
	r.background++
	r.goBackground(func() {
		err := r.runHook(name, r.waveRun(w, name))
		r.mu.Lock()
		defer r.mu.Unlock()
		r.background--
		defer r.e.poke()
		if r.ctx.Err() != nil {
			return
		}
		ro, rec := r.ro, r.waves[w]
		paid(&ro, &rec)
		c := Change{Rollout: &ro, Waves: []WaveRecord{rec}}
		if err != nil {
			c.Events = []Event{{Kind: EventWarning, Wave: w, Reason: Reason{ReasonHook, err.Error()}.bounded()}}
		}
		_ = r.commit(c)
	})
}
