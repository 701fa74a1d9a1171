package inventory

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// The TOML library tells neither the lines of keys nor the place inside an
// array of tables, so this file finds them: a light scanner over text that the
// library accepts. It follows strings, arrays and inline tables only as far as
// needed to find where they end. On text the library refuses, its result means
// nothing. A fuzz test holds it to the library's idea of every accepted text.

// Limits of structure. The library is recursive, so the scanner also keeps
// hostile depth away from it.
const (
	maxDepth    = 32 // arrays and inline tables inside each other
	maxKeyParts = 16 // parts of a dotted key
)

// position is where a value stands, and what is in it.
type position struct {
	line     int
	keys     map[string]*position
	items    []*position
	implicit bool // a table that so far was only mentioned in a longer key
}

// child gives the position of a key, or that of the table when the key is not
// known to the scanner.
func (p *position) child(key string) *position {
	if c := p.keys[key]; c != nil {
		return c
	}
	return &position{line: p.line}
}

// item gives the position of an element of an array in the same way.
func (p *position) item(i int) *position {
	if i < len(p.items) {
		return p.items[i]
	}
	return &position{line: p.line}
}

// structureError is text that is too deep, at a line.
type structureError struct {
	line int
	what string
}

func (e *structureError) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.what) }

// errLost means that the text is not TOML that the scanner can follow; the
// library will have something to say about it.
var errLost = errors.New("not valid TOML")

// scanner reads text from front to back.
type scanner struct {
	text string
	at   int
	line int
}

// scanPositions gives the tree of positions of a TOML text. The error is a
// *structureError for excessive depth, else errLost; the tree found so far is
// returned with it.
func scanPositions(text string) (*position, error) {
	for _, bom := range []string{"\xff\xfe", "\xfe\xff", "\xef\xbb\xbf"} {
		if strings.HasPrefix(text, bom) {
			text = text[len(bom):]
			break
		}
	}
	s := &scanner{text: text, line: 1}
	root := &position{line: 1}
	table := root
	for {
		s.skipBlank(true)
		if s.at >= len(s.text) {
			return root, nil
		}
		var err error
		if s.peek() == '[' {
			table, err = s.header(root)
		} else {
			err = s.keyValue(table, 0)
		}
		if err != nil {
			return root, err
		}
	}
}

// peek gives the next byte, 0 at the end.
func (s *scanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

// take consumes one byte if it is c.
func (s *scanner) take(c byte) bool {
	if s.peek() != c || s.at >= len(s.text) {
		return false
	}
	if c == '\n' {
		s.line++
	}
	s.at++
	return true
}

// skipBlank skips spaces and tabs and, if lines is set, line ends and comments.
func (s *scanner) skipBlank(lines bool) {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c == ' ' || c == '\t':
			s.at++
		case lines && c == '#':
			end := strings.IndexByte(s.text[s.at:], '\n')
			if end < 0 {
				s.at = len(s.text)
				return
			}
			s.at += end
		case lines && c == '\r':
			s.at++
		case lines && c == '\n':
			s.line++
			s.at++
		default:
			return
		}
	}
}

// header reads "[a.b]" or "[[a.b]]" and gives the table it opens.
func (s *scanner) header(root *position) (*position, error) {
	line := s.line
	s.take('[')
	array := s.take('[')
	path, err := s.keyPath()
	if err != nil {
		return nil, err
	}
	if !s.take(']') || array && !s.take(']') {
		return nil, errLost
	}
	parent := root.descend(path[:len(path)-1], line)
	last := path[len(path)-1]
	if array {
		list := parent.add(last, line)
		entry := &position{line: line}
		list.items = append(list.items, entry)
		return entry, nil
	}
	t := parent.add(last, line)
	if n := len(t.items); n > 0 {
		t = t.items[n-1]
	}
	if t.implicit {
		t.implicit, t.line = false, line
	}
	return t, nil
}

// keyValue reads "a.b = value" into the table.
func (s *scanner) keyValue(table *position, depth int) error {
	line := s.line
	path, err := s.keyPath()
	if err != nil {
		return err
	}
	if !s.take('=') {
		return errLost
	}
	s.skipBlank(false)
	p := &position{line: line}
	if err := s.value(p, depth); err != nil {
		return err
	}
	parent := table.descend(path[:len(path)-1], line)
	if parent.keys == nil {
		parent.keys = make(map[string]*position)
	}
	parent.keys[path[len(path)-1]] = p
	return nil
}

// descend walks down a path, making tables that are not there; in an array of
// tables it takes the last one.
func (p *position) descend(path []string, line int) *position {
	for _, key := range path {
		p = p.add(key, line)
		if n := len(p.items); n > 0 {
			p = p.items[n-1]
		}
	}
	return p
}

// add gives the position of a key, making it if it is not there.
func (p *position) add(key string, line int) *position {
	c := p.keys[key]
	if c == nil {
		c = &position{line: line, implicit: true}
		if p.keys == nil {
			p.keys = make(map[string]*position)
		}
		p.keys[key] = c
	}
	return c
}

// keyPath reads a dotted key and the blanks around it.
func (s *scanner) keyPath() ([]string, error) {
	var path []string
	for {
		s.skipBlank(false)
		key, err := s.keyPart()
		if err != nil {
			return nil, err
		}
		path = append(path, key)
		if len(path) > maxKeyParts {
			return nil, &structureError{s.line, fmt.Sprintf("a key of more than %d parts", maxKeyParts)}
		}
		s.skipBlank(false)
		if !s.take('.') {
			return path, nil
		}
	}
}

// keyPart reads one bare or quoted key.
func (s *scanner) keyPart() (string, error) {
	switch c := s.peek(); c {
	case '"', '\'':
		start := s.at + 1
		if !s.skipQuoted(c) {
			return "", errLost
		}
		raw := s.text[start : s.at-1]
		if c == '"' {
			return unescape(raw)
		}
		return raw, nil
	}
	start := s.at
	for s.at < len(s.text) && !strings.ContainsRune(" \t\r\n.=[]{},#\"'", rune(s.text[s.at])) {
		s.at++
	}
	if s.at == start {
		return "", errLost
	}
	return s.text[start:s.at], nil
}

// skipQuoted skips a string of one line in the given quotes.
func (s *scanner) skipQuoted(quote byte) bool {
	for s.at++; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c == quote:
			s.at++
			return true
		case c == '\n':
			return false
		case c == '\\' && quote == '"':
			s.at++
		}
	}
	return false
}

// unescape reads the escapes of a basic string.
func unescape(raw string) (string, error) {
	if !strings.Contains(raw, `\`) {
		return raw, nil
	}
	var b strings.Builder
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			b.WriteByte(raw[i])
			continue
		}
		i++
		if i >= len(raw) {
			return "", errLost
		}
		if at := strings.IndexByte(`btnfre"\`, raw[i]); at >= 0 {
			b.WriteByte("\b\t\n\f\r\x1b\"\\"[at])
			continue
		}
		size := map[byte]int{'x': 2, 'u': 4, 'U': 8}[raw[i]]
		if size == 0 || i+size >= len(raw) {
			return "", errLost
		}
		r := rune(0)
		for _, c := range []byte(raw[i+1 : i+1+size]) {
			d := strings.IndexByte("0123456789abcdef", c|0x20)
			if c <= '9' {
				d = strings.IndexByte("0123456789", c)
			}
			if d < 0 || r > utf8.MaxRune {
				return "", errLost
			}
			r = r<<4 | rune(d)
		}
		b.WriteRune(r)
		i += size
	}
	return b.String(), nil
}
