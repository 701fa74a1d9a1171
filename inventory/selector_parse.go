package inventory

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// token is a word, a quoted text, an operator or a parenthesis.
type token struct {
	text   string
	quoted bool
	symbol bool
}

// lexSelector cuts a selector into tokens.
func lexSelector(text string) ([]token, error) {
	var tokens []token
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1 || unicode.IsControl(r) && !unicode.IsSpace(r):
			return nil, errors.New("a character that cannot be printed")
		case unicode.IsSpace(r):
			i += size
		case r == '(' || r == ')':
			tokens = append(tokens, token{text: text[i : i+1], symbol: true})
			i++
		case strings.ContainsRune("=!<>", r):
			t, err := lexOperator(text[i:])
			if err != nil {
				return nil, err
			}
			tokens = append(tokens, token{text: t, symbol: true})
			i += len(t)
		case r == '"' || r == '\'':
			end := strings.IndexRune(text[i+1:], r)
			if end < 0 {
				return nil, fmt.Errorf("a quote %c that is not closed", r)
			}
			tokens = append(tokens, token{text: text[i+1 : i+1+end], quoted: true})
			i += end + 2
		default:
			word, err := lexWord(text[i:])
			if err != nil {
				return nil, err
			}
			tokens = append(tokens, token{text: word})
			i += len(word)
		}
	}
	return tokens, nil
}

// lexOperator reads =, !=, <, <=, > or >=.
func lexOperator(s string) (string, error) {
	for _, op := range []string{"==", "=~", "!~", "=>", "=<", "<>"} {
		if strings.HasPrefix(s, op) {
			return "", fmt.Errorf("the operator %q: write =, !=, <, <=, > or >=", op)
		}
	}
	for _, op := range []string{"!=", "<=", ">=", "=", "<", ">"} {
		if strings.HasPrefix(s, op) {
			return op, nil
		}
	}
	return "", errors.New(`a lone "!": write not`)
}

// lexWord reads up to a blank, an operator or a parenthesis; "!" may stand in
// the brackets of a glob.
func lexWord(s string) (string, error) {
	bracket := false
	for i, r := range s {
		switch {
		case r == '[':
			bracket = true
		case r == ']':
			bracket = false
		case r == '!' && bracket && s[i-1] == '[':
		case unicode.IsSpace(r) || strings.ContainsRune("=!<>()\"'", r):
			return s[:i], nil
		case r == '&' || r == '|' || r == ',' || r == ';':
			return "", fmt.Errorf("%q: write and, or, not and parentheses", r)
		case unicode.IsControl(r) || r == utf8.RuneError:
			return "", errors.New("a character that cannot be printed")
		}
	}
	return s, nil
}

// selectorParser reads tokens by recursive descent.
type selectorParser struct {
	tokens []token
	at     int
	depth  int
}

// word consumes the next token if it is the given word or symbol.
func (p *selectorParser) word(w string) bool {
	if p.at < len(p.tokens) && !p.tokens[p.at].quoted && p.tokens[p.at].text == w {
		p.at++
		return true
	}
	return false
}

func (p *selectorParser) or() (*expr, error) {
	return p.chain("or", opOr, p.and)
}

func (p *selectorParser) and() (*expr, error) {
	return p.chain("and", opAnd, p.not)
}

// chain reads operands with an operator between them.
func (p *selectorParser) chain(word string, op operator, operand func() (*expr, error)) (*expr, error) {
	left, err := operand()
	for err == nil && p.word(word) {
		var right *expr
		if right, err = operand(); err == nil {
			left = &expr{op: op, left: left, right: right}
		}
	}
	return left, err
}

func (p *selectorParser) not() (*expr, error) {
	if p.depth++; p.depth > maxSelectorDepth {
		return nil, fmt.Errorf("more than %d parentheses and nots inside each other", maxSelectorDepth)
	}
	defer func() { p.depth-- }()
	if p.word("not") {
		e, err := p.not()
		return &expr{op: opNot, left: e}, err
	}
	if p.word("(") {
		e, err := p.or()
		if err == nil && !p.word(")") {
			if p.at < len(p.tokens) {
				return nil, p.leftOver()
			}
			return nil, errors.New("a parenthesis that is not closed")
		}
		return e, err
	}
	return p.term()
}

// term reads key=value or a bare word.
func (p *selectorParser) term() (*expr, error) {
	if p.at >= len(p.tokens) {
		return nil, errors.New("something is missing at the end")
	}
	t := p.tokens[p.at]
	if t.symbol {
		return nil, fmt.Errorf("something is missing before %q", t.text)
	}
	if !t.quoted && (t.text == "and" || t.text == "or") {
		return nil, fmt.Errorf("something is missing before %q", t.text)
	}
	p.at++
	if p.at < len(p.tokens) && p.tokens[p.at].symbol {
		if op, ok := comparison(p.tokens[p.at].text); ok {
			p.at++
			return p.comparison(t, op)
		}
	}
	if !t.quoted && t.text == "all" {
		return &expr{op: opAll}, nil
	}
	return newTerm("host", opEqual, t.text)
}

// comparison gives the operator of a symbol.
func comparison(symbol string) (operator, bool) {
	switch symbol {
	case "=":
		return opEqual, true
	case "!=":
		return opUnequal, true
	case "<":
		return opLess, true
	case "<=":
		return opLessEqual, true
	case ">":
		return opGreater, true
	case ">=":
		return opGreaterEqual, true
	}
	return 0, false
}

// comparison reads the value behind key and operator.
func (p *selectorParser) comparison(key token, op operator) (*expr, error) {
	if key.quoted {
		return nil, fmt.Errorf("the key %q in quotes", key.text)
	}
	if err := checkName(key.text, maxHostName); err != nil {
		return nil, fmt.Errorf("a key whose %w", err)
	}
	if p.at >= len(p.tokens) || p.tokens[p.at].symbol {
		return nil, fmt.Errorf("no value for the key %q (an empty one is written \"\")", key.text)
	}
	value := p.tokens[p.at].text
	p.at++
	return newTerm(key.text, op, value)
}

// newTerm makes a term after a look at its value.
func newTerm(key string, op operator, value string) (*expr, error) {
	if key == "host" && value == "" {
		return nil, errors.New("an empty host name")
	}
	literal := !strings.ContainsAny(value, "*?[")
	switch op {
	case opEqual, opUnequal:
		if err := checkGlob(value); err != nil {
			return nil, err
		}
	default:
		if !literal || value == "" || value[0] < '0' || value[0] > '9' {
			return nil, fmt.Errorf("%q is compared by order, which needs a number or a version, not %q", key, value)
		}
	}
	return &expr{op: op, key: key, value: value, literal: literal}, nil
}

// leftOver says what is wrong where an operator should have been.
func (p *selectorParser) leftOver() error {
	t := p.tokens[p.at]
	switch lower := strings.ToLower(t.text); {
	case t.symbol && t.text == ")":
		return errors.New("a parenthesis that was not opened")
	case t.symbol:
		return fmt.Errorf("%q in the wrong place", t.text)
	case lower != t.text && (lower == "and" || lower == "or" || lower == "not"):
		return fmt.Errorf("%q: write %s", t.text, lower)
	}
	return fmt.Errorf("neither and nor or before %q", t.text)
}
