package rpm

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

func verify(t testing.TB, b []byte, keys Keyring, policy Policy) (Verification, error) {
	t.Helper()
	f, err := ReadPackageFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return f.Verify(keys, policy)
}

// signer adds entries to a signature header, over the main header or header and payload.
type signer func(header, all []byte) []tagData

// over signs with version 4; the tag tells what.
func over(t testing.TB, tag uint32, e *openpgp.Entity, algo crypto.Hash) signer {
	return func(h, all []byte) []tagData {
		if tag == sigPGP || tag == sigGPG {
			h = all
		}
		return []tagData{{tag, signV4(t, e, algo, signTime, h)}}
	}
}

// overV3 signs with version 3 and says that the hash is id.
func overV3(t testing.TB, tag uint32, e *openpgp.Entity, algo crypto.Hash, id byte) signer {
	return func(h, all []byte) []tagData {
		if tag == sigPGP {
			h = all
		}
		return []tagData{{tag, signV3(t, e, algo, id, signTime, h)}}
	}
}

func both(a, b signer) signer {
	return func(h, all []byte) []tagData { return append(a(h, all), b(h, all)...) }
}

func raw(tag uint32, b []byte) signer {
	return func(_, _ []byte) []tagData { return []tagData{{tag, b}} }
}

// list signs as rpm 6 does.
func list(t testing.TB, es ...*openpgp.Entity) signer {
	return func(h, _ []byte) []tagData {
		var out []string
		for _, e := range es {
			out = append(out, base64.StdEncoding.EncodeToString(signV4(t, e, crypto.SHA512, signTime, h)))
		}
		return []tagData{{sigOpenPGP, out}}
	}
}

type verifyCase struct {
	name    string
	bare    bool // no payload digest in the header
	sign    signer
	want    error // with the zero policy
	legacy  error // with Policy.Legacy
	payload string
}

func verifyCases(t testing.TB, ed, r2, weak, stranger *openpgp.Entity) []verifyCase {
	return []verifyCase{
		{"unsigned", false, nil, ErrUnsigned, ErrUnsigned, "SHA-256"},
		{"ed25519 header", false, over(t, sigDSAHeader, ed, crypto.SHA256), nil, nil, "SHA-256"},
		{"rsa header", false, over(t, sigRSAHeader, r2, crypto.SHA512), nil, nil, "SHA-256"},
		{"header without payload digest", true, over(t, sigRSAHeader, r2, crypto.SHA256), ErrNoModernDigest, nil, "MD5"},
		{"header and payload", true, over(t, sigPGP, r2, crypto.SHA256), nil, nil, "signature"},
		{"both, as EL7", true, both(over(t, sigRSAHeader, r2, crypto.SHA256), over(t, sigPGP, r2, crypto.SHA256)), nil, nil, "signature"},
		{"both version 3, as EL7", true, both(overV3(t, sigRSAHeader, r2, crypto.SHA256, 8), overV3(t, sigPGP, r2, crypto.SHA256, 8)), nil, nil, "signature"},
		{"version 3 with SHA-1", false, overV3(t, sigRSAHeader, r2, crypto.SHA1, 2), ErrWeakSignature, nil, "SHA-256"},
		{"version 3 with MD5", false, overV3(t, sigRSAHeader, r2, crypto.MD5, 1), ErrWeakSignature, nil, "SHA-256"},
		{"version 3 says another hash", false, overV3(t, sigRSAHeader, r2, crypto.SHA256, 10), ErrBadSignature, ErrBadSignature, "SHA-256"},
		{"1024 bits", false, over(t, sigRSAHeader, weak, crypto.SHA256), ErrWeakSignature, nil, "SHA-256"},
		{"stranger", false, over(t, sigDSAHeader, stranger, crypto.SHA256), ErrUnknownKey, ErrUnknownKey, "SHA-256"},
		{"stranger and friend", false, list(t, stranger, ed), nil, nil, "SHA-256"},
		{"list", false, list(t, ed, r2), nil, nil, "SHA-256"},
		{"signature of something else", false, func(_, _ []byte) []tagData {
			return []tagData{{sigRSAHeader, signV4(t, r2, crypto.SHA256, signTime, []byte("else"))}}
		}, ErrBadSignature, ErrBadSignature, "SHA-256"},
		{"good and bad", false, func(h, _ []byte) []tagData {
			return []tagData{{sigRSAHeader, signV4(t, r2, crypto.SHA256, signTime, h)}, {sigPGP, signV4(t, r2, crypto.SHA256, signTime, h)}}
		}, ErrBadSignature, ErrBadSignature, "SHA-256"},
		{"before the key was made", false, func(h, _ []byte) []tagData {
			return []tagData{{sigDSAHeader, signV4(t, ed, crypto.SHA256, keyTime.Add(-time.Hour), h)}}
		}, ErrKeyInvalid, ErrKeyInvalid, "SHA-256"},
		{"garbage", false, raw(sigRSAHeader, []byte("garbage")), ErrUnsupportedSignature, ErrUnsupportedSignature, "SHA-256"},
		{"version 2", false, raw(sigRSAHeader, []byte{0x88, 3, 2, 0, 0}), ErrUnsupportedSignature, ErrUnsupportedSignature, "SHA-256"},
		{"two packets", false, func(h, _ []byte) []tagData {
			s := signV4(t, ed, crypto.SHA256, signTime, h)
			return []tagData{{sigDSAHeader, append(s, s...)}}
		}, ErrUnsupportedSignature, ErrUnsupportedSignature, "SHA-256"},
	}
}

func TestVerify(t *testing.T) {
	ed, r2, weak, stranger := edKey(t), rsaKey(t, 2048), rsaKey(t, 1024), edKey(t)
	keys := ring(t, ed, r2, weak)
	for _, c := range verifyCases(t, ed, r2, weak, stranger) {
		t.Run(c.name, func(t *testing.T) {
			b := pack(c.bare, c.sign)
			for _, legacy := range []bool{false, true} {
				want := c.want
				if legacy {
					want = c.legacy
				}
				v, err := verify(t, b, keys, Policy{Legacy: legacy})
				if !errors.Is(err, want) || v.PayloadProof != c.payload {
					t.Errorf("legacy %v: %v, payload %s, want %v", legacy, err, v.PayloadProof, want)
				}
				if want == nil && (v.Signer == nil || v.Signer.Err != nil || v.Signer.UserID != "Test Key <test@localhost>" || !v.Signer.Time.Equal(signTime) || v.HeaderProof != "signature") {
					t.Errorf("signer %+v", v.Signer)
				}
				var e *SignatureError
				if errors.As(err, &e) && errors.Is(want, ErrUnknownKey) && e.KeyID != fmt.Sprintf("%016x", stranger.PrimaryKey.KeyId) {
					t.Errorf("names key %q", e.KeyID)
				}
			}
		})
	}
}

func TestVerifyUnsigned(t *testing.T) {
	if v, err := verify(t, pack(false, nil), Keyring{}, Policy{Unsigned: true}); err != nil || v.Signer != nil || !v.Modern() {
		t.Errorf("%+v, %v", v, err)
	}
	if v, err := verify(t, pack(true, nil), Keyring{}, Policy{Unsigned: true}); err != nil || v.Modern() || v.PayloadProof != "MD5" {
		t.Errorf("%+v, %v", v, err)
	}
	for _, bare := range []bool{false, true} {
		b := pack(bare, nil)
		b[len(b)-1] ^= 1
		if _, err := verify(t, b, Keyring{}, Policy{Unsigned: true}); !errors.Is(err, ErrDigest) {
			t.Errorf("damaged: %v", err)
		}
	}
	e := edKey(t)
	signed := pack(false, func(h, _ []byte) []tagData {
		return []tagData{{sigDSAHeader, signV4(t, e, crypto.SHA256, signTime, h)}}
	})
	if _, err := verify(t, signed, Keyring{}, Policy{Unsigned: true}); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("signed by an unknown key: %v", err)
	}
	f, err := ReadPackageHeaders(bytes.NewReader(signed))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Verify(ring(t, e), Policy{}); err == nil {
		t.Error("a file whose payload was not read is verified")
	}
}

// TestEveryBytePatched changes bytes of a signed package: no change of header or payload may pass. In the signature header, which
// nothing covers, there are bytes without a meaning.
func TestEveryBytePatched(t *testing.T) {
	e := edKey(t)
	keys := ring(t, e)
	good := pack(false, func(h, _ []byte) []tagData {
		return []tagData{{sigDSAHeader, signV4(t, e, crypto.SHA256, signTime, h)}}
	})
	if _, err := verify(t, good, keys, Policy{}); err != nil {
		t.Fatal(err)
	}
	f, err := ReadPackageFile(bytes.NewReader(good))
	if err != nil {
		t.Fatal(err)
	}
	headers := bytes.Index(good, f.Header.immutable) - len(headerMagic)
	for i := leadSize; i < len(good); i += 1 + i/1000*7 { // every byte of the headers, some of the payload
		b := bytes.Clone(good)
		b[i] ^= 0x20
		f, err := ReadPackageFile(bytes.NewReader(b))
		if err == nil {
			_, err = f.Verify(keys, Policy{})
		}
		if err == nil && i >= headers {
			t.Fatalf("byte %d changed, and nobody noticed", i)
		}
	}
}

// TestKeyDates pins what is written at subkey.usable. rpm 4.18 calls both signatures OK, the one made after the expiry too.
func TestKeyDates(t *testing.T) {
	mortal := newKey(t, packet.Config{Algorithm: packet.PubKeyAlgoRSA, RSABits: 2048, KeyLifetimeSecs: 200 * 24 * 3600})
	at := func(when time.Time) []byte {
		return pack(false, func(h, _ []byte) []tagData {
			return []tagData{{sigRSAHeader, signV4(t, mortal, crypto.SHA256, when, h)}}
		})
	}
	keys := ring(t, mortal)
	if _, err := verify(t, at(signTime), keys, Policy{}); err != nil {
		t.Error("signed while valid, expired since:", err)
	}
	if _, err := verify(t, at(signTime.AddDate(1, 0, 0)), keys, Policy{}); !errors.Is(err, ErrKeyInvalid) {
		t.Error("signed after expiry:", err)
	}
	before := ring(t, mortal)
	if err := mortal.RevokeKey(packet.KeyRetired, "", &packet.Config{Time: func() time.Time { return signTime.AddDate(0, 1, 0) }}); err != nil {
		t.Fatal(err)
	}
	revoked := ring(t, mortal)
	for _, r := range []Keyring{revoked, before.Join(revoked), revoked.Join(before)} {
		if _, err := verify(t, at(signTime), r, Policy{}); !errors.Is(err, ErrKeyInvalid) {
			t.Error("revoked:", err)
		}
	}
}

// askKeys returns what rpmkeys says of the signatures of a package, with one key imported.
func askKeys(t *testing.T, e *openpgp.Entity, b []byte) string {
	t.Helper()
	db := t.TempDir()
	key := filepath.Join(db, "key")
	if err := os.WriteFile(key, []byte(armored(t, e)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("rpmkeys", "--dbpath", db, "--import", key).CombinedOutput(); err != nil {
		return "key not imported: " + lastLine(out)
	}
	out, _ := exec.Command("rpmkeys", "--dbpath", db, "-Kv", toFile(t, b)).CombinedOutput()
	var lines []string
	for _, m := range rpmVerdict.FindAllStringSubmatch(string(out), -1) {
		if strings.Contains(m[1], "Signature") {
			lines = append(lines, m[1])
		}
	}
	return strings.Join(lines, "; ")
}

// TestSignaturesAgainstRPM lets rpm judge what our test signer makes, so that the tests above are about real signatures.
func TestSignaturesAgainstRPM(t *testing.T) {
	if _, err := exec.LookPath("rpmkeys"); err != nil {
		t.Skip("needs rpm: ", err)
	}
	ed, r2 := edKey(t), rsaKey(t, 2048)
	for name, c := range map[string]struct {
		key  *openpgp.Entity
		sign func(h, all []byte) []tagData
	}{
		"ed25519": {ed, func(h, _ []byte) []tagData {
			return []tagData{{sigDSAHeader, signV4(t, ed, crypto.SHA256, signTime, h)}}
		}},
		"rsa": {r2, func(h, _ []byte) []tagData {
			return []tagData{{sigRSAHeader, signV4(t, r2, crypto.SHA256, signTime, h)}}
		}},
		"both": {r2, func(_, all []byte) []tagData { return []tagData{{sigPGP, signV4(t, r2, crypto.SHA256, signTime, all)}} }},
		"v3": {r2, func(h, _ []byte) []tagData {
			return []tagData{{sigRSAHeader, signV3(t, r2, crypto.SHA256, 8, signTime, h)}}
		}},
		"v3 both": {r2, func(_, all []byte) []tagData {
			return []tagData{{sigPGP, signV3(t, r2, crypto.SHA256, 8, signTime, all)}}
		}},
		"bad": {r2, func(_, _ []byte) []tagData {
			return []tagData{{sigRSAHeader, signV4(t, r2, crypto.SHA256, signTime, nil)}}
		}},
	} {
		b := pack(false, c.sign)
		_, err := verify(t, b, ring(t, c.key), Policy{})
		said := askKeys(t, c.key, b)
		if (err == nil) != strings.HasSuffix(said, "OK") {
			t.Errorf("%s: ours %v, rpm %q", name, err, said)
		}
	}
}

func FuzzSignature(f *testing.F) {
	e := rsaKey(f, 2048)
	key := e.PrimaryKey
	f.Add(signV4(f, e, crypto.SHA256, signTime, []byte("x")))
	f.Add(signV3(f, e, crypto.SHA256, 8, signTime, []byte("x")))
	data := sha256.New()
	data.Write([]byte("x"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s := parseSignature(raw, ScopeHeader)
		if s.err != nil {
			return
		}
		signatureHash(raw)
		h, err := data.(hash.Cloner).Clone()
		if err != nil {
			t.Fatal(err)
		}
		s.check(key, h)
	})
}
