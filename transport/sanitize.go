package transport

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Sanitize makes text from a host safe for a terminal: C0 and C1 controls
// (ESC and carriage return among them), DEL, invisible and bidirectional format
// characters, line and paragraph separators, and bytes that are no UTF-8 become
// visible escapes such as \x1b and \u202e. Line feed and tab stay. Applying it
// twice changes nothing more.
func Sanitize(s string) string { return sanitize(s, true) }

// SanitizeLine is Sanitize for text that must stay on one line: line feeds and
// tabs are escaped too, and what exceeds max bytes is cut at a character and
// marked with "…". max <= 0 means no bound.
func SanitizeLine(s string, max int) string {
	cut := false
	if max > 0 && len(s) > max {
		s, cut = s[:max], true
		for i := 0; i < utf8.UTFMax && len(s) > 0; i++ {
			if r, n := utf8.DecodeLastRuneInString(s); r != utf8.RuneError || n != 1 {
				break
			}
			s = s[:len(s)-1]
		}
	}
	s = sanitize(s, false)
	if cut {
		s += "…"
	}
	return s
}

func sanitize(s string, multiline bool) string {
	clean := true
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if !printable(r, n, multiline) {
			clean = false
			break
		}
		i += n
	}
	if clean {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case printable(r, n, multiline):
			b.WriteString(s[i : i+n])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		i += n
	}
	return b.String()
}

// printable reports whether a decoded rune of n bytes may pass unchanged.
func printable(r rune, n int, multiline bool) bool {
	if r == utf8.RuneError && n <= 1 {
		return false
	}
	if r == '\n' || r == '\t' {
		return multiline
	}
	// Cc: controls. Cf: zero width, bidi, tags, soft hyphen. Zl, Zp: separators
	// that some terminals treat as new lines. Co: private use, a font's choice.
	return !unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co)
}
