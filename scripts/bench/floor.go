package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// floor is the bare client as a program to be measured.
func (b *bench) floor(command string) program {
	want := b.o.hosts
	if command != "true" {
		want = b.o.hosts * b.o.packages
	}
	return program{
		argv: []string{b.tool("bench"), "floor", "-hosts", filepath.Join(b.o.work, "floor.hosts"), "-identity", b.hosts[0].IdentityFile,
			"-known-hosts", b.hosts[0].KnownHosts, "-at-once", strconv.Itoa(b.o.forks), command},
		check: func(stdout string) error {
			data, err := os.ReadFile(stdout)
			if err != nil {
				return err
			}
			var hosts, lines int
			if _, err := fmt.Sscanf(string(data), "%d hosts %d lines", &hosts, &lines); err != nil {
				return fmt.Errorf("it printed %q", data)
			}
			if hosts != b.o.hosts || command != "true" && lines < want {
				return fmt.Errorf("%d hosts answered with %d lines, %d hosts with %d lines expected", hosts, lines, b.o.hosts, want)
			}
			return nil
		},
	}
}

// bareClient is what no tool over SSH can go below: connect, log in, run one command, on
// all hosts at once, with nothing of cpacman in it.
type bareClient struct {
	config  *ssh.ClientConfig
	command string
}

// floorMain is `bench floor`: runs a command on every host of a list and prints how many
// answered and how many lines came back.
func floorMain(ctx context.Context, args []string, stdout io.Writer) error {
	f := flag.NewFlagSet("floor", flag.ContinueOnError)
	list := f.String("hosts", "", "file with a line \"name address:port\" for each host")
	identity := f.String("identity", "", "private key")
	known := f.String("known-hosts", "", "known_hosts file")
	atOnce := f.Int("at-once", 64, "connections at once")
	if err := f.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	targets, err := readTargets(*list)
	if err != nil {
		return err
	}
	pem, err := os.ReadFile(*identity)
	if err != nil {
		return fmt.Errorf("read identity: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(pem)
	if err != nil {
		return fmt.Errorf("read identity %s: %w", *identity, err)
	}
	callback, err := knownhosts.New(*known)
	if err != nil {
		return fmt.Errorf("read known hosts: %w", err)
	}
	client := bareClient{command: strings.Join(f.Args(), " "), config: &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)}, HostKeyCallback: callback,
		HostKeyAlgorithms: []string{ssh.KeyAlgoED25519},
	}}
	lines, err := client.all(ctx, targets, *atOnce)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%d hosts %d lines\n", len(targets), lines)
	return nil
}

func readTargets(name string) ([]string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read hosts: %w", err)
	}
	defer f.Close()
	var out []string
	s := bufio.NewScanner(f)
	for s.Scan() {
		_, address, found := strings.Cut(s.Text(), " ")
		if !found {
			return nil, fmt.Errorf("read hosts: %s: line %q is not \"name address:port\"", name, s.Text())
		}
		out = append(out, address)
	}
	return out, s.Err()
}

// all runs the command everywhere; any failure fails the whole.
func (c bareClient) all(ctx context.Context, targets []string, atOnce int) (lines int, err error) {
	permits := make(chan struct{}, atOnce)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, address := range targets {
		wg.Go(func() {
			permits <- struct{}{}
			defer func() { <-permits }()
			n, oneErr := c.one(ctx, address)
			mu.Lock()
			defer mu.Unlock()
			lines += n
			if oneErr != nil {
				err = errors.Join(err, fmt.Errorf("host %s: %w", address, oneErr))
			}
		})
	}
	wg.Wait()
	return lines, err
}

func (c bareClient) one(ctx context.Context, address string) (lines int, err error) {
	dialer := net.Dialer{Timeout: 10 * time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return 0, err
	}
	sc, channels, requests, err := ssh.NewClientConn(conn, address, c.config)
	if err != nil {
		return 0, err
	}
	client := ssh.NewClient(sc, channels, requests)
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		return 0, err
	}
	defer session.Close()
	out, err := session.Output(c.command)
	return bytes.Count(out, []byte("\n")), err
}
