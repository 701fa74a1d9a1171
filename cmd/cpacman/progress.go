package main

import (
	"fmt"
	"sync"

	"cpacman/transport"
)

// counter is a status line "facts 12/40" on a terminal; elsewhere it prints notes only.
type counter struct {
	e     *env
	what  string
	total int

	mu    sync.Mutex
	n     int
	shown bool
}

func (e *env) newCounter(what string, total int) *counter {
	return &counter{e: e, what: what, total: total}
}

// add counts one.
func (c *counter) add() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	c.draw()
}

func (c *counter) draw() {
	if !c.e.terminal {
		return
	}
	fmt.Fprintf(c.e.stderr, "\r\x1b[K%s %d/%d", c.what, c.n, c.total)
	c.shown = true
}

// note prints a line above the status line.
func (c *counter) note(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clear()
	fmt.Fprintln(c.e.stderr, transport.Sanitize(fmt.Sprintf(format, args...)))
	c.draw()
}

func (c *counter) clear() {
	if c.shown {
		fmt.Fprint(c.e.stderr, "\r\x1b[K")
		c.shown = false
	}
}

// done removes the status line.
func (c *counter) done() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clear()
}
