package planner

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// PlanKey is a signing key that hosts of the plan import.
type PlanKey struct {
	Armor       string     `json:"armor"` // exactly what hosts get
	Created     time.Time  `json:"created"`
	Expires     *time.Time `json:"expires,omitempty"`
	Fingerprint string     `json:"fingerprint"` // lower-case hex
	Owner       string     `json:"owner"`       // first user id
	Repos       []string   `json:"repos"`       // that name it
	SHA256      string     `json:"sha256"`      // of Armor
}

// KeyLines are what a plan does to the signing keys of one host, beside its set: fingerprints of Plan.Keys come in ahead of the
// packages, the others go when the host is healthy.
type KeyLines struct {
	Import []string     `json:"import,omitempty"`
	Retire []RetiredKey `json:"retire,omitempty"`
}

// RetiredKey is a key that leaves a host.
type RetiredKey struct {
	Entry       string `json:"entry"` // its name in rpm's keyring, "gpg-pubkey-VERSION-RELEASE"
	Fingerprint string `json:"fingerprint"`
	Owner       string `json:"owner"`
}

// RequestedKeys is what was asked for about signing keys.
type RequestedKeys struct {
	Import bool     `json:"import,omitempty"` // what hosts lack of their repositories' keys
	Only   bool     `json:"only,omitempty"`   // nothing about packages
	Retire []string `json:"retire,omitempty"` // fingerprints, or ends of them
}

// Asked tells whether a plan is to have lines about keys.
func (r RequestedKeys) Asked() bool { return r.Import || len(r.Retire) > 0 }

// Empty tells whether nothing happens to keys.
func (k KeyLines) Empty() bool { return len(k.Import)+len(k.Retire) == 0 }

// Summary counts the lines in words; "" for none.
func (k KeyLines) Summary() string {
	var parts []string
	if n := len(k.Import); n > 0 {
		parts = append(parts, fmt.Sprintf("%d signing keys to import", n))
	}
	if n := len(k.Retire); n > 0 {
		parts = append(parts, fmt.Sprintf("%d signing keys to retire", n))
	}
	return strings.Join(parts, ", ")
}

// Key returns a key that the plan imports.
func (p *Plan) Key(fingerprint string) (PlanKey, bool) {
	for _, k := range p.Keys {
		if k.Fingerprint == fingerprint {
			return k, true
		}
	}
	return PlanKey{}, false
}

func (p *Plan) normaliseKeys() {
	for i := range p.Keys {
		k := &p.Keys[i]
		k.Created = k.Created.UTC()
		if k.Expires != nil {
			t := k.Expires.UTC()
			k.Expires = &t
		}
		k.Repos = nonNil(k.Repos)
		slices.Sort(k.Repos)
	}
	slices.SortFunc(p.Keys, func(a, b PlanKey) int { return cmp.Compare(a.Fingerprint, b.Fingerprint) })
	slices.Sort(p.Requested.Keys.Retire)
}

func (k *KeyLines) normalise() {
	slices.Sort(k.Import)
	slices.SortFunc(k.Retire, func(a, b RetiredKey) int { return cmp.Compare(a.Entry, b.Entry) })
}

// checkKeys checks the keys of a plan, and returns their fingerprints.
func checkKeys(list []PlanKey) (map[string]bool, error) {
	out := make(map[string]bool, len(list))
	for _, k := range list {
		sum := sha256.Sum256([]byte(k.Armor))
		switch {
		case !isFingerprint(k.Fingerprint) || out[k.Fingerprint]:
			return nil, fmt.Errorf("key %q stands in it twice or is no fingerprint", k.Fingerprint)
		case hex.EncodeToString(sum[:]) != k.SHA256:
			return nil, fmt.Errorf("key %s has other bytes than its digest", k.Fingerprint)
		case strings.ContainsFunc(k.Armor, func(r rune) bool { return r != '\n' && (r < ' ' || r > '~') }):
			return nil, fmt.Errorf("key %s has text other than printable ASCII", k.Fingerprint)
		}
		out[k.Fingerprint] = true
	}
	return out, nil
}

func (k KeyLines) validate(keys map[string]bool) error {
	seen := map[string]bool{}
	for _, f := range k.Import {
		if !keys[f] || seen[f] {
			return fmt.Errorf("it imports the key %q, which the plan has not, or twice", f)
		}
		seen[f] = true
	}
	for _, r := range k.Retire {
		rest, ok := strings.CutPrefix(r.Entry, "gpg-pubkey-")
		version, release, two := strings.Cut(rest, "-")
		if !ok || !two || !isHexWord(version) || !isHexWord(release) || !isFingerprint(r.Fingerprint) {
			return fmt.Errorf("%q is no signing key to retire", r.Entry)
		}
		if seen[r.Fingerprint] {
			return fmt.Errorf("the key %s is imported and retired, or retired twice", r.Fingerprint)
		}
		seen[r.Fingerprint] = true
	}
	return nil
}

// isFingerprint tells 40 hex digits, or 64 of version 6.
func isFingerprint(s string) bool { return (len(s) == 40 || len(s) == 64) && isHexWord(s) }

func isHexWord(s string) bool { return s != "" && strings.Trim(s, "0123456789abcdef") == "" }
