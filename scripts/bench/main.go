// Command bench measures cpacman against the tools it replaces, on one throwaway fleet in
// one run, and prints ratios. It is called by scripts/bench/run, which builds the programs,
// gives it a directory and cleans up after it.
//
// Absolute figures belong to the machine; what counts are the ratios, since all contestants
// ran in turns on the same hosts. README.md says how to read them.
//
// Called as `bench floor`, `bench send` or `bench delay` it is one of its own helpers: the
// bare SSH client, one upload over cpacman/transport, and the delay proxy. Each runs as a
// process of its own so that start-up and memory are counted as they are for the peers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options say what to measure.
type options struct {
	bin, work string
	out       string // Markdown file; empty: none
	hosts     int
	packages  int // filler packages in each rpm database
	large     int // packages of the synthetic repository
	rounds    int
	sizeMB    int64 // of the upload, in 10^6 bytes
	rtts      []time.Duration
	forks     int // hosts worked on at once, of every contestant
	parts     []string
	real      realHost
}

// allParts are those that are run when none is named, in the order they are run; realPart wants a host of the caller's.
func allParts() []string { return []string{"facts", "plan", "repos", "upload"} }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(status(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr), os.Stderr))
}

// status prints an error and turns it into an exit status.
func status(err error, stderr io.Writer) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		fmt.Fprintln(stderr, "bench:", err)
		return 2
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "bench: interrupted")
		return 130
	}
	fmt.Fprintln(stderr, "bench:", err)
	return 1
}

var errUsage = errors.New("usage")

// run is main without the process.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case "floor":
			return floorMain(ctx, args[1:], stdout)
		case "send":
			return sendMain(ctx, args[1:], stdout)
		case "delay":
			return delayMain(ctx, args[1:], stdin, stdout)
		}
	}
	o, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	return measure(ctx, o, stdout, stderr)
}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	rtts := "0ms,10ms,50ms"
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() {
		fmt.Fprintf(stderr, "usage: scripts/bench/run [flags] [%s]\n", strings.Join(append(allParts(), realPart), "] ["))
		f.PrintDefaults()
	}
	f.StringVar(&o.bin, "bin", "", "directory of cpacman and cpacman-lab (set by scripts/bench/run)")
	f.StringVar(&o.work, "work", "", "directory for the lab and all files (set by scripts/bench/run)")
	f.StringVar(&o.out, "out", "", "write the report to this Markdown `FILE` too")
	f.IntVar(&o.hosts, "hosts", 40, "hosts of the lab")
	f.IntVar(&o.packages, "packages", 500, "filler packages in each rpm database, beside the 30 a lab host has")
	f.IntVar(&o.large, "large", 15000, "packages of the synthetic repository")
	f.IntVar(&o.rounds, "rounds", 3, "rounds of facts, and of uploads without delay")
	f.Int64Var(&o.sizeMB, "size", 500, "upload of this many MB (10^6 bytes)")
	f.StringVar(&rtts, "rtt", rtts, "round-trip times of the uploads")
	f.IntVar(&o.forks, "forks", 64, "hosts worked on at once by clush, parallel-ssh, ansible and the floor (cpacman's limits.connections too)")
	f.StringVar(&o.real.database, "rpmdb", "", "rpmdb.sqlite `FILE` of the host for the part real")
	f.StringVar(&o.real.release, "release", "", "release of that host, as in rocky9 or rhel7.2")
	f.StringVar(&o.real.kernel, "kernel", "", "kernel `VERSION` that runs on it, as uname -r prints it")
	f.Func("repo", "repository `DIR` of that host; repeatable", func(dir string) (err error) {
		dir, err = filepath.Abs(dir)
		o.real.repos = append(o.real.repos, dir)
		return err
	})
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, fmt.Errorf("%w: %w", errUsage, err)
	}
	for _, s := range strings.Split(rtts, ",") {
		d, err := time.ParseDuration(strings.TrimSpace(s))
		if err != nil || d < 0 || d > time.Second {
			return o, fmt.Errorf("%w: --rtt %q: durations of 0 to 1s, as in 0ms,10ms", errUsage, s)
		}
		o.rtts = append(o.rtts, d)
	}
	o.parts = f.Args()
	return o, o.check()
}

// check refuses what cannot work.
func (o *options) check() error {
	for _, p := range o.parts {
		if known := append(allParts(), realPart); !slices.Contains(known, p) {
			return fmt.Errorf("%w: no part %q: the parts are %s (flags stand before them)", errUsage, p, strings.Join(known, ", "))
		}
	}
	if err := o.real.check(slices.Contains(o.parts, realPart)); err != nil {
		return err
	}
	if len(o.parts) == 0 {
		o.parts = allParts()
	}
	switch {
	case o.bin == "" || o.work == "":
		return fmt.Errorf("%w: --bin and --work are missing: call scripts/bench/run, which builds the programs and cleans up", errUsage)
	case o.hosts < 1 || o.hosts > 1000:
		return fmt.Errorf("%w: --hosts %d: 1 to 1000", errUsage, o.hosts)
	case o.packages < 1 || o.packages > 5000:
		return fmt.Errorf("%w: --packages %d: 1 to 5000", errUsage, o.packages)
	case o.large < 100 || o.large > 99_999:
		return fmt.Errorf("%w: --large %d: 100 to 99999", errUsage, o.large)
	case o.rounds < 1 || o.rounds > 100:
		return fmt.Errorf("%w: --rounds %d: 1 to 100", errUsage, o.rounds)
	case o.sizeMB < 1 || o.sizeMB > 4000:
		return fmt.Errorf("%w: --size %d: 1 to 4000", errUsage, o.sizeMB)
	case o.forks < 1 || o.forks > 1000:
		return fmt.Errorf("%w: --forks %d: 1 to 1000", errUsage, o.forks)
	}
	return nil
}
