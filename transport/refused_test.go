package transport

import (
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// TestRefusedCertificate: of a certificate that a host does not take, it is told for whom it is and who signed it; the fingerprint is that
// of its key, as ssh-keygen prints it.
func TestRefusedCertificate(t *testing.T) {
	key, ca := edSigner(t), edSigner(t)
	cert := &ssh.Certificate{
		Key: key.PublicKey(), CertType: ssh.UserCert, KeyId: "ann\x1b[31m", ValidPrincipals: []string{"deploy", "ops"},
		ValidBefore: uint64(time.Now().Add(time.Hour).Unix()),
	}
	if err := cert.SignCert(zeroes{}, ca); err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewCertSigner(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	l := &login{t: Target{Address: "web01", Port: 22, User: "root"}, ids: &identities{signers: []ssh.Signer{signer, key}}}
	got := l.refused(errors.New("no")).Error()
	print := ssh.FingerprintSHA256(key.PublicKey())
	want := "ssh-ed25519 " + print + " with a certificate for deploy, ops, signed by " + ssh.FingerprintSHA256(ca.PublicKey()) + ", ssh-ed25519 " + print
	if !strings.Contains(got, want) {
		t.Errorf("%q lacks %q", got, want)
	}
}

// zeroes is no randomness, which Ed25519 does not need.
type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
