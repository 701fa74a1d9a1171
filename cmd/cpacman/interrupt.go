package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// interruptions hands Ctrl-C and SIGTERM to whoever wants them: by default the first one ends the command's context and the
// second the process; a rollout takes over and drains first.
type interruptions struct {
	mu     sync.Mutex
	count  int
	handle func(count int)
}

// watch serves signals until their channel is closed. It outlives the command's context: what does not heed that (a read of a pipe
// that nobody writes, a file server that is gone) is ended by the second signal.
func (i *interruptions) watch(signals <-chan os.Signal) {
	for range signals {
		i.mu.Lock()
		i.count++
		handle, count := i.handle, i.count
		i.mu.Unlock()
		handle(count)
	}
}

// cancelThenExit is what verbs without a way of their own do at Ctrl-C: they are asked to end, and the second time they do. Nothing
// is lost by that which kill -9 would not lose: the journal is on disk before each step.
func cancelThenExit(cancel context.CancelFunc, exit func(status int)) func(count int) {
	return func(count int) {
		cancel()
		if count > 1 {
			exit(statusInterrupted)
		}
	}
}

// outlivesReaders lets the process go on when nobody reads its output any more (`| head -1`, or a `| tee log` that the same Ctrl-C
// ended): a broken pipe is an error of that write then, and no longer the end of the engine. Programs that are started
// meanwhile have the signal as they expect it, which ignoring it would not give them.
func outlivesReaders() (release func()) {
	unread := make(chan os.Signal, 1)
	signal.Notify(unread, syscall.SIGPIPE)
	return func() { signal.Stop(unread) }
}

// take makes handle receive the signals from now on; count starts at 1. The returned function gives them back.
func (i *interruptions) take(handle func(count int)) (release func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	before := i.handle
	i.handle, i.count = handle, 0
	return func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.handle, i.count = before, 0
	}
}
