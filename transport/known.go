package transport

import "fmt"

// KnownHosts reads known_hosts files, each once until it changes. The zero KnownHosts is ready; it may be used by several
// goroutines.
type KnownHosts struct{ cache knownHostsCache }

// Keys gives the keys that the target's known_hosts files have for it, in the order of the files. It dials nothing. A file that does
// not exist has none.
func (k *KnownHosts) Keys(t Target) ([]KnownKey, error) {
	t, err := t.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("known keys of %s: %w", SanitizeLine(t.Name, 256), err)
	}
	keys, err := k.cache.lookup(t.KnownHosts, t.lookupName())
	if err != nil {
		return nil, err
	}
	return keys.known, nil
}
