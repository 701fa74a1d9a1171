package rpm

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// Keyring is a set of public keys whose signatures are trusted. It is immutable and safe for concurrent use.
type Keyring struct {
	keys []Key
	// Skipped says which keys of the files read could not be used, and why. An operator wants to know.
	Skipped []error
}

// Key is one public key with its subkeys.
type Key struct {
	entity *openpgp.Entity
	raw    []byte
}

// ErrNoKey marks a file without one usable public key.
var ErrNoKey = errors.New("no usable OpenPGP public key")

// maxKeyFile bounds a key file, bytes. The largest distribution key has 10 KB.
const maxKeyFile = 4 << 20

// ReadKeys reads public keys, armored (any number of blocks, with other text around them, as distributions publish them) or
// binary. Private keys are refused. Keys it cannot use are in Skipped; with none left the error is ErrNoKey.
func ReadKeys(r io.Reader) (Keyring, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxKeyFile+1))
	if err != nil {
		return Keyring{}, fmt.Errorf("read keys: %w", err)
	}
	if len(data) > maxKeyFile {
		return Keyring{}, fmt.Errorf("%w: file is longer than %d bytes", ErrNoKey, maxKeyFile)
	}
	var ring Keyring
	if bytes.Contains(data, []byte("-----BEGIN PGP PRIVATE")) {
		return Keyring{}, fmt.Errorf("%w: the file holds a private key, which belongs on no control host", ErrNoKey)
	}
	blocks := armoredBlocks(data)
	for _, b := range blocks {
		block, err := armor.Decode(bytes.NewReader(b))
		if err != nil {
			ring.Skipped = append(ring.Skipped, fmt.Errorf("armored block: %w", err))
			continue
		}
		body, err := io.ReadAll(block.Body)
		if err != nil {
			ring.Skipped = append(ring.Skipped, fmt.Errorf("armored block: %w", err))
			continue
		}
		ring.read(body)
	}
	if len(blocks) == 0 {
		ring.read(data)
	}
	if len(ring.keys) == 0 {
		return Keyring{}, fmt.Errorf("%w: %w", ErrNoKey, errors.Join(ring.Skipped...))
	}
	return ring, nil
}

// armoredBlocks cuts the public key blocks out of text.
func armoredBlocks(data []byte) [][]byte {
	const begin, end = "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----"
	var out [][]byte
	for {
		i := bytes.Index(data, []byte(begin))
		if i < 0 {
			return out
		}
		data = data[i:]
		j := bytes.Index(data, []byte(end))
		if j < 0 {
			return out
		}
		out = append(out, append(bytes.Clone(data[:j+len(end)]), '\n'))
		data = data[j+len(end):]
	}
}

// read adds the keys of one binary block. Each is read on its own, so that one bad key does not hide the others.
func (r *Keyring) read(body []byte) {
	parts, err := splitKeys(body)
	if err != nil {
		r.Skipped = append(r.Skipped, fmt.Errorf("after key %d: %w", len(parts), err))
	}
	for i, part := range parts {
		e, err := openpgp.ReadEntity(packet.NewReader(bytes.NewReader(part)))
		switch {
		case err != nil:
			r.Skipped = append(r.Skipped, fmt.Errorf("key %d: %w", i+1, err))
		case e.PrivateKey != nil:
			r.Skipped = append(r.Skipped, fmt.Errorf("key %d is a private key", i+1))
		default:
			r.add(Key{e, part})
		}
	}
}

// splitKeys cuts a series of OpenPGP packets where a public (6) or private (5) key begins, as far as they can be
// read.
func splitKeys(body []byte) (out [][]byte, err error) {
	packets := packet.NewOpaqueReader(bytes.NewReader(body))
	for {
		p, err := packets.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		var b bytes.Buffer
		if err := p.Serialize(&b); err != nil {
			return out, err
		}
		switch {
		case p.Tag == 5 || p.Tag == 6:
			out = append(out, b.Bytes())
		case len(out) > 0:
			out[len(out)-1] = append(out[len(out)-1], b.Bytes()...)
		}
	}
}

// Keys returns the keys in the order they were read.
func (r Keyring) Keys() []Key { return slices.Clone(r.keys) }

// add keeps a key once. Two different copies of one key are both kept: the newer may have a subkey more, or a revocation.
func (r *Keyring) add(k Key) {
	if !slices.ContainsFunc(r.keys, func(o Key) bool { return bytes.Equal(o.raw, k.raw) }) {
		r.keys = append(r.keys, k)
	}
}

// Join returns the keys of both.
func (r Keyring) Join(other Keyring) Keyring {
	out := Keyring{keys: slices.Clone(r.keys), Skipped: slices.Concat(r.Skipped, other.Skipped)}
	for _, k := range other.keys {
		out.add(k)
	}
	return out
}

// Fingerprint is the primary key's, lower-case hex: 40 digits, 64 for version 6.
func (k Key) Fingerprint() string { return hex.EncodeToString(k.entity.PrimaryKey.Fingerprint) }

// LongID is the primary key's id, 16 lower-case hex digits.
func (k Key) LongID() string { return fmt.Sprintf("%016x", k.entity.PrimaryKey.KeyId) }

// ShortID is the last eight digits of LongID: the version of the gpg-pubkey entry that rpm before 6 makes of the key. It is
// easily forged, so it tells that a key is missing, never that the right one is there.
func (k Key) ShortID() string { return k.LongID()[8:] }

// Created is the time the primary key was made.
func (k Key) Created() time.Time { return k.entity.PrimaryKey.CreationTime.UTC() }

// CreatedHex is that time as the release of the gpg-pubkey entry has it.
func (k Key) CreatedHex() string { return fmt.Sprintf("%08x", uint32(k.Created().Unix())) }

// Expires is when the primary key ends by its newest self-signature; zero: never, or not said.
func (k Key) Expires() time.Time {
	self, _ := k.entity.PrimarySelfSignature()
	if self == nil || self.KeyLifetimeSecs == nil || *self.KeyLifetimeSecs == 0 {
		return time.Time{}
	}
	return k.Created().Add(time.Duration(*self.KeyLifetimeSecs) * time.Second)
}

// Armor is the key alone, its packets as they were read, in the text form that `rpm --import` takes.
func (k Key) Armor() (string, error) {
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.PublicKeyType, nil)
	if err != nil {
		return "", fmt.Errorf("write key %s: %w", k.Fingerprint(), err)
	}
	if _, err := w.Write(k.raw); err != nil {
		return "", fmt.Errorf("write key %s: %w", k.Fingerprint(), err)
	}
	if err := w.Close(); err != nil {
		return "", fmt.Errorf("write key %s: %w", k.Fingerprint(), err)
	}
	return b.String() + "\n", nil
}

// UserIDs returns the names bound to the key, sorted.
func (k Key) UserIDs() []string {
	var ids []string
	for name := range k.entity.Identities {
		ids = append(ids, name)
	}
	slices.Sort(ids)
	return ids
}

// MatchesPubkey tells whether a gpg-pubkey entry with this version and release can be this key. rpm before 6 writes the short
// id as version, rpm 6 the fingerprint; both write the creation time as release.
func (k Key) MatchesPubkey(version, release string) bool {
	version = strings.ToLower(version)
	return strings.EqualFold(release, k.CreatedHex()) && (version == k.ShortID() || version == k.LongID() || version == k.Fingerprint())
}

// subkey is one key that can sign, with the signature that binds it.
type subkey struct {
	owner   Key
	public  *packet.PublicKey
	self    *packet.Signature
	revoked bool
}

// find returns the keys and subkeys with that id; an id of 64 bits may, with effort, be had by two.
func (r Keyring) find(id uint64) []subkey {
	var out []subkey
	for _, k := range r.keys {
		gone := len(k.entity.Revocations) > 0
		if k.entity.PrimaryKey.KeyId == id {
			self, _ := k.entity.PrimarySelfSignature()
			out = append(out, subkey{k, k.entity.PrimaryKey, self, gone})
		}
		for _, s := range k.entity.Subkeys {
			if s.PublicKey.KeyId == id {
				out = append(out, subkey{k, s.PublicKey, s.Sig, gone || len(s.Revocations) > 0})
			}
		}
	}
	return out
}

// usable tells why a signature made at the given time by this key does not count, nil if it does. A key that has expired since
// still vouches for what it signed before: packages outlive keys, and rpm 4.18 goes further, it never looks at the expiry. A
// revoked key vouches for nothing.
func (k subkey) usable(at time.Time) error {
	switch {
	case k.revoked:
		return errors.New("key is revoked")
	case k.self == nil:
		return errors.New("key has no self-signature")
	case k.self.FlagsValid && !k.self.FlagSign && k.public != k.owner.entity.PrimaryKey:
		return errors.New("subkey is not for signing")
	case k.public.CreationTime.After(at):
		return errors.New("signature is older than its key")
	case k.public.KeyExpired(k.self, at):
		return errors.New("key had expired when it signed")
	}
	if primary, _ := k.owner.entity.PrimarySelfSignature(); primary == nil || k.owner.entity.PrimaryKey.KeyExpired(primary, at) {
		return errors.New("primary key had expired when it signed")
	}
	return nil
}
