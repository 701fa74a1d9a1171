package repo

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// SeverityWord gives a severity in the words of Red Hat, with which SUSE, Oracle and the rebuilds write it: Amazon says medium, openEuler high
// and medium, and urgent is the word of Bodhi for what Fedora's updateinfo calls critical (bodhi/server/util.py, severity_updateinfo_str). Rocky 8 wrote
// SEVERITY_MODERATE for a time (peridot, issue 79).
func SeverityWord(s string) string {
	s = strings.TrimPrefix(strings.ToLower(strings.TrimSpace(s)), "severity_")
	switch s {
	case "urgent":
		return "critical"
	case "high":
		return "important"
	case "medium":
		return "moderate"
	}
	return s
}

// referenceCVEs gives the CVEs of a reference of type cve, as --cve names them: a hand-made notice may have several in one id, in small letters, or none but in
// title or address. An id that is of another kind (CAN-2005-1234) is what it is.
func referenceCVEs(out []string, ref *Reference) []string {
	id := strings.TrimSpace(ref.ID)
	for _, text := range []string{id, ref.Title, ref.Href} {
		if more := appendCVEs(nil, text); len(more) > 0 {
			return append(out, more...)
		}
		if id != "" {
			return append(out, id)
		}
	}
	return out
}

// otherCVEs finds the CVEs of a notice that has no reference of type cve: those of Fedora and EPEL name them in the titles of the bugs that are
// fixed, and sometimes in their own. A reference of another type may have one as its id.
func otherCVEs(a *Advisory) []string {
	out := appendCVEs(nil, a.Title)
	for _, ref := range a.References {
		out = appendCVEs(appendCVEs(out, ref.ID), ref.Title)
	}
	return out
}

// appendCVEs adds every CVE-YEAR-NUMBER of a text, in capital letters.
func appendCVEs(out []string, text string) []string {
	const prefix, digits = "CVE-", "0123456789"
	text = strings.ToUpper(text)
	for {
		at := strings.Index(text, prefix)
		if at < 0 {
			return out
		}
		rest := text[at+len(prefix):]
		year := len(rest) - len(strings.TrimLeft(rest, digits))
		number := 0
		if year == 4 && strings.HasPrefix(rest[year:], "-") {
			number = len(rest[year+1:]) - len(strings.TrimLeft(rest[year+1:], digits))
		}
		if number >= 4 { // as many digits as a number has at least
			out = append(out, prefix+rest[:year+1+number])
		}
		text = rest
	}
}

var dateForms = [...]string{ //nolint:gochecknoglobals // a constant list
	"2006-01-02 15:04:05", "2006-01-02", time.RFC3339, "2006-01-02 15:04:05 MST", "2006-01-02 15:04", "2006-01-02T15:04:05",
	"2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 -0700", "2006-01-02T15:04:05-0700",
	time.ANSIC, time.UnixDate, time.RFC1123, time.RFC1123Z, // what languages print by themselves
}

// time reads the forms of dates that are in use; all are UTC.
func (x xmlDate) time() (time.Time, error) {
	s := strings.TrimSpace(x.Date)
	if s == "" {
		s = strings.TrimSpace(x.Text)
	}
	if s == "" {
		return time.Time{}, nil
	}
	for _, form := range dateForms {
		if t, err := time.Parse(form, s); err == nil {
			return t.UTC(), nil
		}
	}
	if n, err := strconv.ParseFloat(s, 64); err == nil && n >= 0 && n < 1<<40 {
		return time.Unix(int64(n), 0).UTC(), nil
	}
	return time.Time{}, fmt.Errorf("date %s is not understood", quoted(s))
}
