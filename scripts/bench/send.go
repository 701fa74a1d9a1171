package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"time"

	"cpacman/transport"
)

// sent is what `bench send` reports about one upload; durations in nanoseconds.
type sent struct {
	RTT      time.Duration `json:"rtt"`
	Dial     time.Duration `json:"dial"`
	Prepare  time.Duration `json:"prepare"`
	Transfer time.Duration `json:"transfer"`
	Verify   time.Duration `json:"verify"`
	Bytes    int64         `json:"bytes"`
	Channels int           `json:"channels"`
}

// sendMain is `bench send`: one file to one host over cpacman/transport, as cpacman's
// staging does it, and a line of JSON about it.
func sendMain(ctx context.Context, args []string, stdout io.Writer) error {
	f := flag.NewFlagSet("send", flag.ContinueOnError)
	t := transport.Target{User: "root"}
	f.StringVar(&t.Address, "address", "", "address to connect to")
	f.IntVar(&t.Port, "port", 22, "port to connect to")
	f.StringVar(&t.HostKeyAlias, "alias", "", "name in known_hosts")
	identity := f.String("identity", "", "private key")
	known := f.String("known-hosts", "", "known_hosts file")
	up := transport.Upload{}
	f.StringVar(&up.Local, "local", "", "file to send")
	f.Int64Var(&up.Size, "size", 0, "its size in bytes")
	f.StringVar(&up.SHA256, "sha256", "", "its digest, which a plan has")
	f.StringVar(&up.Path, "remote", "", "path on the host")
	if err := f.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	t.Name, t.Identities, t.KnownHosts = t.HostKeyAlias, []string{*identity}, []string{*known}
	d := transport.NewDialer(transport.Options{})
	defer d.Close()
	start := time.Now()
	conn, err := d.Dial(ctx, t)
	if err != nil {
		return err
	}
	defer conn.Close()
	dialled := time.Since(start)
	stats, err := conn.Upload(ctx, []transport.Upload{up})
	if err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(sent{RTT: conn.RTT(), Dial: dialled, Prepare: stats.Prepare, Transfer: stats.Transfer,
		Verify: stats.Verify, Bytes: stats.Bytes, Channels: stats.Channels})
}
