package inventory

import (
	"fmt"
	"time"
	_ "time/tzdata" // the binary is static and a control host may have no zone files

	"github.com/teambition/rrule-go"
)

// Bounds of windows.
const (
	maxWindow    = 7 * 24 * time.Hour        // duration of one opening
	maxRun       = 366 * 24 * time.Hour      // how far openings that follow each other without a break are joined
	neverOpens   = 40 * 366 * 24 * time.Hour // a rule with no opening within this has none: leap days come sooner
	lastCalendar = 9000                      // year; rrule-go ends at 9999
)

// Window is a maintenance window (ROLL-10): intervals that begin at a time of day on the days of a calendar rule, in a named
// time zone. It limits when work on a host may start, not how long it may take.
//
// An opening is half-open, [start, start+duration): the instant at which it ends is outside. The duration is elapsed time: a
// window from 01:00 of 4 hours ends at 06:00 on the night on which clocks are put forward from 02:00 to 03:00, and at 04:00 on
// the night on which they are put back. As in RFC 5545 (3.3.5), a start that the clock shows twice is the first of the two, once,
// and one that it does not show is read with the offset from before the gap: 02:30 is then 03:30.
//
// The rule is an RRULE of RFC 5545 for days. A window has no first day, so every rule says its days itself, COUNT means nothing,
// and INTERVAL counts from Monday, 1 January 1990.
type Window struct {
	Source
	Name     string        `toml:"-"`
	Rule     string        `toml:"rule"`
	Start    string        `toml:"start"` // "HH:MM", on the clock of the zone
	Duration time.Duration `toml:"duration"`
	Zone     string        `toml:"zone"` // of the IANA database: "Europe/Berlin"

	days         rrule.ROption
	hour, minute int
	loc          *time.Location
}

// NewWindow makes a window from its four values, as a schedule has recorded them. The error says what is wrong with the first
// that cannot be read.
func NewWindow(name, rule, start string, duration time.Duration, zone string) (*Window, error) {
	w := &Window{Name: name, Rule: rule, Start: start, Duration: duration, Zone: zone}
	var first error
	w.check(func(_, hint, format string, args ...any) {
		if first == nil {
			first = fmt.Errorf(format, args...)
			if hint != "" {
				first = fmt.Errorf("%w (%s)", first, hint)
			}
		}
	})
	if first != nil {
		return nil, first
	}
	return w, nil
}

// Open tells whether the window is open at t and, if so, until when it stays so without a break (looking ahead a year at most).
func (w *Window) Open(t time.Time) (until time.Time, open bool) { return Windows{w}.Open(t) }

// Next gives the opening that contains t, or the first after t; false when there is none any more. Openings that follow each
// other without a break are one, up to a year.
func (w *Window) Next(t time.Time) (from, until time.Time, ok bool) { return Windows{w}.Next(t) }

// Location is the zone of the window.
func (w *Window) Location() *time.Location { return w.loc }

// String is the window in one line: "nightly (FREQ=DAILY at 01:00 for 4h, Europe/Berlin)".
func (w *Window) String() string {
	return fmt.Sprintf("%s (%s at %s for %s, %s)", w.Name, w.Rule, w.Start, FormatDuration(w.Duration), w.Zone)
}

// Windows are the windows of one host: it may begin when one of them is open. None at all means at any time.
type Windows []*Window

// Open tells whether one of the windows is open at t, and until when that stays so without a break (looking ahead a year at
// most). Without windows it is open, and until is the zero time.
func (ws Windows) Open(t time.Time) (until time.Time, open bool) {
	if len(ws) == 0 {
		return time.Time{}, true
	}
	from, until, ok := ws.Next(t)
	if !ok || from.After(t) {
		return time.Time{}, false
	}
	return until, true
}

// Next gives the time in which one window at least is open without a break (up to a year): the one that contains t, and then
// from is a start at or before t, else the first after t. False when there is none any more. Without windows it begins at t, and
// until is the zero time.
func (ws Windows) Next(t time.Time) (from, until time.Time, ok bool) {
	if len(ws) == 0 {
		return t, time.Time{}, true
	}
	from, until, ok = ws.opening(t)
	if !ok {
		return time.Time{}, time.Time{}, false
	}
	for limit := until.Add(maxRun); until.Before(limit); {
		f, u, more := ws.opening(until)
		if !more || f.After(until) || !u.After(until) {
			break
		}
		until = u
	}
	return from, until, true
}

// opening gives the opening of any window that contains t (of several, the one that ends last), else the first after t.
func (ws Windows) opening(t time.Time) (from, until time.Time, ok bool) {
	for _, w := range ws {
		f, u, found := w.opening(t)
		if !found {
			continue
		}
		now, best := !f.After(t), ok && !from.After(t)
		if !ok || now && (!best || u.After(until)) || !now && !best && f.Before(from) {
			from, until, ok = f, u, true
		}
	}
	return from, until, ok
}

// opening gives one opening of the window: the last that contains t, else the first after t.
func (w *Window) opening(t time.Time) (from, until time.Time, ok bool) {
	next := w.starts(t.Add(-w.Duration))
	for {
		start, more := next()
		end := start.Add(w.Duration)
		switch {
		case !more || start.After(t) && ok:
			return from, until, ok
		case start.After(t):
			return start, end, true
		case end.After(t):
			from, until, ok = start, end, true
		}
	}
}

// starts iterates over the starts of the window, in order, from one at or before t on.
//
// The rule is evaluated on the calendar alone, in UTC, where no midnight is missing; only the days that come out are turned into
// instants of the zone. A rule that is asked anew begins at the period of t, so that the cost does not grow with the years.
func (w *Window) starts(t time.Time) func() (time.Time, bool) {
	year, month, day := t.In(w.loc).Date()
	if year < 1 || year > lastCalendar {
		return func() (time.Time, bool) { return time.Time{}, false }
	}
	first := time.Date(year, month, day-2, w.hour, w.minute, 0, 0, time.UTC)
	opt := w.days
	opt.Dtstart = w.periodOf(first)
	rule, err := rrule.NewRRule(opt)
	if err != nil { // check has made the same rule before
		return func() (time.Time, bool) { return time.Time{}, false }
	}
	next := rule.Iterator()
	return func() (time.Time, bool) {
		for {
			clock, ok := next()
			if !ok {
				return time.Time{}, false
			}
			if !clock.Before(first) {
				return instant(clock, w.loc), true
			}
		}
	}
}

// anchorYear begins with a Monday; INTERVAL counts from its first day.
const anchorYear = 1990

// periodOf gives the first day of the period of the rule that a day is in (its days, weeks, months or years, INTERVAL together).
func (w *Window) periodOf(day time.Time) time.Time {
	n := max(w.days.Interval, 1)
	anchor := time.Date(anchorYear, 1, 1, w.hour, w.minute, 0, 0, time.UTC)
	days := int((day.Unix() - anchor.Unix()) / (24 * 60 * 60))
	switch w.days.Freq {
	case rrule.YEARLY:
		return anchor.AddDate(floor(day.Year()-anchorYear, n), 0, 0)
	case rrule.MONTHLY:
		return anchor.AddDate(0, floor((day.Year()-anchorYear)*12+int(day.Month())-1, n), 0)
	case rrule.WEEKLY:
		// A week that begins on another day than Monday (WKST) has days before the Monday that is counted from, and BYSETPOS
		// wants to see all of it.
		return anchor.AddDate(0, 0, floor(days, 7*n)-7*n)
	}
	return anchor.AddDate(0, 0, floor(days, n))
}

// floor is the largest multiple of n that is not above x.
func floor(x, n int) int {
	if r := x % n; r < 0 {
		return x - r - n
	}
	return x - x%n
}

// instant is when a clock of the zone shows a date and time, which are given as if they were UTC: the first instant when it
// shows them twice; when it never does, the time counted with the offset from before the gap (RFC 5545, 3.3.5).
func instant(clock time.Time, loc *time.Location) time.Time {
	year, month, day := clock.Date()
	hour, minute, sec := clock.Clock()
	// Date promises one of the two instants of an hour that comes twice, and one of the two readings of one that is missing.
	t := time.Date(year, month, day, hour, minute, sec, 0, loc)
	shown := func(t time.Time) time.Time {
		_, offset := t.Zone()
		return t.Add(time.Duration(offset) * time.Second).UTC()
	}
	start, _ := t.ZoneBounds()
	switch s := shown(t); {
	case s.Before(clock): // missing, and read with the offset after the gap
		return t.Add(clock.Sub(s))
	case s.Equal(clock) && !start.IsZero():
		_, offset := start.Add(-time.Second).Zone()
		if earlier := clock.Add(-time.Duration(offset) * time.Second); earlier.Before(start) {
			return earlier.In(loc)
		}
	}
	return t
}
