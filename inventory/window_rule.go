package inventory

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/teambition/rrule-go"
)

// startTime is a time of day.
var startTime = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([01][0-9]|2[0-3]):([0-5][0-9])$`) })

// check validates the window, makes it ready, and hands every fault to fault, with the key it is about.
func (w *Window) check(fault func(key, hint, format string, args ...any)) {
	bad := false
	note := func(key, hint, format string, args ...any) {
		bad = true
		fault(key, hint, "key %q in [window.%s]: %s", key, clip(w.Name), fmt.Sprintf(format, args...))
	}
	if m := startTime().FindStringSubmatch(w.Start); m != nil {
		w.hour, w.minute = int(m[1][0]-'0')*10+int(m[1][1]-'0'), int(m[2][0]-'0')*10+int(m[2][1]-'0')
	} else {
		note("start", "", `%q is not a time of day: write one like "01:00" or "22:30"`, clip(w.Start))
	}
	if w.Duration <= 0 || w.Duration > maxWindow {
		note("duration", "", "%s is not more than 0 and at most 7d", FormatDuration(w.Duration))
	}
	loc, hint, err := zoneNamed(w.Zone)
	if err != nil {
		note("zone", hint, "%s", err)
	}
	w.loc = loc
	days, hint, err := parseRule(w.Rule)
	if err != nil {
		note("rule", hint, "%s", err)
	}
	w.days = days
	if bad {
		return
	}
	if !w.everOpens() {
		note("rule", "", "%q gives no day within %d years", clip(w.Rule), int(neverOpens/(366*24*time.Hour)))
	}
}

// everOpens tells whether the rule gives a day at all, whenever it is asked: it is asked about times around which its period
// begins, and not later than it ends itself.
func (w *Window) everOpens() bool {
	from := time.Date(anchorYear, 1, 1, 0, 0, 0, 0, time.UTC)
	start, ok := w.starts(from)()
	return ok && start.Sub(from) < neverOpens
}

// zoneNamed loads a time zone of the IANA database.
func zoneNamed(name string) (loc *time.Location, hint string, err error) {
	if name == "" {
		return nil, `write a name like "Europe/Berlin", or "UTC"`, fmt.Errorf("a time zone is empty")
	}
	// Only names of the database: "Local" is another zone on each control host.
	if zoneName().MatchString(name) && name != "Local" {
		if loc, err := time.LoadLocation(name); err == nil {
			return loc, "", nil
		}
	}
	hint = didYouMean(name, strings.Fields(zoneText))
	if hint == "" {
		hint = `write a name like "Europe/Berlin", or "UTC"`
	}
	return nil, hint, fmt.Errorf("unknown time zone %q", clip(name))
}

// zoneText has the names of the IANA database, one to a line: hints are taken from it. A zone that is newer than the list and
// known to the system is good all the same.
//
//go:embed zones.txt
var zoneText string

// zoneName is what names of the database look like.
var zoneName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Z][A-Za-z0-9+_-]{0,30}(/[A-Z][A-Za-z0-9+_-]{0,30}){0,2}$`)
})

// Bounds of rules.
const (
	maxRule     = 500 // bytes
	maxInterval = 100
)

// rulePart is one NAME=VALUE of a rule.
type rulePart struct{ name, value string }

// parseRule reads an RRULE of RFC 5545 (3.3.10) as far as it is about days. What the library takes and the standard does not, and
// what would need a first day, is refused, with a hint where there is something else to write.
func parseRule(text string) (opt rrule.ROption, hint string, err error) {
	if text == "" {
		return opt, `write one like "FREQ=WEEKLY;BYDAY=TU,TH"`, fmt.Errorf("a rule is empty")
	}
	if len(text) > maxRule {
		return opt, "", fmt.Errorf("a rule is longer than %d bytes", maxRule)
	}
	if upper := strings.ToUpper(text); strings.HasPrefix(upper, "RRULE:") {
		return opt, fmt.Sprintf("leave it out: %q", clip(text[len("RRULE:"):])), fmt.Errorf("a rule begins with the word RRULE")
	}
	p := ruleParser{set: map[string]bool{}}
	for _, part := range strings.Split(strings.ToUpper(text), ";") {
		name, value, ok := strings.Cut(part, "=")
		if !ok || name == "" || value == "" {
			return opt, `write one like "FREQ=WEEKLY;BYDAY=TU,TH"`, fmt.Errorf("%q is not a part NAME=VALUE of a rule", clip(part))
		}
		if p.set[name] {
			return opt, "", fmt.Errorf("%s is written twice", clip(name))
		}
		p.set[name] = true
		if hint, err := p.part(rulePart{name, value}); err != nil {
			return opt, hint, err
		}
	}
	hint, err = p.whole()
	return p.opt, hint, err
}

// ruleParser is a rule on its way.
type ruleParser struct {
	opt     rrule.ROption
	set     map[string]bool // the parts that were written
	plain   bool            // BYDAY has a day without a number
	counted bool            // BYDAY has a day with one, as in 2TU
	largest int             // such number, without its sign
}

// part reads one part.
func (p *ruleParser) part(part rulePart) (hint string, err error) {
	o := &p.opt
	switch part.name {
	case "FREQ":
		return p.freq(part.value)
	case "INTERVAL":
		var n []int
		if n, err = part.numbers(1, maxInterval, false); err == nil && len(n) > 1 {
			err = fmt.Errorf("INTERVAL is one number")
		}
		if err == nil {
			o.Interval = n[0]
		}
	case "UNTIL":
		day, bad := time.Parse("20060102", part.value)
		if bad != nil {
			return "", fmt.Errorf("UNTIL is the last day, like UNTIL=20271231, not %q", clip(part.value))
		}
		o.Until = day.Add(24*time.Hour - time.Second)
	case "WKST":
		day, known := weekdays()[part.value]
		if !known {
			return "", fmt.Errorf("WKST is one of MO, TU, WE, TH, FR, SA and SU, not %q", clip(part.value))
		}
		o.Wkst = day
	case "BYDAY":
		return "", p.byDay(part.value)
	case "BYMONTH":
		o.Bymonth, err = part.numbers(1, 12, false)
	case "BYMONTHDAY":
		o.Bymonthday, err = part.numbers(1, 31, true)
	case "BYYEARDAY":
		o.Byyearday, err = part.numbers(1, 366, true)
	case "BYWEEKNO":
		o.Byweekno, err = part.numbers(1, 53, true)
	case "BYSETPOS":
		o.Bysetpos, err = part.numbers(1, 366, true)
	default:
		return p.stranger(part.name)
	}
	return "", err
}

// stranger refuses a part that windows do not have.
func (p *ruleParser) stranger(name string) (hint string, err error) {
	switch name {
	case "COUNT":
		return "UNTIL=20271231 ends it", fmt.Errorf("a window has no first day to COUNT from")
	case "DTSTART":
		return "leave it out", fmt.Errorf("a window has no first day, so no DTSTART")
	case "BYHOUR", "BYMINUTE", "BYSECOND":
		return `write it as "start"`, fmt.Errorf("%s: the rule is about days; the time of day is another key", name)
	}
	known := []string{"BYDAY", "BYMONTH", "BYMONTHDAY", "BYSETPOS", "BYWEEKNO", "BYYEARDAY", "FREQ", "INTERVAL", "UNTIL", "WKST"}
	return didYouMean(name, known), fmt.Errorf("unknown part %q of a rule", clip(name))
}

func (p *ruleParser) freq(value string) (hint string, err error) {
	switch value {
	case "DAILY":
		p.opt.Freq = rrule.DAILY
	case "WEEKLY":
		p.opt.Freq = rrule.WEEKLY
	case "MONTHLY":
		p.opt.Freq = rrule.MONTHLY
	case "YEARLY":
		p.opt.Freq = rrule.YEARLY
	case "HOURLY", "MINUTELY", "SECONDLY":
		return "", fmt.Errorf("FREQ=%s: a window opens once a day at most: FREQ is DAILY, WEEKLY, MONTHLY or YEARLY", value)
	default:
		return didYouMean(value, []string{"DAILY", "WEEKLY", "MONTHLY", "YEARLY"}), fmt.Errorf("FREQ is DAILY, WEEKLY, MONTHLY or YEARLY, not %q", clip(value))
	}
	return "", nil
}

// numbers reads a list of numbers; signed ones may count from the end.
func (part rulePart) numbers(low, high int, signed bool) ([]int, error) {
	var out []int
	for _, s := range strings.Split(part.value, ",") {
		n, err := strconv.Atoi(s)
		size := n
		if signed && n < 0 {
			size = -n
		}
		if err != nil || size < low || size > high {
			return nil, fmt.Errorf("%s: %q is not a number from %d to %d", part.name, clip(s), low, high)
		}
		out = append(out, n)
	}
	return out, nil
}

func weekdays() map[string]rrule.Weekday {
	return map[string]rrule.Weekday{
		"MO": rrule.MO, "TU": rrule.TU, "WE": rrule.WE, "TH": rrule.TH, "FR": rrule.FR, "SA": rrule.SA, "SU": rrule.SU,
	}
}

// byDayPart is one day of BYDAY: "TU", "2TU", "-1FR".
var byDayPart = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([+-]?[0-9]{1,2})?(MO|TU|WE|TH|FR|SA|SU)$`) })

func (p *ruleParser) byDay(value string) error {
	days := weekdays()
	for _, s := range strings.Split(value, ",") {
		m := byDayPart().FindStringSubmatch(s)
		if m == nil {
			return fmt.Errorf("BYDAY: %q is not a day like TU, 2TU or -1FR", clip(s))
		}
		day := days[m[2]]
		if m[1] == "" {
			p.plain = true
			p.opt.Byweekday = append(p.opt.Byweekday, day)
			continue
		}
		n, err := strconv.Atoi(m[1])
		if err != nil || n == 0 || n > 53 || n < -53 {
			return fmt.Errorf("BYDAY: the number in %q is from 1 to 53, or from -53 to -1", clip(s))
		}
		p.counted, p.largest = true, max(p.largest, n, -n)
		p.opt.Byweekday = append(p.opt.Byweekday, day.Nth(n))
	}
	return nil
}

// whole checks what the parts mean together: the table of RFC 5545, 3.3.10, and that no day is left to a first day.
func (p *ruleParser) whole() (hint string, err error) {
	o := &p.opt
	has := func(names ...string) bool { return slices.ContainsFunc(names, func(n string) bool { return p.set[n] }) }
	only := func(name string, freqs ...rrule.Frequency) error {
		if p.set[name] && !slices.Contains(freqs, o.Freq) {
			return fmt.Errorf("%s does not go with FREQ=%s", name, o.Freq)
		}
		return nil
	}
	if !has("FREQ") {
		return `write one like "FREQ=WEEKLY;BYDAY=TU,TH"`, fmt.Errorf("a rule without FREQ")
	}
	for _, err := range []error{
		only("BYWEEKNO", rrule.YEARLY), only("BYYEARDAY", rrule.YEARLY),
		only("BYMONTHDAY", rrule.DAILY, rrule.MONTHLY, rrule.YEARLY),
	} {
		if err != nil {
			return "", err
		}
	}
	perMonth := o.Freq == rrule.MONTHLY || has("BYMONTH")
	switch {
	case p.counted && (o.Freq == rrule.DAILY || o.Freq == rrule.WEEKLY || has("BYWEEKNO")):
		return "", fmt.Errorf("BYDAY: a number, as in 2TU, counts days of a month or a year, and goes only with MONTHLY, and YEARLY without BYWEEKNO")
	case p.counted && perMonth && p.largest > 5:
		return "", fmt.Errorf("BYDAY: no day comes %d times in a month", p.largest)
	case p.counted && p.plain:
		return "make two windows of it; a host can have several", fmt.Errorf("BYDAY: days with and without a number do not go together")
	case has("BYWEEKNO") && !has("BYDAY"):
		return "add BYDAY", fmt.Errorf("BYWEEKNO says the week and no day of it")
	case o.Freq == rrule.WEEKLY && !has("BYDAY"):
		return "add BYDAY", fmt.Errorf("FREQ=WEEKLY says no day of the week, and a window has no first day to take it from")
	case (o.Freq == rrule.MONTHLY || o.Freq == rrule.YEARLY) && !has("BYDAY", "BYMONTHDAY", "BYYEARDAY"):
		return "add BYDAY or BYMONTHDAY", fmt.Errorf("FREQ=%s says no day, and a window has no first day to take it from", o.Freq)
	case has("BYSETPOS") && !has("BYDAY", "BYMONTHDAY", "BYYEARDAY", "BYMONTH"):
		return "", fmt.Errorf("BYSETPOS has nothing to choose from")
	}
	return "", nil
}
