package rpm

import (
	"bytes"
	"crypto"
	"crypto/md5"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

var (
	keyTime  = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	signTime = time.Date(2020, 6, 1, 0, 0, 0, 0, time.UTC)
)

func newKey(t testing.TB, config packet.Config) *openpgp.Entity {
	t.Helper()
	config.Time = func() time.Time { return keyTime }
	if config.MinRSABits == 0 {
		config.MinRSABits = 1024
	}
	e, err := openpgp.NewEntity("Test Key", "", "test@localhost", &config)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func edKey(t testing.TB) *openpgp.Entity {
	return newKey(t, packet.Config{Algorithm: packet.PubKeyAlgoEdDSA})
}
func rsaKey(t testing.TB, bits int) *openpgp.Entity {
	return newKey(t, packet.Config{Algorithm: packet.PubKeyAlgoRSA, RSABits: bits})
}

// armored writes the public key as distributions publish it.
func armored(t testing.TB, e *openpgp.Entity) string {
	t.Helper()
	var b bytes.Buffer
	w, err := armor.Encode(&b, openpgp.PublicKeyType, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Serialize(w); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return b.String() + "\n"
}

func ring(t testing.TB, keys ...*openpgp.Entity) Keyring {
	t.Helper()
	var text string
	for _, k := range keys {
		text += "some text\n" + armored(t, k)
	}
	r, err := ReadKeys(strings.NewReader(text))
	if err != nil || len(r.Skipped) > 0 {
		t.Fatal(err, r.Skipped)
	}
	return r
}

// signV4 makes a version 4 signature packet at the given time, whatever the key's own dates say.
func signV4(t testing.TB, e *openpgp.Entity, algo crypto.Hash, at time.Time, data []byte) []byte {
	t.Helper()
	sig := &packet.Signature{Version: 4, SigType: packet.SigTypeBinary, PubKeyAlgo: e.PrimaryKey.PubKeyAlgo, Hash: algo,
		CreationTime: at, IssuerKeyId: &e.PrimaryKey.KeyId}
	h := algo.New()
	h.Write(data)
	if err := sig.Sign(h, e.PrivateKey, nil); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := sig.Serialize(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// signV3 makes a version 3 packet, as gpg --force-v3-sigs did.
func signV3(t testing.TB, e *openpgp.Entity, algo crypto.Hash, id byte, at time.Time, data []byte) []byte {
	t.Helper()
	hashed := binary.BigEndian.AppendUint32([]byte{0}, uint32(at.Unix()))
	h := algo.New()
	h.Write(data)
	h.Write(hashed)
	sum := h.Sum(nil)
	value, err := rsa.SignPKCS1v15(nil, e.PrivateKey.PrivateKey.(*rsa.PrivateKey), algo, sum)
	if err != nil {
		t.Fatal(err)
	}
	value = bytes.TrimLeft(value, "\x00")
	bits := len(value) * 8
	for top := value[0]; top&0x80 == 0; top <<= 1 {
		bits--
	}
	b := append([]byte{3, 5}, hashed...)
	b = binary.BigEndian.AppendUint64(b, e.PrimaryKey.KeyId)
	b = append(b, 1, id, sum[0], sum[1])
	b = binary.BigEndian.AppendUint16(b, uint16(bits))
	b = append(b, value...)
	return append(binary.BigEndian.AppendUint16([]byte{0x89}, uint16(len(b))), b...)
}

// pack puts a package together: header gets the digest of the payload unless bare is set, and sign is asked for the rest of
// the signature header.
func pack(bare bool, sign func(header, all []byte) []tagData) []byte {
	payload := bytes.Repeat([]byte("payload "), 100)
	entries := minimal(tagData{tagPayloadFormat, "cpio"}, tagData{1125, "gzip"})
	if !bare {
		entries = append(entries, tagData{tagPayloadDigest, []string{fmt.Sprintf("%x", sha256.Sum256(payload))}}, tagData{tagPayloadDigestAlgo, int32(8)})
	}
	blob := makeHeader(tagHeaderImmutable, entries...)
	header := append([]byte(headerMagic), blob...)
	all := append(bytes.Clone(header), payload...)
	sum := md5.Sum(all)
	sigs := []tagData{{sigSHA256, fmt.Sprintf("%x", sha256.Sum256(header))}, {sigMD5, sum[:]}}
	if sign != nil {
		sigs = append(sigs, sign(header, all)...)
	}
	lead := make([]byte, leadSize)
	copy(lead, "\xed\xab\xee\xdb\x03\x00\x00\x00\x00\x01lead-name-is-a-lie")
	lead[77], lead[79] = 1, 5
	sig := append([]byte(headerMagic), makeHeader(tagHeaderSignatures, sigs...)...)
	sig = append(sig, make([]byte, (8-len(sig)%8)%8)...)
	return bytes.Join([][]byte{lead, sig, all}, nil)
}
