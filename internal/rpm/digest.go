package rpm

import (
	"crypto"
	_ "crypto/md5"  // registers the hash for what is older than rpm 4.14
	_ "crypto/sha1" // the same
	_ "crypto/sha3"
	_ "crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"io"
)

// headerBytes writes what header signatures and digests are made over.
type headerBytes struct{ h *Header }

func (b headerBytes) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write([]byte(headerMagic))
	if err != nil {
		return int64(n), err
	}
	m, err := w.Write(b.h.immutable)
	return int64(n + m), err
}

// hashByID knows the hash algorithms of OpenPGP (RFC 9580, 9.5), also used by rpm for payload digests.
func hashByID(id uint64) (crypto.Hash, bool) {
	switch id {
	case 1:
		return crypto.MD5, true
	case 2:
		return crypto.SHA1, true
	case 8:
		return crypto.SHA256, true
	case 9:
		return crypto.SHA384, true
	case 10:
		return crypto.SHA512, true
	case 11:
		return crypto.SHA224, true
	case 12:
		return crypto.SHA3_256, true
	case 14:
		return crypto.SHA3_512, true
	}
	return 0, false
}

// payloadDigest is a digest of the payload that the main header carries.
type payloadDigest struct {
	hash crypto.Hash
	want string
	sum  hash.Hash // nil when the algorithm is not known here
}

// payloadDigests returns the digests over the payload as it lies in the file. Those over the uncompressed payload (5097, 5122,
// 5124) would only matter to someone who recompressed it.
func payloadDigests(h *Header) []payloadDigest {
	var out []payloadDigest
	if list := h.Texts(tagPayloadDigest); len(list) > 0 {
		algo := crypto.SHA256
		if id, ok := h.Number(tagPayloadDigestAlgo); ok {
			algo, _ = hashByID(id)
		}
		out = append(out, payloadDigest{hash: algo, want: list[0]})
	}
	if s := h.Text(tagPayloadSHA512); s != "" {
		out = append(out, payloadDigest{hash: crypto.SHA512, want: s})
	}
	if s := h.Text(tagPayloadSHA3); s != "" {
		out = append(out, payloadDigest{hash: crypto.SHA3_256, want: s})
	}
	return out
}

// maxSignature bounds one signature packet, bytes; the largest known (ML-DSA-87 with Ed448) has less than 5 KB.
const maxSignature = 64 << 10

// signatureBody returns the content of the one OpenPGP signature packet that raw must be. Only packets of known length are
// taken, as rpm does.
func signatureBody(raw []byte) ([]byte, error) {
	if len(raw) < 2 || len(raw) > maxSignature || raw[0]&0x80 == 0 {
		return nil, errors.New("no OpenPGP packet")
	}
	var kind, head, size int
	number := func(from, to int) int {
		n := 0
		for i := from; i < to; i++ {
			n = n<<8 | int(at(raw, i))
		}
		return n
	}
	switch old, l := raw[0]&0x40 == 0, int(raw[1]); {
	case old && raw[0]&3 < 3:
		kind, head = int(raw[0]>>2)&0x0f, 1+1<<(raw[0]&3)
		size = number(1, head)
	case old || l >= 224 && l < 255:
		return nil, errors.New("OpenPGP packet of unknown length")
	case l < 192:
		kind, head, size = int(raw[0]&0x3f), 2, l
	case l == 255:
		kind, head, size = int(raw[0]&0x3f), 6, number(2, 6)
	default:
		kind, head, size = int(raw[0]&0x3f), 3, number(1, 3)-192<<8+192
	}
	if kind != 2 {
		return nil, fmt.Errorf("OpenPGP packet of type %d", kind)
	}
	if size == 0 || head+size != len(raw) {
		return nil, fmt.Errorf("OpenPGP packet of %d bytes in %d", size, len(raw)-head)
	}
	return raw[head:], nil
}

// signatureHash tells which hash a signature packet was made with, before it is known to be sound.
func signatureHash(raw []byte) (crypto.Hash, bool) {
	body, err := signatureBody(raw)
	if err != nil {
		return 0, false
	}
	place := 3 // version 4: version, type, key algorithm, hash
	if body[0] == 3 {
		place = 16
	}
	algo, ok := hashByID(uint64(at(body, place)))
	return algo, ok && algo.Available()
}
