package rpm

import (
	"errors"
	"fmt"
	"strings"
)

// RichOp is the operator of a boolean dependency.
type RichOp uint8

// The operators of rpm-dependencies(7). RichLeaf is no operator: the node is one plain dependency.
const (
	RichLeaf    RichOp = iota
	RichAnd            // all of Args
	RichOr             // one of Args
	RichIf             // Args[0] when Args[1] holds, else Args[2] when there is one
	RichUnless         // Args[0] unless Args[1] holds, then Args[2] when there is one
	RichWith           // one package that fulfils all of Args
	RichWithout        // a package that fulfils Args[0] and not Args[1]
)

// String gives the word as a spec file has it.
func (o RichOp) String() string {
	return [...]string{"", "and", "or", "if", "unless", "with", "without"}[o]
}

// Rich is a parsed boolean dependency. With Op RichLeaf, Dep is set and Args empty; else Args has two operands or more (three
// for if and unless with an else branch).
type Rich struct {
	Op   RichOp
	Dep  Dep
	Args []*Rich
}

// ErrRich marks text that is no boolean dependency.
var ErrRich = errors.New("not a boolean dependency")

// Bounds for hostile metadata; real expressions have a few levels and some hundred bytes.
const (
	maxRichDepth  = 64
	maxRichLength = 64 << 10
)

// ParseRich reads a boolean dependency such as "(foo >= 1 if (bar or baz) else qux)" with the grammar that rpm applies when it
// installs (rpmrichParseInternal in lib/rpmds.cc): and, or, with may be chained, different operators may not be mixed without
// parentheses, and with and without take no operands made of and, if, unless. A name in lone parentheses is that name.
func ParseRich(s string) (*Rich, error) {
	if len(s) > maxRichLength {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrRich, maxRichLength)
	}
	p := richParser{text: s}
	r, _, err := p.expression(1)
	if err == nil && p.at < len(s) {
		err = p.fail("text after the closing parenthesis")
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// String writes the expression with one space between words; ParseRich reads it back to an equal tree.
func (r *Rich) String() string {
	var b strings.Builder
	if r.Op == RichLeaf {
		return "(" + r.Dep.String() + ")"
	}
	r.write(&b)
	return b.String()
}

func (r *Rich) write(b *strings.Builder) {
	if r.Op == RichLeaf {
		b.WriteString(r.Dep.String())
		return
	}
	b.WriteByte('(')
	for i, a := range r.Args {
		switch {
		case i == 0:
		case i == 2 && (r.Op == RichIf || r.Op == RichUnless):
			b.WriteString(" else ")
		default:
			b.WriteString(" " + r.Op.String() + " ")
		}
		a.write(b)
	}
	b.WriteByte(')')
}

// Names calls f for every plain dependency in the expression, and says whether it stands in a condition: there it is what comes in that
// may end that the whole holds, elsewhere what leaves. A condition with an else branch is both. It is how rpm indexes the boolean
// dependencies of what is installed, and by that index it looks at them again (updateRichDepCB in lib/rpmdb.c).
func (r *Rich) Names(f func(d Dep, condition bool)) { r.names(true, false, f) }

// names is Names of a part that stands outside of a condition, inside, or as both: a part is walked once, since what is both sixty times over would
// be walked 2^60 times.
func (r *Rich) names(outside, inside bool, f func(Dep, bool)) {
	switch r.Op {
	case RichLeaf:
		if outside {
			f(r.Dep, false)
		}
		if inside {
			f(r.Dep, true)
		}
	case RichIf, RichUnless:
		otherwise := len(r.Args) > 2
		r.Args[0].names(outside, inside, f)
		r.Args[1].names(inside || otherwise && outside, outside || otherwise && inside, f)
		if otherwise {
			r.Args[2].names(outside, inside, f)
		}
	default:
		for _, a := range r.Args {
			a.names(outside, inside, f)
		}
	}
}

// Leaves calls f for every plain dependency in the expression, from left to right.
func (r *Rich) Leaves(f func(Dep)) {
	if r.Op == RichLeaf {
		f(r.Dep)
		return
	}
	for _, a := range r.Args {
		a.Leaves(f)
	}
}

type richParser struct {
	text string
	at   int
}

func (p *richParser) fail(what string) error {
	return fmt.Errorf("%w: %s at byte %d of %.200q", ErrRich, what, p.at, p.text)
}

// richElse is what an else keyword reads as; it never is the Op of a node.
const richElse RichOp = 255

// expression reads from one parenthesis to its partner. noWith tells that the expression may not be an operand of with or
// without.
func (p *richParser) expression(depth int) (r *Rich, noWith bool, err error) {
	if depth > maxRichDepth {
		return nil, false, p.fail("nested too deeply")
	}
	if p.peek() != '(' {
		return nil, false, p.fail("no opening parenthesis")
	}
	p.at++
	r = &Rich{}
	last := RichLeaf
	for {
		p.skipWhite()
		var arg *Rich
		var sub bool
		switch p.peek() {
		case ')':
			return nil, false, p.fail("operand missing")
		case '(':
			arg, sub, err = p.expression(depth + 1)
		default:
			arg, err = p.simple()
		}
		if err != nil {
			return nil, false, err
		}
		noWith = noWith || sub
		r.Args = append(r.Args, arg)
		p.skipWhite()
		if p.peek() == ')' {
			p.at++
			break
		}
		if last, err = p.operator(r, last); err != nil {
			return nil, false, err
		}
	}
	if (r.Op == RichWith || r.Op == RichWithout) && noWith {
		return nil, false, p.fail("an operand that with and without do not take ends")
	}
	switch r.Op {
	case RichLeaf:
		return r.Args[0], noWith, nil
	case RichAnd, RichIf, RichUnless:
		noWith = true
	}
	return r, noWith, nil
}

// operator reads the word between two operands. last is the one before, RichLeaf at the first.
func (p *richParser) operator(r *Rich, last RichOp) (RichOp, error) {
	if p.at == len(p.text) {
		return 0, p.fail("no closing parenthesis")
	}
	end := p.at
	for end < len(p.text) && !isSpace(p.text[end]) && p.text[end] != ')' {
		end++
	}
	op, ok := richWord(p.text[p.at:end])
	switch {
	case !ok:
		return 0, p.fail("unknown operator")
	case op == richElse && last != RichIf && last != RichUnless:
		return 0, p.fail("else without if or unless")
	case op == richElse:
	case last != RichLeaf && op != last:
		return 0, p.fail("different operators without parentheses")
	case last != RichLeaf && op != RichAnd && op != RichOr && op != RichWith:
		return 0, p.fail("an operator that cannot be chained")
	default:
		r.Op = op
	}
	p.at = end
	return op, nil
}

func richWord(s string) (RichOp, bool) {
	switch s {
	case "and":
		return RichAnd, true
	case "or":
		return RichOr, true
	case "if":
		return RichIf, true
	case "unless":
		return RichUnless, true
	case "with":
		return RichWith, true
	case "without":
		return RichWithout, true
	case "else":
		return richElse, true
	}
	return 0, false
}

// simple reads a name with an optional comparison and version.
func (p *richParser) simple() (*Rich, error) {
	name := p.word()
	if name == "" || strings.Count(name, "(") != strings.Count(name, ")") {
		return nil, p.fail("name missing or with half a pair of parentheses")
	}
	d := Dep{Name: name}
	p.skipWhite()
	mark := p.at
	sense, ok := parseSense(p.word())
	if !ok {
		p.at = mark
		return &Rich{Dep: d}, nil
	}
	p.skipWhite()
	d.Sense, d.EVR = sense, parseLooseEVR(p.word())
	if d.EVR.Version == "" || strings.ContainsAny(d.EVR.Version+d.EVR.Release, "()") {
		return nil, p.fail("version missing or with a parenthesis")
	}
	return &Rich{Dep: d}, nil
}

// parseSense reads a comparison as rpm spells them.
func parseSense(s string) (Sense, bool) {
	switch s {
	case "<":
		return Less, true
	case "<=", "=<":
		return Less | Equal, true
	case "=", "==":
		return Equal, true
	case ">=", "=>":
		return Greater | Equal, true
	case ">":
		return Greater, true
	}
	return 0, false
}

// word reads up to white space, comma, or a closing parenthesis that was not opened within the word.
func (p *richParser) word() string {
	start, open := p.at, 0
	for ; p.at < len(p.text); p.at++ {
		c := p.text[p.at]
		if isSpace(c) || c == ',' || c == ')' && open == 0 || c == 0 {
			break
		}
		switch c {
		case '(':
			open++
		case ')':
			open--
		}
	}
	return p.text[start:p.at]
}

func (p *richParser) skipWhite() {
	for p.at < len(p.text) && (isSpace(p.text[p.at]) || p.text[p.at] == ',') {
		p.at++
	}
}

// peek returns the next byte, 0 at the end.
func (p *richParser) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }
