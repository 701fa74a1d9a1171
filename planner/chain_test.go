package planner

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// wordsOf finds packages, and what they need, in a line.
var wordsOf = regexp.MustCompile(`[A-Za-z0-9/][A-Za-z0-9_+./-]*`)

// TestChainsCanBeFollowed: a reader goes down a chain of reasons: it begins with the package that is held, no line stands there twice, and each names something that
// one before it names.
func TestChainsCanBeFollowed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, h, r := drawWorld(t)
		u, err := NewUniverse(v)
		if err != nil {
			t.Fatal(err)
		}
		res, err := u.Solve(h, r)
		if errors.As(err, new(*PolicyConflict)) {
			t.Skip("the policies disagree")
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, held := range res.Set.Held {
			if why := unreadable(held); why != "" {
				t.Fatalf("%s: %v -> %v:\n  %s\n%s", why, held.NEVRA, held.Available, strings.Join(held.Because, "\n  "), describe(v, h, r))
			}
		}
	})
}

// unreadable says why a chain of reasons cannot be followed; "" where it can.
func unreadable(h Held) string {
	if len(h.Because) == 0 {
		return "no reason"
	}
	known := []string{h.NEVRA.String(), h.Available.String(), h.NEVRA.Name, h.Available.Name}
	loose := false
	for i, line := range h.Because {
		words := wordsOf.FindAllString(line, -1)
		if slices.Contains(h.Because[:i], line) {
			return "a line stands there twice: " + line
		}
		loose = loose || strings.Contains(line, " (") // a boolean dependency names capabilities, and not who has them
		if !loose && !slices.ContainsFunc(words, func(w string) bool {
			return slices.ContainsFunc(known, func(k string) bool { return w == k || strings.HasPrefix(w, k+"-") })
		}) {
			return "nothing before it names what it is about: " + line
		}
		known = append(known, words...)
	}
	return ""
}
