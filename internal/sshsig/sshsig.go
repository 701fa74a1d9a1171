// Package sshsig reads and verifies signatures that `ssh-keygen -Y sign` makes (PROTOCOL.sshsig of OpenSSH). It knows no
// people, no files and no clock: whose key it is and what was to be signed is for the caller to say.
package sshsig

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/ssh"
)

// The constants of PROTOCOL.sshsig.
const (
	magic   = "SSHSIG"
	version = 1
	begin   = "-----BEGIN SSH SIGNATURE-----"
	end     = "-----END SSH SIGNATURE-----"
)

// MaxBytes bounds an armoured signature. The largest that is accepted, by an RSA key of 16,384 bits, has about 6 KiB.
const MaxBytes = 16 << 10

// minRSA is the smallest RSA key that is accepted, in bits (NIST SP 800-131A).
const minRSA = 2048

// Signature is a parsed signature. Nothing of it is verified.
type Signature struct {
	Key       ssh.PublicKey // of a type that KeyTypes lists
	Namespace string
	Hash      string // "sha256" or "sha512"
	sig       ssh.Signature
}

// algorithms lists the signatures that a type of key may make. SHA-1 ("ssh-rsa" as a signature) is not among them, and neither
// are DSA and certificates.
func algorithms(keyType string) []string {
	switch keyType {
	case ssh.KeyAlgoRSA:
		return []string{ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512}
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return []string{keyType}
	}
	return nil
}

// CheckKey refuses a public key whose signatures would never be accepted: another type, a certificate, a short RSA key.
func CheckKey(key ssh.PublicKey) error {
	if algorithms(key.Type()) == nil {
		return fmt.Errorf("a key of type %q is not accepted", key.Type())
	}
	if key.Type() != ssh.KeyAlgoRSA {
		return nil
	}
	ck, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return errors.New("an RSA key that cannot be read")
	}
	if pub, ok := ck.CryptoPublicKey().(*rsa.PublicKey); !ok || pub.N.BitLen() < minRSA {
		return fmt.Errorf("an RSA key of less than %d bits is not accepted", minRSA)
	}
	return nil
}

// Parse reads an armoured signature, as ssh-keygen writes it. Whatever is damaged, too large, of another version, or made
// with a key or an algorithm that is not accepted, is an error.
func Parse(armoured []byte) (*Signature, error) {
	if len(armoured) > MaxBytes {
		return nil, fmt.Errorf("larger than %d bytes", MaxBytes)
	}
	blob, err := dearmour(armoured)
	if err != nil {
		return nil, err
	}
	return parseBlob(blob)
}

// dearmour gives the bytes between the two lines.
func dearmour(text []byte) ([]byte, error) {
	text = bytes.TrimSpace(text)
	body, ok := bytes.CutPrefix(text, []byte(begin))
	if !ok {
		return nil, fmt.Errorf("does not begin with %q", begin)
	}
	if body, ok = bytes.CutSuffix(body, []byte(end)); !ok {
		return nil, fmt.Errorf("does not end with %q", end)
	}
	packed := bytes.Join(bytes.Fields(body), nil)
	blob := make([]byte, base64.StdEncoding.DecodedLen(len(packed)))
	n, err := base64.StdEncoding.Strict().Decode(blob, packed)
	if err != nil {
		return nil, fmt.Errorf("not base64: %w", err)
	}
	return blob[:n], nil
}

// wire is the layout after the magic.
type wire struct {
	Version   uint32
	PublicKey []byte
	Namespace string
	Reserved  string
	Hash      string
	Signature []byte
}

func parseBlob(blob []byte) (*Signature, error) {
	rest, ok := bytes.CutPrefix(blob, []byte(magic))
	if !ok {
		return nil, errors.New("not an SSH signature: the magic is missing")
	}
	var w wire
	if err := ssh.Unmarshal(rest, &w); err != nil {
		return nil, fmt.Errorf("damaged: %w", err)
	}
	if w.Version != version {
		return nil, fmt.Errorf("has version %d, this cpacman reads %d", w.Version, version)
	}
	if w.Reserved != "" {
		return nil, errors.New("has something in the reserved field")
	}
	if w.Hash != "sha256" && w.Hash != "sha512" {
		return nil, fmt.Errorf("hash %q is not sha256 or sha512", w.Hash)
	}
	key, err := ssh.ParsePublicKey(w.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("its public key is damaged: %w", err)
	}
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	s := &Signature{Key: key, Namespace: w.Namespace, Hash: w.Hash}
	if err := ssh.Unmarshal(w.Signature, &s.sig); err != nil {
		return nil, fmt.Errorf("damaged: %w", err)
	}
	if !slices.Contains(algorithms(key.Type()), s.sig.Format) {
		return nil, fmt.Errorf("a signature of type %q by a key of type %q is not accepted", s.sig.Format, key.Type())
	}
	// Only the signatures of security keys have something behind them: flags and counter.
	if sk := key.Type() == ssh.KeyAlgoSKED25519 || key.Type() == ssh.KeyAlgoSKECDSA256; !sk && len(s.sig.Rest) > 0 {
		return nil, errors.New("damaged: bytes behind the signature")
	}
	return s, nil
}

// Verify tells whether the key of the signature signed the message in the namespace. A security key must have been touched.
func (s *Signature) Verify(message []byte, namespace string) error {
	if s.Namespace != namespace {
		return fmt.Errorf("was made for the namespace %q, not for %q", s.Namespace, namespace)
	}
	if err := s.Key.Verify(s.signed(message), &s.sig); err != nil {
		return fmt.Errorf("does not fit the text: %w", err)
	}
	return nil
}

// signed is what the key itself signs: the magic without a version, the namespace, the reserved field, the hash and its name.
func (s *Signature) signed(message []byte) []byte {
	var sum []byte
	if s.Hash == "sha256" {
		h := sha256.Sum256(message)
		sum = h[:]
	} else {
		h := sha512.Sum512(message)
		sum = h[:]
	}
	return append([]byte(magic), ssh.Marshal(struct {
		Namespace, Reserved, Hash string
		Sum                       []byte
	}{s.Namespace, "", s.Hash, sum})...)
}

// Fingerprint names the key, as ssh-keygen -l does.
func (s *Signature) Fingerprint() string { return ssh.FingerprintSHA256(s.Key) }
