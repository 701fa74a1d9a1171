package transport_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"cpacman/transport"
	"cpacman/transport/sshtest"

	"golang.org/x/crypto/ssh"
)

// exampleHost is a host for the examples: an SSH server in this process, a key
// that may log in, and a known_hosts file. A real Target only differs in its
// address.
func exampleHost() (target transport.Target, dir string, stop func()) {
	dir, err := os.MkdirTemp("", "transport-example-")
	if err != nil {
		log.Fatal(err)
	}
	key, err := sshtest.WriteIdentity(filepath.Join(dir, "id_ed25519"))
	if err != nil {
		log.Fatal(err)
	}
	srv, err := sshtest.Start(sshtest.Config{Authorized: []ssh.PublicKey{key}, Noise: "Welcome to web01!\n"})
	if err != nil {
		log.Fatal(err)
	}
	known, err := sshtest.KnownHosts(dir, srv)
	if err != nil {
		log.Fatal(err)
	}
	target = transport.Target{
		Name: "web01", Address: "127.0.0.1", Port: srv.Port(), User: "deploy",
		Identities: []string{filepath.Join(dir, "id_ed25519")},
		KnownHosts: []string{known},
	}
	return target, dir, func() { srv.Close(); os.RemoveAll(dir) }
}

// Run a command. What the host's profile prints is not part of its output, and an
// exit status other than 0 is not an error.
func Example() {
	target, _, stop := exampleHost()
	defer stop()
	ctx := context.Background()

	d := transport.NewDialer(transport.Options{})
	defer d.Close()
	c, err := d.Dial(ctx, target)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	r, err := c.Run(ctx, transport.Command{Argv: []string{"printf", "%s\n", "it's $HOME, unexpanded"}})
	fmt.Printf("%s%d %v\n", r.Stdout, r.ExitStatus, err)

	r, err = c.Run(ctx, transport.Command{Script: "echo trouble >&2; exit 3"})
	fmt.Printf("%s%d %v\n", r.Stderr, r.ExitStatus, err)
	// Output:
	// it's $HOME, unexpanded
	// 0 <nil>
	// trouble
	// 3 <nil>
}

// Send a file. The second time it is already there.
func ExampleConn_Upload() {
	target, dir, stop := exampleHost()
	defer stop()
	ctx := context.Background()
	local := filepath.Join(dir, "app-1.2-1.noarch.rpm")
	if err := os.WriteFile(local, []byte("not really a package"), 0o600); err != nil {
		log.Fatal(err)
	}

	d := transport.NewDialer(transport.Options{Bandwidth: transport.NewLimiter(50 << 20)})
	defer d.Close()
	c, err := d.Dial(ctx, target)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	for range 2 {
		st, err := c.Upload(ctx, []transport.Upload{{
			Path: filepath.Join(dir, "on-the-host.rpm"), Size: 20, Local: local,
			SHA256: "ad25bc0f144b930b9468833a0c80eaf41212e76ec10e170d7a7e16b6acff4078",
		}})
		fmt.Printf("%d bytes sent, %d skipped, error %v\n", st.Bytes, st.Skipped, err)
	}
	// Output:
	// 20 bytes sent, 0 skipped, error <nil>
	// 0 bytes sent, 1 skipped, error <nil>
}

// Kinds of errors decide what to do.
func ExampleKindOf() {
	target, dir, stop := exampleHost()
	defer stop()
	target.KnownHosts = []string{filepath.Join(dir, "empty")}

	d := transport.NewDialer(transport.Options{})
	defer d.Close()
	_, err := d.Dial(context.Background(), target)
	var hk *transport.HostKeyError
	switch transport.KindOf(err) {
	case transport.KindHostKey:
		fmt.Println("host key not accepted:", errors.As(err, &hk), len(hk.Known), "known")
	case transport.KindUnreachable:
		fmt.Println("try later:", transport.Retryable(err))
	}
	// Output:
	// host key not accepted: true 0 known
}

// Fetch a host's keys, show them to somebody who can compare them, and only then
// trust them.
func ExampleDialer_ScanKeys() {
	target, dir, stop := exampleHost()
	defer stop()

	d := transport.NewDialer(transport.Options{})
	defer d.Close()
	keys, err := d.ScanKeys(context.Background(), target)
	if err != nil {
		log.Fatal(err)
	}
	for _, k := range keys {
		fmt.Println(k.Key.Type(), len(k.Fingerprint()))
	}
	added, err := transport.AppendKnownHosts(filepath.Join(dir, "known_hosts"), keys, true)
	fmt.Println(added, err)
	// Output:
	// ssh-ed25519 50
	// 1 <nil>
}

// Quote makes one word of a shell out of anything.
func ExampleQuote() {
	fmt.Println(transport.Quote("it's; rm -rf /"))
	// Output:
	// 'it'\''s; rm -rf /'
}

// Sanitize keeps hosts from writing to the terminal's controls.
func ExampleSanitize() {
	fmt.Println(transport.Sanitize("done\x1b]0;owned\x07 \u202egnp.exe"))
	// Output:
	// done\x1b]0;owned\x07 \u202egnp.exe
}
