package inventory

import (
	"fmt"
	"sort"
	"strings"
	"unicode"
)

// Severity says whether a Problem stops the work.
type Severity string

// The severities. Load returns errors only; Check returns both.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
)

// Problem is one fault of a site.
type Problem struct {
	// File is the path as the caller would open it; empty for a fault of the
	// site as a whole.
	File string `json:"file,omitempty"`
	// Line counts from 1; 0 means the file as a whole.
	Line int `json:"line,omitempty"`
	// Message says what is wrong. Text from files is quoted in it.
	Message string `json:"message"`
	// Hint says what to do next; it may be empty.
	Hint     string   `json:"hint,omitempty"`
	Severity Severity `json:"severity"`
}

// Error gives "file:line: message" and, on a line of its own, the hint. It is
// safe to print on a terminal: what cannot be printed is escaped (SEC-7).
func (p Problem) Error() string {
	var b strings.Builder
	if w := p.where(); w != "" {
		b.WriteString(w + ": ")
	}
	if p.Severity == SeverityWarning {
		b.WriteString("warning: ")
	}
	b.WriteString(printable(p.Message))
	if p.Hint != "" {
		b.WriteString("\n  hint: " + printable(p.Hint))
	}
	return b.String()
}

// where is "file:line", "file" or nothing.
func (p Problem) where() string {
	switch {
	case p.File == "":
		return ""
	case p.Line == 0:
		return printable(p.File)
	}
	return fmt.Sprintf("%s:%d", printable(p.File), p.Line)
}

// Problems are all faults found in one go, sorted by file and line.
type Problems []Problem

// maxPrinted bounds the text of Problems.Error; the slice has all of them.
const maxPrinted = 200

// Error lists the problems, a line each and a line for each hint; after 200 it
// says how many more there are.
func (ps Problems) Error() string {
	var b strings.Builder
	for i, p := range ps {
		if i == maxPrinted {
			fmt.Fprintf(&b, "\nand %d more", len(ps)-i)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.Error())
	}
	return b.String()
}

// Errors gives the problems that are errors.
func (ps Problems) Errors() Problems { return ps.only(SeverityError) }

// Warnings gives the problems that are warnings.
func (ps Problems) Warnings() Problems { return ps.only(SeverityWarning) }

func (ps Problems) only(s Severity) Problems {
	var out Problems
	for _, p := range ps {
		if p.Severity == s {
			out = append(out, p)
		}
	}
	return out
}

// sorted orders the problems by file, line and text, and drops repetitions.
func (ps Problems) sorted() Problems {
	sort.SliceStable(ps, func(i, j int) bool {
		a, b := ps[i], ps[j]
		if a.File != b.File {
			return a.File < b.File
		}
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Message < b.Message
	})
	out := ps[:0]
	for i, p := range ps {
		if i == 0 || p != ps[i-1] {
			out = append(out, p)
		}
	}
	return out
}

// printable escapes what a terminal could take for a command or what would
// reorder the line: control characters, invisible formatting, damaged UTF-8.
func printable(s string) string {
	clean := true
	for _, r := range s {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == unicode.ReplacementChar:
			b.WriteString(`\ufffd`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
