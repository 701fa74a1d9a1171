package repo

import (
	"crypto/md5"  //nolint:gosec // old metadata has nothing better; callers are told by Weak
	"crypto/sha1" //nolint:gosec // as above
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
)

// Checksum is a digest as metadata writes it. The zero value means that none is known.
type Checksum struct {
	Type  string // md5, sha1, sha224, sha256, sha384 or sha512; "sha" of old metadata is sha1
	Value string // lower-case hex
}

// String writes "type:value".
func (c Checksum) String() string { return c.Type + ":" + c.Value }

// Weak tells digests that protect against accidents only.
func (c Checksum) Weak() bool { return c.Type == "md5" || c.Type == "sha1" }

// newHash returns the hash of a type, or nil when the type is unknown.
func newHash(kind string) hash.Hash {
	switch kind {
	case "md5":
		return md5.New() //nolint:gosec // see the import
	case "sha1":
		return sha1.New() //nolint:gosec // see the import
	case "sha224":
		return sha256.New224()
	case "sha256":
		return sha256.New()
	case "sha384":
		return sha512.New384()
	case "sha512":
		return sha512.New()
	}
	return nil
}

// hexLength maps a type to the length of its value, 0 when the type is unknown.
func hexLength(kind string) int {
	switch kind {
	case "md5":
		return 32
	case "sha1":
		return 40
	case "sha224":
		return 56
	case "sha256":
		return 64
	case "sha384":
		return 96
	case "sha512":
		return 128
	}
	return 0
}

// checksumType gives the one name of a type as written in metadata: "sha" is what createrepo called SHA-1.
func checksumType(s string) string {
	switch s { // the usual ones first, without work
	case "sha256", "sha512", "sha1", "md5":
		return s
	case "sha":
		return "sha1"
	}
	s = strings.ToLower(strings.ReplaceAll(s, "-", ""))
	if s == "sha" {
		return "sha1"
	}
	return s
}

// parseChecksum checks type and value.
func parseChecksum(kind, value string) (Checksum, error) {
	kind = checksumType(kind)
	n := hexLength(kind)
	if n == 0 {
		return Checksum{}, fmt.Errorf("unknown checksum type %s", quoted(kind))
	}
	if len(value) != n {
		return Checksum{}, fmt.Errorf("%s checksum has %d characters, not %d", kind, len(value), n)
	}
	if !isHex(value) {
		return Checksum{}, fmt.Errorf("%s checksum %s is not hexadecimal", kind, quoted(value))
	}
	return Checksum{kind, strings.ToLower(value)}, nil
}

func isHex(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
			return false
		}
	}
	return true
}

// sum gives a hash's value as lower-case hex.
func sum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }
