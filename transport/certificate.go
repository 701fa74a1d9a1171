package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// Certificates are OpenSSH's own (PROTOCOL.certkeys): a key of a user or of a host, with names and a time, signed by an authority.

// maxCertificate bounds certificate files, in bytes.
const maxCertificate = 256 << 10

// CertificateError says why a certificate cannot be used.
type CertificateError struct {
	Path  string // "" for one that came from elsewhere
	Until time.Time
	Why   string
}

// Error names the file and the reason.
func (e *CertificateError) Error() string {
	if e.Path == "" {
		return "certificate: " + e.Why
	}
	return "certificate " + e.Path + ": " + e.Why
}

// ReadUserCertificate reads a user certificate, as ssh-keygen -s writes it (NAME-cert.pub), and tells until when it is valid; the zero
// time means for ever. A *CertificateError tells of one that is no user certificate, or is not valid at the time now.
func ReadUserCertificate(path string, now time.Time) (*ssh.Certificate, time.Time, error) {
	bad := func(format string, args ...any) (*ssh.Certificate, time.Time, error) {
		return nil, time.Time{}, &CertificateError{Path: path, Why: fmt.Sprintf(format, args...)}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("certificate: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return bad("it is no file")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxCertificate))
	if err != nil {
		return bad("%v", err)
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(data)
	if err != nil {
		return bad("it cannot be read: %v", err)
	}
	cert, ok := key.(*ssh.Certificate)
	switch {
	case !ok:
		return bad("it is a plain key, no certificate")
	case cert.CertType != ssh.UserCert:
		return bad("it is not for users")
	}
	until := certTime(cert.ValidBefore)
	if why := outOfTime(cert, now); why != "" {
		return nil, until, &CertificateError{Path: path, Until: until, Why: why}
	}
	return cert, until, nil
}

// certTime is a time of a certificate; the zero time for one without an end.
func certTime(seconds uint64) time.Time {
	if seconds >= 1<<62 { // CertTimeInfinity, and what no calendar has
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0).UTC()
}

// outOfTime says why a certificate is not valid at a time, or "".
func outOfTime(cert *ssh.Certificate, now time.Time) string {
	const layout = "2006-01-02 15:04Z"
	if from := certTime(cert.ValidAfter); now.Before(from) {
		return "it is not valid before " + from.Format(layout)
	}
	if until := certTime(cert.ValidBefore); !until.IsZero() && !now.Before(until) {
		return "it expired at " + until.Format(layout)
	}
	return ""
}

// addCertificates puts certificates before the plain keys: those configured, and those that stand beside identity files as ssh looks for
// them. What cannot be used is a note.
func (ids *identities) addCertificates(t Target, a *agentKeys, now time.Time) {
	paths := slices.Clone(t.Certificates)
	for _, id := range t.Identities {
		beside := strings.TrimSuffix(id, ".pub") + "-cert.pub"
		if _, err := os.Stat(beside); err == nil && !slices.Contains(paths, beside) {
			paths = append(paths, beside)
		}
	}
	var certified []ssh.Signer
	for _, path := range paths {
		s, err := ids.certified(path, a, now)
		if err != nil {
			ids.notes = append(ids.notes, err.Error())
			continue
		}
		certified = append(certified, s)
	}
	ids.signers = append(certified, ids.signers...)
	if len(ids.signers) > maxIdentities {
		ids.notes = append(ids.notes, fmt.Sprintf("of certificates and keys only the first %d were offered", maxIdentities))
		ids.signers = ids.signers[:maxIdentities]
	}
}

// certified joins a certificate with its key: one that is loaded, or the agent's.
func (ids *identities) certified(path string, a *agentKeys, now time.Time) (ssh.Signer, error) {
	cert, _, err := ReadUserCertificate(path, now)
	if err != nil {
		return nil, err
	}
	for _, s := range ids.signers {
		if bytes.Equal(s.PublicKey().Marshal(), cert.Key.Marshal()) {
			return ssh.NewCertSigner(cert, s)
		}
	}
	s, err := a.find(cert.Key, "certificate "+path+" is for a key that is no identity")
	if err != nil {
		return nil, err
	}
	return ssh.NewCertSigner(cert, s)
}

// checkCertificate is the rule for a host that shows a certificate: it must be signed by an authority that known_hosts has for the name,
// be for that name and this time, and neither it nor its key nor the authority may be revoked.
func (h *hostKeys) checkCertificate(target string, cert *ssh.Certificate, now time.Time) *HostKeyError {
	e := &HostKeyError{Name: h.name, Target: target, Offered: cert.Key, Known: h.known, Files: h.files, Notes: h.notes}
	for _, key := range []ssh.PublicKey{cert.Key, cert.SignatureKey} {
		for i, r := range h.revoked {
			if bytes.Equal(r.Key.Marshal(), key.Marshal()) {
				e.Revoked = &h.revoked[i]
				return e
			}
		}
	}
	if err := h.certificateFault(cert, now); err != nil {
		e.Certificate = err.Error()
		return e
	}
	return nil
}

// certificateFault says what is wrong with a host certificate.
func (h *hostKeys) certificateFault(cert *ssh.Certificate, now time.Time) error {
	signer := ssh.FingerprintSHA256(cert.SignatureKey)
	switch {
	case cert.CertType != ssh.HostCert:
		return errors.New("it is not for hosts")
	case !slices.ContainsFunc(h.authorities, func(k KnownKey) bool { return bytes.Equal(k.Key.Marshal(), cert.SignatureKey.Marshal()) }):
		return fmt.Errorf("its authority %s %s is in no @cert-authority line for this name", cert.SignatureKey.Type(), signer)
	case cert.Signature.Format == ssh.KeyAlgoRSA:
		return fmt.Errorf("its authority %s signed it with SHA-1", signer)
	case len(cert.ValidPrincipals) == 0:
		return errors.New("it names no host, so it would be good for every one")
	}
	if why := outOfTime(cert, now); why != "" {
		return errors.New(why)
	}
	// The name as ssh has it: without a port.
	name := h.name
	if strings.HasPrefix(name, "[") {
		name, _, _ = strings.Cut(name[1:], "]")
	}
	if !slices.ContainsFunc(cert.ValidPrincipals, func(p string) bool { return globMatch(strings.ToLower(p), name) }) {
		return fmt.Errorf("it is for %s, and the host is reached as %s (write address = NAME with a name of the certificate)",
			SanitizeLine(strings.Join(cert.ValidPrincipals, ", "), 200), SanitizeLine(name, 256))
	}
	// The signature, and critical options that nobody here knows.
	checker := ssh.CertChecker{Clock: func() time.Time { return now }}
	if err := checker.CheckCert(cert.ValidPrincipals[0], cert); err != nil {
		return err
	}
	return nil
}

// certHostKeyAlgorithms are those of certificates, in the order of plainHostKeyAlgorithms.
func certHostKeyAlgorithms() []string {
	return []string{
		ssh.CertAlgoED25519v01,
		ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01, ssh.CertAlgoECDSA521v01,
		ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSASHA256v01,
	}
}
