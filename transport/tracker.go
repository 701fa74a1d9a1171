package transport

import "sync"

// tracker counts goroutines. Unlike sync.WaitGroup it may start new ones while
// somebody waits, which happens when a connection is closed under its users.
type tracker struct {
	mu      sync.Mutex
	n       int
	waiters []chan struct{}
}

// Go runs f in a goroutine that is counted.
func (t *tracker) Go(f func()) {
	t.mu.Lock()
	t.n++
	t.mu.Unlock()
	go func() {
		defer t.leave()
		f()
	}()
}

func (t *tracker) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n--
	if t.n == 0 {
		for _, w := range t.waiters {
			close(w)
		}
		t.waiters = nil
	}
}

// idle is closed as soon as no goroutine is left.
func (t *tracker) idle() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := make(chan struct{})
	if t.n == 0 {
		close(w)
	} else {
		t.waiters = append(t.waiters, w)
	}
	return w
}
