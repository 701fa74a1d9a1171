package rpm

import (
	"slices"
	"strings"

	version "github.com/knqyf263/go-rpm-version"
)

// compareSegment compares one version or one release as rpmvercmp does.
func compareSegment(a, b string) int {
	if a == b {
		return 0
	}
	if strings.ContainsAny(a, "~^") || strings.ContainsAny(b, "~^") {
		return compareLibrary(a, b)
	}
	return comparePlain(a, b)
}

// compareLibrary asks the library, which costs microseconds and a dozen allocations. It splits its input at '-' (and at the
// first ':'), which a segment may contain in hostile metadata; rpm treats every character that is neither alphanumeric nor
// '~' or '^' as a separator, so '-' can become '.' without changing the order.
func compareLibrary(a, b string) int {
	va := version.NewVersion("0:" + strings.ReplaceAll(a, "-", "."))
	vb := version.NewVersion("0:" + strings.ReplaceAll(b, "-", "."))
	return va.Compare(vb)
}

// comparePlain is the shortcut for the common case, text without '~' and '^': no allocation, tens of nanoseconds. A property
// test holds it against the library, and a differential test against rpm.
func comparePlain(a, b string) int {
	for {
		a, b = skipSeparators(a), skipSeparators(b)
		if a == "" || b == "" {
			return sign(len(a) - len(b)) // rpm: who has characters left is newer
		}
		digits := isDigit(a[0])
		if digits != isDigit(b[0]) {
			if digits {
				return 1 // rpm: numbers are newer than letters
			}
			return -1
		}
		var pa, pb string
		pa, a = cutSegment(a, digits)
		pb, b = cutSegment(b, digits)
		if digits {
			pa, pb = strings.TrimLeft(pa, "0"), strings.TrimLeft(pb, "0")
			if len(pa) != len(pb) {
				return sign(len(pa) - len(pb))
			}
		}
		if c := strings.Compare(pa, pb); c != 0 {
			return c
		}
	}
}

func skipSeparators(s string) string {
	i := 0
	for i < len(s) && !isDigit(s[i]) && !isLetter(s[i]) {
		i++
	}
	return s[i:]
}

// cutSegment splits the leading run of digits, or of letters, off s.
func cutSegment(s string, digits bool) (run, rest string) {
	i := 1
	for i < len(s) && (digits && isDigit(s[i]) || !digits && isLetter(s[i])) {
		i++
	}
	return s[:i], s[i:]
}

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}

// RankEVRs gives each EVR its place in rpm's order: ranks begin at 0, have no gaps, and are equal exactly where Compare is 0
// (so "1.0" and "1_0" share one). With ranks a later comparison is one of integers. Use it per package name: the ranks of two
// calls have nothing to do with each other. A range's EVR without release has a rank too, but matching ranges is Overlap's
// business.
func RankEVRs(evrs []EVR) []int32 {
	order := make([]int32, len(evrs))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(x, y int32) int { return Compare(evrs[x], evrs[y]) })
	ranks := make([]int32, len(evrs))
	rank := int32(0)
	for i, x := range order {
		if i > 0 && Compare(evrs[order[i-1]], evrs[x]) != 0 {
			rank++
		}
		ranks[x] = rank
	}
	return ranks
}
