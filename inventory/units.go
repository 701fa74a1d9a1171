package inventory

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Bytes is a size in bytes.
type Bytes int64

// Rate is a speed in bytes per second; 0 means no limit.
type Rate int64

// maxDuration bounds every duration of a site.
const maxDuration = 100 * 365 * 24 * time.Hour

// unit is a suffix of sizes. Units are decimal, those with an i binary.
type unit struct {
	name  string
	bytes float64
}

// units lists the suffixes, the largest first; a name is matched without
// regard to case.
func units() []unit {
	return []unit{
		{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
		{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1},
	}
}

// ParseBytes reads "1500", "10MB", "1.5GiB".
func ParseBytes(s string) (Bytes, error) {
	n, ok := parseSize(s)
	if !ok {
		return 0, fmt.Errorf(`%q is not a size: write one like "500MB" or "2GiB"`, s)
	}
	return Bytes(n), nil
}

// ParseRate reads "0" (no limit), "50MB/s", "2MiB/s".
func ParseRate(s string) (Rate, error) {
	size, per := strings.CutSuffix(s, "/s")
	n, ok := parseSize(size)
	if !ok || !per && n != 0 {
		return 0, fmt.Errorf(`%q is not a rate: write one like "50MB/s", or "0" for no limit`, s)
	}
	if per && n == 0 && strings.Trim(size, "0.kKMGTiB ") != "" {
		return 0, fmt.Errorf(`%q is less than one byte a second`, s)
	}
	return Rate(n), nil
}

// parseSize reads a number and a unit.
func parseSize(s string) (int64, bool) {
	factor := 1.0
	for _, u := range units() {
		if len(s) > len(u.name) && strings.EqualFold(s[len(s)-len(u.name):], u.name) {
			s, factor = strings.TrimSpace(s[:len(s)-len(u.name)]), u.bytes
			break
		}
	}
	whole, decimals, dot := strings.Cut(s, ".")
	if !digits(whole) || dot && !digits(decimals) || len(s) > 20 {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f*factor >= math.MaxInt64/2 {
		return 0, false
	}
	return int64(math.Round(f * factor)), true
}

// String writes the size with the largest unit that loses nothing.
func (b Bytes) String() string {
	for _, u := range units() {
		if n := int64(u.bytes); b != 0 && int64(b)%n == 0 {
			return strconv.FormatInt(int64(b)/n, 10) + u.name
		}
	}
	return "0"
}

// String writes the rate as ParseRate reads it.
func (r Rate) String() string {
	if r == 0 {
		return "0"
	}
	return Bytes(r).String() + "/s"
}

// MarshalText writes the rate for JSON.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (r *Rate) UnmarshalText(b []byte) error {
	v, err := ParseRate(string(b))
	if err != nil {
		return err
	}
	*r = v
	return nil
}

func (r *Rate) decodeTOML(v any) error {
	switch v := v.(type) {
	case int64:
		if v == 0 {
			*r = 0
			return nil
		}
		return fmt.Errorf(`wants a rate with its unit, like "50MB/s", not the number %d`, v)
	case string:
		return r.UnmarshalText([]byte(v))
	}
	return fmt.Errorf(`wants a rate like "50MB/s", not %s`, kindOf(v))
}

// ParseDuration reads a duration as Go writes it ("90s", "1h30m"), with days
// before it if wanted ("7d", "1d12h"). It is never negative and at most a
// hundred years.
func ParseDuration(s string) (time.Duration, error) {
	bad := fmt.Errorf(`%q is not a duration: write one like "90s", "10m", "1h30m" or "7d"`, s)
	rest, days := s, 0
	if before, after, ok := strings.Cut(s, "d"); ok {
		if !digits(before) || len(before) > 6 {
			return 0, bad
		}
		days, _ = strconv.Atoi(before)
		rest = after
		if rest == "" {
			rest = "0"
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 || strings.HasPrefix(rest, "-") || strings.HasPrefix(rest, "+") {
		return 0, bad
	}
	if days > 36500 || d > maxDuration || time.Duration(days)*24*time.Hour+d > maxDuration {
		return 0, fmt.Errorf("%q is more than a hundred years", s)
	}
	return time.Duration(days)*24*time.Hour + d, nil
}

// FormatDuration writes a duration as ParseDuration reads it, without the
// zeroes of Go's own form: "10m", "1h30m", "24h".
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}
