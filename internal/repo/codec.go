package repo

import (
	"encoding/binary"
	"errors"
	"math"
)

// encoder writes the body of a cache file: unsigned varints, and strings as numbers into one table of distinct strings.
type encoder struct {
	known map[string]uint64
	table []string
	body  []byte
}

func newEncoder() *encoder { return &encoder{known: map[string]uint64{"": 0}, table: []string{""}} }

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

func (e *encoder) str(s string) { e.uint(e.number(s)) }

// number gives a string's place in the table.
func (e *encoder) number(s string) uint64 {
	n, ok := e.known[s]
	if !ok {
		n = uint64(len(e.table))
		e.known[s] = n
		e.table = append(e.table, s)
	}
	return n
}

func (e *encoder) strs(list []string) {
	e.count(len(list))
	for _, s := range list {
		e.str(s)
	}
}

// bytes gives the table of strings (number, lengths, text) followed by the body.
func (e *encoder) bytes() []byte {
	size := 0
	for _, s := range e.table {
		size += len(s)
	}
	out := make([]byte, 0, size+3*len(e.table)+len(e.body)+16)
	out = binary.AppendUvarint(out, uint64(len(e.table)))
	for _, s := range e.table {
		out = binary.AppendUvarint(out, uint64(len(s)))
	}
	for _, s := range e.table {
		out = append(out, s...)
	}
	return append(out, e.body...)
}

// errCache says that a cache file is damaged; it is then built anew.
var errCache = errors.New("damaged cache file")

// decoder reads what encoder wrote. The bytes may be anything: it never panics, takes no more memory than a small multiple
// of its input, and after the first fault gives zero values only and keeps err.
type decoder struct {
	strings []string
	b       []byte
	at      int // next byte; a number, not a shrinking slice: writing pointers is dear while the garbage collector runs
	err     error
}

func newDecoder(b []byte) *decoder {
	d := &decoder{b: b}
	n := d.count(1)
	ends := make([]uint32, n)
	total := uint64(0)
	for i := range ends {
		total += d.uint()
		if total > uint64(len(b)) || total > math.MaxUint32 {
			d.fail()
			return d
		}
		ends[i] = uint32(total)
	}
	if d.err != nil || total > uint64(d.left()) {
		d.fail()
		return d
	}
	text := string(b[d.at : d.at+int(total)]) //nolint:gosec // bounded by the input
	d.at += len(text)
	d.strings = make([]string, n)
	from := uint32(0)
	for i, end := range ends {
		d.strings[i] = text[from:end]
		from = end
	}
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
	if n >= uint64(len(d.strings)) {
		d.fail()
		return ""
	}
	return d.strings[n]
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
