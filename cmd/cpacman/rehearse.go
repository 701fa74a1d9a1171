package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"cpacman/internal/rollout"
	"cpacman/internal/store"
	"cpacman/planner"
)

// rehearsal is what a rollout of a plan would be, as far as can be said without asking anybody (ROLL-14).
type rehearsal struct {
	Plan        string                `json:"plan"`
	PlanType    planner.PlanType      `json:"plan_type"`
	ExpiresAt   time.Time             `json:"expires_at"`
	Hosts       int                   `json:"hosts"`
	Budget      int                   `json:"max_failures"`
	Unreachable int                   `json:"max_unreachable"`
	Quorum      int                   `json:"quorum"`
	Strict      bool                  `json:"strict"`
	Connections int                   `json:"connections"`
	Bytes       int64                 `json:"bytes"` // to all hosts, if none has anything yet
	Locations   []locationBytes       `json:"locations"`
	Waves       []rehearsedWave       `json:"waves"`
	Worst       int                   `json:"worst"`        // hosts that can have failed before it stops, over all waves
	AtLeast     seconds               `json:"at_least_s"`   // soaks, and transfers where bandwidth is limited
	History     *history              `json:"history"`      // null: no earlier rollout says anything
	ByHistory   *seconds              `json:"by_history_s"` // null: no history
	Clusters    []rollout.ClusterPlan `json:"clusters"`     // their floors
	Excluded    []rollout.Excluded    `json:"excluded"`     // hosts that are no part of it
	Warnings    []string              `json:"warnings"`
}

// seconds is a duration that JSON has as a number.
type seconds time.Duration

// MarshalJSON writes whole seconds.
func (d seconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendInt(nil, int64(time.Duration(d).Round(time.Second)/time.Second), 10), nil
}

func (d seconds) String() string { return time.Duration(d).Round(time.Second).String() }

// locationBytes is what goes to one location.
type locationBytes struct {
	Location  string `json:"location"` // "" for hosts without one
	Hosts     int    `json:"hosts"`
	Bytes     int64  `json:"bytes"`
	Bandwidth int64  `json:"bandwidth"` // bytes a second that are allowed; 0: no limit
}

// rehearsedWave is one wave.
type rehearsedWave struct {
	Wave     int           `json:"wave"` // from 1
	Class    string        `json:"class"`
	Level    string        `json:"level"`
	Of       string        `json:"of"` // as written
	Hosts    []string      `json:"hosts"`
	Budget   int           `json:"max_failures"`
	Soak     seconds       `json:"soak_s"`
	Bytes    int64         `json:"bytes"`
	Rounds   int           `json:"rounds"` // how often one host waits for another
	Transfer seconds       `json:"transfer_s"`
	Gates    []string      `json:"gates"` // approvals before it
	Worst    rollout.Worst `json:"worst"`
}

// history is what earlier rollouts took, medians over hosts that ended ok.
type history struct {
	Hosts       int     `json:"hosts"`
	Transaction seconds `json:"transaction_s"`
	Host        seconds `json:"host_s"` // from its admission until it is ok
}

// rolloutRehearse prints what a rollout of a plan would be.
func (e *env) rolloutRehearse(c *cli.Context) error {
	if c.Args().Len() != 1 {
		return usagef("rollout rehearse wants one plan file")
	}
	if len(c.StringSlice("without-approval")) > 0 && !c.Bool("emergency") {
		return usagef("--without-approval goes with --emergency")
	}
	s, err := e.open(c)
	if err != nil {
		return err
	}
	defer s.Close()
	p, err := readPlan(c.Args().First())
	if err != nil {
		return err
	}
	schedule, err := s.schedule(p, nil)
	if err != nil {
		return err
	}
	earlier, err := s.store.History(s.ctx)
	if err != nil {
		return err
	}
	r := s.rehearse(p, schedule, earlier)
	if err := s.notStarted(p.ID); err != nil {
		r.Warnings = append(r.Warnings, err.Error())
	}
	if p.Expired(s.now()) {
		r.Warnings = append(r.Warnings, "the plan expired at "+dueTime(p.ExpiresAt)+"; rollout start refuses it")
	}
	if err := s.emit(c, r.table()); err != nil {
		return err
	}
	if c.String("output") != "json" {
		s.sayEmergency(schedule.Emergency)
		r.say(e)
		e.say("next: cpacman rollout start %s", c.Args().First())
	}
	return nil
}

// rehearse computes it from plan, schedule and history.
func (s *session) rehearse(p *planner.Plan, sch rollout.Schedule, earlier []store.Took) rehearsal {
	r := rehearsal{
		Plan: p.ID, PlanType: p.Type, ExpiresAt: p.ExpiresAt, Hosts: sch.Hosts, Budget: sch.Budget.Max, Unreachable: sch.Unreached.Max, Quorum: sch.Quorum,
		Strict: sch.Strict, Connections: s.site.Limits.Connections, Locations: []locationBytes{}, Clusters: notNil(sch.Clusters),
		Excluded: notNil(sch.Excluded), Warnings: notNil(slices.Clone(sch.Warnings)), History: historyOf(earlier),
	}
	if p.Type.PackageFree() {
		r.History = nil // of transactions
	}
	if p.Type == planner.TypeReboot {
		r.Connections = min(r.Connections, s.site.Limits.Reboots)
	}
	bytes := map[string]int64{}
	for _, h := range p.Hosts {
		bytes[h.Host] = h.Bytes
	}
	worst, whole := rollout.WorstCases(sch, r.Connections)
	r.Worst = whole
	all := s.newLoad()
	var byHistory time.Duration
	for i, w := range sch.Waves {
		l := sch.Levels[w.Level]
		one := rehearsedWave{Wave: i + 1, Class: l.Class, Level: l.Level, Of: w.Of, Hosts: w.Hosts, Budget: w.Budget.Max, Soak: seconds(l.Soak),
			Rounds: sch.Rounds(w, r.Connections), Gates: gatesOf(sch, i), Worst: worst[i]}
		wave := s.newLoad()
		for _, h := range w.Hosts {
			wave.add(h, bytes[h])
			all.add(h, bytes[h])
		}
		one.Bytes, one.Transfer = wave.bytes, seconds(wave.atLeast())
		r.AtLeast += one.Soak + one.Transfer
		if r.History != nil {
			byHistory += time.Duration(one.Soak) + max(time.Duration(one.Transfer), time.Duration(one.Rounds)*time.Duration(r.History.Host))
		}
		r.Waves = append(r.Waves, one)
	}
	if r.History != nil {
		took := seconds(byHistory)
		r.ByHistory = &took
	}
	r.Bytes, r.Locations = all.bytes, all.list()
	return r
}

// load sums what goes where.
type load struct {
	s     *session
	bytes int64
	at    map[string]*locationBytes
}

func (s *session) newLoad() *load { return &load{s: s, at: map[string]*locationBytes{}} }

func (l *load) add(host string, n int64) {
	name := ""
	if h := l.s.site.Host(host); h != nil {
		name = h.Location
	}
	one := l.at[name]
	if one == nil {
		one = &locationBytes{Location: name}
		if place := l.s.site.Locations[name]; place != nil {
			one.Bandwidth = int64(place.Bandwidth)
		}
		l.at[name] = one
	}
	one.Hosts++
	one.Bytes += n
	l.bytes += n
}

// atLeast is how long the bytes take where bandwidth is limited.
func (l *load) atLeast() time.Duration {
	least := overRate(l.bytes, int64(l.s.site.Limits.Bandwidth))
	for _, one := range l.at {
		least = max(least, overRate(one.Bytes, one.Bandwidth))
	}
	return least
}

func overRate(bytes, rate int64) time.Duration {
	if rate <= 0 {
		return 0
	}
	return time.Duration(float64(bytes) / float64(rate) * float64(time.Second))
}

func (l *load) list() []locationBytes {
	out := []locationBytes{}
	for _, one := range l.at {
		out = append(out, *one)
	}
	slices.SortFunc(out, func(a, b locationBytes) int { return strings.Compare(a.Location, b.Location) })
	return out
}

// gatesOf lists the approvals before a wave.
func gatesOf(sch rollout.Schedule, wave int) []string {
	out := []string{}
	w := sch.Waves[wave]
	if wave > 0 && sch.Waves[wave-1].Level == w.Level {
		return out
	}
	l := sch.Levels[w.Level]
	if l.ClassApprove > 0 {
		out = append(out, fmt.Sprintf("%s: %d", l.ClassScope(), l.ClassApprove))
	}
	if l.Approve > 0 {
		out = append(out, fmt.Sprintf("%s: %d", l.Scope(), l.Approve))
	}
	return out
}

// historyOf takes medians; nil where nothing is known.
func historyOf(earlier []store.Took) *history {
	if len(earlier) == 0 {
		return nil
	}
	var tx, host []time.Duration
	for _, t := range earlier {
		tx, host = append(tx, t.Transaction), append(host, t.Host)
	}
	return &history{Hosts: len(earlier), Transaction: seconds(median(tx)), Host: seconds(median(host))}
}

// median is the middle one, or the mean of the two in the middle.
func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	m := len(d) / 2
	if len(d)%2 == 1 {
		return d[m]
	}
	return (d[m-1] + d[m]) / 2
}

// table is a row for each wave.
func (r rehearsal) table() data {
	d := data{columns: []string{"wave", "class", "level", "of", "hosts", "max_failures", "worst", "bytes", "soak", "rounds", "approvals", "names"}, value: r}
	for _, w := range r.Waves {
		d.rows = append(d.rows, []string{strconv.Itoa(w.Wave), w.Class, w.Level, w.Of, strconv.Itoa(len(w.Hosts)), strconv.Itoa(w.Budget), strconv.Itoa(w.Worst.Hosts),
			humanBytes(w.Bytes), w.Soak.String(), strconv.Itoa(w.Rounds), strings.Join(w.Gates, ", "), someOf(w.Hosts, 6)})
	}
	return d
}

// say tells what the table cannot hold.
func (r rehearsal) say(e *env) {
	e.say("plan %.12s (%s): %d %s in %d %s; failures allowed %d, unreachable %d; %d must be reachable to start", r.Plan, r.PlanType, r.Hosts, plural(r.Hosts, "host", "hosts"),
		len(r.Waves), plural(len(r.Waves), "wave", "waves"), r.Budget, r.Unreachable, r.Quorum)
	e.say("to send: %s in all, if no host has anything yet", humanBytes(r.Bytes))
	for _, l := range r.Locations {
		name, limit := l.Location, ""
		if name == "" {
			name = "no location"
		}
		if l.Bandwidth > 0 {
			limit = ", at most " + humanBytes(l.Bandwidth) + "/s"
		}
		e.say("  %s: %s to %d %s%s", name, humanBytes(l.Bytes), l.Hosts, plural(l.Hosts, "host", "hosts"), limit)
	}
	e.say("at least: %s (soaks, and transfers where bandwidth is limited)", r.AtLeast)
	if r.History == nil {
		e.say("by history: no history: no host has been updated by an earlier rollout")
	} else {
		e.say("by history: about %s; median of %d %s: transaction %s, host %s", r.ByHistory, r.History.Hosts, plural(r.History.Hosts, "host", "hosts"),
			time.Duration(r.History.Transaction).Round(100*time.Millisecond), time.Duration(r.History.Host).Round(100*time.Millisecond))
	}
	for _, w := range r.Waves {
		trips := w.Worst.Why
		if w.Worst.Trips > 0 {
			trips = fmt.Sprintf("failure %d exceeds %s, up to %d are at work then", w.Worst.Trips, w.Worst.Why, w.Worst.InFlight)
		}
		e.say("worst case of wave %d: %d of %d failed: %s", w.Wave, w.Worst.Hosts, len(w.Hosts), trips)
	}
	e.say("a fault that shows only during its soak can be on every host of a wave")
	e.say("worst case of all: %d of %d failed when it stops, unreachable ones apart", r.Worst, r.Hosts)
	for _, c := range r.Clusters {
		e.say("cluster %s: at most %d of %d members down at once", c.Name, c.MaxUnavailable, len(c.Members))
	}
	for _, x := range r.Excluded {
		text := string(x.Status)
		if x.Detail != "" {
			text += ": " + x.Detail
		}
		e.say("not part of it: %s: %s", x.Host, text)
	}
	for _, w := range r.Warnings {
		e.say("warning: %s", w)
	}
}
