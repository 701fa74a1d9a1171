package planner

import (
	"fmt"
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

// noteYoung notes what comes in all the same because of what was asked for.
func (s *solution) noteYoung(c *candidate) {
	if s.target != nil || !s.r.Filter.forSecurity() {
		return
	}
	if why := s.u.sources[c.source].young(c.Package, s.r.At); why != "" {
		s.note("%s comes in because advisories are asked for: %s", c.NEVRA, why)
	}
}
