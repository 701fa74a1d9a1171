package rollout

import (
	"fmt"
	"slices"
	"time"

	"cpacman/inventory"
)

// Describe lists, for people, the windows of the hosts of a schedule and when they open, a line for each set of windows.
func (c *Calendar) Describe(s *Schedule, now time.Time) []string {
	var out []string
	for _, g := range c.groups(s.hosts()) {
		line := fmt.Sprintf("%s: %s", nameHosts(g), c.Words(g[0], now))
		for _, w := range c.hosts[g[0]].set {
			line += fmt.Sprintf("; %s", w)
		}
		out = append(out, line)
	}
	return out
}

// hosts lists the hosts in the order of admission.
func (s *Schedule) hosts() []string {
	var out []string
	for _, w := range s.Waves {
		out = append(out, w.Hosts...)
	}
	return out
}

// groups puts hosts with the same windows together, in the order of the first of each; those without are left out.
func (c *Calendar) groups(hosts []string) [][]string {
	index := map[*openings]int{}
	var out [][]string
	for _, h := range hosts {
		o := c.hosts[h]
		if o == nil {
			continue
		}
		i, seen := index[o]
		if !seen {
			i = len(out)
			index[o], out = i, append(out, nil)
		}
		out[i] = append(out[i], h)
	}
	return out
}

// nameHosts names a few hosts.
func nameHosts(hosts []string) string {
	if len(hosts) == 1 {
		return hosts[0]
	}
	return fmt.Sprintf("%d hosts, first %s", len(hosts), hosts[0])
}

// fit is the earliest that a rollout can be, wave by wave: transactions take no time, and every wave begins as soon as the hosts
// of the wave before have begun and its soak is over. What does not fit so does not fit at all.
type fit struct {
	c          *Calendar
	s          *Schedule
	now, until time.Time     // the start, and the end of the plan
	at         time.Time     // when the wave can begin
	soaks      time.Duration // of the waves before it
	out        []string
}

// Misfits says which hosts of a rollout that starts now cannot begin before the plan expires, or not in the opening of their
// window that is the first from now on (ROLL-10). It is a lower bound: what it does not mention may still turn out not to fit.
func (c *Calendar) Misfits(s *Schedule, now, expires time.Time) []string {
	f := fit{c: c, s: s, now: now, until: expires, at: now}
	for i := range s.Waves {
		if !f.wave(i) {
			break
		}
	}
	return f.out
}

// wave looks at one wave; false when the rollout cannot get past it.
func (f *fit) wave(i int) bool {
	w := f.s.Waves[i]
	if i > 0 && !f.at.Before(f.until) {
		f.say(i, w.Hosts, "cannot begin before the plan expires at %s%s", utc(f.until), f.before())
		return false
	}
	end, possible := f.at, true
	for _, g := range f.c.groups(w.Hosts) {
		begin, fits := f.group(i, g)
		possible = possible && fits
		if begin.After(end) {
			end = begin
		}
	}
	if !possible {
		return false
	}
	f.at = end
	if slices.ContainsFunc(w.Hosts, func(h string) bool { return !f.s.Host[h].Empty }) {
		soak := f.s.Levels[w.Level].Soak
		f.at, f.soaks = f.at.Add(soak), f.soaks+soak
	}
	return true
}

// group gives when hosts with the same windows can begin, and whether they can at all.
func (f *fit) group(wave int, hosts []string) (begin time.Time, fits bool) {
	h, o := hosts[0], f.c.hosts[hosts[0]]
	from, _, ok := f.c.Next(h, f.at)
	if !ok {
		f.say(wave, hosts, "cannot begin: %s%s", f.c.Words(h, f.at), f.before())
		return begin, false
	}
	if from.Before(f.at) {
		from = f.at
	}
	if !from.Before(f.until) {
		f.say(wave, hosts, "cannot begin before the plan expires at %s: %s%s", o.show(f.until), f.c.Words(h, f.at), f.before())
		return from, false
	}
	first, end, ok := f.c.Next(h, f.now)
	if ok && !from.Before(end) {
		which := "of " + o.show(first)
		if !first.After(f.now) {
			which = "that is open"
		}
		f.say(wave, hosts, "will not fit into the window %s until %s: the wave can begin %s at the earliest, and then %s%s", which,
			o.show(end), o.show(f.at), f.c.Words(h, f.at), f.before())
	}
	return from, true
}

// before says how long the soaks before a wave are.
func (f *fit) before() string {
	if f.soaks == 0 {
		return ""
	}
	return "; soaks alone of the waves before it last " + inventory.FormatDuration(f.soaks)
}

func (f *fit) say(wave int, hosts []string, format string, args ...any) {
	f.out = append(f.out, fmt.Sprintf("wave %d: %s: ", wave+1, nameHosts(hosts))+fmt.Sprintf(format, args...))
}

// utc writes a time that belongs to no window.
func utc(t time.Time) string { return t.UTC().Format("2006-01-02 15:04Z") }
