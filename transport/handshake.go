package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// login is one handshake and what was learnt on the way, which is what its
// failure is judged by: x/crypto's errors are mostly text.
type login struct {
	d       *Dialer
	t       Target
	nc      *watchedConn
	keys    *hostKeys
	ids     *identities
	bad     *HostKeyError
	hostKey ssh.PublicKey // set when it was accepted

	authority string // fingerprint of who certified it, or ""
}

// handshake exchanges keys and logs in within HandshakeTimeout. x/crypto's own
// timeout covers only the TCP connect, and a forwarded channel has no deadlines,
// so the clock closes the connection.
func (d *Dialer) handshake(ctx context.Context, l *login) (*Conn, error) {
	hctx, cancel := context.WithTimeoutCause(ctx, l.t.HandshakeTimeout, errHandshakeTimeout)
	defer cancel()
	type outcome struct {
		client *ssh.Client
		err    error
	}
	result := make(chan outcome, 1)
	d.work.Go(func() {
		client, err := l.run()
		result <- outcome{client, err}
	})
	select {
	case r := <-result:
		if r.err != nil {
			return nil, l.judge(ctx, r.err)
		}
		return newConn(d, l, r.client), nil
	case <-hctx.Done():
	}
	l.nc.Close()
	l.ids.close()      // an agent may be waiting for a person
	d.work.Go(func() { // ends as soon as the close has taken effect
		if r := <-result; r.err == nil {
			r.client.Close()
		}
	})
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, l.timedOut()
}

var errHandshakeTimeout = errors.New("handshake timeout")

// run blocks until logged in or refused.
func (l *login) run() (*ssh.Client, error) {
	cfg := clientConfig(l.t, l.keys)
	cfg.HostKeyCallback = func(_ string, _ net.Addr, key ssh.PublicKey) error {
		if bad := l.keys.check(l.t.Name, key, time.Now()); bad != nil {
			l.bad = bad
			return bad
		}
		if cert, ok := key.(*ssh.Certificate); ok {
			l.hostKey, l.authority = cert.Key, ssh.FingerprintSHA256(cert.SignatureKey)
			return nil
		}
		l.hostKey = key
		return nil
	}
	cfg.Auth = []ssh.AuthMethod{ssh.PublicKeys(l.ids.signers...)}
	sc, chans, reqs, err := ssh.NewClientConn(l.nc, l.t.hostPort(), cfg)
	if err != nil {
		return nil, err
	}
	return ssh.NewClient(sc, chans, reqs), nil
}

// timedOut says how far a silent server got. Only the greeting is read: the
// login goroutine may still be at work on the rest.
func (l *login) timedOut() error {
	if l.nc.received() == 0 {
		return fmt.Errorf("%s accepts connections but says nothing (waited %v)", l.t.hostPort(), l.t.HandshakeTimeout)
	}
	return fmt.Errorf("%s did not finish the handshake within %v", l.t.hostPort(), l.t.HandshakeTimeout)
}

// judge turns the failure of a handshake into a kind.
func (l *login) judge(ctx context.Context, err error) error {
	l.nc.Close()
	var algo *ssh.AlgorithmNegotiationError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case l.bad != nil:
		return failed(l.t.Name, "dial", KindHostKey, l.bad)
	case errors.As(err, &algo):
		return l.noCommon(algo)
	case l.hostKey == nil:
		return l.hungUp(err)
	case strings.Contains(err.Error(), "unable to authenticate") || strings.Contains(err.Error(), "disconnect") ||
		strings.Contains(err.Error(), "public key signature") || strings.Contains(err.Error(), "agent:"):
		return failed(l.t.Name, "dial", KindAuth, l.refused(err))
	}
	return fmt.Errorf("connection lost during the login of %s: %w", l.t.User, err)
}

// noCommon: the host key type is a question of trust, the rest one of age.
func (l *login) noCommon(algo *ssh.AlgorithmNegotiationError) error {
	if strings.Contains(algo.What, "host key") && len(l.keys.known) > 0 {
		e := &HostKeyError{Name: l.keys.name, Target: l.t.Name, Types: algo.RequestedAlgorithms,
			Known: l.keys.known, Files: l.keys.files, Notes: l.keys.notes}
		return failed(l.t.Name, "dial", KindHostKey, e)
	}
	return failed(l.t.Name, "dial", KindAuth,
		fmt.Errorf("no common algorithm for %s: the host offers only %s; it is too old; the legacy profile (ssh.profile) allows SHA-1 and CBC for a host that cannot be renewed",
			algo.What, SanitizeLine(strings.Join(algo.RequestedAlgorithms, ", "), 300)))
}

// hungUp is a failure before the host key was seen.
func (l *login) hungUp(err error) error {
	greeting := l.nc.greeting()
	switch {
	case strings.Contains(greeting, "Not allowed at this time"):
		return failed(l.t.Name, "dial", KindPenalised, fmt.Errorf(
			"sshd refuses connections from this address for a while (PerSourcePenalties); hint: wait, then find out which logins failed; "+
				"PerSourcePenaltyExemptList in its sshd_config exempts this control host"))
	case greeting == "" || strings.HasPrefix(greeting, "SSH-") || strings.Contains(greeting, "MaxStartups"):
		return fmt.Errorf("%w by the host before the key exchange (%v)", errDropped, err) //nolint:errorlint // its text is told; what it is must not decide the kind of this error
	}
	return fmt.Errorf("not an SSH server: it said %q: %w", SanitizeLine(greeting, 80), err)
}

// offeredWords names a key that was offered: by its own fingerprint, also where a certificate goes with it.
func offeredWords(key ssh.PublicKey) string {
	cert, ok := key.(*ssh.Certificate)
	if !ok {
		return key.Type() + " " + ssh.FingerprintSHA256(key)
	}
	whom := strings.Join(cert.ValidPrincipals, ", ")
	if whom == "" {
		whom = "nobody"
	}
	return fmt.Sprintf("%s %s with a certificate for %s, signed by %s", cert.Key.Type(), ssh.FingerprintSHA256(cert.Key), SanitizeLine(whom, 200),
		ssh.FingerprintSHA256(cert.SignatureKey))
}

// refused says which keys were offered.
func (l *login) refused(err error) error {
	var keys []string
	for _, s := range l.ids.signers {
		keys = append(keys, offeredWords(s.PublicKey()))
	}
	msg := fmt.Sprintf("%s does not let %s log in; offered: %s", l.t.hostPort(), SanitizeLine(l.t.User, 64), strings.Join(keys, ", "))
	if len(l.ids.notes) > 0 {
		msg += "; not offered: " + strings.Join(l.ids.notes, "; ")
	}
	return fmt.Errorf("%s: %w", msg, err)
}
