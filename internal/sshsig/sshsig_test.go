package sshsig

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

const space = "cpacman-approval"

var text = []byte("cpacman approval request, version 1\nscope: class prod\n")

// parts is a signature before it is packed, for tests that spoil one part of it.
type parts struct {
	magic string
	wire
}

func (p parts) armoured() []byte {
	blob := append([]byte(p.magic), ssh.Marshal(p.wire)...)
	return []byte(begin + "\n" + base64.StdEncoding.EncodeToString(blob) + "\n" + end + "\n")
}

// signer makes an ed25519 signer.
func signer(t testing.TB, key any) ssh.Signer {
	t.Helper()
	s, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ed(t testing.TB) ssh.Signer {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer(t, key)
}

// sign makes a signature with an algorithm; "" is the key's own.
func sign(t testing.TB, s ssh.Signer, algorithm, hash string, message []byte) parts {
	t.Helper()
	p := parts{magic, wire{Version: 1, PublicKey: s.PublicKey().Marshal(), Namespace: space, Hash: hash}}
	data := (&Signature{Namespace: space, Hash: hash}).signed(message)
	var sig *ssh.Signature
	var err error
	if a, ok := s.(ssh.AlgorithmSigner); ok && algorithm != "" {
		sig, err = a.SignWithAlgorithm(rand.Reader, data, algorithm)
	} else {
		sig, err = s.Sign(rand.Reader, data)
	}
	if err != nil {
		t.Fatal(err)
	}
	p.Signature = ssh.Marshal(sig)
	return p
}

func verify(p parts) error {
	s, err := Parse(p.armoured())
	if err != nil {
		return err
	}
	return s.Verify(text, space)
}

func rsaKey(t testing.TB, bits int) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestGoodSignatures(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	big := signer(t, rsaKey(t, 2048))
	for name, p := range map[string]parts{
		"ed25519 sha512": sign(t, ed(t), "", "sha512", text),
		"ed25519 sha256": sign(t, ed(t), "", "sha256", text),
		"ecdsa":          sign(t, signer(t, ec), "", "sha512", text),
		"rsa sha256":     sign(t, big, ssh.KeyAlgoRSASHA256, "sha512", text),
		"rsa sha512":     sign(t, big, ssh.KeyAlgoRSASHA512, "sha256", text),
		"sk ed25519":     skSignature(t, 1, text),
		"sk ecdsa":       skECDSA(t, text),
	} {
		if err := verify(p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBadSignatures(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	key := ed(t)
	good := func() parts { return sign(t, key, "", "sha512", text) }
	spoil := func(f func(*parts)) parts {
		p := good()
		f(&p)
		return p
	}
	big := signer(t, rsaKey(t, 2048))
	for want, p := range map[string]parts{
		"SHA-1":                 sign(t, big, ssh.KeyAlgoRSA, "sha512", text),
		"2048 bits":             sign(t, signer(t, rsaKey(t, 1024)), ssh.KeyAlgoRSASHA256, "sha512", text),
		"does not fit the text": sign(t, key, "", "sha512", append([]byte("x"), text...)),
		"magic":                 spoil(func(p *parts) { p.magic = "SSHSIH" }),
		"version 2":             spoil(func(p *parts) { p.Version = 2 }),
		"version 0":             spoil(func(p *parts) { p.Version = 0 }),
		`namespace "file"`:      spoil(func(p *parts) { p.Namespace = "file" }),
		`namespace ""`:          spoil(func(p *parts) { p.Namespace = "" }),
		"reserved":              spoil(func(p *parts) { p.Reserved = "x" }),
		`hash "sha1"`:           spoil(func(p *parts) { p.Hash = "sha1" }),
		`hash ""`:               spoil(func(p *parts) { p.Hash = "" }),
		"public key":            spoil(func(p *parts) { p.PublicKey = p.PublicKey[:10] }),
		"fit the text: ":        spoil(func(p *parts) { p.PublicKey = ed(t).PublicKey().Marshal() }),
		"damaged":               spoil(func(p *parts) { p.Signature = p.Signature[:9] }),
		"bytes behind":          spoil(func(p *parts) { p.Signature = append(p.Signature, 1) }),
		"user presence":         skSignature(t, 0, text),
		"fit the text: s":       spoil(func(p *parts) { p.Hash = "sha256" }),
		"ssh-dss":               spoil(func(p *parts) { p.Signature = ssh.Marshal(ssh.Signature{Format: "ssh-dss", Blob: []byte("x")}) }),
	} {
		err := verify(p)
		switch {
		case err == nil:
			t.Errorf("%s: is accepted", want)
		case want == "SHA-1" && strings.Contains(err.Error(), `signature of type "ssh-rsa"`):
		case !strings.Contains(err.Error(), want):
			t.Errorf("error %q, want one with %q", err, want)
		}
	}
	for name, armoured := range map[string]string{
		"empty": "", "no end": begin + "\nAAAA", "not base64": begin + "\n*\n" + end, "too large": begin + strings.Repeat("A", MaxBytes) + end,
		"trailing text": string(good().armoured()) + "x", "nothing inside": begin + "\n" + end,
	} {
		if _, err := Parse([]byte(armoured)); err == nil {
			t.Errorf("%s: is accepted", name)
		}
	}
}

// TestCertificates: a certificate is no key of a person.
func TestCertificates(t *testing.T) {
	ca, key := ed(t), ed(t)
	cert := &ssh.Certificate{Key: key.PublicKey(), CertType: ssh.UserCert, ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, ca); err != nil {
		t.Fatal(err)
	}
	p := sign(t, key, "", "sha512", text)
	p.PublicKey = cert.Marshal()
	if err := verify(p); err == nil || !strings.Contains(err.Error(), "is not accepted") {
		t.Errorf("a certificate: %v", err)
	}
}

// skSignature signs as a security key with ed25519 does (PROTOCOL.u2f of OpenSSH): hash of the application, flags, counter, hash
// of the message.
func skSignature(t testing.TB, flags byte, message []byte) parts {
	pub, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	blob := ssh.Marshal(struct {
		Type, Key, Application string
	}{ssh.KeyAlgoSKED25519, string(pub), "ssh:"})
	data := (&Signature{Namespace: space, Hash: "sha512"}).signed(message)
	sig := ed25519.Sign(private, skSigned(data, flags))
	return parts{magic, wire{Version: 1, PublicKey: blob, Namespace: space, Hash: "sha512",
		Signature: ssh.Marshal(ssh.Signature{Format: ssh.KeyAlgoSKED25519, Blob: sig, Rest: []byte{flags, 0, 0, 0, 7}})}}
}

// skECDSA does the same with a P-256 key.
func skECDSA(t testing.TB, message []byte) parts {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	blob := ssh.Marshal(struct {
		Type, Curve string
		Point       []byte
		Application string
	}{ssh.KeyAlgoSKECDSA256, "nistp256", point, "ssh:"})
	digest := sha256.Sum256(skSigned((&Signature{Namespace: space, Hash: "sha512"}).signed(message), 1))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return parts{magic, wire{Version: 1, PublicKey: blob, Namespace: space, Hash: "sha512", Signature: ssh.Marshal(ssh.Signature{
		Format: ssh.KeyAlgoSKECDSA256, Blob: ssh.Marshal(struct{ R, S *big.Int }{r, s}), Rest: []byte{1, 0, 0, 0, 7}})}}
}

func skSigned(data []byte, flags byte) []byte {
	app, msg := sha256.Sum256([]byte("ssh:")), sha256.Sum256(data)
	return append(append(app[:], flags, 0, 0, 0, 7), msg[:]...)
}

// keygen runs ssh-keygen, or skips where there is none.
func keygen(t *testing.T, stdin []byte, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath("ssh-keygen")
	if err != nil {
		t.Skip("needs ssh-keygen: not in the PATH")
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestSignaturesOfSSHKeygen: what OpenSSH signs is accepted, and as the same key.
func TestSignaturesOfSSHKeygen(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "request")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, kind := range [][]string{{"ed25519"}, {"ecdsa", "-b", "256"}, {"ecdsa", "-b", "521"}, {"rsa", "-b", "2048"}} {
		for _, hash := range []string{"sha256", "sha512"} {
			name := filepath.Join(dir, strings.Join(kind, "")+hash)
			if out, err := keygen(t, nil, append([]string{"-q", "-N", "", "-f", name, "-t"}, kind...)...); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			os.Remove(file + ".sig")
			if out, err := keygen(t, nil, "-Y", "sign", "-O", "hashalg="+hash, "-f", name, "-n", space, file); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			armoured, err := os.ReadFile(file + ".sig")
			if err != nil {
				t.Fatal(err)
			}
			s, err := Parse(armoured)
			if err != nil {
				t.Fatalf("%v %s: %v", kind, hash, err)
			}
			if err := s.Verify(text, space); err != nil || s.Hash != hash {
				t.Errorf("%v %s: %v", kind, hash, err)
			}
			if s.Verify(append([]byte(" "), text...), space) == nil || s.Verify(text, "file") == nil {
				t.Errorf("%v %s: another text or namespace is accepted", kind, hash)
			}
			list, err := keygen(t, nil, "-l", "-f", name+".pub")
			if err != nil || !strings.Contains(list, s.Fingerprint()) {
				t.Errorf("%v: fingerprint %s is not in %q", kind, s.Fingerprint(), list)
			}
		}
	}
}

// TestSSHKeygenAgrees: what our tests make is what OpenSSH accepts, security keys too, so that they prove something.
func TestSSHKeygenAgrees(t *testing.T) {
	dir := t.TempDir()
	for name, p := range map[string]parts{"ed25519": sign(t, ed(t), "", "sha512", text), "sk": skSignature(t, 1, text), "sk-ecdsa": skECDSA(t, text)} {
		key, err := ssh.ParsePublicKey(p.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		signers, sig := filepath.Join(dir, name+".signers"), filepath.Join(dir, name+".sig")
		if err := os.WriteFile(signers, append([]byte("ann "), ssh.MarshalAuthorizedKey(key)...), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(sig, wrap(p.armoured()), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := keygen(t, text, "-Y", "verify", "-f", signers, "-I", "ann", "-n", space, "-s", sig); err != nil {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}

// wrap breaks the armour into lines, which ssh-keygen wants.
func wrap(armoured []byte) []byte {
	blob, err := dearmour(armoured)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "SSH SIGNATURE", Bytes: blob})
}

// FuzzParse: no input makes the parser panic, and nothing that it accepts verifies a text that was not signed.
func FuzzParse(f *testing.F) {
	key := ed(f)
	f.Add(sign(f, key, "", "sha512", text).armoured())
	f.Add(skSignature(f, 1, text).armoured())
	f.Add([]byte(begin + "\nAAAA\n" + end))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse(data)
		if err != nil {
			return
		}
		if bytes.Equal(s.Key.Marshal(), key.PublicKey().Marshal()) && s.Verify([]byte("another text"), space) == nil {
			t.Error("a forgery")
		}
		_ = s.Verify(text, space)
		_ = s.Fingerprint()
	})
}

// FuzzBlob does the same behind the armour, where a fuzzer gets further.
func FuzzBlob(f *testing.F) {
	for _, p := range []parts{sign(f, ed(f), "", "sha512", text), skSignature(f, 1, text), skECDSA(f, text)} {
		f.Add(append([]byte(p.magic), ssh.Marshal(p.wire)...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := parseBlob(data); err == nil {
			_ = s.Verify(text, s.Namespace)
		}
	})
}
