package rpm

import (
	"bytes"
	"crypto"
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
)

// ErrNotPackage marks a file that does not begin as an RPM package does.
var ErrNotPackage = errors.New("not an rpm package")

// Limits bounds what reading one package file may cost. The zero value means rpm's own bounds.
type Limits struct {
	Header    int // bytes of the main header; 0 or more than 256 MiB: 256 MiB
	Signature int // bytes of the signature header; 0 or more than 64 MiB: 64 MiB
}

// File is what one pass over a package file found out. Nothing in it is proven before Verify says so.
type File struct {
	Lead      Lead
	Signature *Header // digests and signatures; itself covered by nothing
	Header    *Header
	Start     int64 // where the main header begins in the file, with its magic

	// Set by ReadPackageFile, not by ReadPackageHeaders.
	Size          int64  // bytes of the whole file
	SHA256        string // of the whole file, lower-case hex
	PayloadSHA256 string // of what follows the headers, still compressed

	payload []payloadDigest
	md5     []byte                    // of header and payload, only where nothing better exists
	full    map[crypto.Hash]hash.Hash // what has seen header and payload, for signatures over both
	read    bool                      // the payload was read
}

// Lead is the first 96 bytes of a package. rpm ignores nearly all of it, and so must everyone: Name can be anything.
type Lead struct {
	Major, Minor byte
	Source       bool
	Name         string // not trusted
}

const leadSize = 96

// ReadPackageFile reads a whole package, from lead to the end of r, in one pass within rpm's bounds. r needs no buffer.
// ErrNotPackage and ErrHeader mark bad content; other errors are those of r.
func ReadPackageFile(r io.Reader) (*File, error) { return Limits{}.ReadPackageFile(r) }

// ReadPackageHeaders reads a package only to the end of its headers: enough to know a directory of packages, and nothing that
// Verify would accept. It may leave r anywhere after the headers.
func ReadPackageHeaders(r io.Reader) (*File, error) {
	f, _, err := Limits{}.readHeaders(r)
	return f, err
}

// ReadPackageFile is the function of that name within other bounds.
func (l Limits) ReadPackageFile(r io.Reader) (*File, error) {
	whole := sha256.New()
	count := &countingReader{r: io.TeeReader(r, whole)}
	f, headers, err := l.readHeaders(count)
	if err != nil {
		return nil, err
	}
	sums := []hash.Hash{whole, sha256.New()}
	f.payload = payloadDigests(f.Header)
	for i := range f.payload {
		d := &f.payload[i]
		switch {
		case d.hash == crypto.SHA256:
			d.sum = sums[1]
		case d.hash.Available():
			d.sum = d.hash.New()
			sums = append(sums, d.sum)
		}
	}
	var old hash.Hash
	if len(f.payload) == 0 {
		old = md5.New()
		old.Write(headers)
		sums = append(sums, old)
	}
	f.full = map[crypto.Hash]hash.Hash{}
	for _, tag := range []uint32{sigPGP, sigGPG} {
		if algo, ok := signatureHash(f.Signature.Binary(tag)); ok && f.full[algo] == nil {
			f.full[algo] = algo.New()
			f.full[algo].Write(headers)
			sums = append(sums, f.full[algo])
		}
	}
	n, err := hashAll(r, sums)
	if err != nil {
		return nil, fmt.Errorf("read payload of %s: %w", f.label(), err)
	}
	f.Size = count.n + n
	f.SHA256, f.PayloadSHA256 = hex.EncodeToString(whole.Sum(nil)), hex.EncodeToString(sums[1].Sum(nil))
	if old != nil {
		f.md5 = old.Sum(nil)
	}
	f.read = true
	return f, nil
}

// label names the file in errors, before anything is known to be true.
func (f *File) label() string {
	if n, err := f.Header.nevra(); err == nil {
		return n.String()
	}
	return "package"
}

// readHeaders reads lead, signature header and main header; headers are the bytes that digests of the main header cover.
func (l Limits) readHeaders(r io.Reader) (f *File, headers []byte, err error) {
	lead := make([]byte, leadSize)
	if _, err := io.ReadFull(r, lead); err != nil {
		return nil, nil, tooShort(err, "lead")
	}
	f = &File{}
	if f.Lead, err = parseLead(lead); err != nil {
		return nil, nil, err
	}
	blob, err := readHeaderBlob(r, headerKind{signature: true, limit: limit(l.Signature, maxSigData)})
	if err != nil {
		return nil, nil, fmt.Errorf("signature header: %w", err)
	}
	if f.Signature, err = parseHeader(blob, headerKind{signature: true, limit: maxSigData}); err != nil {
		return nil, nil, fmt.Errorf("signature header: %w", err)
	}
	pad := (8 - len(blob)%8) % 8 // the eight bytes of magic do not change the remainder
	f.Start = int64(leadSize + len(headerMagic) + len(blob) + pad)
	if pad > 0 {
		if _, err := io.CopyN(io.Discard, r, int64(pad)); err != nil {
			return nil, nil, tooShort(err, "signature header")
		}
	}
	if blob, err = readHeaderBlob(r, headerKind{limit: limit(l.Header, maxData)}); err != nil {
		return nil, nil, err
	}
	if f.Header, err = parseHeader(blob, headerKind{exact: true, limit: maxData}); err != nil {
		return nil, nil, err
	}
	return f, append([]byte(headerMagic), blob...), nil
}

func limit(asked, most int) int {
	if asked <= 0 || asked > most {
		return most
	}
	return asked
}

// parseLead reads the lead (lib/rpmlead.cc).
func parseLead(b []byte) (Lead, error) {
	if bytes.HasPrefix(b, []byte("drpm")) {
		return Lead{}, fmt.Errorf("%w: a delta package", ErrNotPackage)
	}
	if string(b[:4]) != "\xed\xab\xee\xdb" {
		return Lead{}, fmt.Errorf("%w: begins with % x", ErrNotPackage, b[:4])
	}
	l := Lead{Major: b[4], Minor: b[5], Source: binary.BigEndian.Uint16(b[6:]) == 1}
	if l.Major < 3 || l.Major > 4 {
		return Lead{}, fmt.Errorf("%w: package format %d", ErrNotPackage, l.Major)
	}
	if t := binary.BigEndian.Uint16(b[78:]); t != 5 {
		return Lead{}, fmt.Errorf("%w: signature type %d", ErrNotPackage, t)
	}
	name, _, _ := bytes.Cut(b[10:76], []byte{0})
	l.Name = string(name)
	return l, nil
}

// readHeaderBlob reads one header with its magic and returns it without. Memory grows with the bytes that really come.
func readHeaderBlob(r io.Reader, kind headerKind) ([]byte, error) {
	intro := make([]byte, 16)
	if _, err := io.ReadFull(r, intro); err != nil {
		return nil, tooShort(err, "header")
	}
	if string(intro[:8]) != headerMagic {
		return nil, fmt.Errorf("%w: begins with % x", ErrHeader, intro[:8])
	}
	il, dl := binary.BigEndian.Uint32(intro[8:]), binary.BigEndian.Uint32(intro[12:])
	if err := kind.checkCounts(il, dl); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	size := int64(il)*entrySize + int64(dl)
	b.Grow(int(min(8+size, 64<<10)))
	b.Write(intro[8:])
	if _, err := io.CopyN(&b, r, size); err != nil {
		return nil, tooShort(err, "header")
	}
	return b.Bytes(), nil
}

// tooShort tells a file that ends early from one that cannot be read.
func tooShort(err error, where string) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: ends within its %s", ErrNotPackage, where)
	}
	return fmt.Errorf("read %s: %w", where, err)
}

// countingReader counts what passes.
type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// hashAll feeds the rest of r to every hash and returns the number of bytes. Large pieces are hashed on several cores.
func hashAll(r io.Reader, sums []hash.Hash) (int64, error) {
	buf := make([]byte, 256<<10)
	total := int64(0)
	for {
		n, err := io.ReadFull(r, buf)
		total += int64(n)
		if n < 32<<10 {
			for _, s := range sums {
				s.Write(buf[:n])
			}
		} else {
			var wg sync.WaitGroup
			for _, s := range sums[1:] {
				wg.Go(func() { s.Write(buf[:n]) })
			}
			sums[0].Write(buf[:n])
			wg.Wait()
		}
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return total, nil
		case err != nil:
			return total, err
		}
	}
}

// Package returns what the main header says. Package.Header is the digest that rpm will print for it once it is installed:
// SHA-256 where the package carries one, else SHA-1. Both are computed.
func (f *File) Package() (*Package, error) {
	p, err := f.Header.Package()
	if err != nil {
		return nil, err
	}
	if !f.Signature.Has(sigSHA256) && f.Signature.Has(sigSHA1) {
		p.Header = f.Header.SHA1()
	}
	return p, nil
}
