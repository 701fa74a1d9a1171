package repo

import (
	"encoding/binary"
	"errors"
	"math"
	"unsafe"
)

// encoder writes the body of a cache file: unsigned varints, and strings as numbers into one table of distinct strings.
type encoder struct {
	strings *stringSet
	body    []byte
	keys    []uint32 // of the last record: the names of its dependencies, list by list, and its files
	sealed  bool     // the table stands before the body
}

func newEncoder() *encoder { return &encoder{strings: newStringSet()} }

// fork gives an encoder with a body of its own and the same strings.
func (e *encoder) fork() *encoder { return &encoder{strings: e.strings} }

func (e *encoder) uint(n uint64) { e.body = binary.AppendUvarint(e.body, n) }
func (e *encoder) int(n int64)   { e.body = binary.AppendVarint(e.body, n) }
func (e *encoder) count(n int)   { e.uint(uint64(n)) } //nolint:gosec // lengths are not negative

func (e *encoder) bool(b bool) {
	if b {
		e.uint(1)
	} else {
		e.uint(0)
	}
}

// piece writes bytes behind their number.
func (e *encoder) piece(b []byte) {
	e.count(len(b))
	e.body = append(e.body, b...)
}

func (e *encoder) str(s string) { e.uint(uint64(e.number(s))) }

// number gives a string's place in the table.
func (e *encoder) number(s string) uint32 { return e.strings.number(s) }

func (e *encoder) strs(list []string) {
	e.count(len(list))
	for _, s := range list {
		e.str(s)
	}
}

// seal puts the table of strings (number, ends, text) before the body, and makes room for so many more bytes. What is written afterwards uses
// no strings that the table lacks.
func (e *encoder) seal(more int) {
	t := e.strings
	out := make([]byte, 0, binary.MaxVarintLen64+4*t.len()+len(t.text)+len(e.body)+more)
	out = binary.AppendUvarint(out, uint64(t.len())) //nolint:gosec // a length
	for _, end := range t.ends {
		out = binary.LittleEndian.AppendUint32(out, end)
	}
	out = append(out, t.text...)
	e.body, e.sealed = append(out, e.body...), true
}

// bytes gives the body behind the table of strings, nil when there were more strings than a table can hold.
func (e *encoder) bytes() []byte {
	if e.strings.full {
		return nil
	}
	if !e.sealed {
		e.seal(0)
	}
	return e.body
}

// errCache says that a cache file is damaged; it is then built anew.
var errCache = errors.New("damaged cache file")

// errOtherFormat says that another version of cpacman wrote a cache file.
var errOtherFormat = errors.New("other format")

// decoder reads what encoder wrote. The bytes may be anything: it never panics, takes no more memory than a small multiple
// of its input, and after the first fault gives zero values only and keeps err.
type decoder struct {
	strings stringTable
	b       []byte
	at      int // next byte; a number, not a shrinking slice: writing pointers is dear while the garbage collector runs
	err     error
}

// stringTable is the strings of a cache file, cut when they are asked for.
type stringTable struct {
	ends u32s
	text string
}

func (t *stringTable) len() int { return t.ends.len() }

// at returns a string; n is less than len.
func (t *stringTable) at(n uint32) string {
	from, to := t.ends.span(int(n))
	return t.text[from:to]
}

// newDecoder takes b over: nobody may change it afterwards, since strings point into it.
func newDecoder(b []byte) *decoder {
	d := &decoder{b: b}
	n := d.count(4)
	ends := u32s(d.split(4 * n).b)
	if d.err != nil || n == 0 {
		d.fail()
		return d
	}
	size := int(ends.at(n - 1))
	if size > d.left() || !ends.rises(size) {
		d.fail()
		return d
	}
	text := d.split(size).b
	d.strings = stringTable{ends, unsafe.String(unsafe.SliceData(text), len(text))} //nolint:gosec // never written again
	return d
}

func (d *decoder) fail()     { d.err, d.at = errCache, len(d.b) }
func (d *decoder) left() int { return len(d.b) - d.at }

// uint reads a number of up to three bytes, which most are, without a call.
func (d *decoder) uint() uint64 {
	if i := d.at; i+2 < len(d.b) {
		b := d.b[i : i+3 : i+3]
		switch {
		case b[0] < 0x80:
			d.at = i + 1
			return uint64(b[0])
		case b[1] < 0x80:
			d.at = i + 2
			return uint64(b[0]&0x7f) | uint64(b[1])<<7
		case b[2] < 0x80:
			d.at = i + 3
			return uint64(b[0]&0x7f) | uint64(b[1]&0x7f)<<7 | uint64(b[2])<<14
		}
	}
	return d.longUint()
}

func (d *decoder) longUint() uint64 {
	n, size := binary.Uvarint(d.b[d.at:])
	if size <= 0 {
		d.fail()
		return 0
	}
	d.at += size
	return n
}

func (d *decoder) int() int64 {
	n, size := binary.Varint(d.b[d.at:])
	if size <= 0 {
		d.fail()
		return 0
	}
	d.at += size
	return n
}

func (d *decoder) bool() bool { return d.uint() != 0 }

func (d *decoder) uint32() uint32 {
	n := d.uint()
	if n > math.MaxUint32 {
		d.fail()
		return 0
	}
	return uint32(n)
}

// count reads a number of things that take at least size bytes each, so that no number is believed that the input cannot hold.
func (d *decoder) count(size int) int {
	n := d.uint()
	if n > uint64(d.left()/size) { //nolint:gosec // neither is negative
		d.fail()
		return 0
	}
	return int(n) //nolint:gosec // bounded by the input
}

func (d *decoder) str() string {
	n := d.uint()
	if n >= uint64(d.strings.len()) { //nolint:gosec // a length
		d.fail()
		return ""
	}
	return d.strings.at(uint32(n)) //nolint:gosec // as above
}

func (d *decoder) strs() []string {
	n := d.count(1)
	if n == 0 {
		return nil
	}
	out := make([]string, n)
	for i := range out {
		out[i] = d.str()
	}
	return out
}

// split takes the next n bytes as a decoder of their own, with the same strings.
func (d *decoder) split(n int) *decoder {
	if n < 0 || n > d.left() {
		d.fail()
		return &decoder{err: errCache}
	}
	part := &decoder{strings: d.strings, b: d.b[d.at : d.at+n : d.at+n]}
	d.at += n
	return part
}
