package transport

import (
	"crypto/ed25519"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

func TestKnownHostsKeys(t *testing.T) {
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "known_hosts")
	text := knownhosts.Line([]string{"plain.example"}, key) + "\n" + knownhosts.Line([]string{knownhosts.HashHostname("[hashed.example]:2222")}, key) + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var k KnownHosts
	for _, c := range []struct {
		address string
		port    int
		want    int
	}{{"plain.example", 22, 1}, {"hashed.example", 2222, 1}, {"hashed.example", 22, 0}, {"other", 22, 0}} {
		got, err := k.Keys(Target{Name: "x", Address: c.address, Port: c.port, KnownHosts: []string{file, file + "-none"}})
		if err != nil || len(got) != c.want {
			t.Errorf("%s:%d: %v, %v", c.address, c.port, got, err)
		}
	}
	if _, err := k.Keys(Target{Name: "x", Address: "bad name"}); err == nil {
		t.Error("an address with a blank was looked up")
	}
}
