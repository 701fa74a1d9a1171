package notify

import (
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"cpacman/internal/rollout"
)

// Message is the JSON that a receiver gets. Keys are stable; more may come.
type Message struct {
	Event       string                `json:"event"` // wave_passed, waiting, paused, stopped, done, aborted, host_lost, host_unreconciled, host_rollback_failed, engine_failed, test
	On          []Occasion            `json:"on"`
	Rollout     string                `json:"rollout"`
	Plan        string                `json:"plan"`
	DryRun      bool                  `json:"dry_run"`
	Wave        int                   `json:"wave,omitempty"` // from 1; left out where it is about the whole
	Host        string                `json:"host,omitempty"`
	User        string                `json:"user,omitempty"` // who paused or aborted
	Reason      rollout.Reason        `json:"reason"`
	Counts      map[rollout.State]int `json:"counts"` // hosts by state
	At          time.Time             `json:"at"`
	ControlHost string                `json:"control_host"`
	Dropped     int                   `json:"dropped,omitempty"` // messages before this one that the queue could not keep
	Text        string                `json:"text"`              // all of it in one line, without URLs and control characters

	what string // the middle of Text
}

// TestMessage is what a receiver is tried with.
func TestMessage(host, user string, at time.Time) Message {
	m := Message{Event: "test", On: []Occasion{Gate, Failure, End}, User: user, At: at, ControlHost: host, Counts: map[rollout.State]int{}}
	m.Text = clean("cpacman: test of a notification from " + host + " by " + user)
	return m
}

// hostEvents are the states of a host that are told at once: they stop a rollout, or leave a host that a person must see to.
var hostEvents = map[rollout.State]string{
	rollout.StateLost:           "host_lost",
	rollout.StateUnreconciled:   "host_unreconciled",
	rollout.StateRollbackFailed: "host_rollback_failed",
}

// messageOf says whether an event is told, and how. A rollout that stopped is a failure and an end: a receiver that wants either
// gets it once.
func messageOf(ev rollout.Event) (Message, bool) {
	m := Message{Host: ev.Host, User: ev.User, Reason: ev.Reason, At: ev.At}
	if ev.Wave >= 0 {
		m.Wave = ev.Wave + 1
	}
	switch ev.Kind {
	case rollout.EventHost:
		name, told := hostEvents[rollout.State(ev.To)]
		if !told {
			return m, false
		}
		m.Event, m.On = name, []Occasion{Failure}
		m.what = fmt.Sprintf("host %s is %s", ev.Host, ev.To)
		return m, true
	case rollout.EventWave:
		if rollout.WaveState(ev.To) != rollout.WavePassed {
			return m, false
		}
		m.Event, m.On, m.what = "wave_passed", []Occasion{Gate}, fmt.Sprintf("wave %d passed", m.Wave)
		if rollout.WaveWord(rollout.WavePassed, ev.Reason) != string(rollout.WavePassed) {
			m.Event, m.what = "wave_unproven", fmt.Sprintf("wave %d is over", m.Wave)
		}
		return m, true
	case rollout.EventRollout, rollout.EventCommand:
		// An engine that begins shows the state it found: From is empty, or the same.
		if ev.From == "" || ev.From == ev.To {
			return m, false
		}
		m.Event, m.what = ev.To, ev.To
		switch rollout.RolloutState(ev.To) {
		case rollout.RolloutWaiting, rollout.RolloutPaused:
			m.On = []Occasion{Gate}
		case rollout.RolloutStopped:
			m.On = []Occasion{Failure, End}
		case rollout.RolloutDone, rollout.RolloutAborted:
			m.On = []Occasion{End}
		default:
			return m, false
		}
		return m, true
	}
	return m, false
}

// maxText bounds the line for people, in bytes.
const maxText = 1000

// finish writes the line for people.
func (m *Message) finish() {
	var b strings.Builder
	fmt.Fprintf(&b, "cpacman: rollout %s: ", m.Rollout)
	if m.DryRun {
		b.WriteString("dry run: ")
	}
	b.WriteString(m.what)
	if counts := m.countWords(); counts != "" {
		b.WriteString(" (" + counts + ")")
	}
	if m.Reason.Text != "" && !strings.Contains(m.what, m.Reason.Text) {
		b.WriteString(": " + m.Reason.Text)
	}
	if m.User != "" && !strings.Contains(m.Reason.Text, m.User) {
		b.WriteString(", by " + m.User)
	}
	m.Text = clean(b.String())
	m.Reason.Text = clean(m.Reason.Text)
}

// countWords lists the hosts by state, in the order of the state table.
func (m *Message) countWords() string {
	var parts []string
	for _, info := range rollout.States() {
		if n := m.Counts[info.State]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, info.State))
		}
	}
	return strings.Join(parts, ", ")
}

// address finds URLs: a chat would fetch them, and they may carry a secret.
var address = regexp.MustCompile(`[A-Za-z0-9+.-]*://\S*`)

// clean makes one bounded line of text that came from hosts: no URLs, no control characters, no broken UTF-8.
func clean(s string) string {
	s = address.ReplaceAllString(strings.ToValidUTF8(s, "?"), "(address)")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxText {
		cut := maxText
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + " …"
	}
	return s
}
