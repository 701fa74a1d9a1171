package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// delayMain is `bench delay`: a proxy on the loopback that holds every byte back for half a
// round trip in each direction, without limiting the rate. It prints its port and ends when
// its standard input does.
func delayMain(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	f := flag.NewFlagSet("delay", flag.ContinueOnError)
	to := f.String("to", "", "address:port to connect to")
	rtt := f.Duration("rtt", 0, "round-trip time")
	if err := f.Parse(args); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("delay proxy: %w", err)
	}
	p := &delayProxy{to: *to, half: *rtt / 2, chunks: sync.Pool{New: func() any { return new(chunk) }}}
	go func() {
		_, _ = io.Copy(io.Discard, stdin) // its end is the signal, however it comes
		listener.Close()
	}()
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	fmt.Fprintln(stdout, listener.Addr().(*net.TCPAddr).Port)
	return p.serve(listener)
}

// delayProxy passes bytes on after half a round trip.
type delayProxy struct {
	to     string
	half   time.Duration
	chunks sync.Pool // of *chunk
}

// chunk is what one read brought, and when it may leave.
type chunk struct {
	data [64 << 10]byte
	n    int
	due  time.Time
}

// maxFlight is how many chunks are on their way at most: 256 MiB, far above what the windows
// of any contestant allow, so that the proxy is never the limit.
const maxFlight = 4096

func (p *delayProxy) serve(listener net.Listener) error {
	for {
		client, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("delay proxy: %w", err)
		}
		go p.connect(client.(*net.TCPConn))
	}
}

func (p *delayProxy) connect(client *net.TCPConn) {
	defer client.Close()
	time.Sleep(2 * p.half) // a TCP handshake costs one round trip
	conn, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	server := conn.(*net.TCPConn)
	defer server.Close()
	var both sync.WaitGroup
	both.Go(func() { p.pass(server, client) })
	both.Go(func() { p.pass(client, server) })
	both.Wait()
}

// pass carries one direction to its end.
func (p *delayProxy) pass(to, from *net.TCPConn) {
	flight := make(chan *chunk, maxFlight)
	var written sync.WaitGroup
	written.Go(func() {
		failed := false
		for c := range flight {
			time.Sleep(time.Until(c.due))
			if !failed {
				if _, err := to.Write(c.data[:c.n]); err != nil {
					failed = true
					from.Close() // nobody is left to read for
				}
			}
			p.chunks.Put(c)
		}
		_ = to.CloseWrite() // the other side may be gone already
	})
	for {
		c := p.chunks.Get().(*chunk)
		n, err := from.Read(c.data[:])
		if n > 0 {
			c.n, c.due = n, time.Now().Add(p.half)
			flight <- c
		}
		if err != nil {
			break
		}
	}
	close(flight)
	written.Wait()
}

// path is how the uploads reach the host: directly, or with a delay in between.
type path struct {
	address string
	port    int
	how     string // for the report
	end     func()
}

// delayed makes the way to a host rtt long: by the kernel (tc netem in both directions)
// where it can, else by the proxy.
func (b *bench) delayed(ctx context.Context, n int, rtt time.Duration) (path, error) {
	h := b.hosts[n]
	direct := path{address: h.Address, port: h.Port, how: "direct", end: func() {}}
	if rtt == 0 {
		return direct, nil
	}
	if end, err := b.netem(ctx, n, rtt); err == nil {
		direct.how, direct.end = "tc netem in the lab's network", end
		return direct, nil
	}
	port, end, err := b.startProxy(ctx, net.JoinHostPort(h.Address, strconv.Itoa(h.Port)), rtt)
	if err != nil {
		return path{}, err
	}
	return path{address: "127.0.0.1", port: port, how: "a delay proxy on the loopback", end: end}, nil
}

// netemQueue is how many packets netem holds; its default of 1000 would drop at these rates.
const netemQueue = "200000"

// netem delays what leaves the host and what the bridge sends to it by half each.
func (b *bench) netem(ctx context.Context, n int, rtt time.Duration) (end func(), err error) {
	port := fmt.Sprintf("cpl-%s-%d", b.labID, n) // how the lab names the port of its n-th host
	host := b.hosts[n].Name
	netem := []string{"root", "netem", "delay", fmt.Sprintf("%dus", (rtt / 2).Microseconds()), "limit", netemQueue}
	if _, err := b.quick(ctx, append([]string{"tc", "qdisc", "replace", "dev", port}, netem...)...); err != nil {
		return nil, err
	}
	undo := func() {
		ctx := context.WithoutCancel(ctx)
		// What was never set cannot be deleted, and both end with the lab anyway.
		_, _ = b.quick(ctx, "tc", "qdisc", "del", "dev", port, "root")
		_, _ = b.onHost(ctx, host, "tc", "qdisc", "del", "dev", "eth0", "root")
	}
	if _, err := b.onHost(ctx, host, append([]string{"tc", "qdisc", "replace", "dev", "eth0"}, netem...)...); err != nil {
		undo()
		return nil, err
	}
	return undo, nil
}

// startProxy starts `bench delay`, in a process of its own so that its buffers are nobody's
// memory but its own.
func (b *bench) startProxy(ctx context.Context, to string, rtt time.Duration) (port int, end func(), err error) {
	cmd := exec.CommandContext(ctx, b.tool("bench"), "delay", "-to", to, "-rtt", rtt.String())
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return 0, nil, fmt.Errorf("start delay proxy: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return 0, nil, fmt.Errorf("start delay proxy: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return 0, nil, fmt.Errorf("start delay proxy: %w", err)
	}
	end = func() {
		stdin.Close()
		_ = cmd.Wait() // it serves no purpose any more
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err == nil {
		port, err = strconv.Atoi(strings.TrimSpace(line))
	}
	if err != nil {
		end()
		return 0, nil, fmt.Errorf("start delay proxy: %w", err)
	}
	return port, end, nil
}
