package rollout

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"cpacman/inventory"
)

// Maintenance windows (ROLL-10). A window limits starting only: a host is admitted, and its transaction asked for, while one of
// its windows is open; what has started finishes. A dry run starts nothing and has no windows.

// WindowPlan is a maintenance window in plain values, so that a schedule is bound by what it says and not by a site that may
// change. What it means is inventory.Window.
type WindowPlan struct {
	Name     string        `json:"name"`
	Rule     string        `json:"rule"`
	Start    string        `json:"start"`
	Duration time.Duration `json:"duration"`
	Zone     string        `json:"zone"`
}

// useWindows notes the windows of a host and refuses unknown ones.
func (r *resolver) useWindows(host string, names []string) error {
	for _, n := range names {
		w, ok := r.s.Windows[n]
		if !ok {
			return &PlanError{fmt.Sprintf("host %s: window %q is not defined", host, n)}
		}
		if slices.ContainsFunc(r.out.Windows, func(p WindowPlan) bool { return p.Name == n }) {
			continue
		}
		w.Name = n
		r.out.Windows = append(r.out.Windows, w)
		slices.SortFunc(r.out.Windows, func(a, b WindowPlan) int { return strings.Compare(a.Name, b.Name) })
	}
	return nil
}

// siteWindows takes the windows of a site.
func siteWindows(site *inventory.Site) map[string]WindowPlan {
	out := make(map[string]WindowPlan, len(site.Windows))
	for name, w := range site.Windows {
		out[name] = WindowPlan{Name: name, Rule: w.Rule, Start: w.Start, Duration: w.Duration, Zone: w.Zone}
	}
	return out
}

// Calendar answers when the hosts of a schedule may begin. It remembers the last answer and belongs to one goroutine at a time.
type Calendar struct {
	hosts map[string]*openings // those with windows
}

// openings are the windows of one host, or of many with the same.
type openings struct {
	set         inventory.Windows
	asked       time.Time // what follows holds from here until `until`
	from, until time.Time
	never       bool // no opening after asked
}

// NewCalendar makes the calendar of a schedule. The error is a *PlanError: a window that cannot be read, or not here, because
// its zone is not known to this control host.
func NewCalendar(s *Schedule) (*Calendar, error) {
	windows := make(map[string]*inventory.Window, len(s.Windows))
	for _, p := range s.Windows {
		w, err := inventory.NewWindow(p.Name, p.Rule, p.Start, p.Duration, p.Zone)
		if err != nil {
			return nil, &PlanError{err.Error()}
		}
		windows[p.Name] = w
	}
	c := &Calendar{hosts: map[string]*openings{}}
	shared := map[string]*openings{}
	for host, hp := range s.Host {
		if len(hp.Windows) == 0 {
			continue
		}
		key := strings.Join(hp.Windows, " ")
		o := shared[key]
		if o == nil {
			o = &openings{}
			for _, n := range hp.Windows {
				w := windows[n]
				if w == nil {
					return nil, &PlanError{fmt.Sprintf("host %s: window %q is not part of the schedule", host, n)}
				}
				o.set = append(o.set, w)
			}
			shared[key] = o
		}
		c.hosts[host] = o
	}
	return c, nil
}

// at makes the answers those for now.
func (o *openings) at(now time.Time) {
	if !o.asked.IsZero() && !now.Before(o.asked) && (o.never || now.Before(o.until)) {
		return
	}
	from, until, ok := o.set.Next(now)
	o.asked, o.from, o.until, o.never = now, from, until, !ok
}

// Open tells whether a host may begin now.
func (c *Calendar) Open(host string, now time.Time) bool {
	o := c.hosts[host]
	if o == nil {
		return true
	}
	o.at(now)
	return !o.never && !now.Before(o.from)
}

// Next gives the time in which a host may begin: the one that contains now, else the first after it; false when there is none
// any more. A zero until means that it has no window.
func (c *Calendar) Next(host string, now time.Time) (from, until time.Time, ok bool) {
	o := c.hosts[host]
	if o == nil {
		return now, time.Time{}, true
	}
	o.at(now)
	return o.from, o.until, !o.never
}

// yearAhead is how far a time without an end is still worth telling: one that always opens again before it closes has none.
const yearAhead = 360 * 24 * time.Hour

// Words says when a host may begin, for people: "window nightly opens 2026-11-24 01:00 CET", or "" for one without a window.
func (c *Calendar) Words(host string, now time.Time) string {
	o := c.hosts[host]
	if o == nil {
		return ""
	}
	o.at(now)
	names := make([]string, len(o.set))
	for i, w := range o.set {
		names[i] = w.Name
	}
	switch what := "window " + strings.Join(names, ", "); {
	case o.never:
		return what + " never opens again"
	case now.Before(o.from):
		// Of several, the one that opens.
		for _, w := range o.set {
			if from, _, ok := w.Next(now); ok && from.Equal(o.from) {
				return "window " + w.Name + " opens " + o.show(o.from)
			}
		}
		return what + " opens " + o.show(o.from)
	case o.until.Sub(now) > yearAhead:
		return what + " is open"
	default:
		return what + " is open until " + o.show(o.until)
	}
}

// show writes a time on the clock of the window's zone.
func (o *openings) show(t time.Time) string {
	return t.In(o.set[0].Location()).Format("2006-01-02 15:04 MST")
}

// waitsForWindow tells whether the rollout waits for a maintenance window, and not for an approval. Called with mu held.
func (r *run) waitsForWindow() bool { return r.ro.State == RolloutWaiting && r.ro.WaitingFor == "" }

// shutOut tells whether a host may not begin now, because its windows are closed. Called with mu held.
func (r *run) shutOut(host string) bool {
	return r.rules.shutOut(r, host)
}

// outsideWindows is shutOut. Called with mu held.
func (r *run) outsideWindows(host string) bool {
	return !r.dryRun && !r.ro.IgnoreWindow && !r.calendar.Open(host, r.cfg.Clock.Now())
}

// mayBegin tells whether windows and clusters let a host begin. Called with mu held.
func (r *run) mayBegin(host string) bool { return !r.shutOut(host) && r.clusterAllows(host) }

// windowReason says why a host does not begin. Called with mu held.
func (r *run) windowReason(host string) Reason {
	return Reason{ReasonWindow, "outside of its maintenance window: " + r.calendar.Words(host, r.cfg.Clock.Now())}
}

// leaveWindow sends a host that is ready, and whose window has closed meanwhile, back to where it is begun anew. True when it did.
// Called with mu held.
func (r *run) leaveWindow(host string) bool {
	if !r.shutOut(host) {
		return false
	}
	_ = r.stepLocked(host, OnWindowClosed, r.windowReason(host), nil)
	return true
}

// outside tells whether the window of the host is closed.
func (h *hostRun) outside() bool {
	h.r.mu.Lock()
	defer h.r.mu.Unlock()
	return h.r.shutOut(h.host)
}

// errOutside ends a try to ask for a transaction whose window has closed since it was announced.
var errOutside = errors.New("the maintenance window has closed")

// startInside asks for the transaction unless the window has closed, as it may while a lost connection is made anew.
func (h *hostRun) startInside(w Worker) error {
	if h.outside() {
		return errOutside
	}
	return w.Start(h.ctx())
}

// closedHosts are hosts set aside until the first of their windows opens, so that they are not looked at before.
type closedHosts struct {
	places []int     // in the wave
	since  time.Time // when the last was set aside
	until  time.Time // zero: none of them opens again
}

// setAside takes a host, at a place of the wave, out of the queue until a window opens. Called with mu held.
func (r *run) setAside(host string, place int) {
	c := &r.closed
	c.places, c.since = append(c.places, place), r.cfg.Clock.Now()
	if from, _, ok := r.calendar.Next(host, c.since); ok && (c.until.IsZero() || from.Before(c.until)) {
		c.until = from
	}
}

// recall puts hosts that were set aside into the queue again when one of their windows has opened, or may have, because the clock was
// set back. Called with mu held.
func (r *run) recall() {
	c, now := r.closed, r.cfg.Clock.Now()
	if len(c.places) > 0 && (now.Before(c.since) || !c.until.IsZero() && !now.Before(c.until)) {
		r.queue, r.closed = append(c.places, r.queue...), closedHosts{}
	}
}

// laterHosts lists, in order, the hosts of a wave that have not begun and may do so later: those whose window is closed, and
// those whose cluster waits for a member that was put off and whose window is closed. others is how many have not begun and do
// not wait for any window. Called with mu held.
func (r *run) laterHosts(w int) (later []string, others int) {
	if r.tally.waves[w].ended == r.tally.waves[w].total {
		return nil, 0
	}
	putOff := map[string]bool{} // clusters with such a member
	var open []string
	for _, h := range r.sched.Waves[w].Hosts {
		s := r.hosts[h].State
		switch {
		case s != StatePending && s != StateDeferred:
		case !r.shutOut(h):
			open = append(open, h)
		default:
			later = append(later, h)
			for _, c := range r.sched.Host[h].Clusters {
				putOff[c] = putOff[c] || s == StateDeferred
			}
		}
	}
	for _, h := range open {
		if !r.clusterAllows(h) && slices.ContainsFunc(r.sched.Host[h].Clusters, func(c string) bool { return putOff[c] }) {
			later = append(later, h)
			continue
		}
		others++
	}
	return later, others
}

// awaitWindow makes the rollout wait for the windows of hosts, when nothing else in the wave can go on. It stops the rollout when
// none opens before the plan expires. Called with mu held, when no host is at work.
func (r *run) awaitWindow(w int, later []string) {
	stop, opens := r.windowStop(w, later)
	if stop.Code != ReasonWindow {
		_ = r.stop(stop)
		r.e.poke()
		return
	}
	if r.ro.State == RolloutWaiting && r.ro.Stop.Host == stop.Host && r.ro.Stop.Reason == stop.Reason {
		r.waits = windowWait{r.changes, r.cfg.Clock.Now(), opens}
		return
	}
	ro := r.ro
	ro.State, ro.WaitingFor, ro.Stop = RolloutWaiting, "", stop
	_ = r.commit(Change{Rollout: &ro, Events: []Event{{Kind: EventRollout, Wave: w, Host: stop.Host, From: string(r.ro.State), To: string(RolloutWaiting), Reason: stop.Reason}}})
	r.e.poke()
}

// windowWait is until when nothing but a change can let a rollout go on that waits for a window: so that a fleet is not looked
// through every second of a day.
type windowWait struct {
	changes int // run.changes when it was looked at
	since   time.Time
	until   time.Time
}

// windowStop says what hosts wait for: the window that opens first, and when that is. Called with mu held.
func (r *run) windowStop(w int, later []string) (stop StopReason, opens time.Time) {
	now := r.cfg.Clock.Now()
	first := ""
	for _, h := range later {
		if from, _, ok := r.calendar.Next(h, now); ok && from.After(now) && (first == "" || from.Before(opens)) {
			first, opens = h, from
		}
	}
	stop = StopReason{Scope: fmt.Sprintf("wave %d", w+1), Host: cmp.Or(first, later[0])}
	what := fmt.Sprintf("%d hosts wait for their maintenance window", len(later))
	if len(later) == 1 {
		what = "1 host waits for its maintenance window"
	}
	words := stop.Host + ": " + r.calendar.Words(stop.Host, now)
	if expires := r.ro.ExpiresAt; first == "" || !opens.Before(expires) {
		stop.Reason = Reason{ReasonExpired, fmt.Sprintf("%s, and none opens before the plan expires at %s: first %s; make a new plan for the hosts that are left",
			what, expires.UTC().Format("2006-01-02 15:04Z"), words)}.bounded()
		return stop, opens
	}
	stop.Reason = Reason{ReasonWindow, what + ": first " + words}.bounded()
	return stop, opens
}

// windowOpens lets a rollout that waits for a window go on when a host may begin, or none is left that waits. False: it still
// waits. Called with mu held.
func (r *run) windowOpens(w int) bool {
	if r.ro.State != RolloutWaiting {
		return true
	}
	if now := r.cfg.Clock.Now(); r.waits.changes == r.changes && !now.Before(r.waits.since) && now.Before(r.waits.until) {
		return false
	}
	if later, others := r.laterHosts(w); len(later) > 0 && others == 0 {
		r.awaitWindow(w, later) // the one that opens first may be another now, and the plan expires
		return false
	}
	ro := r.ro
	ro.State, ro.WaitingFor, ro.Stop = RolloutRunning, "", StopReason{}
	r.queueFor = -1
	return r.commit(Change{Rollout: &ro, Events: []Event{{Kind: EventRollout, Wave: w, From: string(r.ro.State), To: string(RolloutRunning)}}}) == nil
}

// holdByCluster holds the hosts of a wave that no cluster can spare any more, once nobody is at work. later are left: they may
// begin when a window opens. Called with mu held.
func (r *run) holdByCluster(w int, later []string) {
	left := make(map[string]bool, len(later))
	for _, h := range later {
		left[h] = true
	}
	var c Change
	for _, h := range r.sched.Waves[w].Hosts {
		if s := r.hosts[h].State; s != StatePending && s != StateDeferred || left[h] {
			continue
		}
		rec, ev, err := r.move(h, OnRefused, Reason{ReasonClusterFloor, r.clusterText(h)}, nil)
		if err != nil {
			return
		}
		c.Hosts, c.Events = append(c.Hosts, rec), append(c.Events, ev)
	}
	_ = r.commit(c)
	r.queueFor = -1
	r.e.poke()
}
