package transport

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"cpacman/transport/sshtest"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

func TestIdentities(t *testing.T) {
	t.Parallel()
	e := inProcess(t, sshtest.Config{})
	good := e.target.Identities[0]
	file := func(name string) string { return filepath.Join(e.dir, name) }
	var wrong []string
	for i := range 7 {
		f := file(fmt.Sprint("wrong", i))
		if _, err := sshtest.WriteIdentity(f); err != nil {
			t.Fatal(err)
		}
		wrong = append(wrong, f)
	}
	key, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := ssh.ParseRawPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	signer := signerFrom(t, raw)
	if err := os.WriteFile(file("open"), key, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file("public"), ssh.MarshalAuthorizedKey(signer.PublicKey()), 0o644); err != nil {
		t.Fatal(err)
	}
	writeLocked(t, file("locked"), raw)
	socket := startAgent(t, 0, raw)
	crowded := startAgent(t, 8, raw)
	empty := startAgent(t, 0, nil)
	for _, tc := range []struct {
		name   string
		ids    []string
		socket string
		kind   Kind
		tries  int64
		says   string
	}{
		{name: "one", ids: []string{good}, tries: 1},
		{name: "the next configured", ids: []string{wrong[0], wrong[1], good}, tries: 3},
		{name: "refused", ids: []string{wrong[0]}, kind: KindAuth, tries: 1, says: "does not let tester log in"},
		{name: "no more than five", ids: append(append([]string{}, wrong...), good), kind: KindAuth, tries: 5, says: "only the first 5"},
		{name: "absent beside a good one", ids: []string{file("absent"), good}, tries: 1},
		{name: "absent", ids: []string{file("absent")}, kind: KindAuth, says: "no such file"},
		{name: "open to others", ids: []string{file("open")}, kind: KindAuth, says: "chmod 600"},
		{name: "passphrase, no agent", ids: []string{file("locked")}, kind: KindAuth, says: "has a passphrase"},
		{name: "passphrase, agent", ids: []string{file("locked")}, socket: socket, tries: 1},
		{name: "public key picks the agent's", ids: []string{file("public")}, socket: crowded, tries: 1},
		{name: "agent", socket: socket, tries: 1},
		{name: "agent with too many keys", socket: crowded, kind: KindAuth, tries: 5, says: "agent has 9 keys"},
		{name: "empty agent", socket: empty, kind: KindAuth, says: "no keys"},
		{name: "nothing", kind: KindAuth, says: "neither an identity file nor an agent"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before, conns := e.server.Tries.Load(), e.server.Accepted.Load()
			target := e.target
			target.Identities, target.AgentSocket = tc.ids, tc.socket
			c, err := newDialer(t, Options{}).Dial(testContext(t), target)
			if c != nil {
				c.Close()
			}
			wantKind(t, err, tc.kind)
			if tc.says != "" && !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%q lacks %q", err, tc.says)
			}
			// A key that is accepted is asked about first and used then: the callback
			// result is cached by the server, so each key counts once.
			if n := e.server.Tries.Load() - before; n != tc.tries {
				t.Errorf("%d keys were offered, want %d", n, tc.tries)
			}
			if n := e.server.Accepted.Load() - conns; n > 1 {
				t.Errorf("%d connections for one refusal", n)
			}
		})
	}
}

// TestIdentityCutShort reads a regular file that holds less than its size says,
// as one that is being rewritten does: sysfs states a page for every file.
func TestIdentityCutShort(t *testing.T) {
	t.Parallel()
	const file = "/sys/devices/system/cpu/online"
	info, err := os.Stat(file)
	if err != nil {
		t.Skip("needs sysfs: ", err)
	}
	if held, err := os.ReadFile(file); err != nil || len(held) == 0 || int64(len(held)) >= info.Size() {
		t.Skipf("needs sysfs: %s states %d bytes and holds %d: %v", file, info.Size(), len(held), err)
	}
	_, err = loadIdentity(file, nil)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("got %v, want %v inside", err, io.ErrUnexpectedEOF)
	}
	for _, part := range []string{file, "cannot be read whole"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q lacks %q", err, part)
		}
	}
}

// startAgent serves an agent with n other keys before key (nil: none).
func startAgent(t *testing.T, n int, key any) string {
	t.Helper()
	ring := agent.NewKeyring()
	for range n {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if err := ring.Add(agent.AddedKey{PrivateKey: k}); err != nil {
			t.Fatal(err)
		}
	}
	if key != nil {
		if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
			t.Fatal(err)
		}
	}
	socket := filepath.Join(t.TempDir(), "agent")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer c.Close()
				agent.ServeAgent(ring, c) //nolint:errcheck // ends with the client
			})
		}
	})
	t.Cleanup(func() { ln.Close(); work.Wait() })
	return socket
}

// writeLocked writes a private key with a passphrase.
func writeLocked(t *testing.T, file string, key crypto.PrivateKey) {
	t.Helper()
	block, err := ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
}
