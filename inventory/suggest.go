package inventory

import (
	"fmt"
	"strings"
)

// maxSuggest bounds the length of names that are compared; longer ones are not
// typing mistakes.
const maxSuggest = 80

// nearest gives the known name with the smallest edit distance to name, the
// first in the order of known on a tie, or "" when none is near: a distance of
// one for short names, a third of the length for longer ones.
func nearest(name string, known []string) string {
	if name == "" || len(name) > maxSuggest {
		return ""
	}
	limit := max(1, len(name)/3)
	best, found := limit+1, ""
	for _, k := range known {
		if len(k) > maxSuggest || abs(len(k)-len(name)) >= best {
			continue
		}
		d := distance(strings.ToLower(name), strings.ToLower(k))
		if d < best && d < len(k) {
			best, found = d, k
		}
	}
	return found
}

// didYouMean is the hint for a misspelt name, or "".
func didYouMean(name string, known []string) string {
	if n := nearest(name, known); n != "" {
		return fmt.Sprintf("did you mean %q?", n)
	}
	return ""
}

// distance counts the insertions, deletions, replacements and swaps of
// neighbours that make b of a (optimal string alignment).
func distance(a, b string) int {
	before, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(b)]
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}
