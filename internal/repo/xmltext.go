package repo

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// byteOrderMark may begin a document in UTF-8, where it says nothing.
const byteOrderMark = "\xef\xbb\xbf"

// newXMLDecoder is the XML reader, which knows the encodings that metadata was seen in beside UTF-8.
func newXMLDecoder(r io.Reader) *xml.Decoder {
	d := xml.NewDecoder(r)
	d.CharsetReader = func(name string, in io.Reader) (io.Reader, error) {
		switch strings.ToLower(name) {
		case "us-ascii", "ascii":
			return in, nil
		case "iso-8859-1", "iso_8859-1", "latin1":
			return &latin1Reader{r: in}, nil
		}
		return nil, fmt.Errorf("the encoding %s is not read", quoted(name))
	}
	return d
}

// latin1Reader gives UTF-8 for ISO 8859-1, whose bytes are the first 256 characters of Unicode.
type latin1Reader struct {
	r    io.Reader
	buf  [2048]byte
	rest []byte // in UTF-8, not given yet
	text []byte
}

func (l *latin1Reader) Read(p []byte) (int, error) {
	var err error
	if len(l.rest) == 0 {
		var n int
		n, err = l.r.Read(l.buf[:])
		l.text = l.text[:0]
		for _, b := range l.buf[:n] {
			l.text = utf8.AppendRune(l.text, rune(b))
		}
		l.rest = l.text
	}
	n := copy(p, l.rest)
	if l.rest = l.rest[n:]; len(l.rest) > 0 {
		err = nil // it comes again: errors of readers of files stay
	}
	return n, err
}

// isOutside tells text that may stand outside of the root element: white space, and where nothing came before, a byte order mark.
func isOutside(text []byte, first bool) bool {
	if first {
		text = bytes.TrimPrefix(text, []byte(byteOrderMark))
	}
	return len(bytes.TrimSpace(text)) == 0
}

// wrongElement says that an element stands where the root belongs, or beside it.
func wrongElement(d *xml.Decoder, t *xml.StartElement, root string) error {
	line, _ := d.InputPos()
	return fmt.Errorf("line %d, offset %d: element %s where <%s> belongs", line, d.InputOffset(), quoted(t.Name.Local), root)
}

// decodeRoot reads a document whose root element is x, and demands that nothing stands beside it. The XML reader itself stops behind the
// element it was asked for.
func decodeRoot(d *xml.Decoder, root string, x any) error {
	for first, seen := true, false; ; first = false {
		tok, err := d.Token()
		if err == io.EOF && seen { //nolint:errorlint // the decoder's own end of input: a wrapped one is damage
			return nil
		}
		if err != nil {
			return xmlError(d, err)
		}
		switch t := tok.(type) {
		case xml.StartElement:
			if seen || t.Name.Local != root {
				return wrongElement(d, &t, root)
			}
			if err := d.DecodeElement(x, &t); err != nil {
				return xmlError(d, err)
			}
			seen = true
		case xml.CharData:
			if !isOutside(t, first) {
				line, _ := d.InputPos()
				return fmt.Errorf("line %d, offset %d: text outside of <%s>", line, d.InputOffset(), root)
			}
		}
	}
}
