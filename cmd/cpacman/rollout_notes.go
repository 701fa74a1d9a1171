package main

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/urfave/cli/v2"

	"cpacman/internal/people"
	"cpacman/internal/rollout"
)

// personName is what a rollout may be handed over to: a user's name, or one with a domain.
var personName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,127}$`) })

// rolloutNote leaves a remark with a rollout.
func (e *env) rolloutNote(c *cli.Context) error {
	return e.leaveNote(c, "note: kept with rollout %s", func(words []string) (rollout.Note, error) {
		n := rollout.Note{Kind: rollout.NoteText, Text: oneLine(words)}
		if n.Text == "" {
			return n, usagef("rollout note wants a rollout and a text")
		}
		return n, nil
	})
}

// rolloutHandover makes another person answer for a rollout.
func (e *env) rolloutHandover(c *cli.Context) error {
	to, reason := c.String("to"), strings.TrimSpace(c.String("reason"))
	switch {
	case to == "" || reason == "":
		return usagef("rollout handover wants --to USER and --reason TEXT")
	case !personName().MatchString(to):
		return usagef("--to %q is not a user's name", to)
	}
	return e.leaveNote(c, "rollout %s: handed over to "+to+"; rollout status tells them where it stands", func(words []string) (rollout.Note, error) {
		if len(words) > 0 {
			return rollout.Note{}, usagef("handover takes one rollout, not %q", words[0])
		}
		return rollout.Note{Kind: rollout.NoteHandover, To: to, Text: oneLine([]string{reason})}, nil
	})
}

// leaveNote stores what makeNote makes of the words behind the rollout's id, and says so.
func (e *env) leaveNote(c *cli.Context, done string, makeNote func(words []string) (rollout.Note, error)) error {
	s, id, words, err := e.onRollout(c)
	if err != nil {
		return err
	}
	defer s.Close()
	n, err := makeNote(words)
	if err != nil {
		return err
	}
	if len(n.Text) > rollout.MaxText {
		return inputf("the text is longer than %d bytes", rollout.MaxText)
	}
	if n.Kind == rollout.NoteHandover {
		if err := s.mayHandOver(id, n.To); err != nil {
			return err
		}
	}
	n.User, n.At = people.ProcessUser(), s.now().UTC()
	if err := s.store.PutNote(s.ctx, id, n); err != nil {
		return err
	}
	s.say(done, id)
	return nil
}

// mayHandOver checks the right to hand a rollout over, and that there is such a person where the site has people.
func (s *session) mayHandOver(id, to string) error {
	snap, err := s.store.Load(s.ctx, id)
	if err != nil {
		return rolloutError(err, id)
	}
	if len(s.site.People) > 0 && s.site.People[to] == nil {
		return inputError{err: fmt.Errorf("--to %s: the site has no [person.%s]", to, to), hint: "there is: " + orNone(slices.Sorted(maps.Keys(s.site.People)))}
	}
	return s.mayPush(snap.Schedule)
}

// maxShownNotes is how many remarks status shows; JSON has all of them.
const maxShownNotes = 5

// statusNotes shows who answers for a rollout, and the last remarks.
func (s *session) statusNotes(r rollout.Rollout, notes []rollout.Note) {
	owner, handover := rollout.Responsible(r, notes)
	if handover != nil {
		s.say("owner: %s, handed over by %s at %s: %s", owner, handover.User, dueTime(handover.At), handover.Text)
	} else {
		s.say("owner: %s", owner)
	}
	var lines []string
	for _, n := range notes {
		if n.Kind == rollout.NoteText {
			lines = append(lines, fmt.Sprintf("note of %s at %s: %s", n.User, dueTime(n.At), n.Text))
		}
	}
	if more := len(lines) - maxShownNotes; more > 0 {
		s.say("%d earlier %s: --output json has all of them", more, plural(more, "note", "notes"))
		lines = lines[more:]
	}
	for _, l := range lines {
		s.say("%s", l)
	}
}
