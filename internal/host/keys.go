package host

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"unicode"
)

// KeyFile is one signing key in the text form that `rpm --import` takes.
type KeyFile struct {
	Fingerprint string // lower-case hex
	Armor       string // printable ASCII in lines, with one at its end
	SHA256      string // of Armor, hex
}

// Entry is the name of the key in rpm's keyring.
func (k Key) Entry() string { return "gpg-pubkey-" + k.ID + "-" + k.Created }

// keyEntry is what Transaction.Retire may name. rpm before 6 has eight digits as version, rpm 6 the fingerprint.
var keyEntry = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^gpg-pubkey-[0-9a-f]{8,64}-[0-9a-f]{1,16}$`) })

// KeyEntry tells whether a word is the name of a key in rpm's keyring.
func KeyEntry(s string) bool { return keyEntry().MatchString(s) }

// validateKeys reports keys that cannot be sent.
func (t Transaction) validateKeys() error {
	if len(t.Import) > maxHostKey || len(t.Retire) > maxHostKey {
		return fmt.Errorf("more than %d keys", maxHostKey)
	}
	for _, k := range t.Import {
		if err := k.validate(); err != nil {
			return err
		}
	}
	for _, e := range t.Retire {
		if !KeyEntry(e) {
			return fmt.Errorf("key to retire %q", bounded(e, 100))
		}
	}
	return nil
}

func (k KeyFile) validate() error {
	switch {
	case !words(k.Fingerprint, "") || len(k.Fingerprint) > 64:
		return fmt.Errorf("key %q is no fingerprint", bounded(k.Fingerprint, 100))
	case len(k.Armor) > MaxKeyImport || !strings.HasSuffix(k.Armor, "\n"):
		return fmt.Errorf("key %s has %d bytes of text (at most %d), or no end of line", k.Fingerprint, len(k.Armor), MaxKeyImport)
	case strings.ContainsFunc(k.Armor, func(r rune) bool { return r != '\n' && (r > unicode.MaxASCII || !unicode.IsPrint(r)) }):
		return fmt.Errorf("key %s has text other than printable ASCII", k.Fingerprint)
	case digestOf([]byte(k.Armor)) != k.SHA256:
		return fmt.Errorf("key %s has other bytes than its digest %q", k.Fingerprint, bounded(k.SHA256, 100))
	}
	return nil
}

// MaxKeyImport bounds the text of a key that is sent to hosts, bytes.
const MaxKeyImport = 32 << 10

// keysPerCall bounds the text of one call, bytes: transport takes less than 80 KiB with the program.
const keysPerCall = 32 << 10

// TryKeys asks which keys the host's rpm would not take and why, by fingerprint: its crypto policy, or a kind it cannot read. It
// imports into a database that is thrown away; nothing is changed.
func (s *Session) TryKeys(ctx context.Context, keys []KeyFile) (map[string]string, error) {
	refused := map[string]string{}
	for len(keys) > 0 {
		var args []string
		size := 0
		for len(keys) > 0 && (size == 0 || size+len(keys[0].Armor) < keysPerCall) {
			if err := keys[0].validate(); err != nil {
				return nil, fmt.Errorf("host %s: try signing keys: %w", s.opt.Host, err)
			}
			size += len(keys[0].Armor)
			args = append(args, keys[0].Fingerprint, keys[0].Armor)
			keys = keys[1:]
		}
		a, err := s.call(ctx, "try signing keys", []string{"keys", "keytest"}, args...)
		if err != nil {
			return nil, err
		}
		for _, l := range a.all("refused") {
			fingerprint, why, _ := strings.Cut(l, " ")
			refused[bounded(fingerprint, 64)] = bounded(strings.TrimSpace(why), 500)
		}
	}
	return refused, nil
}
