package rollout

import (
	"slices"
	"strconv"
	"strings"
)

// A journal that came out of a backup is older than the fleet: hosts may have run transactions that it never heard of (OPS-1).
// The hosts' ledgers are the only witnesses. So a restore marks every open rollout as unreconciled and, in every rollout, each
// host with the first attempt that the journal cannot vouch for. Resume asks every host that is not at an end before it admits
// any; a host that could not be asked then is asked before anything else is done on it, however much later that is.

// MarkRestored marks a rollout that was read from a backup. It tells whether anything is to be written. A dry run has no
// transactions, so nothing of it can be missing.
func MarkRestored(s *Snapshot) bool {
	if s.Rollout.DryRun {
		return false
	}
	for i := range s.Hosts {
		h := &s.Hosts[i]
		h.Unasked = h.Attempt
		if h.State.Info().Phase == PhaseEnd {
			h.Unasked++ // this attempt is over; a retry since then had the next number
		}
	}
	switch s.Rollout.State {
	case RolloutDone:
	case RolloutAborted:
		s.Rollout.Unreconciled = anyOpen(s.Hosts)
	default:
		s.Rollout.Unreconciled = true
	}
	return true
}

// Shown is the state that people are shown: of a rollout whose hosts have not been asked since a restore, what the journal has
// for a host that is not at an end is no more than what it was when the backup was made.
func (h HostRecord) Shown(ro Rollout) (State, Reason) {
	if ro.Unreconciled && h.Unasked > 0 && h.State.Info().Phase != PhaseEnd {
		return StateUnreconciled, Reason{ReasonRestored, "not asked since the journal was restored from a backup; there it was " + string(h.State)}
	}
	return h.State, h.Reason
}

// AttemptOf reads the attempt from the id of a transaction of one host of one rollout, in the engine's spelling.
func AttemptOf(id, rollout, host string) (int, bool) {
	digits, ok := strings.CutPrefix(id, rollout+"/"+host+"/")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 1 || strconv.Itoa(n) != digits {
		return 0, false
	}
	return n, true
}

// reconcile asks every host that is not at an end what it knows of this rollout. No host is admitted until each has answered or
// could not be asked; only then the rollout is reconciled. Called with mu held.
func (r *run) reconcile() {
	var hosts []string
	for _, h := range sortedKeys(r.hosts) {
		if r.m.info[r.hosts[h].State].Phase != PhaseEnd {
			hosts = append(hosts, h)
			r.atWork[h] = true // nobody else moves it meanwhile
		}
	}
	r.asking++
	r.unasked = len(hosts)
	if len(hosts) == 0 {
		r.reconciled()
		return
	}
	r.goBackground(func() {
		r.each(hosts, func(host string) {
			hr := &hostRun{r: r, host: host, plan: r.sched.Host[host]}
			hr.reconcile()
			hr.close()
			r.mu.Lock()
			delete(r.atWork, host)
			r.mayBackNow(r.hosts[host].State)
			r.mu.Unlock()
			r.e.poke()
		})
	})
}

// asked counts a host that has answered, or could not be asked.
func (r *run) asked() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.unasked--; r.unasked == 0 && r.ctx.Err() == nil {
		r.reconciled()
	}
}

// reconciled records that the hosts were asked. Called with mu held.
func (r *run) reconciled() {
	ro, left := r.ro, 0
	ro.Unreconciled = false
	for _, h := range r.hosts {
		if h.Unasked > 0 && r.m.info[h.State].Phase != PhaseEnd {
			left++
		}
	}
	text := "reconciled: every host was asked what it knows of this rollout"
	if left > 0 {
		text = "reconciled: hosts that could not be asked, " + strconv.Itoa(left) + " of them, are asked before anything is done on them"
	}
	_ = r.commit(Change{Rollout: &ro, Events: []Event{{Kind: EventRollout, Wave: -1, From: string(r.ro.State), To: string(ro.State), Reason: Reason{ReasonRestored, text}}}})
	r.asking--
	r.e.poke()
}

// reconcile asks one host and then takes it up where it stands.
func (h *hostRun) reconcile() {
	rec := h.r.record(h.host)
	info := h.r.m.info[rec.State]
	// A transaction that may be under way is waited for as after a crash; a host that the journal has as not begun is asked once.
	try := h.ask
	if info.Touched && rec.State != StateUnreconciled {
		try = h.persist
	}
	latest, err := h.latest(rec, try)
	if h.ctx().Err() != nil {
		return
	}
	defer h.finish()
	why := Reason{}
	switch {
	case err == nil && latest > 0 && (latest != rec.Attempt || !info.Touched || rec.State == StateUnreconciled):
		if !h.found(latest) {
			return
		}
	case err == nil && rec.State == StateLost:
		on := OnReattach
		switch {
		case h.r.sched.RebootOnly:
			on = OnReattachBoot
		case h.r.sched.Services != nil:
			on = OnReattachServices
		}
		err = h.r.step(h.host, on, Reason{}, func(rec *HostRecord) { rec.Unasked = 0 })
	case err == nil:
		err = h.r.note(h.host, Reason{}, func(rec *HostRecord) { rec.Unasked = 0 })
	default:
		why = Reason{ReasonRestored, "could not be asked after a restore: " + err.Error()}
		switch {
		case info.Touched && info.Phase == PhaseWay:
			_ = h.end(OnLost, reasonWith(err, ReasonUnanswered))
		case atWork(info):
			_ = h.end(OnNeverStarted, why)
		default:
			h.warn(why.Text)
		}
	}
	h.r.asked()
	if err == nil && atWork(h.r.m.info[h.r.record(h.host).State]) {
		h.reattach()
	}
}

// latest asks the host for the attempts of this rollout that it knows and gives the last of those that the journal cannot vouch
// for, or 0.
func (h *hostRun) latest(rec HostRecord, try func(func(Worker) error) error) (int, error) {
	var known []int
	err := try(func(w Worker) (err error) {
		known, err = w.Known(h.ctx())
		return err
	})
	if err != nil || len(known) == 0 {
		return 0, err
	}
	from := rec.Unasked
	if from == 0 {
		from = rec.Attempt
	}
	if last := slices.Max(known); last >= from {
		return last, nil
	}
	return 0, nil
}

// found believes a host that knows a transaction which the journal does not.
func (h *hostRun) found(attempt int) bool {
	now := h.r.cfg.Clock.Now()
	why := Reason{ReasonRestored, "the host knows transaction " + TxID(h.r.id, h.host, attempt) + ", which the restored journal did not: the host is believed"}
	err := h.r.step(h.host, OnReattach, why, func(rec *HostRecord) {
		if attempt != rec.Attempt {
			rec.EraseDue, rec.Erasing, rec.Checks, rec.Cut = false, false, nil, false
			rec.Back, rec.BackWhy, rec.Boot = false, Reason{}, ""
		}
		rec.Attempt, rec.TxID, rec.TxAt, rec.Began, rec.Unasked = attempt, TxID(h.r.id, h.host, attempt), now, true, 0
		rec.Started = earlier(rec.Started, now)
	})
	h.close() // the connection was made for another attempt
	return err == nil
}

// recall asks a host that could not be asked when the rollout was reconciled, before anything is done on it. False when the
// attempt goes no further: the host knew a transaction, which is taken up instead.
func (h *hostRun) recall() bool {
	rec := h.r.record(h.host)
	if rec.Unasked == 0 {
		return true
	}
	latest, err := h.latest(rec, h.ask)
	if err != nil {
		return h.failed(err, OnRefused, ReasonRestored)
	}
	if latest == 0 {
		return h.r.note(h.host, Reason{}, func(rec *HostRecord) { rec.Unasked = 0 }) == nil
	}
	if h.found(latest) {
		h.reattach()
	}
	return false
}
