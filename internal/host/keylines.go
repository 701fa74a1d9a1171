package host

import (
	"bytes"
	"encoding/base64"
	"strings"

	"cpacman/internal/rpm"
)

const (
	maxKeyText = 128 << 10 // bytes of one key in text form; the largest distribution key has 10 KB
	maxHostKey = 500       // keys of one host that are read
)

// readKeyPackets fills in what only the key itself tells. The packets stand between "k VERSION RELEASE" and "ke", base64 in lines
// without a mark. A host may send anything: a key that cannot be read, or is not the entry's, leaves its fields empty.
func readKeyPackets(keys []Key, a *answer) {
	head := "@" + a.mark + " "
	entry, n := "", 0
	var b64 strings.Builder
	for line := range strings.Lines(string(a.stdout)) {
		line = strings.TrimSuffix(line, "\n")
		rest, marked := strings.CutPrefix(line, head)
		switch {
		case marked && strings.HasPrefix(rest, "k "):
			entry = rest[2:]
			b64.Reset()
		case marked && rest == "ke":
			if n++; n <= maxHostKey {
				fillKey(keys, entry, b64.String())
			}
			entry = ""
		case !marked && entry != "" && b64.Len() < maxKeyText:
			b64.WriteString(line)
		}
	}
}

// fillKey reads the key of one entry, "VERSION RELEASE".
func fillKey(keys []Key, entry, text string) {
	version, release, _ := strings.Cut(entry, " ")
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return
	}
	ring, err := rpm.ReadKeys(bytes.NewReader(raw))
	if err != nil || len(ring.Keys()) != 1 {
		return
	}
	key := ring.Keys()[0]
	if !key.MatchesPubkey(version, release) {
		return
	}
	for i := range keys {
		k := &keys[i]
		if k.ID != version || k.Created != release || k.Fingerprint != "" {
			continue
		}
		k.Fingerprint = key.Fingerprint()
		if ids := key.UserIDs(); len(ids) > 0 {
			k.Owner = bounded(ids[0], maxField)
		}
		if e := key.Expires(); !e.IsZero() {
			k.Expires = e.Unix()
		}
		return
	}
}
