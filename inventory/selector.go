package inventory

import (
	"errors"
	"fmt"
	"strings"
)

// ErrSelectorSyntax means that a selector cannot be read.
var ErrSelectorSyntax = errors.New("selector cannot be read")

// ErrEmptySelector means that a selector was given and is empty.
var ErrEmptySelector = errors.New("selector is empty")

// Bounds of a selector.
const (
	maxSelector      = 64 << 10 // bytes
	maxSelectorDepth = 100      // of parentheses and nots
)

// Selector is a condition on hosts:
//
//	class=production and level=canary and not (group=db or os_version<9)
//
// A term is key=glob, key!=glob, or key<v, <=, >, >= in the order of versions; a
// bare word is the name of a host or a glob, and the word all is every host.
// "not" binds stronger than "and", and that stronger than "or". Values may stand
// in quotes. A glob knows *, ? and [a-z], [!a-z].
//
// Logic has three values: a term on something that is not known is neither true
// nor false, nor is its negation, and what is not true does not match. The zero
// Selector matches every host. A Selector is never changed and may be shared.
type Selector struct {
	root *expr
	text string
}

// operator of an expression.
type operator int

const (
	opAll operator = iota
	opAnd
	opOr
	opNot
	opEqual
	opUnequal
	opLess
	opLessEqual
	opGreater
	opGreaterEqual
)

// expr is a node of a selector: and, or and not have children, the others a key
// and a value.
type expr struct {
	op          operator
	left, right *expr
	key, value  string
	literal     bool // the value has no glob in it
}

// ParseSelector reads a selector from arguments, which are joined by blanks. No
// argument at all gives the zero Selector; arguments that are empty are
// ErrEmptySelector, everything else that is wrong ErrSelectorSyntax.
func ParseSelector(args []string) (Selector, error) {
	if len(args) == 0 {
		return Selector{}, nil
	}
	text := strings.TrimSpace(strings.Join(args, " "))
	if text == "" {
		return Selector{}, fmt.Errorf("%w: write all for every host", ErrEmptySelector)
	}
	if len(text) > maxSelector {
		return Selector{}, fmt.Errorf("%w: it is longer than %s", ErrSelectorSyntax, Bytes(maxSelector))
	}
	tokens, err := lexSelector(text)
	if err != nil {
		return Selector{}, fmt.Errorf("%w: %w in %s", ErrSelectorSyntax, err, quoteText(text))
	}
	p := &selectorParser{tokens: tokens}
	root, err := p.or()
	if err == nil && p.at < len(p.tokens) {
		err = p.leftOver()
	}
	if err != nil {
		return Selector{}, fmt.Errorf("%w: %w in %s", ErrSelectorSyntax, err, quoteText(text))
	}
	return Selector{root: root, text: text}, nil
}

// quoteText quotes a selector for a message, shortened.
func quoteText(s string) string { return fmt.Sprintf("%q", clip(s)) }

// String gives the selector as it was written; "all" for the zero Selector.
func (sel Selector) String() string {
	if sel.root == nil {
		return "all"
	}
	return sel.text
}

// IsZero reports that nothing was selected: the Selector matches every host
// because none was given, not because somebody wrote all.
func (sel Selector) IsZero() bool { return sel.root == nil }

// decodeTOML reads the selector of a repository.
func (sel *Selector) decodeTOML(v any) error {
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("wants a selector like \"os=rocky9\", not %s", kindOf(v))
	}
	parsed, err := ParseSelector([]string{s})
	*sel = parsed
	return err
}

// terms calls f for every term.
func (sel Selector) terms(f func(*expr)) {
	var walk func(*expr)
	walk = func(e *expr) {
		switch {
		case e == nil:
		case e.op == opAnd || e.op == opOr || e.op == opNot:
			walk(e.left)
			walk(e.right)
		case e.op != opAll:
			f(e)
		}
	}
	walk(sel.root)
}

// Keys gives the keys that the selector asks for, each once, in the order they
// are written; a bare word asks for host.
func (sel Selector) Keys() []string {
	var keys []string
	seen := make(map[string]bool)
	sel.terms(func(e *expr) {
		if !seen[e.key] {
			seen[e.key] = true
			keys = append(keys, e.key)
		}
	})
	return keys
}

// truth is a value of Kleene's logic.
type truth int

const (
	no truth = iota
	unknown
	yes
)

// Match reports whether the selector is true. get gives the values of a key: nil
// means that they are not known, an empty slice that there are none.
func (sel Selector) Match(get func(key string) []string) bool {
	return sel.eval(get) == yes
}

// eval gives the truth of the selector.
func (sel Selector) eval(get func(key string) []string) truth {
	if sel.root == nil {
		return yes
	}
	return sel.root.eval(get)
}

func (e *expr) eval(get func(key string) []string) truth {
	switch e.op {
	case opAll:
		return yes
	case opAnd:
		l := e.left.eval(get)
		if l == no {
			return no
		}
		return min(l, e.right.eval(get))
	case opOr:
		l := e.left.eval(get)
		if l == yes {
			return yes
		}
		return max(l, e.right.eval(get))
	case opNot:
		return yes - e.left.eval(get)
	}
	values := get(e.key)
	if values == nil {
		return unknown
	}
	for _, v := range values {
		if e.matches(v) {
			if e.op == opUnequal {
				return no
			}
			return yes
		}
	}
	if e.op == opUnequal {
		return yes
	}
	return no
}

// matches compares one value; for != it tells whether the value is equal.
func (e *expr) matches(v string) bool {
	switch e.op {
	case opEqual, opUnequal:
		if e.literal {
			return v == e.value
		}
		return matchGlob(e.value, v)
	}
	if v == "" || v[0] < '0' || v[0] > '9' {
		return false // not a number, nor a version
	}
	c := compareVersions(v, e.value)
	switch e.op {
	case opLess:
		return c < 0
	case opLessEqual:
		return c <= 0
	case opGreater:
		return c > 0
	}
	return c >= 0
}
