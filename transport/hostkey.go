package transport

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// HostKeyError is the cause inside an Error of KindHostKey.
type HostKeyError struct {
	Name    string        // as looked up in known_hosts
	Target  string        // Target.Name, for the advice
	Offered ssh.PublicKey // nil when the host has no key of a known type
	Types   []string      // what the host offers, when Offered is nil
	Known   []KnownKey    // empty: the host is unknown
	Revoked *KnownKey     // set: the key was revoked here
	Files   []string      // searched
	// Certificate says why the host's certificate was not accepted; Offered is the key in it then.
	Certificate string
	Notes       []string
}

// Error shows both fingerprints, where the known one stands, and what to do.
func (e *HostKeyError) Error() string {
	var b strings.Builder
	name := SanitizeLine(e.Name, 256)
	scan := "cpacman inventory scan-keys " + SanitizeLine(e.Target, 256)
	const compare = "compare the fingerprint with the host's own (ssh-keygen -lf /etc/ssh/ssh_host_…_key.pub on its console)"
	switch {
	case e.Revoked != nil:
		fmt.Fprintf(&b, "host key of %s is revoked: %s; hint: somebody may have its key: give the host a new one (ssh-keygen -A after removing the old), then run %q", name, e.Revoked, scan)
	case e.Certificate != "":
		fmt.Fprintf(&b, "host certificate of %s cannot be accepted: %s; looked in %s; hint: correct the @cert-authority line there, or give the host a new certificate",
			name, e.Certificate, orNone(e.Files))
	case len(e.Known) == 0:
		fmt.Fprintf(&b, "host key of %s is not known", name)
		if e.Offered != nil {
			fmt.Fprintf(&b, ": it offers %s %s", e.Offered.Type(), ssh.FingerprintSHA256(e.Offered))
		}
		fmt.Fprintf(&b, "; looked in %s; hint: %q fetches it, then %s", orNone(e.Files), scan, compare)
	case e.Offered == nil:
		fmt.Fprintf(&b, "host key of %s: the host offers only %s, known is %s; hint: if its keys were renewed, %s and add it with %q",
			name, SanitizeLine(strings.Join(e.Types, ", "), 300), joinKnown(e.Known), compare, scan)
	default:
		fmt.Fprintf(&b, "host key of %s HAS CHANGED: it offers %s %s, known is %s; somebody may be in between, or the host was rebuilt; hint: %s, then remove that line and run %q",
			name, e.Offered.Type(), ssh.FingerprintSHA256(e.Offered), joinKnown(e.Known), compare, scan)
	}
	for _, n := range e.Notes {
		b.WriteString("; ")
		b.WriteString(n)
	}
	return b.String()
}

func orNone(files []string) string {
	if len(files) == 0 {
		return "no file (none is configured)"
	}
	return strings.Join(files, ", ")
}

func joinKnown(keys []KnownKey) string {
	s := make([]string, 0, len(keys))
	for i, k := range keys {
		if i == 4 {
			s = append(s, fmt.Sprintf("%d more", len(keys)-i))
			break
		}
		s = append(s, k.String())
	}
	return strings.Join(s, ", ")
}

// check is the strict rule.
func (h *hostKeys) check(target string, offered ssh.PublicKey, now time.Time) *HostKeyError {
	if cert, ok := offered.(*ssh.Certificate); ok {
		return h.checkCertificate(target, cert, now)
	}
	e := &HostKeyError{Name: h.name, Target: target, Offered: offered, Known: h.known, Files: h.files, Notes: h.notes}
	blob := offered.Marshal()
	for i, r := range h.revoked {
		if bytes.Equal(r.Key.Marshal(), blob) {
			e.Revoked = &h.revoked[i]
			return e
		}
	}
	for _, k := range h.known {
		if bytes.Equal(k.Key.Marshal(), blob) {
			return nil
		}
	}
	return e
}

// algorithms are the host key algorithms to ask for: those of the keys known,
// because the server picks by our order and a key of another type would look
// like a changed one. An unknown host may show any. Certificates come first where
// an authority is known, unless plainOnly.
func (h *hostKeys) algorithms(legacy bool) []string {
	if len(h.authorities) > 0 && !h.plainOnly {
		return append(certHostKeyAlgorithms(), h.plainAlgorithms(legacy)...)
	}
	return h.plainAlgorithms(legacy)
}

// plainAlgorithms are algorithms without certificates.
func (h *hostKeys) plainAlgorithms(legacy bool) []string {
	var types []string
	for _, k := range h.known {
		if !slices.Contains(types, k.Key.Type()) {
			types = append(types, k.Key.Type())
		}
	}
	if len(types) == 0 {
		return plainHostKeyAlgorithms(legacy)
	}
	var out []string
	for _, a := range plainHostKeyAlgorithms(legacy) {
		if slices.Contains(types, keyTypeOf(a)) {
			out = append(out, a)
		}
	}
	if len(out) == 0 {
		return types // nothing we would choose: let the negotiation say so
	}
	return out
}

// plainHostKeyAlgorithms are those without certificates and, unless legacy, without SHA-1, the
// cheapest to verify first.
func plainHostKeyAlgorithms(legacy bool) []string {
	return append([]string{
		ssh.KeyAlgoED25519,
		ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
	}, rsaAlgorithms(legacy)...)
}

// keyTypeOf is the type of key an algorithm works with.
func keyTypeOf(algorithm string) string {
	if algorithm == ssh.KeyAlgoRSASHA256 || algorithm == ssh.KeyAlgoRSASHA512 {
		return ssh.KeyAlgoRSA
	}
	return algorithm
}
