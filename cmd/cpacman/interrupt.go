package main

import (
	"context"
	"os"
	"sync"
)

// interruptions hands Ctrl-C and SIGTERM to whoever wants them: by default the first one ends the command's context; a rollout
// takes over and drains first.
type interruptions struct {
	mu     sync.Mutex
	count  int
	handle func(count int)
}

// watch serves signals until the context ends.
func (i *interruptions) watch(ctx context.Context, signals <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
			i.mu.Lock()
			i.count++
			handle, count := i.handle, i.count
			i.mu.Unlock()
			handle(count)
		}
	}
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
		i.handle = before
	}
}
