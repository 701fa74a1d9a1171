package inventory

import (
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"
)

// Policy is what an operator says about packages on a set of hosts (PLAN-9).
// Where policies disagree the larger priority wins; at the same priority they
// are an error.
type Policy struct {
	Source
	Name     string   `toml:"name"`
	Hosts    Selector `toml:"hosts"` // the zero selector is every host
	Priority int      `toml:"priority"`
	Owner    string   `toml:"owner"`
	Reason   string   `toml:"reason"`
	Expires  Expiry   `toml:"expires"`

	Hold            []string      `toml:"hold"`
	Pin             []Pin         `toml:"pin"`
	Exclude         []string      `toml:"exclude"`
	Install         []string      `toml:"install"`
	Remove          []string      `toml:"remove"`
	AllowDowngrade  []string      `toml:"allow_downgrade"`
	AllowArchChange []string      `toml:"allow_arch_change"`
	Arches          ArchLists     `toml:"arches"`
	Instead         Substitutions `toml:"instead"`
	Release         string        `toml:"release"`
	SameEverywhere  []string      `toml:"same_everywhere"`

	rules []Rule // all of the above
}

// Active reports whether the policy has not expired. Where its expiry was
// written without a zone, the zone of at counts.
func (p *Policy) Active(at time.Time) bool { return p.Expires.Active(at) }

// Rules gives what the policy says, a rule for each pattern and action, in the
// order of the actions.
func (p *Policy) Rules() []Rule { return append([]Rule(nil), p.rules...) }

// Policy gives the policy of that name, or nil.
func (s *Site) Policy(name string) *Policy {
	i := sort.Search(len(s.policies), func(i int) bool { return s.policies[i].Name >= name })
	if i < len(s.policies) && s.policies[i].Name == name {
		return s.policies[i]
	}
	return nil
}

// Expiry is when a policy ends. The zero Expiry is never.
type Expiry struct {
	end  time.Time // first instant it is over; of a local one only the digits count
	kind expiryKind
}

// expiryKind is how the end was written.
type expiryKind int

const (
	expiryNever   expiryKind = iota
	expiryDate               // a day, which still counts
	expiryLocal              // date and time without a zone
	expiryInstant            // date and time with a zone
)

// Never reports that there is no end.
func (e Expiry) Never() bool { return e.kind == expiryNever }

// Active reports whether the end has not come. A day counts to its end, a time
// is over when it comes; what was written without a zone is in the zone of at.
func (e Expiry) Active(at time.Time) bool {
	switch e.kind {
	case expiryNever:
		return true
	case expiryInstant:
		return at.Before(e.end)
	}
	y, m, d := e.end.Date()
	return at.Before(time.Date(y, m, d, e.end.Hour(), e.end.Minute(), e.end.Second(), e.end.Nanosecond(), at.Location()))
}

// String writes the end as a site has it, "" for never.
func (e Expiry) String() string {
	switch e.kind {
	case expiryNever:
		return ""
	case expiryDate:
		return e.end.AddDate(0, 0, -1).Format(time.DateOnly)
	case expiryLocal:
		return e.end.Format("2006-01-02T15:04:05.999999999")
	}
	return e.end.Format(time.RFC3339Nano)
}

// decodeTOML reads a TOML date, or a date and time with or without a zone.
func (e *Expiry) decodeTOML(v any) error {
	t, ok := v.(time.Time)
	if !ok {
		if s, quoted := v.(string); quoted {
			return fmt.Errorf("wants a date like 2027-03-01 without quotes, not %s", kindOf(s))
		}
		return fmt.Errorf("wants a date like 2027-03-01, or a time like 2027-03-01T12:00:00, not %s", kindOf(v))
	}
	digits := time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
	// The library marks what has no zone by the name of a made-up zone.
	switch t.Location().String() {
	case "date-local":
		*e = Expiry{digits.AddDate(0, 0, 1), expiryDate}
	case "datetime-local":
		*e = Expiry{digits, expiryLocal}
	case "time-local":
		return errors.New("wants a date too, not only a time of day")
	default:
		*e = Expiry{t, expiryInstant}
	}
	return nil
}

// Pin says which version of some packages is taken, and no other.
type Pin struct {
	Pattern string // glob of package names
	Version string // [epoch:]version[-release], each a glob; see Rule.Takes
}

// decodeTOML reads "name = version".
func (p *Pin) decodeTOML(v any) error {
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("wants pins like \"bash = 5.1.8\", not %s", kindOf(v))
	}
	parsed, err := ParsePin(s)
	*p = parsed
	return err
}

// ParsePin reads "name = [epoch:]version[-release]". The name, the version and
// the release may be globs.
func ParsePin(s string) (Pin, error) {
	name, version, ok := strings.Cut(s, "=")
	name, version = strings.TrimSpace(name), strings.TrimSpace(version)
	switch {
	case strings.ContainsAny(s, "<>") || strings.HasPrefix(version, "=") || strings.HasSuffix(name, "!"):
		return Pin{}, fmt.Errorf("%q: a pin has one \"=\" and no other comparison", clip(s))
	case !ok || name == "" || version == "":
		return Pin{}, fmt.Errorf("%q is not a pin: write one like \"bash = 5.1.8\" or \"bash = 5.1.8-9.el9\"", clip(s))
	}
	if err := checkNameGlob(name); err != nil {
		return Pin{}, err
	}
	if _, err := splitVersion(version); err != nil {
		return Pin{}, err
	}
	return Pin{name, version}, nil
}

// String writes the pin as ParsePin reads it.
func (p Pin) String() string { return p.Pattern + " = " + p.Version }

// versionGlob is a pinned version in parts, each a glob; "" matches any.
type versionGlob struct{ epoch, version, release string }

// splitVersion cuts [epoch:]version[-release]. A dash inside the brackets of a
// glob does not separate.
func splitVersion(s string) (versionGlob, error) {
	var v versionGlob
	bad := func(why string) (versionGlob, error) {
		return versionGlob{}, fmt.Errorf("%q is not a version: %s", clip(s), why)
	}
	if err := checkGlob(s); err != nil {
		return versionGlob{}, err
	}
	rest := s
	if epoch, after, ok := strings.Cut(s, ":"); ok {
		if !digits(epoch) || len(epoch) > 10 {
			return bad("an epoch is a number")
		}
		v.epoch, rest = strings.TrimLeft(epoch[:len(epoch)-1], "0")+epoch[len(epoch)-1:], after
	}
	v.version = rest
	dashes := 0
	for i := 0; i < len(rest); i++ {
		switch rest[i] {
		case '[':
			i += classEnd(rest[i:])
		case '-':
			dashes++
			v.version, v.release = rest[:i], rest[i+1:]
		}
	}
	if dashes > 1 {
		return bad("it has more than one dash; write [EPOCH:]VERSION[-RELEASE] without the architecture")
	}
	if v.version == "" || dashes == 1 && v.release == "" {
		return bad("a part of it is missing")
	}
	if i := strings.LastIndexByte(v.release, '.'); i >= 0 && slices.Contains(knownArches(), v.release[i+1:]) {
		return bad("write [EPOCH:]VERSION[-RELEASE] without the architecture")
	}
	for _, r := range s {
		if r <= ' ' || r == 0x7f || r > 0x7e || strings.ContainsRune(`/:"'\=<>,;(){}`, r) && r != ':' {
			return bad(fmt.Sprintf("the character %q has no place in it", r))
		}
	}
	if strings.Count(s, ":") > 1 {
		return bad("it has more than one colon")
	}
	return v, nil
}

// matches reports whether an EVR is the pinned one.
func (v versionGlob) matches(epoch, version, release string) bool {
	return (v.epoch == "" || v.epoch == epoch) && matchGlob(v.version, version) && (v.release == "" || matchGlob(v.release, release))
}

// checkNameGlob accepts a glob of package names.
func checkNameGlob(g string) error {
	if g == "" {
		return errors.New("an empty glob")
	}
	bad := strings.IndexFunc(g, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`/=<>,;"'`, r) }) >= 0
	if bad || printable(g) != g {
		return fmt.Errorf("%q is not a glob of package names", clip(g))
	}
	return checkGlob(g)
}
