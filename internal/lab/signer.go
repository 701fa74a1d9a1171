package lab

import (
	"bytes"
	"crypto"
	"fmt"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// KeySigner is an OpenPGP key that lives only in this process. It may be used from
// several goroutines.
type KeySigner struct {
	entity *openpgp.Entity
	config *packet.Config
}

// keyBits is the length of signing keys: RSA is what every rpm still in use accepts, 2048
// bits are enough for a key that lives an hour, and three times as fast as 3072.
const keyBits = 2048

// NewSigner makes a new RSA key for the lab. It takes up to a second.
func NewSigner() (*KeySigner, error) { return NewSignerBits(keyBits) }

// NewSignerBits is NewSigner with a key length, for tests that make many keys.
func NewSignerBits(bits int) (*KeySigner, error) {
	config := &packet.Config{
		DefaultHash: crypto.SHA256,
		Algorithm:   packet.PubKeyAlgoRSA,
		RSABits:     bits,
		// an hour back: a host whose clock is a little behind must not see a key of the future
		Time: func() time.Time { return time.Now().Add(-time.Hour) },
	}
	entity, err := openpgp.NewEntity("Lab OS", "throwaway lab key", "lab@lab.invalid", config)
	if err != nil {
		return nil, fmt.Errorf("make signing key: %w", err)
	}
	return &KeySigner{entity: entity, config: config}, nil
}

// Sign makes a detached binary signature, as rpm stores it in a package.
func (k *KeySigner) Sign(data []byte) ([]byte, error) {
	var out bytes.Buffer
	if err := openpgp.DetachSign(&out, k.entity, bytes.NewReader(data), k.config); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return out.Bytes(), nil
}

// PublicKey is the armoured public key, as `rpm --import` takes it.
func (k *KeySigner) PublicKey() ([]byte, error) {
	var out bytes.Buffer
	w, err := armor.Encode(&out, openpgp.PublicKeyType, nil)
	if err != nil {
		return nil, fmt.Errorf("write public key: %w", err)
	}
	if err := k.entity.Serialize(w); err != nil {
		return nil, fmt.Errorf("write public key: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("write public key: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// KeyID is the 64-bit id of the key, in lower-case hexadecimal as rpm prints it.
func (k *KeySigner) KeyID() string { return fmt.Sprintf("%016x", k.entity.PrimaryKey.KeyId) }
