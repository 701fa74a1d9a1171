package rpm

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// EVR is epoch, version and release. A missing epoch is 0 (rpm(8)). Release is empty only in a dependency's range, where a
// missing release matches any; a package always has one.
type EVR struct {
	Epoch   uint32
	Version string
	Release string
}

// ErrEVR marks text that is no EVR.
var ErrEVR = errors.New("not an epoch:version-release")

// ParseEVR reads "[epoch:]version[-release]". As in rpm the last '-' divides version from release
// (rpmio/rpmver.cc, parseEVR); an epoch is a decimal number of 32 bits.
func ParseEVR(s string) (EVR, error) {
	var e EVR
	rest := s
	if i := strings.IndexByte(rest, ':'); i >= 0 {
		if i > 0 && rest[:i] != "(none)" {
			n, err := strconv.ParseUint(rest[:i], 10, 32)
			if err != nil {
				return EVR{}, fmt.Errorf("%w: epoch %q in %q", ErrEVR, rest[:i], s)
			}
			e.Epoch = uint32(n)
		}
		rest = rest[i+1:]
	}
	if i := strings.LastIndexByte(rest, '-'); i >= 0 {
		e.Version, e.Release = rest[:i], rest[i+1:]
		if e.Release == "" {
			return EVR{}, fmt.Errorf("%w: empty release in %q", ErrEVR, s)
		}
	} else {
		e.Version = rest
	}
	if e.Version == "" {
		return EVR{}, fmt.Errorf("%w: empty version in %q", ErrEVR, s)
	}
	if i := strings.IndexFunc(e.Version+e.Release, notVersion); i >= 0 {
		return EVR{}, fmt.Errorf("%w: a character that no version may have in %q", ErrEVR, s)
	}
	return e, nil
}

// notVersion tells the characters that would make printed text mean something else when read again, or do something to a
// terminal. Non-ASCII letters are odd but harmless: rpm skips them.
func notVersion(r rune) bool {
	return r <= ' ' || r == 0x7f || r == ':' || r == '/' || unicode.IsControl(r) || r == utf8.RuneError
}

// parseLooseEVR reads the version of a dependency exactly as rpm does (parseEVR in rpmio/rpmver.cc), which takes any text:
// digits before the first ':' are the epoch, the last '-' divides version from release. An epoch beyond 32 bits, which no
// package can have, becomes the largest.
func parseLooseEVR(s string) EVR {
	var e EVR
	digits := 0
	for digits < len(s) && isDigit(s[digits]) {
		digits++
	}
	if digits < len(s) && s[digits] == ':' {
		if n, err := strconv.ParseUint(s[:digits], 10, 32); err == nil {
			e.Epoch = uint32(n)
		} else if digits > 0 {
			e.Epoch = math.MaxUint32
		}
		s = s[digits+1:]
	}
	e.Version = s
	if i := strings.LastIndexByte(s, '-'); i >= 0 {
		e.Version, e.Release = s[:i], s[i+1:]
	}
	return e
}

// String writes "[epoch:]version[-release]", the epoch only when it is not 0 (or when the version itself has a colon, which
// only the loose text of a dependency can: so that it reads back the same).
func (e EVR) String() string {
	s := e.Version
	if e.Release != "" {
		s += "-" + e.Release
	}
	if e.Epoch != 0 || strings.IndexByte(e.Version, ':') >= 0 || strings.IndexByte(e.Release, ':') >= 0 {
		s = strconv.FormatUint(uint64(e.Epoch), 10) + ":" + s
	}
	return s
}

// Compare orders two EVRs as rpm does (rpmVersionCompare): epoch, then version, then release, with '~' below and '^' above
// the same text. A missing release sorts below any release. Versions with '~' or '^' cost microseconds:
// RankEVRs where many comparisons follow.
func Compare(a, b EVR) int {
	if a == b {
		return 0
	}
	switch {
	case a.Epoch < b.Epoch:
		return -1
	case a.Epoch > b.Epoch:
		return 1
	}
	if c := compareSegment(a.Version, b.Version); c != 0 {
		return c
	}
	switch {
	case a.Release == b.Release:
		return 0
	case a.Release == "":
		return -1
	case b.Release == "":
		return 1
	}
	return compareSegment(a.Release, b.Release)
}
