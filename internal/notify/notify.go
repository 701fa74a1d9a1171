// Package notify tells people and programs of gates, failures and the end of a rollout, by webhook or by a command (ROLL-12).
//
// A Notifier stands beside the progress display as a rollout.Observer. It never makes the engine wait and never stops it: each
// receiver has a bounded queue and a goroutine of its own, so that a dead one holds up nobody; what cannot be delivered becomes a
// warning. Bodies hold names, counts and reasons, never a secret or a URL.
package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"cpacman/internal/rollout"
)

// Occasion is what a receiver wants to hear of.
type Occasion string

// The occasions.
const (
	Gate    Occasion = "gate"    // a wave passed, or the rollout waits for a person
	Failure Occasion = "failure" // it stopped, a host is lost or could not go back, the engine failed
	End     Occasion = "end"     // it is over, or stopped
)

// Sender delivers one body, once. It returns when ctx ends. An error that is Final is not tried again.
type Sender interface {
	Send(ctx context.Context, body []byte) error
}

// Receiver is one place that is told.
type Receiver struct {
	Name    string
	On      []Occasion
	Sender  Sender
	Timeout time.Duration // of one try
}

// FinalError is a failure that another try would not cure.
type FinalError struct{ Err error }

// Error is that of the cause.
func (e *FinalError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *FinalError) Unwrap() error { return e.Err }

// The bounds of delivery.
const (
	// MaxQueue is how many messages wait for one receiver; beyond it the oldest is dropped, and the next one says how many were.
	MaxQueue = 256
	// tries of one message; between them backoff.
	tries = 3
)

// backoff is the wait before a second and a third try.
var backoff = [tries - 1]time.Duration{time.Second, 5 * time.Second}

// Config is what a Notifier works with.
type Config struct {
	Rollout   string // its id
	Plan      string // id of the plan
	DryRun    bool
	Host      string                                     // the control host's name
	Counts    map[rollout.State]int                      // hosts by state now; taken over
	Receivers []Receiver                                 // none: nothing is done
	Warn      func(text string)                          // what could not be delivered, from any goroutine
	Now       func() time.Time                           // nil: time.Now
	Sleep     func(context.Context, time.Duration) error // nil: a timer
}

// Notifier turns events into messages and delivers them. Observe and Failed may be called from any goroutine; Close once, last.
type Notifier struct {
	cfg    Config
	ctx    context.Context
	cancel context.CancelFunc

	mu     sync.Mutex
	counts map[rollout.State]int
	lines  []*line
	work   sync.WaitGroup
}

// New starts a goroutine for each receiver. The caller closes the Notifier.
func New(cfg Config) *Notifier {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Sleep == nil {
		cfg.Sleep = sleep
	}
	if cfg.Warn == nil {
		cfg.Warn = func(string) {}
	}
	n := &Notifier{cfg: cfg, counts: maps.Clone(cfg.Counts)}
	if n.counts == nil {
		n.counts = map[rollout.State]int{}
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	for _, r := range cfg.Receivers {
		l := newLine(r)
		n.lines = append(n.lines, l)
		n.work.Go(func() { n.serve(l) })
	}
	return n
}

// Observe implements rollout.Observer.
func (n *Notifier) Observe(ev rollout.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if ev.Kind == rollout.EventHost {
		from, to := rollout.State(ev.From), rollout.State(ev.To)
		if n.counts[from]--; n.counts[from] <= 0 {
			delete(n.counts, from)
		}
		n.counts[to]++
	}
	m, ok := messageOf(ev)
	if !ok {
		return
	}
	n.post(m)
}

// Failed tells that the engine itself could not go on: the journal or the lease is lost. Hosts at work go on.
func (n *Notifier) Failed(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.post(Message{Event: "engine_failed", On: []Occasion{Failure}, Reason: rollout.Reason{Code: rollout.ReasonInternal, Text: err.Error()},
		what: "the engine ended: " + err.Error()})
}

// post completes a message and queues it for those who want it. Called with mu held.
func (n *Notifier) post(m Message) {
	m.Rollout, m.Plan, m.DryRun, m.ControlHost = n.cfg.Rollout, n.cfg.Plan, n.cfg.DryRun, n.cfg.Host
	if m.At.IsZero() {
		m.At = n.cfg.Now().UTC()
	}
	m.Counts = maps.Clone(n.counts)
	m.finish()
	for _, l := range n.lines {
		if slices.ContainsFunc(m.On, func(o Occasion) bool { return slices.Contains(l.r.On, o) }) {
			l.put(m)
		}
	}
}

// Close delivers what is queued, for at most within, and gives up on the rest with a warning. It returns when no goroutine is
// left.
func (n *Notifier) Close(within time.Duration) {
	for _, l := range n.lines {
		l.close()
	}
	done := make(chan struct{})
	go func() {
		n.work.Wait()
		close(done)
	}()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
	n.cancel()
	<-done
}

// serve delivers to one receiver until its queue is closed and empty, or the time is over.
func (n *Notifier) serve(l *line) {
	for {
		m, ok := l.take()
		if !ok {
			return
		}
		if n.ctx.Err() != nil {
			n.cfg.Warn(fmt.Sprintf("notify %s: gave up on %d %s", l.r.Name, l.left()+1, plural(l.left()+1)))
			return
		}
		if err := n.deliver(l.r, m); err != nil {
			n.cfg.Warn(fmt.Sprintf("notify %s: %s was not delivered: %v", l.r.Name, m.Event, err))
		}
	}
}

// deliver tries up to three times.
func (n *Notifier) deliver(r Receiver, m Message) error {
	return Deliver(n.ctx, r, m, n.cfg.Sleep)
}

// Deliver sends one message with three tries; sleep nil is a timer. The error names the last failure.
func Deliver(ctx context.Context, r Receiver, m Message, wait func(context.Context, time.Duration) error) error {
	if wait == nil {
		wait = sleep
	}
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("write the message: %w", err)
	}
	for try := 0; ; try++ {
		err := once(ctx, r, body)
		var final *FinalError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &final):
			return err
		case try+1 == tries || ctx.Err() != nil:
			return fmt.Errorf("%w (%d of %d tries)", err, try+1, tries)
		}
		if wait(ctx, backoff[try]) != nil {
			return fmt.Errorf("%w (%d of %d tries, then the time was over)", err, try+1, tries)
		}
	}
}

func once(ctx context.Context, r Receiver, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	return r.Sender.Send(ctx, body)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func plural(n int) string {
	if n == 1 {
		return "message"
	}
	return "messages"
}

// line is the queue of one receiver.
type line struct {
	r Receiver

	mu      sync.Mutex
	wake    *sync.Cond
	queue   []Message
	dropped int
	closed  bool
}

func newLine(r Receiver) *line {
	l := &line{r: r}
	l.wake = sync.NewCond(&l.mu)
	return l
}

// put queues a message; when the queue is full the oldest goes.
func (l *line) put(m Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	if len(l.queue) == MaxQueue {
		l.queue = l.queue[1:]
		l.dropped++
	}
	l.queue = append(l.queue, m)
	l.wake.Signal()
}

// take waits for a message; false when there will be none.
func (l *line) take() (Message, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.queue) == 0 && !l.closed {
		l.wake.Wait()
	}
	if len(l.queue) == 0 {
		return Message{}, false
	}
	m := l.queue[0]
	l.queue = l.queue[1:]
	if l.dropped > 0 {
		m.Dropped, l.dropped = l.dropped, 0
		m.Text += "; " + strconv.Itoa(m.Dropped) + " earlier " + plural(m.Dropped) + " could not be kept"
	}
	return m, true
}

func (l *line) left() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue)
}

func (l *line) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.wake.Signal()
}
