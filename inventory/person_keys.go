package inventory

import (
	"bytes"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Bounds of a person's keys.
const (
	maxKeyFile    = 256 << 10 // bytes
	maxPersonKeys = 100
	minRSAKey     = 2048 // bits; shorter ones are not accepted in signatures either
)

// PersonKey is a public key of a person.
type PersonKey struct {
	Type        string
	Fingerprint string // as ssh-keygen -l prints it
	At          string // the file it stands in
	blob        []byte
}

// keyTypes are the types whose signatures are accepted. Certificates, DSA and keys of unknown types are refused where they are
// written, not when somebody tries to approve with them.
var keyTypes = []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSA, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256}

// isKeyText tells a public key from a path: a type, a blank, and the key.
func isKeyText(s string) bool {
	word, _, blank := strings.Cut(strings.TrimSpace(s), " ")
	return blank && (strings.HasPrefix(word, "ssh-") || strings.HasPrefix(word, "ecdsa-") || strings.HasPrefix(word, "sk-"))
}

// readKeys reads all keys of a person, from text and from files.
func (ld *loading) readKeys(p *Person) {
	fault := ld.at(&p.Source)
	for i, text := range p.Keys {
		if isKeyText(text) {
			keys, err := parseKeys([]byte(text))
			if err != nil {
				fault("keys", "", "key \"keys\" in [person.%s]: %s", p.Name, err)
			}
			p.keys = append(p.keys, from(keys, p.File)...)
			continue
		}
		path := ld.path(text, &p.Source, "keys", "keys")
		p.Keys[i] = path
		if p.spoilt("keys") || path == "" {
			continue
		}
		keys, err := ld.keyFile(path)
		var unsafe *UnsafeError
		switch {
		case errors.As(err, &unsafe):
			fault("keys", unsafe.hint(), "key \"keys\" in [person.%s]: %s", p.Name, unsafe.message())
		case err != nil:
			fault("keys", "", "key \"keys\" in [person.%s]: %q: %s", p.Name, clip(path), cause(err))
		}
		p.keys = append(p.keys, from(keys, path)...)
	}
	if len(p.keys) > maxPersonKeys {
		fault("keys", "", "[person.%s] has more than %d keys", p.Name, maxPersonKeys)
	}
}

func from(keys []PersonKey, file string) []PersonKey {
	for i := range keys {
		keys[i].At = file
	}
	return keys
}

// keyFile reads a file in the format of authorized_keys. Who can change it decides who approves, so it must be as safe as the
// site.
func (ld *loading) keyFile(path string) ([]PersonKey, error) {
	f, info, err := ld.Owners.openSafe(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info.IsDir() {
		return nil, errors.New("is a directory")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxKeyFile {
		return nil, fmt.Errorf("larger than %s", Bytes(maxKeyFile))
	}
	return parseKeys(data)
}

// parseKeys reads lines of public keys. Blank lines and comments are skipped; anything else must be a key without options: an
// option of authorized_keys restricts logins, and here it would be a restriction that nobody enforces.
func parseKeys(text []byte) ([]PersonKey, error) {
	var out []PersonKey
	for n, line := range bytes.Split(text, []byte("\n")) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		key, err := parseKey(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
		out = append(out, key)
	}
	if len(out) == 0 {
		return nil, errors.New("has no public key")
	}
	return out, nil
}

func parseKey(line []byte) (PersonKey, error) {
	pub, _, options, _, err := ssh.ParseAuthorizedKey(line)
	if err != nil {
		return PersonKey{}, fmt.Errorf("%q is not a public key", clip(string(line)))
	}
	if len(options) > 0 {
		return PersonKey{}, fmt.Errorf("the option %q before the key is not supported; write the key alone", clip(options[0]))
	}
	known := false
	for _, t := range keyTypes {
		known = known || t == pub.Type()
	}
	if !known {
		return PersonKey{}, fmt.Errorf("a key of type %q is not accepted", clip(pub.Type()))
	}
	if ck, ok := pub.(ssh.CryptoPublicKey); ok {
		if r, ok := ck.CryptoPublicKey().(*rsa.PublicKey); ok && r.N.BitLen() < minRSAKey {
			return PersonKey{}, fmt.Errorf("an RSA key of less than %d bits is not accepted", minRSAKey)
		}
	}
	return PersonKey{Type: pub.Type(), Fingerprint: ssh.FingerprintSHA256(pub), blob: pub.Marshal()}, nil
}
