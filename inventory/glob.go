package inventory

import (
	"fmt"
	"unicode/utf8"
)

// checkGlob refuses a glob with a bracket that is not closed or is empty.
func checkGlob(glob string) error {
	for i := 0; i < len(glob); i++ {
		if glob[i] != '[' {
			continue
		}
		end := classEnd(glob[i:])
		if end < 0 {
			return fmt.Errorf("the glob %q has a [ that is not closed", clip(glob))
		}
		i += end
	}
	return nil
}

// classEnd gives the index of the ] of a class that begins s, or -1. A ] right
// after the opening stands for itself.
func classEnd(s string) int {
	i := 1
	if i < len(s) && (s[i] == '!' || s[i] == '^') {
		i++
	}
	for first := true; i < len(s); i++ {
		if s[i] == ']' && !first {
			return i
		}
		first = false
	}
	return -1
}

// matchGlob reports whether the glob matches all of s: * is any text, ? one
// character, [a-z] one of a set, [!a-z] none of it. The time is at most the
// product of the lengths.
func matchGlob(glob, s string) bool {
	g, i := 0, 0
	star, mark := -1, 0
	for i < len(s) {
		if g < len(glob) && glob[g] == '*' {
			star, mark = g, i
			g++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if n := matchOne(glob[g:], r); n > 0 {
			g += n
			i += size
			continue
		}
		if star < 0 {
			return false
		}
		_, size = utf8.DecodeRuneInString(s[mark:])
		mark += size
		g, i = star+1, mark
	}
	for g < len(glob) && glob[g] == '*' {
		g++
	}
	return g == len(glob)
}

// matchOne gives how many bytes of the glob match the one character, 0 for none.
func matchOne(glob string, r rune) int {
	if glob == "" {
		return 0
	}
	switch glob[0] {
	case '?':
		return 1
	case '[':
		end := classEnd(glob)
		if end < 0 {
			return 0
		}
		if inClass(glob[1:end], r) {
			return end + 1
		}
		return 0
	}
	c, size := utf8.DecodeRuneInString(glob)
	if c == r {
		return size
	}
	return 0
}

// inClass reports whether the inside of a class has the character.
func inClass(class string, r rune) bool {
	negated := class[0] == '!' || class[0] == '^'
	if negated {
		class = class[1:]
	}
	set := []rune(class)
	for i := 0; i < len(set); i++ {
		low, high := set[i], set[i]
		if i+2 < len(set) && set[i+1] == '-' {
			high = set[i+2]
			i += 2
		}
		if low <= r && r <= high {
			return !negated
		}
	}
	return negated
}
