package inventory

import (
	"archive/zip"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func window(t testing.TB, rule, start string, duration time.Duration, zone string) *Window {
	t.Helper()
	w, err := NewWindow("w", rule, start, duration, zone)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func instantOf(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestWindowOpenings: from a time on, the next openings one after the other, in UTC.
func TestWindowOpenings(t *testing.T) {
	const berlin = "Europe/Berlin"
	for _, c := range []struct {
		name, rule, start string
		duration          time.Duration
		zone, at          string
		want              []string // "from until"
	}{
		{"tuesday and thursday", "FREQ=WEEKLY;BYDAY=TU,TH", "01:00", 4 * time.Hour, berlin, "2026-11-23T12:00:00Z", // a Monday
			[]string{"2026-11-24T00:00:00Z 2026-11-24T04:00:00Z", "2026-11-26T00:00:00Z 2026-11-26T04:00:00Z", "2026-12-01T00:00:00Z 2026-12-01T04:00:00Z"}},
		{"in it", "FREQ=WEEKLY;BYDAY=TU,TH", "01:00", 4 * time.Hour, berlin, "2026-11-24T03:59:59.999999999Z",
			[]string{"2026-11-24T00:00:00Z 2026-11-24T04:00:00Z"}},
		{"at its start", "FREQ=WEEKLY;BYDAY=TU,TH", "01:00", 4 * time.Hour, berlin, "2026-11-24T00:00:00Z",
			[]string{"2026-11-24T00:00:00Z 2026-11-24T04:00:00Z"}},
		{"at its end it is over", "FREQ=WEEKLY;BYDAY=TU,TH", "01:00", 4 * time.Hour, berlin, "2026-11-24T04:00:00Z",
			[]string{"2026-11-26T00:00:00Z 2026-11-26T04:00:00Z"}},
		{"summer time", "FREQ=DAILY", "01:00", time.Hour, berlin, "2026-07-01T00:00:00Z",
			[]string{"2026-07-01T23:00:00Z 2026-07-02T00:00:00Z", "2026-07-02T23:00:00Z 2026-07-03T00:00:00Z"}},
		{"over midnight", "FREQ=WEEKLY;BYDAY=SA", "22:00", 8 * time.Hour, "UTC", "2026-11-29T03:00:00Z", // Sunday
			[]string{"2026-11-28T22:00:00Z 2026-11-29T06:00:00Z", "2026-12-05T22:00:00Z 2026-12-06T06:00:00Z"}},
		{"the day of the zone, not of UTC", "FREQ=WEEKLY;BYDAY=MO", "05:00", time.Hour, "Asia/Tokyo", "2026-11-22T00:00:00Z",
			[]string{"2026-11-22T20:00:00Z 2026-11-22T21:00:00Z"}},

		{"the start does not exist: 02:30 is read as 03:30", "FREQ=DAILY", "02:30", time.Hour, berlin, "2026-03-28T12:00:00Z",
			[]string{"2026-03-29T01:30:00Z 2026-03-29T02:30:00Z", "2026-03-30T00:30:00Z 2026-03-30T01:30:00Z"}},
		{"the same west of Greenwich (the example of RFC 5545)", "FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=11", "02:30", time.Hour, "America/New_York", "2007-03-01T00:00:00Z",
			[]string{"2007-03-11T07:30:00Z 2007-03-11T08:30:00Z"}},
		{"the start comes twice: the first, once", "FREQ=DAILY", "02:30", 20 * time.Minute, berlin, "2026-10-24T12:00:00Z",
			[]string{"2026-10-25T00:30:00Z 2026-10-25T00:50:00Z", "2026-10-26T01:30:00Z 2026-10-26T01:50:00Z"}},
		{"the same west of Greenwich", "FREQ=DAILY", "01:30", 20 * time.Minute, "America/New_York", "2007-11-04T01:00:00Z",
			[]string{"2007-11-04T05:30:00Z 2007-11-04T05:50:00Z", "2007-11-05T06:30:00Z 2007-11-05T06:50:00Z"}},
		{"over the change to summer time: elapsed time", "FREQ=DAILY", "01:00", 4 * time.Hour, berlin, "2026-03-28T12:00:00Z",
			[]string{"2026-03-29T00:00:00Z 2026-03-29T04:00:00Z"}},
		{"over the change to winter time: elapsed time", "FREQ=DAILY", "01:00", 4 * time.Hour, berlin, "2026-10-24T12:00:00Z",
			[]string{"2026-10-24T23:00:00Z 2026-10-25T03:00:00Z"}},
		{"midnight does not exist", "FREQ=WEEKLY;BYDAY=SU", "00:00", time.Hour, "America/Sao_Paulo", "2018-11-01T00:00:00Z",
			[]string{"2018-11-04T03:00:00Z 2018-11-04T04:00:00Z", "2018-11-11T02:00:00Z 2018-11-11T03:00:00Z"}},
		{"on a day whose midnight does not exist", "FREQ=WEEKLY;BYDAY=SU", "10:00", time.Hour, "America/Sao_Paulo", "2018-11-01T00:00:00Z",
			[]string{"2018-11-04T12:00:00Z 2018-11-04T13:00:00Z"}},
		{"midnight comes twice", "FREQ=DAILY", "23:30", time.Hour, "America/Sao_Paulo", "2018-02-17T12:00:00Z",
			[]string{"2018-02-18T01:30:00Z 2018-02-18T02:30:00Z", "2018-02-19T02:30:00Z 2018-02-19T03:30:00Z"}},
		{"half an hour of summer time", "FREQ=DAILY", "01:45", time.Hour, "Australia/Lord_Howe", "2026-04-03T20:00:00Z",
			[]string{"2026-04-04T14:45:00Z 2026-04-04T15:45:00Z", "2026-04-05T15:15:00Z 2026-04-05T16:15:00Z"}},

		{"the second Tuesday", "FREQ=MONTHLY;BYDAY=2TU", "20:00", time.Hour, "UTC", "2026-11-11T00:00:00Z",
			[]string{"2026-12-08T20:00:00Z 2026-12-08T21:00:00Z", "2027-01-12T20:00:00Z 2027-01-12T21:00:00Z"}},
		{"the last Friday", "freq=monthly;byday=-1FR", "20:00", time.Hour, "UTC", "2026-11-11T00:00:00Z",
			[]string{"2026-11-27T20:00:00Z 2026-11-27T21:00:00Z", "2026-12-25T20:00:00Z 2026-12-25T21:00:00Z"}},
		{"the last working day", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "20:00", time.Hour, "UTC", "2026-10-15T00:00:00Z",
			[]string{"2026-10-30T20:00:00Z 2026-10-30T21:00:00Z", "2026-11-30T20:00:00Z 2026-11-30T21:00:00Z"}},
		{"a leap day", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "00:00", time.Hour, "UTC", "2026-01-01T00:00:00Z",
			[]string{"2028-02-29T00:00:00Z 2028-02-29T01:00:00Z", "2032-02-29T00:00:00Z 2032-02-29T01:00:00Z"}},
		{"every second Monday, counted from 1990", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO", "00:00", time.Hour, "UTC", "1989-12-20T00:00:00Z",
			[]string{"1990-01-01T00:00:00Z 1990-01-01T01:00:00Z", "1990-01-15T00:00:00Z 1990-01-15T01:00:00Z"}},
		{"the second of two days in a week from Sunday", "FREQ=WEEKLY;BYDAY=SU,WE;BYSETPOS=2;WKST=SU", "12:00", time.Hour, "UTC", "2026-11-25T06:00:00Z", // a Wednesday
			[]string{"2026-11-25T12:00:00Z 2026-11-25T13:00:00Z", "2026-12-02T12:00:00Z 2026-12-02T13:00:00Z"}},
		{"the last day", "FREQ=DAILY;UNTIL=20261124", "23:00", 2 * time.Hour, berlin, "2026-11-24T12:00:00Z",
			[]string{"2026-11-24T22:00:00Z 2026-11-25T00:00:00Z", "never"}},
		{"without a break it is one", "FREQ=WEEKLY;BYDAY=SA,SU", "00:00", 24 * time.Hour, "UTC", "2026-11-23T12:00:00Z",
			[]string{"2026-11-28T00:00:00Z 2026-11-30T00:00:00Z", "2026-12-05T00:00:00Z 2026-12-07T00:00:00Z"}},
		{"elapsed days leave an hour in autumn", "FREQ=DAILY", "00:00", 24 * time.Hour, berlin, "2026-10-24T12:00:00Z",
			[]string{"2026-10-23T22:00:00Z 2026-10-25T22:00:00Z"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := window(t, c.rule, c.start, c.duration, c.zone)
			at := instantOf(t, c.at)
			for _, want := range c.want {
				from, until, ok := w.Next(at)
				got := "never"
				if ok {
					got = from.UTC().Format(time.RFC3339) + " " + until.UTC().Format(time.RFC3339)
				}
				if got != want {
					t.Fatalf("after %s: %s, want %s", at.UTC().Format(time.RFC3339Nano), got, want)
				}
				at = until
			}
		})
	}
}

func TestWindowErrors(t *testing.T) {
	for _, c := range []struct{ rule, want string }{
		{"", "a rule is empty"},
		{"FREQ=WEEKLY", "says no day of the week"},
		{"FREQ=MONTHLY", "says no day"},
		{"FREQ=YEARLY;BYMONTH=3", "says no day"},
		{"FREQ=SECONDLY", "once a day at most"},
		{"FREQ=MINUTELY;INTERVAL=5", "once a day at most"},
		{"FREQ=HOURLY", "once a day at most"},
		{"FREQ=DALY", "did you mean \"DAILY\"?"},
		{"FREQ=DAILY;COUNT=3", "no first day to COUNT from (UNTIL=20271231 ends it)"},
		{"FREQ=DAILY;DTSTART=20260101T000000Z", "no DTSTART"},
		{"RRULE:FREQ=DAILY", "begins with the word RRULE (leave it out: \"FREQ=DAILY\")"},
		{"FREQ=DAILY;BYHOUR=3", "the time of day is another key"},
		{"FREQ=DAILY;BYEASTER=1", "unknown part \"BYEASTER\""},
		{"FREQ=DAILY;BYDY=MO", "did you mean \"BYDAY\"?"},
		{"FREQ=DAILY;FREQ=DAILY", "FREQ is written twice"},
		{"FREQ=DAILY;", "is not a part NAME=VALUE"},
		{"BYDAY=MO", "a rule without FREQ"},
		{"FREQ=DAILY;INTERVAL=0", "from 1 to 100"},
		{"FREQ=DAILY;INTERVAL=9223372036854775807", "from 1 to 100"},
		{"FREQ=DAILY;INTERVAL=1,2", "one number"},
		{"FREQ=DAILY;UNTIL=20261301", "UNTIL is the last day"},
		{"FREQ=DAILY;UNTIL=19800101", "gives no day"},
		{"FREQ=WEEKLY;BYDAY=XX", "is not a day like"},
		{"FREQ=WEEKLY;BYDAY=2TU", "goes only with MONTHLY"},
		{"FREQ=MONTHLY;BYDAY=0TU", "from 1 to 53"},
		{"FREQ=MONTHLY;BYDAY=53TU", "no day comes 53 times in a month"},
		{"FREQ=YEARLY;BYMONTH=12;BYDAY=-53TU", "no day comes 53 times in a month"},
		{"FREQ=MONTHLY;BYDAY=MO,2TU", "do not go together"},
		{"FREQ=MONTHLY;BYMONTHDAY=32", "from 1 to 31"},
		{"FREQ=MONTHLY;BYWEEKNO=3;BYDAY=MO", "BYWEEKNO does not go with FREQ=MONTHLY"},
		{"FREQ=YEARLY;BYWEEKNO=3", "no day of it"},
		{"FREQ=WEEKLY;BYMONTHDAY=3;BYDAY=MO", "BYMONTHDAY does not go with FREQ=WEEKLY"},
		{"FREQ=DAILY;BYSETPOS=2", "nothing to choose from"},
		{"FREQ=WEEKLY;BYDAY=MO;WKST=XX", "WKST is one of"},
		{"FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "gives no day"},
		{"FREQ=YEARLY;BYDAY=53MO;BYMONTHDAY=1;BYMONTH=1", "no day comes"},
		{strings.Repeat("FREQ=DAILY;", 100), "longer than 500"},
	} {
		_, err := NewWindow("w", c.rule, "01:00", time.Hour, "UTC")
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.rule, err, c.want)
		}
	}
	for _, c := range []struct {
		start    string
		duration time.Duration
		zone     string
		want     string
	}{
		{"1:00", time.Hour, "UTC", "not a time of day"},
		{"24:00", time.Hour, "UTC", "not a time of day"},
		{"", time.Hour, "UTC", "not a time of day"},
		{"01:00", 0, "UTC", "0s is not more than 0"},
		{"01:00", 7*24*time.Hour + 1, "UTC", "at most 7d"},
		{"01:00", time.Hour, "", "a time zone is empty"},
		{"01:00", time.Hour, "Local", "unknown time zone"},
		{"01:00", time.Hour, "posix/Europe/Berlin", "unknown time zone"},
		{"01:00", time.Hour, "../../etc/passwd", "unknown time zone"},
		{"01:00", time.Hour, "Europe/Berln", "did you mean \"Europe/Berlin\"?"},
		{"01:00", time.Hour, "europe/paris", "did you mean \"Europe/Paris\"?"},
		{"01:00", time.Hour, "CEST", "unknown time zone"},
	} {
		_, err := NewWindow("w", "FREQ=DAILY", c.start, c.duration, c.zone)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestZoneNames: every zone that hints are taken from can be loaded, and none is missing.
func TestZoneNames(t *testing.T) {
	names := strings.Fields(zoneText)
	if len(names) < 500 || !slices.IsSorted(names) {
		t.Fatalf("%d names", len(names))
	}
	for _, name := range names {
		if _, _, err := zoneNamed(name); err != nil {
			t.Error(err)
		}
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skip("needs the Go installation:", err)
	}
	r, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Skip("needs the zone files of the Go installation:", err)
	}
	defer r.Close()
	for _, f := range r.File {
		if !strings.HasSuffix(f.Name, "/") && f.Name != "Factory" && !slices.Contains(names, f.Name) {
			t.Errorf("%s is missing in zones.txt", f.Name)
		}
	}
}

// dayRule is a rule together with a plain statement of which days it means, made without the library.
type dayRule struct {
	text string
	has  func(day time.Time) bool // a date, in UTC
}

// drawRule draws a rule.
func drawRule(t *rapid.T) dayRule {
	codes := []string{"SU", "MO", "TU", "WE", "TH", "FR", "SA"}
	picked := rapid.SliceOfNDistinct(rapid.IntRange(0, 6), 1, 4, rapid.ID).Draw(t, "weekdays")
	var days []string
	for _, d := range picked {
		days = append(days, codes[d])
	}
	byDay := strings.Join(days, ",")
	in := func(d time.Time) bool { return slices.Contains(picked, int(d.Weekday())) }
	number := func(d time.Time) int {
		return int(d.Unix()/86400) - int(time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC).Unix()/86400)
	}
	every := func(x, n int) bool { return floor(x, n) == x }
	n := rapid.IntRange(1, 5).Draw(t, "interval")
	month := rapid.IntRange(1, 12).Draw(t, "month")
	switch rapid.IntRange(0, 7).Draw(t, "kind") {
	case 0:
		return dayRule{fmt.Sprintf("FREQ=DAILY;INTERVAL=%d", n), func(d time.Time) bool { return every(number(d), n) }}
	case 1:
		return dayRule{fmt.Sprintf("FREQ=WEEKLY;INTERVAL=%d;BYDAY=%s", n, byDay), func(d time.Time) bool { return in(d) && every(floor(number(d), 7)/7, n) }}
	case 2: // weeks that begin on Sunday
		return dayRule{fmt.Sprintf("FREQ=WEEKLY;INTERVAL=%d;BYDAY=%s;WKST=SU", n, byDay), func(d time.Time) bool { return in(d) && every(floor(number(d)+1, 7)/7, n) }}
	case 3:
		k := rapid.IntRange(1, 5).Draw(t, "nth")
		return dayRule{fmt.Sprintf("FREQ=MONTHLY;BYDAY=%d%s", k, codes[picked[0]]), func(d time.Time) bool {
			return int(d.Weekday()) == picked[0] && (d.Day()-1)/7+1 == k
		}}
	case 4:
		k := rapid.IntRange(1, 31).Draw(t, "from the end")
		return dayRule{fmt.Sprintf("FREQ=MONTHLY;INTERVAL=%d;BYMONTHDAY=-%d", n, k), func(d time.Time) bool {
			last := time.Date(d.Year(), d.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
			return d.Day() == last-k+1 && every((d.Year()-1990)*12+int(d.Month())-1, n)
		}}
	case 5:
		k := rapid.IntRange(1, 28).Draw(t, "day")
		return dayRule{fmt.Sprintf("FREQ=YEARLY;INTERVAL=%d;BYMONTH=%d;BYMONTHDAY=%d", n, month, k), func(d time.Time) bool {
			return int(d.Month()) == month && d.Day() == k && every(d.Year()-1990, n)
		}}
	case 6:
		return dayRule{fmt.Sprintf("FREQ=DAILY;BYMONTH=%d;BYDAY=%s", month, byDay), func(d time.Time) bool { return in(d) && int(d.Month()) == month }}
	}
	week := rapid.IntRange(1, 52).Draw(t, "week")
	return dayRule{fmt.Sprintf("FREQ=YEARLY;BYWEEKNO=%d;BYDAY=%s", week, byDay), func(d time.Time) bool {
		_, w := d.ISOWeek()
		return in(d) && w == week
	}}
}

// drawWindow draws a window and the days it is to open on.
func drawWindow(t *rapid.T) (*Window, dayRule) {
	rule := drawRule(t)
	zone := rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Kolkata", "Pacific/Apia",
		"Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Chatham", "America/Havana"}).Draw(t, "zone")
	start := fmt.Sprintf("%02d:%02d", rapid.IntRange(0, 23).Draw(t, "hour"), rapid.SampledFrom([]int{0, 15, 30, 59}).Draw(t, "minute"))
	duration := time.Duration(rapid.SampledFrom([]int{1, 20, 60, 240, 1440, 1500, 3000, 7 * 1440}).Draw(t, "minutes")) * time.Minute
	w, err := NewWindow("w", rule.text, start, duration, zone)
	if err != nil {
		t.Fatalf("%s: %v", rule.text, err)
	}
	return w, rule
}

// drawTime draws a time, often close to a change of the clock or to a new year.
func drawTime(t *rapid.T) time.Time {
	day := time.Date(rapid.IntRange(1985, 2060).Draw(t, "year"), 1, 1, 0, 0, 0, 0, time.UTC)
	if rapid.Bool().Draw(t, "near a change") {
		day = time.Date(day.Year(), time.Month(rapid.SampledFrom([]int{1, 3, 4, 9, 10, 11, 12}).Draw(t, "month")), 1, 0, 0, 0, 0, time.UTC)
		return day.Add(time.Duration(rapid.IntRange(-1440, 31*1440).Draw(t, "minutes")) * time.Minute)
	}
	return day.Add(time.Duration(rapid.IntRange(0, 366*86400).Draw(t, "seconds")) * time.Second)
}

// shownIn finds, by trying every minute of three days, when the clock of a zone first shows a time; false: never.
func shownIn(loc *time.Location, year int, month time.Month, day, hour, minute int) (time.Time, bool) {
	around := time.Date(year, month, day, hour, minute, 0, 0, time.UTC)
	for at := around.Add(-36 * time.Hour); at.Before(around.Add(36 * time.Hour)); at = at.Add(time.Minute) {
		l := at.In(loc)
		if y, m, d := l.Date(); y == year && m == month && d == day && l.Hour() == hour && l.Minute() == minute {
			return at, true
		}
	}
	return time.Time{}, false
}

// TestWindowProperties: Next is never before the time it is asked about, Open agrees with it, openings are half-open, and they
// begin exactly on the days of the rule, when the clock shows the time.
func TestWindowProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, rule := drawWindow(t)
		at := drawTime(t)
		from, until, ok := w.Next(at)
		if !ok {
			t.Fatalf("%v never opens after %s", w, at)
		}
		if !until.After(at) || !from.Before(until) || until.Sub(from) > maxRun+2*maxWindow {
			t.Fatalf("%v at %s: %s to %s", w, at, from, until)
		}
		end, open := w.Open(at)
		if open != !from.After(at) || open && !end.Equal(until) {
			t.Fatalf("%v at %s: open %v until %s; next %s to %s", w, at, open, end, from, until)
		}
		if _, open := w.Open(from); !open {
			t.Fatalf("%v is closed at its start %s", w, from)
		}
		if _, open := w.Open(until.Add(-time.Nanosecond)); !open {
			t.Fatalf("%v is closed right before its end %s", w, until)
		}
		if f, _, _ := w.Next(until); until.Sub(from) < maxRun && !f.After(until) {
			t.Fatalf("%v is open at its end %s", w, until)
		}
		if from.After(at) {
			if _, open := w.Open(from.Add(-time.Nanosecond)); open {
				t.Fatalf("%v is open before its start %s", w, from)
			}
			if f, u, _ := w.Next(from.Add(-time.Nanosecond)); !f.Equal(from) || !u.Equal(until) {
				t.Fatalf("%v: %s to %s, and asked later %s to %s", w, from, until, f, u)
			}
		}
		startsAsWritten(t, w, rule, at)
	})
}

// startsAsWritten compares the starts of the days around a time with those that the words of the rule give.
func startsAsWritten(t *rapid.T, w *Window, rule dayRule, at time.Time) {
	begin := at.In(w.loc)
	first := time.Date(begin.Year(), begin.Month(), begin.Day(), 0, 0, 0, 0, time.UTC)
	next := w.starts(at)
	var got []time.Time
	for s, ok := next(); ok && s.Before(at.Add(40*24*time.Hour)); s, ok = next() {
		got = append(got, s)
	}
	i := 0
	for day := first.AddDate(0, 0, -2); day.Before(first.AddDate(0, 0, 20)); day = day.AddDate(0, 0, 1) {
		if !rule.has(day) {
			continue
		}
		want, shown := shownIn(w.loc, day.Year(), day.Month(), day.Day(), w.hour, w.minute)
		if i >= len(got) {
			t.Fatalf("%v: no start on %s; starts %v", w, day.Format(time.DateOnly), got)
		}
		if shown && !got[i].Equal(want) {
			t.Fatalf("%v: starts at %s on %s, the clock shows it at %s", w, got[i], day.Format(time.DateOnly), want.In(w.loc))
		}
		if !shown { // at most a day is left out of a calendar
			if late := got[i].Sub(instant(day.Add(-24*time.Hour), w.loc)); late < 0 || late > 74*time.Hour {
				t.Fatalf("%v: starts at %s for %s", w, got[i], day.Format(time.DateOnly))
			}
		}
		i++
	}
	if i < len(got) && got[i].Before(instant(first.AddDate(0, 0, 20), w.loc)) {
		t.Fatalf("%v: starts at %s, which the rule does not say", w, got[i])
	}
}

// TestWindowsOfAHost: several windows are open when one is, and what touches is one.
func TestWindowsOfAHost(t *testing.T) {
	night := window(t, "FREQ=DAILY", "01:00", 4*time.Hour, "UTC")
	late := window(t, "FREQ=WEEKLY;BYDAY=SA", "05:00", 3*time.Hour, "UTC")
	both := Windows{night, late}
	at := instantOf(t, "2026-11-28T02:00:00Z") // Saturday
	if until, open := both.Open(at); !open || !until.Equal(instantOf(t, "2026-11-28T08:00:00Z")) {
		t.Errorf("open %v until %s", open, until)
	}
	if from, until, ok := both.Next(instantOf(t, "2026-11-28T08:00:00Z")); !ok || !from.Equal(instantOf(t, "2026-11-29T01:00:00Z")) || !until.Equal(instantOf(t, "2026-11-29T05:00:00Z")) {
		t.Errorf("%s to %s", from, until)
	}
	if until, open := Windows(nil).Open(at); !open || !until.IsZero() {
		t.Errorf("no window: open %v until %s", open, until)
	}
	if from, until, ok := Windows(nil).Next(at); !ok || !from.Equal(at) || !until.IsZero() {
		t.Errorf("no window: %s to %s", from, until)
	}
	over := window(t, "FREQ=DAILY;UNTIL=20200101", "01:00", time.Hour, "UTC")
	if _, open := (Windows{over}).Open(at); open {
		t.Error("open after its last day")
	}
	if from, _, ok := (Windows{over, late}).Next(at); !ok || !from.Equal(instantOf(t, "2026-11-28T05:00:00Z")) {
		t.Errorf("a window that is over hides another: %s", from)
	}
	rapid.Check(t, func(t *rapid.T) {
		a, _ := drawWindow(t)
		b, _ := drawWindow(t)
		at := drawTime(t)
		_, openA := a.Open(at)
		_, openB := b.Open(at)
		_, open := Windows{a, b}.Open(at)
		if open != (openA || openB) {
			t.Fatalf("%v %v, %v %v: together %v", a, openA, b, openB, open)
		}
		fromA, _, _ := a.Next(at)
		fromB, _, _ := b.Next(at)
		first := fromA
		if fromB.Before(fromA) {
			first = fromB
		}
		if from, until, ok := (Windows{b, a}).Next(at); !ok || !until.After(at) || !open && !from.Equal(first) {
			t.Fatalf("%v and %v at %s: %s to %s", a, b, at, from, until)
		}
	})
}

// FuzzRule: no text panics, takes long, or makes a window that cannot be asked.
func FuzzRule(f *testing.F) {
	for _, s := range []string{"FREQ=WEEKLY;BYDAY=TU,TH", "FREQ=MONTHLY;BYDAY=-1FR", "FREQ=YEARLY;BYWEEKNO=-53;BYDAY=SU;WKST=SU",
		"FREQ=YEARLY;BYDAY=-53MO", "FREQ=YEARLY;BYYEARDAY=-366;INTERVAL=4", "FREQ=MONTHLY;BYDAY=MO,FR;BYSETPOS=-1,3;INTERVAL=7",
		"FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29;INTERVAL=3;UNTIL=20991231", "FREQ=WEEKLY;BYDAY=SU;BYSETPOS=366;WKST=WE"} {
		f.Add(s, int64(1_800_000_000))
	}
	f.Fuzz(func(t *testing.T, rule string, at int64) {
		w, err := NewWindow("w", rule, "02:30", 25*time.Hour, "Europe/Berlin")
		if err != nil {
			return
		}
		now := time.Unix(at, 0)
		if from, until, ok := w.Next(now); ok && (!until.After(now) || !from.Before(until)) {
			t.Errorf("%q at %s: %s to %s", rule, now, from, until)
		}
	})
}

func BenchmarkWindowNext(b *testing.B) {
	w := window(b, "FREQ=WEEKLY;BYDAY=TU,TH", "01:00", 4*time.Hour, "Europe/Berlin")
	at := instantOf(b, "2026-11-25T12:00:00Z")
	for b.Loop() {
		w.Next(at)
	}
}
