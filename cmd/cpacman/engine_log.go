package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
)

// maxEngineLog is how large the log of an engine grows before it becomes ID.log.1, which is replaced: two files at most.
const maxEngineLog = 10 << 20

// engineLogPath is where the engine of a rollout writes what it has to say.
func engineLogPath(state, id string) string { return filepath.Join(state, "engines", id+".log") }

// engineLog is what an engine without a terminal writes to. It may be used by many goroutines.
type engineLog struct {
	path string
	max  int64

	mu   sync.Mutex
	f    *os.File
	size int64
}

// openEngineLog opens, or makes, a log for its owner alone. A link is refused.
func openEngineLog(path string) (*engineLog, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("open the log of the engine: %w", err)
	}
	l := &engineLog{path: path, max: maxEngineLog}
	return l, l.open()
}

// open opens the file, and has the runtime write its last words there too. Called with mu held, or before others know of l.
func (l *engineLog) open() error {
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("open the log of the engine: %w", err)
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		f.Close()
		return errors.Join(fmt.Errorf("open the log of the engine: %s is not a file", l.path), err)
	}
	l.f, l.size = f, info.Size()
	return debug.SetCrashOutput(f, debug.CrashOptions{})
}

// Write appends, and begins a new file when this one is full. A log that cannot be written stops nothing.
func (l *engineLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f != nil && l.size > 0 && l.size+int64(len(p)) > l.max {
		if err := os.Rename(l.path, l.path+".1"); err == nil {
			l.f.Close()
			l.f = nil
		}
	}
	if l.f == nil {
		if err := l.open(); err != nil {
			l.f = nil
			return 0, err
		}
	}
	n, err := l.f.Write(p)
	l.size += int64(n)
	return n, err
}

// tailBytes and tailLines bound what is shown of a log.
const (
	tailBytes = 8 << 10
	tailLines = 15
)

// logSize is where the next engine will begin to write; 0 where there is no log.
func logSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// logTail gives the last lines that were written after an offset.
func logTail(path string, from int64) []string {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	size := logSize(path)
	if size < from {
		from = 0 // it was begun anew
	}
	if _, err := f.Seek(max(from, size-tailBytes), io.SeekStart); err != nil {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(f, tailBytes))
	if err != nil || len(bytes.TrimSpace(b)) == 0 {
		return nil
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return lines[max(0, len(lines)-tailLines):]
}
