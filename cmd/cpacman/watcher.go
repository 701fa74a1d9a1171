package main

import (
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strings"
	"sync"
	"time"

	"cpacman/internal/rollout"
	"cpacman/transport"
)

// renderer shows events one after the other.
type renderer interface {
	event(rollout.Event)
	tick(now time.Time) // about once a second
	end()
}

// watcher takes events from the engine without ever making it wait, and has them rendered in their order.
type watcher struct {
	mu      sync.Mutex
	queue   []rollout.Event
	closed  bool
	ticked  bool
	wake    *sync.Cond
	drained chan struct{}
	r       renderer
}

// newWatcher chooses the rendering: JSON lines on stdout, a live table on a terminal, else plain lines on stderr.
func (s *session) newWatcher() (*watcher, error) {
	r, err := s.newRenderer()
	if err != nil {
		return nil, err
	}
	w := &watcher{r: r, drained: make(chan struct{})}
	w.wake = sync.NewCond(&w.mu)
	go w.run()
	go w.ticking()
	return w, nil
}

// ticking lets a live table count seconds while nothing happens.
func (w *watcher) ticking() {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-w.drained:
			return
		case <-ticker.C:
			w.mu.Lock()
			w.ticked = true
			w.mu.Unlock()
			w.wake.Signal()
		}
	}
}

func (s *session) newRenderer() (renderer, error) {
	switch format := s.c.String("output"); {
	case format == "json":
		return jsonLines{json.NewEncoder(s.stdout)}, nil
	case format != "table":
		return nil, usagef("unknown output format %q of progress (table or json)", format)
	case s.terminal && s.getenv("TERM") != "dumb":
		return &liveTable{w: s.stderr, width: s.width, hosts: map[string]*liveHost{}}, nil
	}
	return plainLines{s.stderr}, nil
}

// Observe implements rollout.Observer.
func (w *watcher) Observe(ev rollout.Event) {
	w.mu.Lock()
	w.queue = append(w.queue, ev)
	w.mu.Unlock()
	w.wake.Signal()
}

func (w *watcher) run() {
	defer close(w.drained)
	for {
		w.mu.Lock()
		for len(w.queue) == 0 && !w.closed && !w.ticked {
			w.wake.Wait()
		}
		batch, ticked := w.queue, w.ticked
		w.queue, w.ticked = nil, false
		closed := w.closed
		w.mu.Unlock()
		if ticked {
			w.r.tick(time.Now())
		}
		for _, ev := range batch {
			w.r.event(ev)
		}
		if closed && len(batch) == 0 {
			w.r.end()
			return
		}
	}
}

// close renders what is left and ends.
func (w *watcher) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.wake.Signal()
	<-w.drained
}

// jsonLines writes one object a line.
type jsonLines struct{ enc *json.Encoder }

func (j jsonLines) event(ev rollout.Event) {
	_ = j.enc.Encode(struct {
		Type string `json:"type"`
		rollout.Event
	}{"event", ev}) // a reader that went away is no reason to stop a rollout
}

func (jsonLines) tick(time.Time) {}
func (jsonLines) end()           {}

// plainLines writes a line for each change; progress of transfers is left out.
type plainLines struct{ w io.Writer }

func (p plainLines) event(ev rollout.Event) {
	if line := eventLine(ev); line != "" {
		fmt.Fprintln(p.w, line)
	}
}

func (plainLines) tick(time.Time) {}
func (plainLines) end()           {}

// eventLine is an event in words, or nothing for what only a live table shows.
func eventLine(ev rollout.Event) string {
	var what string
	switch ev.Kind {
	case rollout.EventProgress:
		return ""
	case rollout.EventHost:
		what = fmt.Sprintf("wave %d  %s: %s", ev.Wave+1, ev.Host, ev.To)
	case rollout.EventFlag:
		if ev.Reason.Text == "" {
			return "" // the journal notes that the host took the transaction; its state did not change
		}
		what = fmt.Sprintf("wave %d  %s: %s", ev.Wave+1, ev.Host, strings.TrimSpace(ev.To+" "+string(ev.Reason.Code)))
	case rollout.EventWave:
		what = fmt.Sprintf("wave %d: %s", ev.Wave+1, rollout.WaveWord(rollout.WaveState(ev.To), ev.Reason))
	case rollout.EventRollout:
		what = "rollout: " + ev.To
	case rollout.EventNote:
		what = "note of " + ev.User
		if ev.To != "" {
			what = ev.User + " hands over to " + ev.To
		}
	case rollout.EventCommand:
		what = fmt.Sprintf("%s by %s", ev.To, ev.User)
	default:
		what = string(ev.Kind)
		if ev.Host != "" {
			what += "  " + ev.Host
		}
	}
	if ev.Reason.Text != "" {
		what += ": " + ev.Reason.Text
	}
	text := strings.ReplaceAll(transport.Sanitize(what), "\n", " | ")
	return ev.At.Local().Format("15:04:05") + "  " + text
}

// liveTable keeps the hosts at work on the last lines of the terminal and lets what is final scroll up.
type liveTable struct {
	w     io.Writer
	width int
	hosts map[string]*liveHost
	lines int // drawn below the scrolling part
	wave  string
	drawn time.Time
}

type liveHost struct {
	state       string
	since       time.Time
	done, total int64
}

// maxLive bounds the lines that are redrawn.
const maxLive = 12

func (t *liveTable) event(ev rollout.Event) {
	switch ev.Kind {
	case rollout.EventProgress:
		if h := t.hosts[ev.Host]; h != nil {
			h.done, h.total = ev.Done, ev.Total
		}
		if ev.At.Sub(t.drawn) > 100*time.Millisecond {
			t.draw(ev.At)
		}
		return
	case rollout.EventHost:
		if rollout.State(ev.To).Final() || rollout.State(ev.To) == rollout.StatePending {
			delete(t.hosts, ev.Host)
			t.print(eventLine(ev))
		} else {
			t.hosts[ev.Host] = &liveHost{state: ev.To, since: ev.At}
		}
	case rollout.EventWave:
		t.wave = fmt.Sprintf("wave %d %s", ev.Wave+1, rollout.WaveWord(rollout.WaveState(ev.To), ev.Reason))
		t.print(eventLine(ev))
	default:
		t.print(eventLine(ev))
	}
	t.draw(ev.At)
}

// print lets a line scroll above the live part.
func (t *liveTable) print(line string) {
	if line == "" {
		return
	}
	t.erase()
	fmt.Fprintln(t.w, line)
}

func (t *liveTable) erase() {
	if t.lines > 0 {
		fmt.Fprintf(t.w, "\x1b[%dA\r\x1b[J", t.lines)
		t.lines = 0
	}
}

func (t *liveTable) draw(now time.Time) {
	t.erase()
	t.drawn = now
	names := make([]string, 0, len(t.hosts))
	for name := range t.hosts {
		names = append(names, name)
	}
	sort.Strings(names)
	if len(names) == 0 {
		return
	}
	t.line(fmt.Sprintf("%s, %d at work", t.wave, len(names)))
	for i, name := range names {
		if i == maxLive {
			t.line(fmt.Sprintf("  and %d more", len(names)-maxLive))
			break
		}
		h := t.hosts[name]
		text := fmt.Sprintf("  %-24s %-12s %6s", name, h.state, now.Sub(h.since).Round(time.Second))
		if h.total > 0 && h.state == string(rollout.StateStaging) {
			text += fmt.Sprintf("  %s of %s", humanBytes(h.done), humanBytes(h.total))
		}
		t.line(text)
	}
}

// line draws one line, cut to the terminal's width so that it stays one line.
func (t *liveTable) line(text string) {
	runes := []rune(transport.Sanitize(text))
	if len(runes) >= t.width {
		runes = runes[:max(t.width-1, 1)]
	}
	fmt.Fprintln(t.w, string(runes))
	t.lines++
}

func (t *liveTable) tick(now time.Time) { t.draw(now) }

func (t *liveTable) end() { t.erase() }
