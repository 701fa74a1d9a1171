package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// ScannedKey is a host key that a host claims to have. Nothing vouches for it:
// compare the fingerprint with the host's own before it is trusted.
type ScannedKey struct {
	Host string // as known_hosts names it: name, [name]:port, or the alias
	Key  ssh.PublicKey
}

// Fingerprint is the key's SHA-256 fingerprint as ssh-keygen -l prints it.
func (k ScannedKey) Fingerprint() string { return ssh.FingerprintSHA256(k.Key) }

// Line is the line for known_hosts, without a line feed.
func (k ScannedKey) Line() string { return k.line(k.Host) }

// HashedLine is Line with the name hashed under a random salt, as with
// HashKnownHosts.
func (k ScannedKey) HashedLine() string { return k.line(knownhosts.HashHostname(k.Host)) }

func (k ScannedKey) line(host string) string {
	return host + " " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k.Key)))
}

// ScanKeys is Dialer.ScanKeys with a Dialer of its own.
func ScanKeys(ctx context.Context, t Target) ([]ScannedKey, error) {
	d := NewDialer(Options{})
	defer d.Close()
	return d.ScanKeys(ctx, t)
}

// errScanned ends a handshake as soon as the key was seen.
var errScanned = errors.New("key seen")

// ScanKeys asks a host for its keys, one connection for each kind of key, which
// is what the protocol allows. No login is tried. Jump hosts on the way are
// logged in to, with strict keys. sshd may count connections without a login
// against this address (PerSourcePenalties): do not scan in a loop.
func (d *Dialer) ScanKeys(ctx context.Context, t Target) ([]ScannedKey, error) {
	t, err := t.withDefaults()
	if err != nil {
		return nil, failed(t.Name, "scan keys", KindInternal, err)
	}
	kinds := [][]string{
		{ssh.KeyAlgoED25519},
		{ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521},
		{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256},
	}
	var found []ScannedKey
	for _, algorithms := range kinds {
		key, err := d.scanRetrying(ctx, t, algorithms)
		if err != nil {
			return nil, fail(ctx, t.Name, "scan keys", KindUnreachable, err)
		}
		if key != nil {
			found = append(found, ScannedKey{Host: t.lookupName(), Key: key})
		}
	}
	if len(found) == 0 {
		return nil, failed(t.Name, "scan keys", KindHostKey, errors.New("the host has no Ed25519, ECDSA or RSA (SHA-2) key"))
	}
	return found, nil
}

// scanRetrying is scanOne with Dial's patience for dropped connections.
func (d *Dialer) scanRetrying(ctx context.Context, t Target, algorithms []string) (ssh.PublicKey, error) {
	pause := d.opts.DialBackoff
	for attempt := 1; ; attempt++ {
		key, err := d.scanOne(ctx, t, algorithms)
		if err == nil || !errors.Is(err, errDropped) || attempt == d.opts.DialAttempts {
			return key, err
		}
		if err := d.sleep(ctx, pause); err != nil {
			return nil, err
		}
		pause *= 2
	}
}

// scanOne gives the key of one kind, nil when the host has none.
func (d *Dialer) scanOne(ctx context.Context, t Target, algorithms []string) (ssh.PublicKey, error) {
	way, err := d.wayTo(ctx, t)
	if err != nil {
		return nil, err
	}
	leave, err := d.enterStart(ctx, way)
	if err != nil {
		return nil, err
	}
	defer leave()
	nc, err := d.connect(ctx, t, way)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	hctx, cancel := context.WithTimeoutCause(ctx, t.HandshakeTimeout, errHandshakeTimeout)
	defer cancel()
	cfg := clientConfig(t, &hostKeys{})
	cfg.HostKeyAlgorithms = algorithms
	type outcome struct {
		key ssh.PublicKey
		err error
	}
	result := make(chan outcome, 1)
	d.work.Go(func() {
		var o outcome
		cfg.HostKeyCallback = func(_ string, _ net.Addr, key ssh.PublicKey) error {
			o.key = key
			return errScanned
		}
		_, _, _, o.err = ssh.NewClientConn(nc, t.hostPort(), cfg) //nolint:dogsled // it never succeeds
		result <- o
	})
	l := &login{d: d, t: t, nc: nc, keys: &hostKeys{}}
	select {
	case <-hctx.Done():
		nc.Close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, l.timedOut()
	case o := <-result:
		var algo *ssh.AlgorithmNegotiationError
		switch {
		case o.key != nil:
			return o.key, nil
		case errors.As(o.err, &algo) && strings.Contains(algo.What, "host key"):
			return nil, nil
		}
		return nil, l.judge(ctx, o.err)
	}
}

// KnownHostsConflict says that a file already trusts another key for a host.
type KnownHostsConflict struct {
	Host  string
	New   []ScannedKey
	Known KnownKey
}

// Error names the line that is in the way.
func (e *KnownHostsConflict) Error() string {
	offered := make([]string, len(e.New))
	for i, k := range e.New {
		offered[i] = k.Key.Type() + " " + k.Fingerprint()
	}
	return fmt.Sprintf("%s line %d already has another key for %s: known is %s %s, new is %s; nothing was written; hint: find out why it changed, then remove that line",
		e.Known.File, e.Known.Line, SanitizeLine(e.Host, 256), e.Known.Key.Type(), ssh.FingerprintSHA256(e.Known.Key), strings.Join(offered, ", "))
}

// conflict compares the scanned keys of one host with a file. A key of a type
// that is known with another value is a conflict, and so is a host of which no
// scanned key is a known one: types alone do not make it the same host.
func (f *knownFile) conflict(host string, scanned []ScannedKey) *KnownHostsConflict {
	anyKnown, anySame := -1, false
	for i := range f.lines {
		l := &f.lines[i]
		if l.revoked {
			for _, s := range scanned {
				if bytes.Equal(s.Key.Marshal(), l.Key.Marshal()) {
					return &KnownHostsConflict{Host: host, New: scanned, Known: l.KnownKey}
				}
			}
			continue
		}
		if !l.matches(host) {
			continue
		}
		anyKnown = i
		for _, s := range scanned {
			if bytes.Equal(s.Key.Marshal(), l.Key.Marshal()) {
				anySame = true
			}
		}
	}
	if anyKnown < 0 {
		return nil
	}
	if !anySame {
		return &KnownHostsConflict{Host: host, New: scanned, Known: f.lines[anyKnown].KnownKey}
	}
	return f.typeConflict(host, scanned)
}

func (f *knownFile) typeConflict(host string, scanned []ScannedKey) *KnownHostsConflict {
	for _, s := range scanned {
		var other *KnownKey
		same := false
		for i := range f.lines {
			l := &f.lines[i]
			if l.revoked || l.Key.Type() != s.Key.Type() || !l.matches(host) {
				continue
			}
			if bytes.Equal(l.Key.Marshal(), s.Key.Marshal()) {
				same = true
			} else {
				other = &l.KnownKey
			}
		}
		if other != nil && !same {
			return &KnownHostsConflict{Host: host, New: scanned, Known: *other}
		}
	}
	return nil
}

// has reports whether the key is there already for the host.
func (f *knownFile) has(k ScannedKey) bool {
	for i := range f.lines {
		l := &f.lines[i]
		if !l.revoked && bytes.Equal(l.Key.Marshal(), k.Key.Marshal()) && l.matches(k.Host) {
			return true
		}
	}
	return false
}
