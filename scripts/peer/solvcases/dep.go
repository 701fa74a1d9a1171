package solvcases

import (
	"fmt"
	"strings"

	"cpacman/internal/rpm"
)

// maxDepDepth bounds the nesting of an expression in a test case; libsolv's deepest has 26.
const maxDepDepth = 64

// boolOps are libsolv's operators with rpm's words for them.
var boolOps = map[string]string{
	"&": "and", "|": "or", "+": "with", "-": "without", "<IF>": "if", "<COND>": "if", "<UNLESS>": "unless", "<ELSE>": "else",
}

var relOps = map[string]rpm.Sense{
	"<": rpm.Less, "<=": rpm.Less | rpm.Equal, "=": rpm.Equal, ">=": rpm.Greater | rpm.Equal, ">": rpm.Greater,
	"<=>": rpm.Less | rpm.Equal | rpm.Greater, "<>": rpm.Less | rpm.Greater,
}

// depReader walks one dependency in libsolv's notation: "b = 2-1", "P = 2 <IF> (X & Y)".
type depReader struct {
	text string
	at   int
}

// ParseDep reads a dependency of a test case and writes it in rpm's terms; a boolean one becomes the text that ParseRich reads.
func ParseDep(text string) (rpm.Dep, error) {
	r := &depReader{text: strings.TrimSpace(text)}
	d, err := r.expression(0)
	if err != nil {
		return rpm.Dep{}, err
	}
	if r.at < len(r.text) {
		return rpm.Dep{}, fmt.Errorf("dependency %q: text left over at %q", text, r.text[r.at:])
	}
	if d.IsRich() {
		if _, err := rpm.ParseRich(d.Name); err != nil {
			return rpm.Dep{}, fmt.Errorf("dependency %q: %w", text, err)
		}
	}
	return d, nil
}

// word returns the next run of text up to a space or a parenthesis that closes a group, without consuming it.
func (r *depReader) word() string {
	for r.at < len(r.text) && r.text[r.at] == ' ' {
		r.at++
	}
	depth := 0
	for i := r.at; i < len(r.text); i++ {
		switch r.text[i] {
		case ' ':
			return r.text[r.at:i]
		case '(':
			depth++
		case ')':
			if depth--; depth < 0 {
				return r.text[r.at:i]
			}
		}
	}
	return r.text[r.at:]
}

// expression reads operand { operator operand }; chains nest to the right, as libsolv writes them.
func (r *depReader) expression(depth int) (rpm.Dep, error) {
	if depth > maxDepDepth {
		return rpm.Dep{}, fmt.Errorf("dependency nests deeper than %d", maxDepDepth)
	}
	left, err := r.operand(depth)
	if err != nil {
		return rpm.Dep{}, err
	}
	op := r.word()
	if op == "" {
		return left, nil
	}
	if sense, ok := relOps[op]; ok {
		r.at += len(op)
		evr, err := looseEVR(r.take())
		if err != nil || left.Sense != 0 || left.IsRich() {
			return rpm.Dep{}, fmt.Errorf("bad comparison in %q", r.text)
		}
		left.Sense, left.EVR = sense, evr
		if op = r.word(); op == "" {
			return left, nil
		}
	}
	word, ok := boolOps[op]
	if !ok {
		return rpm.Dep{}, fmt.Errorf("dependency %q: operator %q has no meaning in rpm", r.text, op)
	}
	r.at += len(op)
	right, err := r.expression(depth + 1)
	if err != nil {
		return rpm.Dep{}, err
	}
	inner := right.String()
	if strings.HasPrefix(inner, "(") && strings.Contains(inner, " else ") && (word == "if" || word == "unless") {
		inner = inner[1 : len(inner)-1] // "A <IF> (B <ELSE> C)" is one expression in rpm
	}
	return rpm.Dep{Name: "(" + left.String() + " " + word + " " + inner + ")"}, nil
}

func (r *depReader) operand(depth int) (rpm.Dep, error) {
	w := r.word()
	if strings.HasPrefix(w, "(") || r.at < len(r.text) && r.text[r.at] == '(' {
		r.at++
		d, err := r.expression(depth + 1)
		if err != nil {
			return rpm.Dep{}, err
		}
		if r.word() != "" || r.at >= len(r.text) || r.text[r.at] != ')' {
			return rpm.Dep{}, fmt.Errorf("dependency %q: a parenthesis is not closed", r.text)
		}
		r.at++
		return d, nil
	}
	if w == "" {
		return rpm.Dep{}, fmt.Errorf("dependency %q: a name is missing", r.text)
	}
	r.at += len(w)
	return rpm.Dep{Name: w}, nil
}

func (r *depReader) take() string {
	w := r.word()
	r.at += len(w)
	return w
}

// looseEVR reads an EVR that may lack a release.
func looseEVR(s string) (rpm.EVR, error) {
	if s == "" {
		return rpm.EVR{}, fmt.Errorf("a version is missing")
	}
	return rpm.ParseEVR(s)
}
