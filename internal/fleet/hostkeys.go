package fleet

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"golang.org/x/crypto/ssh"

	"cpacman/internal/store"
	"cpacman/inventory"
	"cpacman/transport"
)

// sawKey tells in the audit trail which key a host proved to have, once for each key. That it could not be recorded is logged and
// holds nobody up: the evidence of the rollout says then that the key was not recorded.
func (d *Deployment) sawKey(ctx context.Context, h *inventory.Host, conn *transport.Conn) {
	fingerprint, keyType := conn.HostKey()
	seen := h.Name + " " + fingerprint
	if _, again := d.keys.LoadOrStore(seen, true); again {
		return
	}
	err := d.fleet.Store.PutHostKey(ctx, d.rollout, h.Name, store.HostKey{Type: keyType, Fingerprint: fingerprint, Address: conn.RemoteAddr(), Authority: conn.Authority()})
	if err != nil {
		d.keys.Delete(seen)
		d.fleet.log.Warn("the host key could not be recorded", "host", h.Name, "error", err)
	}
}

// KnownKeys gives a function for the keys that known_hosts has for a host now: what is left of a rollout that recorded none.
func (f *Fleet) KnownKeys() func(name string) ([]store.HostKey, error) {
	var known transport.KnownHosts
	return func(name string) ([]store.HostKey, error) {
		h := f.Site.Host(name)
		if h == nil {
			return nil, fmt.Errorf("host %s is not in the inventory", name)
		}
		t := f.Target(h)
		keys, err := known.Keys(t)
		if err != nil {
			return nil, fmt.Errorf("known keys of %s: %w", name, err)
		}
		out := make([]store.HostKey, len(keys))
		for i, k := range keys {
			out[i] = store.HostKey{Type: k.Key.Type(), Fingerprint: ssh.FingerprintSHA256(k.Key), Address: net.JoinHostPort(t.Address, strconv.Itoa(t.Port))}
		}
		return out, nil
	}
}
