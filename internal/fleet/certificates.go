package fleet

import (
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"cpacman/inventory"
	"cpacman/transport"
)

// Certificate is a user certificate that hosts are reached with.
type Certificate struct {
	Path  string
	Hosts int
	Until time.Time // zero: for ever, or not known
	Err   error     // why it cannot be used now
}

// Certificates lists the user certificates of hosts, by path: those configured, and those beside their identities.
func (f *Fleet) Certificates(hosts []*inventory.Host, now time.Time) []Certificate {
	count := map[string]int{}
	for _, h := range hosts {
		s := f.Site.Effective(h).SSH
		paths := slices.Clone(s.Certificates)
		for _, id := range s.Identity {
			beside := strings.TrimSuffix(id, ".pub") + "-cert.pub"
			if _, err := os.Stat(beside); err == nil && !slices.Contains(paths, beside) {
				paths = append(paths, beside)
			}
		}
		for _, p := range paths {
			count[p]++
		}
	}
	out := make([]Certificate, 0, len(count))
	for path, n := range count {
		c := Certificate{Path: path, Hosts: n}
		_, c.Until, c.Err = transport.ReadUserCertificate(path, now)
		var bad *transport.CertificateError
		if errors.As(c.Err, &bad) {
			c.Until = bad.Until
		}
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b Certificate) int { return strings.Compare(a.Path, b.Path) })
	return out
}
