package inventory

import (
	"fmt"
	"strconv"
	"strings"
)

// maxCount bounds a count of hosts; far above any fleet.
const maxCount = 1_000_000

// Amount is a number of hosts: a count ("3") or a share ("5%", "0.5%"). It
// becomes an integer only here, by AtLeast (waves, quorum) or Budget (what may
// fail). The zero value is the count 0. Amounts can be compared with ==.
type Amount struct {
	n       int // hosts, or hundredths of a percent
	percent bool
}

// Count is the amount of n hosts.
func Count(n int) Amount { return Amount{n: n} }

// ParseAmount reads "3" or "5%"; a percentage is at most 100 and has at most
// two decimals.
func ParseAmount(s string) (Amount, error) {
	number, percent := strings.CutSuffix(s, "%")
	bad := fmt.Errorf(`%q is not an amount: write a count like "3" or a share like "5%%"`, s)
	whole, decimals, dot := strings.Cut(number, ".")
	if !digits(whole) || len(whole) > 7 || dot && (!percent || !digits(decimals) || len(decimals) > 2) {
		return Amount{}, bad
	}
	n, err := strconv.Atoi(whole)
	if err != nil {
		return Amount{}, bad
	}
	if !percent {
		if n > maxCount {
			return Amount{}, fmt.Errorf("%q is more than %d hosts", s, maxCount)
		}
		return Amount{n: n}, nil
	}
	fraction, _ := strconv.Atoi((decimals + "00")[:2])
	n = n*100 + fraction
	if n > 100*100 {
		return Amount{}, fmt.Errorf("%q is more than 100%%", s)
	}
	return Amount{n: n, percent: true}, nil
}

// digits reports whether s is one or more ASCII digits.
func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// AtLeast is the amount of n hosts for waves and quorums: a share is rounded
// up, the result is at least 1 and at most n; of no hosts it is 0.
func (a Amount) AtLeast(n int) int {
	if n <= 0 {
		return 0
	}
	v := a.n
	if a.percent {
		// Written without overflow for any n: whole hundredths first.
		const full = 100 * 100
		v = n/full*a.n + (n%full*a.n+full-1)/full
	}
	return min(max(v, 1), n)
}

// Budget is how many of n hosts may fail; it trips when it is exceeded. A
// count stands for itself. A share is rounded down, but one above 0 gives at
// least 1 as soon as there is a host.
func (a Amount) Budget(n int) int {
	if !a.percent {
		return a.n
	}
	if n <= 0 || a.n == 0 {
		return 0
	}
	const full = 100 * 100
	return max(n/full*a.n+n%full*a.n/full, 1)
}

// IsZero reports whether the amount is "0" or "0%".
func (a Amount) IsZero() bool { return a.n == 0 }

// IsPercent reports whether the amount is a share.
func (a Amount) IsPercent() bool { return a.percent }

// String writes the amount as ParseAmount reads it.
func (a Amount) String() string {
	if !a.percent {
		return strconv.Itoa(a.n)
	}
	s := strconv.Itoa(a.n / 100)
	if f := a.n % 100; f != 0 {
		s += strings.TrimRight(fmt.Sprintf(".%02d", f), "0")
	}
	return s + "%"
}

// MarshalText writes the amount for JSON.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (a *Amount) UnmarshalText(b []byte) error {
	v, err := ParseAmount(string(b))
	if err != nil {
		return err
	}
	*a = v
	return nil
}

// decodeTOML accepts a count as a number too.
func (a *Amount) decodeTOML(v any) error {
	switch v := v.(type) {
	case int64:
		if v < 0 || v > maxCount {
			return fmt.Errorf("%d is not a number of hosts from 0 to %d", v, maxCount)
		}
		*a = Count(int(v))
		return nil
	case string:
		return a.UnmarshalText([]byte(v))
	}
	return fmt.Errorf(`wants a count like "3" or a share like "5%%", not %s`, kindOf(v))
}
