package rpm

import (
	"bytes"
	"crypto"
	"crypto/dsa" //nolint:staticcheck // packages of CentOS 5 and older; only by Policy.Legacy
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"math/big"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Scope tells what a signature covers.
type Scope uint8

// The two kinds of signatures that packages carry.
const (
	ScopeHeader Scope = iota + 1 // the main header, which may vouch for the payload by a digest
	ScopeAll                     // main header and payload
)

// String gives the scope as reports print it.
func (s Scope) String() string {
	if s == ScopeAll {
		return "header+payload"
	}
	return "header"
}

// signature is one OpenPGP signature of a package.
type signature struct {
	scope   Scope
	version int
	keyID   uint64
	created time.Time
	hash    crypto.Hash
	algo    packet.PublicKeyAlgorithm
	packet  *packet.Signature // version 4 and later
	old     *signatureV3
	err     error // why it cannot be checked at all
}

// signatureV3 is a version 3 signature packet (RFC 4880, 5.2.2), which go-crypto does not read. Packages of Red Hat, CentOS and
// EPEL up to version 7, and many of version 8, are signed so; nothing is weak about it when the hash is not.
type signatureV3 struct {
	hashed [5]byte // type and time, hashed after the data
	left   [2]byte
	values []*big.Int
}

// readSignatures collects the signatures of a signature header. One that cannot be read is kept with its error. Packages of
// rpm 6 carry a list; its legacy tags say the same once more.
func readSignatures(h *Header) ([]*signature, error) {
	var out []*signature
	for _, k := range []struct {
		tag   uint32
		scope Scope
	}{{sigRSAHeader, ScopeHeader}, {sigDSAHeader, ScopeHeader}, {sigPGP, ScopeAll}, {sigGPG, ScopeAll}} {
		if !h.Has(k.tag) || k.scope == ScopeAll && h.Has(sigReserved) && h.Has(sigSHA3) {
			continue // rpm 6 ignores tags of the old range (rpmvsInit in lib/rpmvs.cc)
		}
		out = append(out, parseSignature(h.Binary(k.tag), k.scope))
	}
	for _, text := range h.Texts(sigOpenPGP) {
		raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
		if err != nil {
			return nil, fmt.Errorf("%w: signature is not base64", ErrHeader)
		}
		out = append(out, parseSignature(raw, ScopeHeader))
	}
	return out, nil
}

// parseSignature reads one packet. What cannot be used has err set, to ErrUnsupportedSignature.
func parseSignature(raw []byte, scope Scope) *signature {
	s := &signature{scope: scope}
	if err := s.parse(raw); err != nil {
		s.err = fmt.Errorf("%w: %w", ErrUnsupportedSignature, err)
	}
	return s
}

func (s *signature) parse(raw []byte) error {
	body, err := signatureBody(raw)
	if err != nil {
		return err
	}
	s.version = int(body[0])
	if s.version == 3 {
		err = s.parseV3(body)
	} else {
		err = s.parsePacket(raw)
	}
	if err != nil {
		return fmt.Errorf("version %d: %w", s.version, err)
	}
	if !s.hash.Available() {
		return fmt.Errorf("hash %v", s.hash)
	}
	return nil
}

func (s *signature) parsePacket(raw []byte) error {
	parsed, err := packet.Read(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	sig, ok := parsed.(*packet.Signature)
	switch {
	case !ok:
		return errors.New("no signature")
	case sig.SigType != packet.SigTypeBinary:
		return fmt.Errorf("signature type %d", sig.SigType)
	case sig.IssuerKeyId == nil && len(sig.IssuerFingerprint) < 20:
		return errors.New("does not name its key")
	}
	s.packet, s.hash, s.algo, s.created = sig, sig.Hash, sig.PubKeyAlgo, sig.CreationTime
	switch fp := sig.IssuerFingerprint; {
	case sig.IssuerKeyId != nil:
		s.keyID = *sig.IssuerKeyId
	case len(fp) == 32: // version 6: the first eight bytes
		s.keyID = binary.BigEndian.Uint64(fp)
	default:
		s.keyID = binary.BigEndian.Uint64(fp[len(fp)-8:])
	}
	return nil
}

func (s *signature) parseV3(b []byte) error {
	const fixed = 19
	if len(b) < fixed || b[1] != 5 {
		return errors.New("damaged")
	}
	if b[2] != 0 {
		return fmt.Errorf("signature type %d", b[2])
	}
	old := &signatureV3{left: [2]byte(b[17:19])}
	copy(old.hashed[:], b[2:7])
	s.created = time.Unix(int64(binary.BigEndian.Uint32(b[3:])), 0).UTC()
	s.keyID, s.algo = binary.BigEndian.Uint64(b[7:]), packet.PublicKeyAlgorithm(b[15])
	ok := false
	if s.hash, ok = hashByID(uint64(b[16])); !ok {
		return fmt.Errorf("hash %d", b[16])
	}
	for b = b[fixed:]; len(b) > 0; {
		if len(b) < 2 {
			return errors.New("damaged")
		}
		n := (int(binary.BigEndian.Uint16(b)) + 7) / 8
		if len(b) < 2+n {
			return errors.New("damaged")
		}
		old.values = append(old.values, new(big.Int).SetBytes(b[2:2+n]))
		b = b[2+n:]
	}
	want := 1
	switch s.algo {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly:
	case packet.PubKeyAlgoDSA:
		want = 2
	default:
		return fmt.Errorf("public key algorithm %d", s.algo)
	}
	if len(old.values) != want {
		return errors.New("damaged")
	}
	s.old = old
	return nil
}

// signedHash returns a hash that has seen what s was made over; checking spoils it, and several keys may be tried.
func (f *File) signedHash(s *signature) (hash.Hash, error) {
	if s.scope == ScopeHeader {
		h := s.hash.New()
		if s.packet != nil {
			h.Write(s.packet.Salt())
		}
		_, err := headerBytes{f.Header}.WriteTo(h)
		return h, err
	}
	seen, ok := f.full[s.hash]
	if !ok || s.packet != nil && len(s.packet.Salt()) > 0 {
		return nil, fmt.Errorf("version %d with %v over the payload", s.version, s.hash)
	}
	c, ok := seen.(hash.Cloner)
	if !ok {
		return nil, fmt.Errorf("hash %v cannot be copied", s.hash)
	}
	return c.Clone()
}

// check tells whether the signature over what h has seen was made by pk. It spoils h.
func (s *signature) check(pk *packet.PublicKey, h hash.Hash) error {
	if s.old == nil {
		return pk.VerifySignature(h, s.packet)
	}
	h.Write(s.old.hashed[:])
	sum := h.Sum(nil)
	if sum[0] != s.old.left[0] || sum[1] != s.old.left[1] {
		return errors.New("hash does not match")
	}
	switch key := pk.PublicKey.(type) {
	case *rsa.PublicKey:
		if s.algo == packet.PubKeyAlgoDSA {
			break
		}
		if s.old.values[0].BitLen() > key.Size()*8 {
			return errors.New("longer than its key")
		}
		return rsa.VerifyPKCS1v15(key, s.hash, sum, s.old.values[0].FillBytes(make([]byte, key.Size())))
	case *dsa.PublicKey:
		if s.algo != packet.PubKeyAlgoDSA {
			break
		}
		if n := (key.Q.BitLen() + 7) / 8; len(sum) > n {
			sum = sum[:n] // FIPS 186-3, 4.6
		}
		if dsa.Verify(key, sum, s.old.values[0], s.old.values[1]) {
			return nil
		}
		return errors.New("DSA verification failure")
	}
	return errors.New("key and signature use different algorithms")
}
