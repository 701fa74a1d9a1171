package main

import (
	"context"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// pty is a terminal with a command in it.
type pty struct {
	master *os.File
	p      *process
	mu     sync.Mutex
	text   strings.Builder
}

// onTerminal runs the command in a session of its own, on a terminal of its own.
func (d *desk) onTerminal(args ...string) *pty {
	d.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		d.Skipf("needs a pseudo terminal: %v", err)
	}
	// Not by Fd, which would make reads block, and a close wait for them.
	raw, err := master.SyscallConn()
	d.must(err)
	var n int
	d.must(raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}))
	d.must(err)
	slave, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		d.Skipf("needs a pseudo terminal: %v", err)
	}
	defer slave.Close()
	ctx, cancel := context.WithTimeout(context.Background(), testLimit)
	cmd := d.command(ctx, args...)
	cmd.Env = append(cmd.Env, "TERM=xterm")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	d.must(cmd.Start())
	t := &pty{master: master, p: &process{d: d, args: args, cmd: cmd, done: make(chan struct{})}}
	read := make(chan struct{})
	go func() {
		t.p.err = cmd.Wait()
		select { // its last words may not have been read yet
		case <-read:
		case <-time.After(5 * time.Second):
		}
		cancel()
		close(t.p.done)
	}()
	go func() {
		defer close(read)
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b)
			t.mu.Lock()
			t.text.Write(b[:n])
			t.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	d.Cleanup(func() {
		cancel()
		<-t.p.done
		master.Close()
	})
	return t
}

func (t *pty) shows(text string) {
	t.p.d.Helper()
	t.p.d.soon("the terminal to show "+text, func() bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		select {
		case <-t.p.done:
			if !strings.Contains(t.text.String(), text) {
				t.p.d.Fatalf("the command ended without showing %q:\n%s", text, t.text.String())
			}
		default:
		}
		return strings.Contains(t.text.String(), text)
	})
}
