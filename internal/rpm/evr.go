package rpm

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	version "github.com/knqyf263/go-rpm-version"
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
	return e, nil
}

// String writes "[epoch:]version[-release]", the epoch only when it is not 0.
func (e EVR) String() string {
	s := e.Version
	if e.Release != "" {
		s += "-" + e.Release
	}
	if e.Epoch != 0 {
		s = strconv.FormatUint(uint64(e.Epoch), 10) + ":" + s
	}
	return s
}

// Compare orders two EVRs as rpm does (rpmVersionCompare): epoch, then version, then release, with '~' below and '^' above
// the same text. A missing release sorts below any release. It costs microseconds: rank distinct values once where many
// comparisons follow.
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

// compareSegment compares one version or release string. The library splits its input at ':' and '-', which an epochless
// segment may contain in hostile metadata; those are compared by their parts in order.
func compareSegment(a, b string) int {
	if a == b {
		return 0
	}
	va, vb := version.NewVersion("0:"+segment(a)), version.NewVersion("0:"+segment(b))
	return va.Compare(vb)
}

// segment makes text safe for the library: rpm treats every character that is neither alphanumeric nor '~' or '^' as a
// separator, so '-' and ':' can become '.' without changing the order.
func segment(s string) string {
	if !strings.ContainsAny(s, "-:") {
		return s
	}
	return strings.NewReplacer("-", ".", ":", ".").Replace(s)
}
