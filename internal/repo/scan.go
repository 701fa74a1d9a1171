package repo

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// xmlSink takes the elements of a metadata file in order. Two readers feed it: the byte scanner below, and encoding/xml. Names
// are local names, without prefix; slices are valid during the call only.
type xmlSink interface {
	// start opens an element. Its result tells whether the element's text is wanted; other text is not delivered.
	start(name []byte, attrs []xmlAttr) bool
	// text gives a piece of the innermost element's own text.
	text(b []byte)
	// end closes the innermost element.
	end()
	// err is the first fault in what the elements say.
	err() error
}

// xmlAttr is one attribute, its value without entities.
type xmlAttr struct{ name, value []byte }

// maxDepth bounds nesting for the scanner; metadata has four levels below its root.
const maxDepth = 12

// scanner reads XML of the plain kind: no comments, no processing instructions, no CDATA, no DOCTYPE, no carriage returns,
// ASCII names, double or single quoted attributes right after "=". It never guesses: scan returns false for anything else,
// for anything that is not well formed, and for anything the sink objects to. The same bytes then go to encoding/xml, which
// knows all of XML and words the error. A chunk it accepts gives exactly what encoding/xml gives.
type scanner struct {
	stack [maxDepth]openElement
	attrs []xmlAttr
	buf   []byte // values without entities
}

type openElement struct {
	raw    []byte // name with prefix
	wanted bool
}

// scan reads a chunk of whole elements.
func (s *scanner) scan(b []byte, sink xmlSink) bool {
	if !isPlain(b) {
		return false
	}
	depth := 0
	for {
		lt := bytes.IndexByte(b, '<')
		if lt < 0 {
			return depth == 0 && checkEntities(b) && sink.err() == nil
		}
		if lt > 0 {
			if depth > 0 && s.stack[depth-1].wanted {
				s.buf = s.buf[:0]
				t, ok := s.unescape(b[:lt])
				if !ok {
					return false
				}
				sink.text(t)
			} else if !checkEntities(b[:lt]) {
				return false
			}
		}
		b = b[lt+1:]
		if len(b) == 0 {
			return false
		}
		if b[0] == '/' {
			if depth == 0 {
				return false
			}
			depth--
			raw := s.stack[depth].raw
			if len(b) < len(raw)+2 || string(b[1:len(raw)+1]) != string(raw) || b[len(raw)+1] != '>' {
				return false
			}
			sink.end()
			b = b[len(raw)+2:]
			continue
		}
		n, raw, empty, wanted := s.openTag(b, sink)
		if n == 0 {
			return false
		}
		b = b[n:]
		if empty {
			sink.end()
			continue
		}
		if depth == maxDepth {
			return false
		}
		s.stack[depth] = openElement{raw, wanted}
		depth++
	}
}

// openTag reads from after "<" to after ">". n is 0 if it is not sure.
func (s *scanner) openTag(b []byte, sink xmlSink) (n int, raw []byte, empty, wanted bool) {
	size, local := xmlName(b)
	if size == 0 {
		return 0, nil, false, false
	}
	raw = b[:size]
	name := raw[local:]
	s.attrs, s.buf = s.attrs[:0], s.buf[:0]
	i := size
	for i < len(b) {
		spaced := false
		for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t') {
			i, spaced = i+1, true
		}
		if i >= len(b) {
			break
		}
		switch b[i] {
		case '>':
			return i + 1, raw, false, sink.start(name, s.attrs)
		case '/':
			if i+1 < len(b) && b[i+1] == '>' {
				return i + 2, raw, true, sink.start(name, s.attrs)
			}
			return 0, nil, false, false
		}
		if !spaced {
			break
		}
		used := s.attribute(b[i:])
		if used == 0 {
			break
		}
		i += used
	}
	return 0, nil, false, false
}

// attribute reads name="value" and returns its length, 0 if it is not sure.
func (s *scanner) attribute(b []byte) int {
	size, local := xmlName(b)
	if size == 0 || len(b) < size+3 || b[size] != '=' {
		return 0
	}
	quote := b[size+1]
	if quote != '"' && quote != '\'' {
		return 0
	}
	rest := b[size+2:]
	end := bytes.IndexByte(rest, quote)
	if end < 0 || bytes.IndexByte(rest[:end], '<') >= 0 {
		return 0
	}
	value, ok := s.unescape(rest[:end])
	if !ok {
		return 0
	}
	s.attrs = append(s.attrs, xmlAttr{b[local:size], value})
	return size + 2 + end + 1
}

// nameByte marks the bytes of ASCII names: 1 anywhere, 2 also first.
var nameByte = func() (t [256]byte) { //nolint:gochecknoglobals // a constant table
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-32] = 2, 2
	}
	for c := '0'; c <= '9'; c++ {
		t[c] = 1
	}
	t['_'], t['-'], t['.'] = 2, 1, 1
	return t
}()

// xmlName measures a name of ASCII letters with at most one prefix, and says where its local part begins.
func xmlName(b []byte) (size, local int) {
	if len(b) == 0 || nameByte[b[0]] != 2 {
		return 0, 0
	}
	i := 1
	for i < len(b) {
		if b[i] == ':' {
			if local != 0 || i+1 >= len(b) || nameByte[b[i+1]] != 2 {
				return 0, 0
			}
			local = i + 1
		} else if nameByte[b[i]] == 0 {
			break
		}
		i++
	}
	return i, local
}

// unescape returns text without entities; text that has none is returned as it is.
func (s *scanner) unescape(b []byte) ([]byte, bool) {
	amp := bytes.IndexByte(b, '&')
	if amp < 0 {
		return b, true
	}
	from := len(s.buf)
	for amp >= 0 {
		s.buf = append(s.buf, b[:amp]...)
		r, n := entity(b[amp:])
		if n == 0 {
			return nil, false
		}
		s.buf = utf8.AppendRune(s.buf, r)
		b = b[amp+n:]
		amp = bytes.IndexByte(b, '&')
	}
	s.buf = append(s.buf, b...)
	return s.buf[from:len(s.buf):len(s.buf)], true
}

// checkEntities looks at text nobody wants, so that it is refused where encoding/xml refuses it.
func checkEntities(b []byte) bool {
	for {
		amp := bytes.IndexByte(b, '&')
		if amp < 0 {
			return true
		}
		_, n := entity(b[amp:])
		if n == 0 {
			return false
		}
		b = b[amp+n:]
	}
}

// entity reads one of the five named entities or a number, beginning at "&". n is 0 if it is not sure.
func entity(b []byte) (r rune, n int) {
	switch {
	case bytes.HasPrefix(b, []byte("&lt;")):
		return '<', 4
	case bytes.HasPrefix(b, []byte("&gt;")):
		return '>', 4
	case bytes.HasPrefix(b, []byte("&amp;")):
		return '&', 5
	case bytes.HasPrefix(b, []byte("&apos;")):
		return '\'', 6
	case bytes.HasPrefix(b, []byte("&quot;")):
		return '"', 6
	case !bytes.HasPrefix(b, []byte("&#")):
		return 0, 0
	}
	base, i := rune(10), 2
	if len(b) > 2 && b[2] == 'x' {
		base, i = 16, 3
	}
	first := i
	for ; i < len(b) && i < first+6; i++ {
		switch c := b[i]; {
		case c >= '0' && c <= '9':
			r = r*base + rune(c-'0')
		case base == 16 && c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r*base + rune(c|0x20-'a') + 10
		case c == ';' && i > first && isXMLChar(r):
			return r, i + 1
		default:
			return 0, 0
		}
	}
	return 0, 0
}

// isXMLChar tells the characters XML allows (XML 1.0, 2.2).
func isXMLChar(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd || r >= 0x10000 && r <= 0x10ffff
}

// isPlain looks at every byte once, eight at a time: only characters that XML allows, in UTF-8, no carriage return (which XML
// turns into something else), and no "]]>" (which XML forbids in text).
func isPlain(b []byte) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	ascii := true
	i := 0
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		if w&highs != 0 {
			ascii = false
		}
		if (w-0x20*ones)&^w&highs == 0 {
			continue // no byte below space
		}
		for _, c := range b[i : i+8] {
			if c < 0x20 && c != '\n' && c != '\t' {
				return false
			}
		}
	}
	for _, c := range b[i:] {
		if c < 0x20 && c != '\n' && c != '\t' {
			return false
		}
		ascii = ascii && c < 0x80
	}
	if !ascii && (!utf8.Valid(b) || bytes.Contains(b, []byte("\xef\xbf\xbe")) || bytes.Contains(b, []byte("\xef\xbf\xbf"))) {
		return false
	}
	return !bytes.Contains(b, []byte("]]>"))
}
