package transport

import "sync"

// queue hands segments to the writers, in the order of the files. Several
// writers share a channel, and a channel carries one window per round trip: so a
// second segment goes to a channel only when every idle channel can have one.
type queue struct {
	mu      sync.Mutex
	changed *sync.Cond
	left    []segment
	active  []int // segments at work, by channel
	stopped bool
}

func newQueue(items []*item, channels int) *queue {
	q := &queue{active: make([]int, channels)}
	q.changed = sync.NewCond(&q.mu)
	for _, it := range items {
		q.left = append(q.left, it.segs...)
	}
	return q
}

// take blocks until there is a segment for the channel; false: no more.
func (q *queue) take(channel int) (segment, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if q.stopped || len(q.left) == 0 {
			return segment{}, false
		}
		if q.active[channel] == 0 || len(q.left) > q.idle() {
			break
		}
		q.changed.Wait()
	}
	s := q.left[0]
	q.left = q.left[1:]
	q.active[channel]++
	q.changed.Broadcast()
	return s, true
}

func (q *queue) idle() int {
	n := 0
	for _, a := range q.active {
		if a == 0 {
			n++
		}
	}
	return n
}

// done says that the channel has finished one.
func (q *queue) done(channel int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.active[channel]--
	q.changed.Broadcast()
}

// stop ends all waiting.
func (q *queue) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = true
	q.changed.Broadcast()
}
