package rpm

import (
	"bytes"
	"crypto"
	"crypto/sha3"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// SignatureError says which key a refusal is about.
type SignatureError struct {
	KeyID  string // 16 hex digits, "" when the signature does not tell
	Scope  Scope
	Detail string
	Err    error // one of ErrUnknownKey, ErrBadSignature, ErrUnsupportedSignature, ErrWeakSignature, ErrKeyInvalid
}

// Error names kind, key and detail.
func (e *SignatureError) Error() string {
	s := e.Err.Error()
	if e.KeyID != "" {
		s += ": key " + e.KeyID
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// Unwrap returns the kind.
func (e *SignatureError) Unwrap() error { return e.Err }

// Policy says what is enough. The zero value is right for `signed = "required"`.
type Policy struct {
	// Unsigned accepts a package without any signature whose own digests, as far as it has any, are right; Verification.Modern
	// tells whether they are worth something. A bad, weak or unknown signature is refused all the same.
	Unsigned bool
	// Legacy accepts SHA-1 and MD5, DSA, RSA keys below 2048 bits, and a payload that only an MD5 covers which nobody signed:
	// no proof at all against somebody who means harm. PayloadProof then says so.
	Legacy bool
}

// Verification is what Verify found, also when it refuses.
type Verification struct {
	Signatures []SignatureResult // all of the package, in order
	Signer     *SignatureResult  // the good one that counts; nil for an unsigned package
	// HeaderProof and PayloadProof name what ties header and payload to the signer, or in an unsigned package to each other:
	// "signature", a hash such as "SHA-256", "MD5", or "none".
	HeaderProof, PayloadProof string
}

// Modern tells whether header and payload are both covered by more than MD5 and SHA-1. Of an unsigned package that says it is
// undamaged, never where it comes from.
func (v Verification) Modern() bool { return modern(v.HeaderProof) && modern(v.PayloadProof) }

func modern(proof string) bool { return proof != "none" && proof != "MD5" && proof != "SHA-1" }

// SignatureResult is the judgement on one signature.
type SignatureResult struct {
	Scope       Scope
	Version     int    // of the OpenPGP packet
	KeyID       string // 16 hex digits: of the key or subkey that signed
	Fingerprint string // of the trusted primary key, when known
	UserID      string // one of its names, when known; untrusted text
	Time        time.Time
	Algorithm   string // such as "RSA/SHA-256"
	Err         error  // nil when good, else a *SignatureError
}

// Verify judges a file that ReadPackageFile read: every digest it carries must be right, no signature may be bad, at least one
// must be good and by a key of the ring, and the payload must be covered, by the signature itself or by a digest in the signed
// header. The clock plays no
// part: a key has to be valid at the time of the signature.
func (f *File) Verify(keys Keyring, policy Policy) (Verification, error) {
	v := Verification{HeaderProof: "none", PayloadProof: "none"}
	if !f.read {
		return v, fmt.Errorf("verify %s: the payload was not read", f.label())
	}
	signatures, err := readSignatures(f.Signature)
	if err != nil {
		return v, fmt.Errorf("verify %s: %w", f.label(), err)
	}
	for _, s := range signatures {
		v.Signatures = append(v.Signatures, f.judge(s, keys, policy))
	}
	if err := f.checkDigests(&v); err != nil {
		return v, fmt.Errorf("verify %s: %w", f.label(), err)
	}
	if err := v.decide(policy); err != nil {
		return v, fmt.Errorf("verify %s: %w", f.label(), err)
	}
	return v, nil
}

// judge checks one signature with every key it may be by.
func (f *File) judge(s *signature, keys Keyring, policy Policy) SignatureResult {
	r := SignatureResult{Scope: s.scope, Version: s.version, Time: s.created}
	if s.keyID != 0 {
		r.KeyID = fmt.Sprintf("%016x", s.keyID)
	}
	fail := func(kind error, detail string) SignatureResult {
		r.Err = &SignatureError{KeyID: r.KeyID, Scope: s.scope, Detail: detail, Err: kind}
		return r
	}
	if s.err != nil {
		return fail(ErrUnsupportedSignature, strings.TrimPrefix(s.err.Error(), ErrUnsupportedSignature.Error()+": "))
	}
	r.Algorithm = algorithmName(s.algo) + "/" + s.hash.String()
	found := keys.find(s.keyID)
	if len(found) == 0 {
		return fail(ErrUnknownKey, "")
	}
	var failed, invalid error
	good := false
	for _, k := range found {
		h, err := f.signedHash(s)
		if err != nil {
			return fail(ErrUnsupportedSignature, err.Error())
		}
		if err := s.check(k.public, h); err != nil {
			failed = err
			continue
		}
		r.Fingerprint, r.UserID = k.owner.Fingerprint(), at(k.owner.UserIDs(), 0)
		if weak := weakness(s, k.public); weak != "" && !policy.Legacy {
			return fail(ErrWeakSignature, weak)
		}
		if err := k.usable(s.created); err == nil {
			good = true
		} else if invalid = err; k.revoked {
			return fail(ErrKeyInvalid, err.Error()) // whatever another copy of the key says
		}
	}
	switch {
	case good && s.packet != nil && s.packet.SigLifetimeSecs != nil && *s.packet.SigLifetimeSecs != 0:
		return fail(ErrUnsupportedSignature, "it has an expiry date")
	case good:
		return r
	case invalid != nil:
		return fail(ErrKeyInvalid, invalid.Error())
	}
	return fail(ErrBadSignature, failed.Error())
}

// weakness says what is too weak in a signature, "" for nothing.
func weakness(s *signature, pk *packet.PublicKey) string {
	switch s.hash {
	case crypto.MD5, crypto.SHA1:
		return s.hash.String()
	}
	switch s.algo {
	case packet.PubKeyAlgoDSA:
		return "DSA"
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly:
		if bits, err := pk.BitLength(); err != nil || bits < 2048 {
			return fmt.Sprintf("RSA key of %d bits", bits)
		}
	}
	return ""
}

func algorithmName(a packet.PublicKeyAlgorithm) string {
	switch a {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly:
		return "RSA"
	case packet.PubKeyAlgoDSA:
		return "DSA"
	case packet.PubKeyAlgoECDSA:
		return "ECDSA"
	case packet.PubKeyAlgoEdDSA, packet.PubKeyAlgoEd25519, packet.PubKeyAlgoEd448:
		return "EdDSA"
	case packet.PubKeyAlgoMldsa65Ed25519, packet.PubKeyAlgoMldsa87Ed448:
		return "ML-DSA"
	}
	return fmt.Sprintf("algorithm %d", a)
}

// checkDigests compares every digest that can be computed; the strongest good one is noted as proof.
func (f *File) checkDigests(v *Verification) error {
	sha3sum := sha3.New256()
	_, _ = headerBytes{f.Header}.WriteTo(sha3sum) // a hash never fails
	for _, d := range []struct {
		name, got string
		tag       uint32
	}{ // weakest first
		{"SHA-1", f.Header.SHA1(), sigSHA1},
		{"SHA3-256", hex.EncodeToString(sha3sum.Sum(nil)), sigSHA3},
		{"SHA-256", f.Header.SHA256(), sigSHA256},
	} {
		if !f.Signature.Has(d.tag) {
			continue
		}
		if want := f.Signature.Text(d.tag); !strings.EqualFold(want, d.got) {
			return fmt.Errorf("%w: header has %s %s where the package says %.64q", ErrDigest, d.name, d.got, want)
		}
		v.HeaderProof = d.name
	}
	for _, d := range f.payload {
		if d.sum == nil {
			continue
		}
		if got := hex.EncodeToString(d.sum.Sum(nil)); !strings.EqualFold(got, d.want) {
			return fmt.Errorf("%w: payload has %v %s where the header says %.128q", ErrDigest, d.hash, got, d.want)
		}
		if v.PayloadProof == "none" || d.hash == crypto.SHA256 {
			v.PayloadProof = d.hash.String()
		}
	}
	if want := f.Signature.Binary(sigMD5); f.md5 != nil && f.Signature.Has(sigMD5) {
		if !bytes.Equal(want, f.md5) {
			return fmt.Errorf("%w: header and payload have MD5 %x where the package says %.32x", ErrDigest, f.md5, want)
		}
		if v.PayloadProof == "none" {
			v.PayloadProof = "MD5"
		}
	}
	return nil
}

// decide turns findings into one answer. The first reason in the order below wins.
func (v *Verification) decide(policy Policy) error {
	var refused error
	for i := range v.Signatures {
		r := &v.Signatures[i]
		switch {
		case errors.Is(r.Err, ErrBadSignature):
			return r.Err // whoever else signed: somebody changed this package
		case r.Err == nil:
			v.HeaderProof = "signature"
			if r.Scope == ScopeAll {
				v.PayloadProof = "signature"
			}
			if v.Signer == nil || r.Scope > v.Signer.Scope {
				v.Signer = r
			}
		case refused == nil:
			refused = r.Err
		}
	}
	switch {
	case v.Signer == nil && refused != nil:
		return refused
	case v.Signer == nil && !policy.Unsigned:
		return ErrUnsigned
	case v.Signer == nil:
		return nil
	}
	switch { // the header is signed
	case v.PayloadProof == "none":
		return fmt.Errorf("%w: nothing covers it", ErrNoModernDigest)
	case !modern(v.PayloadProof) && !policy.Legacy:
		return fmt.Errorf("%w: only %s", ErrNoModernDigest, v.PayloadProof)
	}
	return nil
}
