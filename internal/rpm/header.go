package rpm

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// ErrHeader marks bytes that are no sound RPM header.
var ErrHeader = errors.New("damaged rpm header")

// Bounds of rpm itself (lib/header.cc) and, for what a host sends, our own.
const (
	maxTags      = 65535     // HEADER_TAGS_MAX
	maxData      = 256 << 20 // HEADER_DATA_MAX, bytes
	maxSigTags   = 32        // signature header
	maxSigData   = 64 << 20
	maxArray     = 1 << 20 // HEADER_ARRAY_MAX, elements of one entry
	entrySize    = 16
	regionLength = 16

	// MaxHostHeader is the largest header, in bytes, that ParseHeader and ParseInstalled take: ten times the largest seen.
	MaxHostHeader = 32 << 20
)

// headerMagic begins a header in a package file; the digests of a header are taken over magic and header.
const headerMagic = "\x8e\xad\xe8\x01\x00\x00\x00\x00"

// Header is one parsed RPM header. It is immutable and safe for concurrent use.
//
// What stands outside the immutable region (an installed header has the time of installation and more there) is covered by no
// digest: only InstallTime and the digest tags are read from it, so that it cannot add to what a package says.
type Header struct {
	tags  map[uint32]entry // first occurrence wins, as in rpm
	outer map[uint32]entry // outside the region
	data  []byte
	// immutable is the region in the form rpm exports it: two counts, the index, the data.
	immutable []byte
	region    uint32 // tagHeaderImmutable, ...; 0 in packages of rpm 3, where all of the header counts as immutable
}

// entry is one checked index entry: offset and length lie in the data.
type entry struct {
	typ, count  uint32
	offset, end int
}

// headerKind says which rules a header must keep.
type headerKind struct {
	signature bool // the signature header of a package file
	exact     bool // the region must be all of it
	limit     int  // bytes of data
}

// ParseHeader reads one main header, with or without the eight magic bytes, as `rpm --qf '%{HEADERIMMUTABLE:base64}'` or an rpm
// database give it. blob is copied. Errors are ErrHeader.
func ParseHeader(blob []byte) (*Header, error) {
	blob = bytes.TrimPrefix(blob, []byte(headerMagic))
	if len(blob) > MaxHostHeader {
		return nil, fmt.Errorf("%w: %d bytes, more than %d", ErrHeader, len(blob), MaxHostHeader)
	}
	return parseHeader(bytes.Clone(blob), headerKind{limit: MaxHostHeader})
}

// parseHeader takes over blob, which begins with the two counts.
func parseHeader(blob []byte, kind headerKind) (*Header, error) {
	if len(blob) < 8 {
		return nil, fmt.Errorf("%w: %d bytes", ErrHeader, len(blob))
	}
	il, dl := binary.BigEndian.Uint32(blob), binary.BigEndian.Uint32(blob[4:])
	if err := kind.checkCounts(il, dl); err != nil {
		return nil, err
	}
	if want := 8 + uint64(il)*entrySize + uint64(dl); want != uint64(len(blob)) {
		return nil, fmt.Errorf("%w: %d bytes where its counts say %d", ErrHeader, len(blob), want)
	}
	index := blob[8 : 8+il*entrySize]
	h := &Header{data: blob[8+il*entrySize:], immutable: blob}
	ril, rdl, err := h.findRegion(index, kind)
	if err != nil {
		return nil, err
	}
	if kind.exact && h.region != 0 && (ril != int(il) || rdl != int(dl)) {
		return nil, fmt.Errorf("%w: the immutable region is not all of the header", ErrHeader)
	}
	if err := h.readIndex(index, ril, rdl, kind); err != nil {
		return nil, err
	}
	if ril != int(il) || rdl != int(dl) {
		b := make([]byte, 8, 8+ril*entrySize+rdl)
		binary.BigEndian.PutUint32(b, uint32(ril))
		binary.BigEndian.PutUint32(b[4:], uint32(rdl))
		b = append(b, index[:ril*entrySize]...)
		h.immutable = append(b, h.data[:rdl]...)
	}
	return h, nil
}

// checkCounts bounds what a header says of its own size, before memory is taken for it.
func (k headerKind) checkCounts(il, dl uint32) error {
	tags := uint32(maxTags)
	if k.signature {
		tags = maxSigTags
	}
	if il == 0 || il > tags {
		return fmt.Errorf("%w: %d tags", ErrHeader, il)
	}
	if uint64(dl) > uint64(k.limit) {
		return fmt.Errorf("%w: %d bytes of data, more than %d", ErrHeader, dl, k.limit)
	}
	return nil
}

// findRegion reads the region entry and its trailer (hdrblobVerifyRegion in lib/header.cc) and returns the number of index
// entries and data bytes that belong to it; without a region that is all.
func (h *Header) findRegion(index []byte, kind headerKind) (ril, rdl int, err error) {
	all, bad := len(index)/entrySize, func(what string) (int, int, error) {
		return 0, 0, fmt.Errorf("%w: region %s", ErrHeader, what)
	}
	tag, typ, offset, count := rawEntry(index)
	wanted := tag == tagHeaderImmutable || tag == tagHeaderImage
	if kind.signature {
		wanted = tag == tagHeaderSignatures
	}
	if !wanted {
		return all, len(h.data), nil
	}
	end := uint64(offset) + regionLength
	if typ != typeBin || count != regionLength || end > uint64(len(h.data)) {
		return bad("tag is bad")
	}
	ttag, ttyp, toffset, tcount := rawEntry(h.data[offset:])
	if kind.signature && ttag == tagHeaderImage {
		ttag = tagHeaderSignatures // some old packages
	}
	if ttag != tag || ttyp != typeBin || tcount != regionLength {
		return bad("trailer is bad")
	}
	size := -int64(int32(toffset))
	if size <= 0 || size%entrySize != 0 || size/entrySize > int64(all) {
		return bad("size is bad")
	}
	h.region = tag
	return int(size / entrySize), int(end), nil
}

func rawEntry(b []byte) (tag, typ, offset, count uint32) {
	return binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:])
}

// readIndex checks every entry as hdrblobVerifyInfo does and files it by tag.
func (h *Header) readIndex(index []byte, ril, rdl int, kind headerKind) error {
	h.tags, h.outer = make(map[uint32]entry, ril), map[uint32]entry{}
	first, end := 0, 0
	if h.region != 0 {
		first = 1
	}
	for i := first; i < len(index)/entrySize; i++ {
		tag, typ, offset, count := rawEntry(index[i*entrySize:])
		inside := i < ril
		limit := len(h.data)
		switch {
		case inside && h.region != 0:
			limit = rdl - regionLength
		case !inside && end < rdl:
			end = rdl
		}
		e, err := h.checkEntry(tag, typ, offset, count, end, limit)
		if err == nil && !kind.signature {
			if want := wantClass(tag); want != classAny && want != classOf(typ) {
				err = errors.New("wrong type")
			}
		}
		if err != nil {
			return fmt.Errorf("%w: entry %d (tag %d, type %d, offset %d, count %d): %w", ErrHeader, i, tag, typ, offset, count, err)
		}
		end = e.end
		into := h.tags
		if !inside {
			into = h.outer
		}
		if _, ok := into[tag]; !ok {
			into[tag] = e
		}
	}
	return nil
}

// checkEntry bounds one entry: it begins at or after from, so that entries cannot share data and multiply it, and ends at or
// before limit.
func (h *Header) checkEntry(tag, typ, offset, count uint32, from, limit int) (entry, error) {
	width, align := uint64(0), uint32(1)
	switch typ {
	case typeChar, typeInt8, typeBin:
		width = 1
	case typeInt16:
		width, align = 2, 2
	case typeInt32:
		width, align = 4, 4
	case typeInt64:
		width, align = 8, 8
	case typeString, typeStringArray, typeI18NString:
	default:
		return entry{}, errors.New("unknown type")
	}
	switch {
	case tag < tagI18NTable:
		return entry{}, errors.New("no data tag")
	case count == 0 || typ != typeBin && count >= maxArray:
		return entry{}, errors.New("bad count")
	case offset%align != 0:
		return entry{}, errors.New("not aligned")
	case uint64(offset) < uint64(from) || uint64(offset) > uint64(limit):
		return entry{}, errors.New("outside its place")
	case uint64(offset)+width*uint64(count) > uint64(limit):
		return entry{}, errors.New("ends outside")
	}
	e := entry{typ: typ, count: count, offset: int(offset), end: int(offset) + int(width)*int(count)}
	if width != 0 {
		return e, nil
	}
	if typ == typeString && count != 1 {
		return entry{}, errors.New("several strings")
	}
	for range count {
		n := bytes.IndexByte(h.data[e.end:limit], 0)
		if n < 0 {
			return entry{}, errors.New("string without end")
		}
		e.end += n + 1
	}
	return e, nil
}

// Has tells whether the tag is there.
func (h *Header) Has(tag uint32) bool { _, ok := h.tags[tag]; return ok }

// Text returns a string tag, or the first of an array (for a translated text: the untranslated one), else "".
func (h *Header) Text(tag uint32) string {
	e, ok := h.tags[tag]
	if !ok || classOf(e.typ) != classString {
		return ""
	}
	b := h.data[e.offset:e.end]
	return string(b[:bytes.IndexByte(b, 0)])
}

// Texts returns all strings of a tag, nil when it is not there or holds something else.
func (h *Header) Texts(tag uint32) []string {
	e, ok := h.tags[tag]
	if !ok || classOf(e.typ) != classString {
		return nil
	}
	all := string(h.data[e.offset:e.end]) // one allocation for all of them
	out := make([]string, e.count)
	for i := range out {
		n := strings.IndexByte(all, 0)
		out[i], all = all[:n], all[n+1:]
	}
	return out
}

// Number returns the first number of a tag, and whether there is one.
func (h *Header) Number(tag uint32) (uint64, bool) {
	e, ok := h.tags[tag]
	if !ok || classOf(e.typ) != classNumber {
		return 0, false
	}
	return h.number(e, 0), true
}

// Numbers returns all numbers of a tag, nil when it is not there or holds something else.
func (h *Header) Numbers(tag uint32) []uint64 {
	e, ok := h.tags[tag]
	if !ok || classOf(e.typ) != classNumber {
		return nil
	}
	out := make([]uint64, e.count)
	for i := range out {
		out[i] = h.number(e, i)
	}
	return out
}

func (h *Header) number(e entry, i int) uint64 {
	b := h.data[e.offset:e.end]
	switch e.typ {
	case typeInt16:
		return uint64(binary.BigEndian.Uint16(b[2*i:]))
	case typeInt32:
		return uint64(binary.BigEndian.Uint32(b[4*i:]))
	case typeInt64:
		return binary.BigEndian.Uint64(b[8*i:])
	}
	return uint64(b[i])
}

// Binary returns the bytes of a binary tag, nil when it is not there or holds something else. They must not be changed.
func (h *Header) Binary(tag uint32) []byte {
	e, ok := h.tags[tag]
	if !ok || e.typ != typeBin {
		return nil
	}
	return h.data[e.offset:e.end:e.end]
}

// Immutable returns the immutable region as `%{HEADERIMMUTABLE}` has it, without magic. It must not be changed.
func (h *Header) Immutable() []byte { return h.immutable }

// SHA256 returns the digest of the immutable region as lower-case hex: what rpm 4.14 and later call SHA256HEADER.
func (h *Header) SHA256() string {
	d := sha256.New()
	d.Write([]byte(headerMagic))
	d.Write(h.immutable)
	return hex.EncodeToString(d.Sum(nil))
}

// SHA1 returns the older digest, SHA1HEADER. It identifies, it proves nothing.
func (h *Header) SHA1() string {
	d := sha1.New()
	d.Write([]byte(headerMagic))
	d.Write(h.immutable)
	return hex.EncodeToString(d.Sum(nil))
}

// HeaderDigest returns SHA256 of the header in blob, which ParseHeader must take.
func HeaderDigest(blob []byte) (string, error) {
	h, err := ParseHeader(blob)
	if err != nil {
		return "", err
	}
	return h.SHA256(), nil
}

// CheckHeader parses a header that somebody sent and checks that it is the one with this digest: SHA-256 of 64 hex digits, or
// SHA-1 of 40, which is all that rpm before 4.14 knows (FACT-3). The error is ErrDigest when it is another.
func CheckHeader(blob []byte, digest string) (*Header, error) {
	h, err := ParseHeader(blob)
	if err != nil {
		return nil, err
	}
	got := ""
	switch len(digest) {
	case 2 * sha256.Size:
		got = h.SHA256()
	case 2 * sha1.Size:
		got = h.SHA1()
	default:
		return nil, fmt.Errorf("%w: %q is neither SHA-256 nor SHA-1", ErrDigest, digest)
	}
	if !strings.EqualFold(got, digest) {
		return nil, fmt.Errorf("%w: header has %s where %s was asked for", ErrDigest, got, digest)
	}
	return h, nil
}
