package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// maxIdentities is how many keys are offered in one login; sshd's MaxAuthTries
// is 6, and every key it refuses counts.
const maxIdentities = 5

// maxKeyFile bounds identity files, in bytes.
const maxKeyFile = 1 << 20

// identities are the keys for one login, with what could not be used and why.
type identities struct {
	signers []ssh.Signer
	notes   []string
	close   func()
}

// loadIdentities reads the key files of a target, or asks its agent. The agent
// is used only to sign this login; it is never forwarded.
func loadIdentities(ctx context.Context, t Target) (*identities, error) {
	ids := &identities{close: func() {}}
	a := &agentKeys{ctx: ctx, socket: t.AgentSocket, legacy: t.Legacy}
	ids.close = a.close
	if len(t.Identities) == 0 {
		signers, err := a.all()
		if err != nil {
			ids.close()
			return nil, err
		}
		if len(signers) > maxIdentities {
			ids.notes = append(ids.notes, fmt.Sprintf("the agent has %d keys, only the first %d were offered: name the right one as an identity", len(signers), maxIdentities))
			signers = signers[:maxIdentities]
		}
		ids.signers = signers
		ids.addCertificates(t, a, time.Now())
		return ids, nil
	}
	for _, path := range t.Identities {
		if len(ids.signers) == maxIdentities {
			ids.notes = append(ids.notes, fmt.Sprintf("only the first %d identities were offered", maxIdentities))
			break
		}
		s, err := loadIdentity(path, a)
		if err != nil {
			ids.notes = append(ids.notes, err.Error())
			continue
		}
		ids.signers = append(ids.signers, s)
	}
	ids.addCertificates(t, a, time.Now())
	if len(ids.signers) == 0 {
		ids.close()
		return nil, fmt.Errorf("no usable key: %s", strings.Join(ids.notes, "; "))
	}
	return ids, nil
}

// loadIdentity reads one key file: a private key, or a public key that names one
// of the agent's.
func loadIdentity(path string, a *agentKeys) (ssh.Signer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxKeyFile {
		return nil, fmt.Errorf("identity %s is not a key file", path)
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fmt.Errorf("identity %s: cannot be read whole: %w", path, err)
	}
	defer clear(data)
	if pub, _, _, _, err := ssh.ParseAuthorizedKey(data); err == nil {
		return a.find(pub, "identity "+path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("identity %s is open to others (mode %04o): chmod 600 it", path, info.Mode().Perm())
	}
	signer, err := ssh.ParsePrivateKey(data)
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) {
		pub := locked.PublicKey
		if pub == nil {
			pub = readPublicHalf(path)
		}
		what := "identity " + path + " has a passphrase"
		if pub == nil {
			return nil, fmt.Errorf("%s: add it to an agent (ssh-add) and keep %s.pub beside it", what, path)
		}
		return a.find(pub, what)
	}
	if err != nil {
		return nil, fmt.Errorf("identity %s: %w", path, err)
	}
	return ownRSA(signer, a.legacy)
}

// readPublicHalf reads path.pub; old private key formats do not tell it.
func readPublicHalf(path string) ssh.PublicKey {
	data, err := os.ReadFile(path + ".pub")
	if err != nil {
		return nil
	}
	pub, _, _, _, err := ssh.ParseAuthorizedKey(data)
	if err != nil {
		return nil
	}
	return pub
}

// ownRSA keeps RSA keys from signing with SHA-1, unless legacy.
func ownRSA(s ssh.Signer, legacy bool) (ssh.Signer, error) {
	as, ok := s.(ssh.AlgorithmSigner)
	if !ok || s.PublicKey().Type() != ssh.KeyAlgoRSA {
		return s, nil
	}
	return ssh.NewSignerWithAlgorithms(as, rsaAlgorithms(legacy))
}

// agentKeys is a connection to an SSH agent, opened when first needed.
type agentKeys struct {
	ctx     context.Context
	socket  string
	legacy  bool
	conn    net.Conn
	stop    func() bool
	signers []ssh.Signer
	loaded  bool
	err     error
}

// all lists the agent's keys.
func (a *agentKeys) all() ([]ssh.Signer, error) {
	if a.loaded {
		return a.signers, a.err
	}
	a.loaded = true
	a.signers, a.err = a.list()
	return a.signers, a.err
}

func (a *agentKeys) list() ([]ssh.Signer, error) {
	if a.socket == "" {
		return nil, errors.New("no key: neither an identity file nor an agent (SSH_AUTH_SOCK) is configured")
	}
	var d net.Dialer
	conn, err := d.DialContext(a.ctx, "unix", a.socket)
	if err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	a.conn = conn
	// An agent may ask a person; the context bounds that too.
	a.stop = context.AfterFunc(a.ctx, func() { conn.Close() })
	signers, err := agent.NewClient(conn).Signers()
	if err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	if len(signers) == 0 {
		return nil, errors.New("the agent has no keys: ssh-add one, or configure an identity file")
	}
	for i, s := range signers {
		if signers[i], err = ownRSA(s, a.legacy); err != nil {
			return nil, fmt.Errorf("agent: %w", err)
		}
	}
	return signers, nil
}

// find picks one key of the agent.
func (a *agentKeys) find(pub ssh.PublicKey, what string) (ssh.Signer, error) {
	signers, err := a.all()
	if err != nil {
		return nil, fmt.Errorf("%s, and the agent cannot help: %w", what, err)
	}
	for _, s := range signers {
		if bytes.Equal(s.PublicKey().Marshal(), pub.Marshal()) {
			return s, nil
		}
	}
	return nil, fmt.Errorf("%s, and the agent does not have its key %s", what, ssh.FingerprintSHA256(pub))
}

func (a *agentKeys) close() {
	if a.stop != nil {
		a.stop()
	}
	if a.conn != nil {
		a.conn.Close()
	}
}
