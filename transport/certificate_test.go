package transport

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"cpacman/transport/sshtest"
)

// certify signs a key: the fields that change leaves as they are make a good host certificate for 127.0.0.1.
func certify(t *testing.T, key, authority ssh.Signer, change func(*ssh.Certificate)) *ssh.Certificate {
	t.Helper()
	c := &ssh.Certificate{Key: key.PublicKey(), CertType: ssh.HostCert, ValidPrincipals: []string{"127.0.0.1"}, Serial: 1, KeyId: "web01",
		ValidAfter: uint64(time.Now().Add(-time.Hour).Unix()), ValidBefore: uint64(time.Now().Add(time.Hour).Unix())}
	if change != nil {
		change(c)
	}
	if err := c.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestHostCertificates(t *testing.T) {
	key, ca, otherCA := edSigner(t), edSigner(t), edSigner(t)
	authority := func(names string, k ssh.Signer) string {
		return "@cert-authority " + ScannedKey{Host: names, Key: k.PublicKey()}.Line()
	}
	for _, tc := range []struct {
		name   string
		change func(*ssh.Certificate)
		known  func(name string) []string
		alias  string
		kind   Kind
		says   []string
	}{
		{name: "good", known: func(name string) []string { return []string{authority("[127.0.0.*]:*", ca)} }},
		{name: "by alias", alias: "web01.example", change: func(c *ssh.Certificate) { c.ValidPrincipals = []string{"*.example"} },
			known: func(string) []string { return []string{authority("*.example", ca)} }},
		{name: "several authorities", known: func(name string) []string { return []string{authority("*", otherCA), authority("*", ca)} }},
		{name: "for another name", change: func(c *ssh.Certificate) { c.ValidPrincipals = []string{"db01"} },
			known: func(string) []string { return []string{authority("*", ca)} }, kind: KindHostKey, says: []string{"it is for db01, and the host is reached as 127.0.0.1", "address = NAME"}},
		{name: "for no name", change: func(c *ssh.Certificate) { c.ValidPrincipals = nil },
			known: func(string) []string { return []string{authority("*", ca)} }, kind: KindHostKey, says: []string{"names no host"}},
		{name: "expired", change: func(c *ssh.Certificate) { c.ValidBefore = uint64(time.Now().Add(-time.Minute).Unix()) },
			known: func(string) []string { return []string{authority("*", ca)} }, kind: KindHostKey, says: []string{"expired at"}},
		{name: "not yet", change: func(c *ssh.Certificate) { c.ValidAfter = uint64(time.Now().Add(time.Minute).Unix()) },
			known: func(string) []string { return []string{authority("*", ca)} }, kind: KindHostKey, says: []string{"not valid before"}},
		{name: "a user's", change: func(c *ssh.Certificate) { c.CertType = ssh.UserCert },
			known: func(string) []string { return []string{authority("*", ca)} }, kind: KindHostKey, says: []string{"not for hosts"}},
		{name: "critical option", change: func(c *ssh.Certificate) { c.CriticalOptions = map[string]string{"what@example": ""} },
			known: func(string) []string { return []string{authority("*", ca)} }, kind: KindHostKey, says: []string{"what@example"}},
		{name: "another authority", known: func(string) []string { return []string{authority("*", otherCA)} }, kind: KindHostKey,
			says: []string{ssh.FingerprintSHA256(ca.PublicKey()), "no @cert-authority line"}},
		{name: "the authority is for other hosts", known: func(string) []string { return []string{authority("*.example", ca)} }, kind: KindHostKey,
			says: []string{"not known"}},
		{name: "another authority, and the plain key is known", known: func(name string) []string {
			return []string{authority("*", otherCA), ScannedKey{Host: name, Key: key.PublicKey()}.Line()}
		}},
		{name: "revoked authority", known: func(string) []string {
			return []string{authority("*", ca), "@revoked " + ScannedKey{Host: "*", Key: ca.PublicKey()}.Line()}
		}, kind: KindHostKey, says: []string{"revoked", "line 2", "hint: "}},
		{name: "revoked key", known: func(string) []string {
			return []string{authority("*", ca), "@revoked " + ScannedKey{Host: "*", Key: key.PublicKey()}.Line()}
		}, kind: KindHostKey, says: []string{"revoked"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cs, err := ssh.NewCertSigner(certify(t, key, ca, tc.change), key)
			if err != nil {
				t.Fatal(err)
			}
			e := inProcess(t, sshtest.Config{HostKeys: []ssh.Signer{key, cs}})
			e.target.KnownHosts, e.target.HostKeyAlias = knownFileWith(t, tc.known(hostName("127.0.0.1", e.server.Port()))...), tc.alias
			c, err := newDialer(t, Options{}).Dial(testContext(t), e.target)
			if c != nil {
				if fp, kind := c.HostKey(); fp != ssh.FingerprintSHA256(key.PublicKey()) || kind != "ssh-ed25519" {
					t.Errorf("key %s %s", kind, fp)
				}
				if want := ssh.FingerprintSHA256(ca.PublicKey()); !strings.Contains(tc.name, "plain key") && c.Authority() != want {
					t.Errorf("authority %q", c.Authority())
				}
				c.Close()
			}
			wantKind(t, err, tc.kind)
			for _, s := range tc.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q lacks %q", err, s)
				}
			}
		})
	}
}

// keygen runs ssh-keygen in a directory.
func keygen(t *testing.T, dir string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Skip("needs sshd: ssh-keygen is not installed")
	}
	cmd := exec.Command("ssh-keygen", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen %q: %v: %s", args, err, out)
	}
}

// TestCertificatesWithOpenSSH: keys and certificates of ssh-keygen, a server that trusts the authority only and shows a certificate.
func TestCertificatesWithOpenSSH(t *testing.T) {
	ca := t.TempDir()
	keygen(t, ca, "-q", "-t", "ed25519", "-N", "", "-f", "ca")
	caPub := string(read(t, filepath.Join(ca, "ca.pub")))
	for _, kind := range []string{"ed25519", "rsa", "ecdsa"} {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			keygen(t, dir, "-q", "-t", kind, "-N", "", "-f", "id")
			keygen(t, dir, "-q", "-t", kind, "-N", "", "-f", "host")
			keygen(t, dir, "-q", "-s", filepath.Join(ca, "ca"), "-I", "host", "-h", "-n", "127.0.0.1", "host.pub")
			e := realSSHD(t, "HostKey "+filepath.Join(dir, "host")+"\nHostCertificate "+filepath.Join(dir, "host-cert.pub")+"\nTrustedUserCAKeys "+filepath.Join(ca, "ca.pub"))
			target := e.target
			target.Identities = []string{filepath.Join(dir, "id")}
			target.KnownHosts = knownFileWith(t, "@cert-authority * "+strings.TrimSpace(caPub))
			d := newDialer(t, Options{})
			_, err := d.Dial(testContext(t), target)
			wantKind(t, err, KindAuth)
			keygen(t, dir, "-q", "-s", filepath.Join(ca, "ca"), "-I", "op", "-n", target.User, "-V", "+1h", "id.pub")
			c := dialled(t)(d.Dial(testContext(t), target)) // found beside the key
			if r, err := c.Run(testContext(t), Command{Argv: []string{"echo", "in"}}); err != nil || string(r.Stdout) != "in\n" {
				t.Errorf("%q, %v", r.Stdout, err)
			}
			c.Close()
			if err := os.Rename(filepath.Join(dir, "id-cert.pub"), filepath.Join(dir, "elsewhere.pub")); err != nil {
				t.Fatal(err)
			}
			target.Certificates = []string{filepath.Join(dir, "elsewhere.pub")}
			dialled(t)(d.Dial(testContext(t), target)).Close()
			keygen(t, dir, "-q", "-s", filepath.Join(ca, "ca"), "-I", "op", "-n", target.User, "-V", "-2h:-1h", "id.pub")
			target.Certificates = []string{filepath.Join(dir, "id-cert.pub")}
			_, err = d.Dial(testContext(t), target)
			wantKind(t, err, KindAuth)
			if !strings.Contains(err.Error(), "expired at") {
				t.Error(err)
			}
		})
	}
}

func dialled(t *testing.T) func(*Conn, error) *Conn {
	return func(c *Conn, err error) *Conn {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}

func TestReadUserCertificate(t *testing.T) {
	key, ca := edSigner(t), edSigner(t)
	dir := t.TempDir()
	write := func(name string, k ssh.PublicKey) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, ssh.MarshalAuthorizedKey(k), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	user := func(c *ssh.Certificate) { c.CertType = ssh.UserCert }
	forEver := func(c *ssh.Certificate) {
		c.CertType, c.ValidAfter, c.ValidBefore = ssh.UserCert, 0, ssh.CertTimeInfinity
	}
	for name, want := range map[string]string{
		write("good", certify(t, key, ca, user)):        "",
		write("for ever", certify(t, key, ca, forEver)): "",
		write("host", certify(t, key, ca, nil)):         "not for users",
		write("plain", key.PublicKey()):                 "plain key",
		filepath.Join(dir, "none"):                      "no such file",
		dir:                                             "no file",
	} {
		_, until, err := ReadUserCertificate(name, time.Now())
		if want == "" && (err != nil || until.IsZero() != strings.HasSuffix(name, "for ever")) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, until %s", name, err, until)
		}
	}
	if _, _, err := ReadUserCertificate(filepath.Join(dir, "good"), time.Now().Add(2*time.Hour)); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Error(err)
	}
}

// TestLegacyServer: a server that knows nothing newer than SHA-1 and CBC is refused with a hint, and reached with the profile.
func TestLegacyServer(t *testing.T) {
	dir := t.TempDir()
	key := rsaKey(t)
	if err := os.WriteFile(filepath.Join(dir, "id"), key, 0o600); err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pub := filepath.Join(dir, "authorized")
	if err := os.WriteFile(pub, ssh.MarshalAuthorizedKey(signer.PublicKey()), 0o600); err != nil {
		t.Fatal(err)
	}
	keygen(t, dir, "-q", "-t", "rsa", "-N", "", "-f", "host")
	hostPub, _, _, _, err := ssh.ParseAuthorizedKey(read(t, filepath.Join(dir, "host.pub")))
	if err != nil {
		t.Fatal(err)
	}
	e := realSSHD(t, strings.Join([]string{"HostKey " + filepath.Join(dir, "host"), "KexAlgorithms diffie-hellman-group14-sha1", "HostKeyAlgorithms ssh-rsa",
		"Ciphers aes128-cbc", "MACs hmac-sha1", "Match all", "AuthorizedKeysFile " + pub}, "\n"))
	target := e.target
	target.Identities = []string{filepath.Join(dir, "id")}
	target.KnownHosts = knownFileWith(t, ScannedKey{Host: hostName("127.0.0.1", target.Port), Key: hostPub}.Line())
	d := newDialer(t, Options{})
	_, err = d.Dial(testContext(t), target)
	wantKind(t, err, KindAuth)
	if !strings.Contains(err.Error(), "ssh.profile") {
		t.Error(err)
	}
	target.Legacy = true
	c := dialled(t)(d.Dial(testContext(t), target))
	defer c.Close()
	if r, err := c.Run(testContext(t), Command{Argv: []string{"echo", "in"}}); err != nil || string(r.Stdout) != "in\n" {
		t.Errorf("%q, %v", r.Stdout, err)
	}
}

func rsaKey(t *testing.T) []byte {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(k, "")
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block)
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestLegacyOffer: what was broken already then stays out, and the modern names come first.
func TestLegacyOffer(t *testing.T) {
	modern, old := offer(false), offer(true)
	for _, pair := range [][2][]string{{modern.KeyExchanges, old.KeyExchanges}, {modern.Ciphers, old.Ciphers}, {modern.MACs, old.MACs}} {
		if len(pair[1]) < len(pair[0]) || !slices.Equal(pair[1][:len(pair[0])], pair[0]) {
			t.Errorf("%q", pair[1])
		}
		for _, name := range pair[1] {
			if strings.Contains(name, "arcfour") || strings.Contains(name, "group1-") || strings.Contains(name, "md5") {
				t.Errorf("%s is offered", name)
			}
		}
	}
	for legacy, want := range map[bool]int{false: 2, true: 3} {
		s, err := ssh.ParsePrivateKey(rsaKey(t))
		if err != nil {
			t.Fatal(err)
		}
		own, err := ownRSA(s, legacy)
		if err != nil {
			t.Fatal(err)
		}
		// A server of that time names no signature algorithms; x/crypto takes ssh-rsa then, if the signer has it.
		if got := own.(ssh.MultiAlgorithmSigner).Algorithms(); len(got) != want || slices.Contains(got, ssh.KeyAlgoRSA) != legacy {
			t.Errorf("legacy %v: %q", legacy, got)
		}
	}
	if !slices.Contains(old.KeyExchanges, "diffie-hellman-group14-sha1") || !slices.Contains(old.Ciphers, "aes128-cbc") {
		t.Errorf("%q, %q", old.KeyExchanges, old.Ciphers)
	}
}
