package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"
)

// The second Ctrl-C ends a verb that does not heed the first, whatever it hangs in.
func TestSecondInterruptEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	var exited []int
	signals := make(chan os.Signal)
	i := &interruptions{handle: cancelThenExit(cancel, func(status int) { exited = append(exited, status) })}
	done := make(chan struct{})
	go func() { i.watch(signals); close(done) }()
	signals <- os.Interrupt
	<-ctx.Done()
	signals <- os.Interrupt
	close(signals)
	<-done
	if len(exited) != 1 || exited[0] != statusInterrupted {
		t.Errorf("exited %v, want once with %d", exited, statusInterrupted)
	}
}

// A drain is no half of what ends the process: the count begins anew when a rollout gives the signals back.
func TestInterruptsAreCountedAnew(t *testing.T) {
	counts := []int{}
	i := &interruptions{handle: func(count int) { counts = append(counts, count) }}
	signals := make(chan os.Signal)
	done := make(chan struct{})
	go func() { i.watch(signals); close(done) }()
	taken := make(chan int)
	release := i.take(func(count int) { taken <- count })
	signals <- os.Interrupt
	<-taken
	release()
	signals <- os.Interrupt
	close(signals)
	<-done
	if len(counts) == 0 || counts[len(counts)-1] != 1 {
		t.Errorf("counts %v, want the last to be 1", counts)
	}
}

// Ctrl-C at a question is an answer: nothing is done.
func TestInterruptAtQuestion(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	silent, writer := io.Pipe()
	defer writer.Close()
	var stderr strings.Builder
	e := &env{ctx: ctx, stdin: silent, stderr: &stderr, terminal: true}
	set := flag.NewFlagSet("x", flag.ContinueOnError)
	set.Bool("yes", false, "")
	result := make(chan error, 1)
	go func() { result <- e.confirm(cli.NewContext(nil, set, nil), "sure?") }()
	cancel()
	select {
	case err := <-result:
		if !errors.Is(err, context.Canceled) || exitStatus(err) != statusInterrupted {
			t.Errorf("confirm: %v, status %d", err, exitStatus(err))
		}
		printError(&stderr, err)
		if want := "cpacman: not confirmed, nothing was done: interrupted\n"; !strings.HasSuffix(stderr.String(), want) {
			t.Errorf("printed %q, want %q at the end", stderr.String(), want)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("confirm still waits")
	}
}
