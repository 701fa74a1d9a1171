package inventory

import (
	"strings"
)

// compareVersions orders versions as people read them: 8.10 is above 8.9, 9.1
// above 9. The text is cut into runs of digits and runs of letters, all else
// only separates; numbers compare as numbers of any length, letters as text, a
// number is above letters, and what is longer is above. It gives -1, 0 or 1.
func compareVersions(a, b string) int {
	for {
		a, b = strings.TrimLeftFunc(a, separates), strings.TrimLeftFunc(b, separates)
		switch {
		case a == "" && b == "":
			return 0
		case a == "":
			return -1
		case b == "":
			return 1
		}
		var runA, runB string
		numA, numB := isDigit(rune(a[0])), isDigit(rune(b[0]))
		runA, a = cutRun(a)
		runB, b = cutRun(b)
		if numA != numB {
			if numA {
				return 1
			}
			return -1
		}
		if numA {
			runA, runB = strings.TrimLeft(runA, "0"), strings.TrimLeft(runB, "0")
			if len(runA) != len(runB) {
				if len(runA) < len(runB) {
					return -1
				}
				return 1
			}
		}
		if c := strings.Compare(runA, runB); c != 0 {
			return c
		}
	}
}

func isDigit(r rune) bool { return r >= '0' && r <= '9' }

func isLetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

func separates(r rune) bool { return !isDigit(r) && !isLetter(r) }

// cutRun cuts the run of digits or letters at the beginning.
func cutRun(s string) (run, rest string) {
	same := isLetter
	if isDigit(rune(s[0])) {
		same = isDigit
	}
	i := 1
	for i < len(s) && same(rune(s[i])) {
		i++
	}
	return s[:i], s[i:]
}
