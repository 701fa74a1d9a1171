package transport

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"cpacman/transport/sshtest"

	"golang.org/x/crypto/ssh"
)

func TestScanKeys(t *testing.T) {
	ed, ec := edSigner(t), ecdsaSigner(t)
	hop := inProcess(t, sshtest.Config{})
	e := inProcess(t, sshtest.Config{HostKeys: []ssh.Signer{ec, ed}})
	target := e.target
	target.KnownHosts = hop.target.KnownHosts
	target.Identities = hop.target.Identities
	target.Jump = []Hop{{Address: "127.0.0.1", Port: hop.server.Port()}}
	keys, err := newDialer(t, Options{}).ScanKeys(testContext(t), target)
	if err != nil {
		t.Fatal(err)
	}
	if len(keys) != 2 || keys[0].Fingerprint() != ssh.FingerprintSHA256(ed.PublicKey()) || keys[1].Fingerprint() != ssh.FingerprintSHA256(ec.PublicKey()) {
		t.Fatalf("got %v", keys)
	}
	if n := e.server.Tries.Load(); n != 0 {
		t.Errorf("%d logins were tried", n)
	}
	for _, hash := range []bool{false, true} {
		file := filepath.Join(t.TempDir(), "known")
		if n, err := AppendKnownHosts(file, keys, hash); n != 2 || err != nil {
			t.Fatalf("added %d, %v", n, err)
		}
		if n, err := AppendKnownHosts(file, keys, hash); n != 0 || err != nil {
			t.Fatalf("added %d again, %v", n, err)
		}
		direct := e.target
		direct.KnownHosts = []string{file}
		dial(t, newDialer(t, Options{}), direct)
		before, _ := os.ReadFile(file)
		var conflict *KnownHostsConflict
		for _, other := range []ssh.Signer{edSigner(t), ecdsaSigner(t)} {
			_, err := AppendKnownHosts(file, []ScannedKey{{Host: keys[0].Host, Key: other.PublicKey()}}, hash)
			if !errors.As(err, &conflict) || !strings.Contains(err.Error(), " line ") {
				t.Errorf("another key: %v", err)
			}
		}
		if after, _ := os.ReadFile(file); string(before) != string(after) {
			t.Error("a refusal changed the file")
		}
	}
	if _, err := AppendKnownHosts(filepath.Join(t.TempDir(), "k"), []ScannedKey{{Host: "a b", Key: ed.PublicKey()}}, false); err == nil {
		t.Error("a host name with a blank was written")
	}
}

func TestAppendKnownHostsTogether(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known")
	if err := os.WriteFile(file, []byte("# mine, no line end"), 0o644); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		k := edSigner(t).PublicKey()
		wg.Go(func() {
			if _, err := AppendKnownHosts(file, []ScannedKey{{Host: fmt.Sprint("h", i), Key: k}}, i%2 == 0); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	text, _ := os.ReadFile(file)
	info, _ := os.Stat(file)
	if n := strings.Count(string(text), "\n"); n != 9 || !strings.HasPrefix(string(text), "# mine, no line end\n") || info.Mode().Perm() != 0o644 {
		t.Errorf("%d lines, mode %v:\n%s", n, info.Mode(), text)
	}
}
