package transport

import (
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// offer is what is offered to a server. Without the legacy profile nothing is in it that x/crypto calls insecure; with it, what servers of
// the time of OpenSSH 5.3 need is added behind the rest: SHA-1 in key exchange, host keys and logins, and CBC. What was broken then
// already stays out: RC4, DSA, and groups of 1024 bits.
func offer(legacy bool) ssh.Algorithms {
	a := ssh.SupportedAlgorithms()
	if !legacy {
		return a
	}
	old := ssh.InsecureAlgorithms()
	keep := func(list []string, out ...string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(name string) bool {
			return slices.ContainsFunc(out, func(o string) bool { return strings.Contains(name, o) })
		})
	}
	a.KeyExchanges = append(a.KeyExchanges, keep(old.KeyExchanges, "group1-")...)
	a.Ciphers = append(a.Ciphers, keep(old.Ciphers, "arcfour")...)
	a.MACs = append(a.MACs, keep(old.MACs, "md5")...)
	return a
}

// rsaAlgorithms are the signatures that an RSA key may make.
func rsaAlgorithms(legacy bool) []string {
	out := []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	if legacy {
		out = append(out, ssh.KeyAlgoRSA)
	}
	return out
}
