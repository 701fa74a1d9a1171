package inventory

import (
	"fmt"
	"strings"
)

// value skips one value, noting what stands in arrays and inline tables.
func (s *scanner) value(p *position, depth int) error {
	switch c := s.peek(); c {
	case '"', '\'':
		if strings.HasPrefix(s.text[s.at:], strings.Repeat(string(c), 3)) {
			return s.skipLong(c)
		}
		if !s.skipQuoted(c) {
			return errLost
		}
		return nil
	case '[', '{':
		if depth >= maxDepth {
			return &structureError{s.line, fmt.Sprintf("more than %d arrays or tables inside each other", maxDepth)}
		}
		if c == '[' {
			return s.array(p, depth+1)
		}
		return s.inlineTable(p, depth+1)
	}
	// Numbers, booleans, dates; a date may have a blank in it.
	start := s.at
	for s.at < len(s.text) && !strings.ContainsRune("\n#,]}", rune(s.text[s.at])) {
		s.at++
	}
	if s.at == start {
		return errLost
	}
	return nil
}

// skipLong skips a string in triple quotes. Up to two quotes may stand right
// before the closing ones.
func (s *scanner) skipLong(quote byte) error {
	s.at += 3
	for run := 0; s.at < len(s.text); s.at++ {
		c := s.text[s.at]
		if c == quote {
			run++
			if run == 3 {
				s.at++
				for extra := 0; extra < 2 && s.peek() == quote; extra++ {
					s.at++
				}
				return nil
			}
			continue
		}
		run = 0
		if c == '\\' && quote == '"' && s.at+1 < len(s.text) {
			s.at++
			c = s.text[s.at]
		}
		if c == '\n' {
			s.line++
		}
	}
	return errLost
}

// array reads "[ value, value ]" over any number of lines.
func (s *scanner) array(p *position, depth int) error {
	s.take('[')
	for {
		s.skipBlank(true)
		if s.take(']') {
			return nil
		}
		item := &position{line: s.line}
		if err := s.value(item, depth); err != nil {
			return err
		}
		p.items = append(p.items, item)
		s.skipBlank(true)
		if !s.take(',') && s.peek() != ']' {
			return errLost
		}
	}
}

// inlineTable reads "{ a = 1, b.c = 2 }"; TOML 1.1 allows line ends in it.
func (s *scanner) inlineTable(p *position, depth int) error {
	s.take('{')
	for {
		s.skipBlank(true)
		if s.take('}') {
			return nil
		}
		if err := s.keyValue(p, depth); err != nil {
			return err
		}
		s.skipBlank(true)
		if !s.take(',') && s.peek() != '}' {
			return errLost
		}
	}
}
