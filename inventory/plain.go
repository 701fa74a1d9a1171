package inventory

import "strings"

// Inventories of large fleets are long and plain: "[host.web01]" and lines of a key and a text. parsePlain reads such text at once, values and
// positions, which takes a tenth of the time of library and scanner. Whatever else there is in a text makes it refuse the whole text: escapes,
// quoted or dotted keys, arrays of tables, anything that TOML forbids. A test holds both ways together.

// plainParser reads plain text from front to back.
type plainParser struct {
	text string // what is left
	line int

	values map[string]any // of the open table
	pos    *position
	root   map[string]any
	top    *position

	spare []position // made many at once

	hosts *plainHosts // nil: hosts are tables like others
}

// parsePlain gives the values of a text and their positions; false for what is not plain. Hosts that are quite plain go to hosts instead, unless it
// is nil.
func parsePlain(text string, hosts *plainHosts) (map[string]any, *position, bool) {
	p := &plainParser{text: text, root: map[string]any{}, top: &position{line: 1}, hosts: hosts}
	p.values, p.pos = p.root, p.top
	for p.line = 1; p.text != ""; p.line++ {
		line, rest, found := strings.Cut(p.text, "\n")
		p.text = rest
		if !p.readLine(line) {
			return nil, nil, false
		}
		if !found {
			break
		}
	}
	p.closeHost()
	return p.root, p.top, true
}

// afterBlanks is what stands behind blanks and tabs. (Nearly always there are none, or one, and strings.TrimLeft takes longer than the rest of a line.)
func afterBlanks(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	return s
}

// readLine reads one line: nothing, a comment, a table's head, a key and its value.
func (p *plainParser) readLine(line string) bool {
	line = afterBlanks(line)
	switch {
	case line == "" || line[0] == '#':
		return plainEnd(line)
	case line[0] == '[':
		end := strings.IndexByte(line, ']')
		return end > 0 && plainEnd(line[end+1:]) && p.open(line[1:end])
	}
	n := plainKey(line)
	if n == 0 {
		return false
	}
	key := line[:n]
	rest, ok := strings.CutPrefix(afterBlanks(line[n:]), "=")
	if !ok {
		return false
	}
	if p.hosts != nil && p.hosts.open != nil {
		if taken, ok := p.hostKey(key, afterBlanks(rest)); taken || !ok {
			return ok
		}
		p.openPlainly(p.hosts.open)
	}
	if _, twice := p.values[key]; twice {
		return false
	}
	at := p.position(p.line, false)
	value, rest, ok := p.value(afterBlanks(rest), at)
	if !ok || !plainEnd(rest) {
		return false
	}
	p.values[key] = value
	p.pos.put(key, at)
	return true
}

// open opens the table of a head. A table that was opened before, or a name that has a value, is left to those who know what to say.
func (p *plainParser) open(path string) bool {
	if p.hosts != nil {
		if taken, ok := p.openHost(path); taken || !ok {
			return ok
		}
	}
	values, pos := p.root, p.top
	for range maxKeyParts {
		n := plainKey(path)
		if n == 0 || n < len(path) && path[n] != '.' {
			return false
		}
		key, last := path[:n], n == len(path)
		there, known := values[key]
		if !known {
			table, at := map[string]any{}, p.position(p.line, !last)
			values[key] = table
			pos.put(key, at)
			values, pos = table, at
		} else {
			table, isTable := there.(map[string]any)
			if pos = pos.keys[key]; !isTable || last && !pos.implicit {
				return false
			}
			values = table
		}
		if last {
			pos.implicit, pos.line = false, p.line
			p.values, p.pos = values, pos
			return true
		}
		path = path[n+1:]
	}
	return false
}

// value reads a text, a number, an answer, or a list of texts.
func (p *plainParser) value(s string, at *position) (value any, rest string, ok bool) {
	if s == "" {
		return nil, "", false
	}
	switch c := s[0]; {
	case c == '"':
		text, rest, ok := plainText(s)
		return text, rest, ok
	case c == '[':
		return p.list(s[1:], at)
	case c >= '0' && c <= '9' || c == '-':
		return plainNumber(s)
	}
	if rest, ok := strings.CutPrefix(s, "true"); ok {
		return true, rest, true
	}
	rest, ok = strings.CutPrefix(s, "false")
	return false, rest, ok
}

func (p *plainParser) list(s string, at *position) (value any, rest string, ok bool) {
	texts, rest, ok := plainTexts(s)
	if !ok {
		return nil, "", false
	}
	out := make([]any, len(texts))
	for i, text := range texts {
		out[i] = text
		at.items = append(at.items, p.position(p.line, false))
	}
	return out, rest, true
}

// plainTexts reads a list of strings behind its bracket.
func plainTexts(s string) (list []string, rest string, ok bool) {
	out := []string{}
	for s = afterBlanks(s); ; s = afterBlanks(s[1:]) {
		if s != "" && s[0] == ']' {
			return out, s[1:], true
		}
		text, rest, ok := plainText(s)
		if !ok {
			return nil, "", false
		}
		out = append(out, text)
		s = afterBlanks(rest)
		if s == "" || s[0] != ',' {
			if s == "" || s[0] != ']' {
				return nil, "", false
			}
			return out, s[1:], true
		}
	}
}

// plainText reads a string in double quotes without escapes. One in three quotes ends where no end may be.
func plainText(s string) (value, rest string, ok bool) {
	if s == "" || s[0] != '"' {
		return "", "", false
	}
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return s[1:i], s[i+1:], true
		case c < ' ' || c >= 0x7f || c == '\\':
			return "", "", false
		}
	}
	return "", "", false
}

// plainNumber reads a whole number; others, dates among them, have no end where it ends.
func plainNumber(s string) (value any, rest string, ok bool) {
	digits := strings.TrimPrefix(s, "-")
	n, i := int64(0), 0
	for ; i < len(digits) && digits[i] >= '0' && digits[i] <= '9'; i++ {
		n = 10*n + int64(digits[i]-'0')
		if i == 17 {
			return nil, "", false
		}
	}
	if i == 0 || digits[0] == '0' && i > 1 {
		return nil, "", false
	}
	if len(digits) < len(s) {
		n = -n
	}
	return n, digits[i:], true
}

// plainKey tells how long the bare key is that s begins with; 0 for none.
func plainKey(s string) int {
	for i := range len(s) {
		c := s[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return i
		}
	}
	return len(s)
}

// plainEnd tells whether nothing is left of a line but blanks and a comment.
func plainEnd(s string) bool {
	s = afterBlanks(s)
	if s == "" {
		return true
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c >= 0x7f {
			return false
		}
	}
	return s[0] == '#'
}

// position makes one.
func (p *plainParser) position(line int, implicit bool) *position {
	if len(p.spare) == 0 {
		p.spare = make([]position, 256)
	}
	at := &p.spare[0]
	p.spare = p.spare[1:]
	at.line, at.implicit = line, implicit
	return at
}

// put notes where a key stands.
func (p *position) put(key string, at *position) {
	if p.keys == nil {
		p.keys = make(map[string]*position)
	}
	p.keys[key] = at
}
