// Package transport is a connection to one host over SSH: run a command, send
// a file. It has no opinion about what the command does or what the file is,
// imports nothing else of this module, and may be used by any Go program.
//
//	d := transport.NewDialer(transport.Options{})
//	defer d.Close()
//	c, err := d.Dial(ctx, transport.Target{
//		Name: "web01", Address: "10.0.0.11", User: "root",
//		Identities: []string{"/root/.ssh/id_ed25519"},
//		KnownHosts: []string{"/root/.ssh/known_hosts"},
//	})
//	…
//	r, err := c.Run(ctx, transport.Command{Argv: []string{"uname", "-r"}})
//
// # Rules
//
//   - Every call ends. Dialling, the SSH handshake, opening a channel, a command
//     and a transfer each obey the context and a limit of their own; a peer that
//     falls silent is found by keepalives (15 s, three misses) and the connection
//     is then closed, which is the only cancel SSH has that always works.
//   - Host keys are strict. The algorithms asked for are those of the keys known,
//     a changed key is an error that shows both fingerprints, and nothing is
//     ever learnt silently. ScanKeys and AppendKnownHosts are separate acts.
//   - Nothing is forwarded: no agent, no X11. Jump hosts only carry
//     direct-tcpip channels, each hop has its own user and keys, and one
//     authenticated connection to a jump host is shared by all behind it.
//   - A command runs through "exec /bin/sh -c '…'" with LC_ALL=C, so the login
//     shell only has to know exec and single quotes. What a profile or a
//     message of the day prints is cut away by random marks around the output.
//     The command's own exit status is data (Result.ExitStatus), not an error;
//     an error means that it could not be run or could not be observed.
//   - A password for sudo is written to standard input after sudo has said that
//     it needs one. It is never an argument, an environment variable or a log
//     line, and a wrong one is not tried again on that host.
//   - A file is written beside its final name, checked by SHA-256 on the host and
//     renamed. What an earlier attempt left is reused block by block, and only
//     the blocks whose digest was compared; a size proves nothing.
//   - At most six channels are open on one connection (sshd's MaxSessions is ten).
//   - Text from hosts is passed on as it came in Result and is escaped in error
//     messages and logs. Sanitize it before it reaches a terminal.
//
// # Concurrency
//
// A Dialer and a Conn may be used by several goroutines. One Upload takes up to
// six channels; commands on the same Conn then wait for it.
//
// # Certificates
//
// Certificates of users stand beside keys or are named; those of hosts are
// accepted where known_hosts has an @cert-authority line for the name.
package transport
