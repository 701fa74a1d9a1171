package transport

import (
	"fmt"
	"strings"
)

// nulWord replaces an argument that contains NUL, which no argument can: the
// shell that meets it stops with a message instead of running something else.
const nulWord = `"${_argument_contains_a_nul_byte_:?}"`

// Quote makes arg one word of a POSIX shell, whatever is in it: line feeds,
// quotes, dollars, bytes that are no UTF-8, or nothing at all. An argument with a
// NUL byte becomes a word that makes the shell stop with an error.
func Quote(arg string) string {
	if strings.IndexByte(arg, 0) >= 0 {
		return nulWord
	}
	if arg != "" && !strings.ContainsFunc(arg, needsQuote) && arg[0] != '~' {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}

// needsQuote is true for all but the characters no shell gives a meaning to.
func needsQuote(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return false
	}
	return !strings.ContainsRune("@%+:,./_-", r)
}

// quoteAll joins arguments into one command line.
func quoteAll(argv []string) string {
	words := make([]string, len(argv))
	for i, a := range argv {
		words[i] = Quote(a)
	}
	// A first word with "=" would be an assignment; Quote quotes "=" and a quoted
	// word never is one.
	return strings.Join(words, " ")
}

// maxExecLine bounds the command line, in bytes: Linux takes 128 KiB for one
// argument (MAX_ARG_STRLEN), and the login shell gets all of it as one.
const maxExecLine = 128<<10 - 64

// loginLine wraps a program for /bin/sh so that the user's login shell, whatever
// it is, only has to know exec and single quotes. Where the program holds
// something that csh or fish see inside single quotes (an exclamation mark, a
// line feed, a backslash), it is sent in an encoding without them, which /bin/sh
// itself undoes with printf %b. Checked with dash, bash, mksh, tcsh 6.24 and fish 3.6.
func loginLine(program string) (string, error) {
	if strings.IndexByte(program, 0) >= 0 {
		return "", fmt.Errorf("the command contains a NUL byte")
	}
	line := "exec /bin/sh -c '" + strings.ReplaceAll(program, "'", `'\''`) + "'"
	if strings.ContainsAny(program, "!\n\\") {
		line = `exec /bin/sh -c 'eval "$(printf %b "` + encodePercentB(program) + `")"'`
	}
	if len(line) > maxExecLine {
		return "", fmt.Errorf("the command is %d bytes long as a command line, %d is the limit: upload it as a file", len(line), maxExecLine)
	}
	return line, nil
}

// encodePercentB writes all that is special in single quotes of any shell, in
// double quotes of sh, or to printf %b as \0ooo.
func encodePercentB(s string) string {
	var b strings.Builder
	b.Grow(len(s) + len(s)/2)
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < 0x20 || c >= 0x7f || strings.IndexByte("'\"$`\\!", c) >= 0 {
			b.WriteString(`\0`)
			b.WriteByte('0' + c>>6)
			b.WriteByte('0' + c>>3&7)
			b.WriteByte('0' + c&7)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
