package planner

import (
	"fmt"
	"strings"
	"time"

	"cpacman/internal/rpm"
)

// mostTime is the largest time that is taken for one, in seconds since 1970: the year 9999. What repositories say is not trusted.
const mostTime = 253402300799

// tooYoung says why a build is not old enough for the repository that has it (Source.MinAge); "" where it is. Fixes of security advisories that are
// asked for, and what they need, do not wait.
func (r *Request) tooYoung(src *Source, c *rpm.Package) string {
	if r.Filter.forSecurity() {
		return ""
	}
	return src.young(c, r.At)
}

// young says why a build is younger than its repository gives any; "" where it is not.
func (s *Source) young(c *rpm.Package, at time.Time) string {
	if s.MinAge <= 0 {
		return ""
	}
	gives := fmt.Sprintf("repository %s gives builds from an age of %s on", s.ID, ageWords(s.MinAge))
	if c.BuildTime <= 0 || c.BuildTime > mostTime {
		return gives + ", and when this one was built is not known"
	}
	built := time.Unix(c.BuildTime, 0).UTC()
	from := built.Add(s.MinAge)
	if !at.Before(from) {
		return ""
	}
	return fmt.Sprintf("%s, and this one was built on %s: from %s on", gives, built.Format(time.DateOnly), from.Format("2006-01-02 15:04Z"))
}

// ageWords writes an age in days where it is whole ones.
func ageWords(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d == day:
		return "1 day"
	case d%day == 0:
		return fmt.Sprintf("%d days", d/day)
	}
	return d.String()
}

// forSecurity tells whether the filter asks for what cannot wait: security advisories, severities, or advisories and CVEs by name.
func (f *Filter) forSecurity() bool {
	return f.Security || len(f.Severities)+len(f.Advisories)+len(f.CVEs) > 0
}

// noteYoung notes what comes in all the same because of what was asked for, a line for each repository.
func (s *solution) noteYoung() {
	if s.target != nil || !s.r.Filter.forSecurity() {
		return
	}
	for i := range s.u.sources {
		src := &s.u.sources[i]
		var names []string
		for j := range s.result.Packages {
			if p := &s.result.Packages[j]; p.Source == src.ID && src.young(p.Package, s.r.At) != "" {
				names = append(names, p.NEVRA.String())
			}
		}
		if len(names) == 0 {
			continue
		}
		const shown = 3
		text := strings.Join(names[:min(len(names), shown)], ", ")
		if n := len(names) - shown; n > 0 {
			text += fmt.Sprintf(" and %d more", n)
		}
		s.note("because advisories are asked for, builds come in that are younger than the %s from which on repository %s gives them: %s", ageWords(src.MinAge), src.ID, text)
	}
}
