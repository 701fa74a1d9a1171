package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"cpacman/internal/notify"
	"cpacman/internal/people"
	"cpacman/internal/rollout"
	"cpacman/inventory"
	"cpacman/planner"
)

// observers shows every event to each of them.
type observers []rollout.Observer

// Observe implements rollout.Observer.
func (o observers) Observe(ev rollout.Event) {
	for _, one := range o {
		one.Observe(ev)
	}
}

// drainNotifications is how long the end of an engine waits for messages that are under way.
const drainNotifications = 15 * time.Second

// receiver makes one of the configuration.
func (s *session) receiver(n *inventory.Notify) notify.Receiver {
	r := notify.Receiver{Name: n.Name, Timeout: n.Timeout}
	for _, on := range n.On {
		r.On = append(r.On, notify.Occasion(on))
	}
	if len(n.Command) > 0 {
		r.Sender = &notify.Command{Args: n.Command, Verify: s.site.VerifyProgram}
		return r
	}
	w := &notify.Webhook{URL: n.Webhook, Client: notify.NewClient(nil)}
	if n.TokenFile != "" {
		w.Token = func() ([]byte, error) { return s.site.ReadSecret(n.TokenFile) }
	}
	r.Sender = w
	return r
}

// newNotifier tells the receivers of the site about a rollout. What could not be delivered is a warning of the rollout: shown by
// the watcher, and kept for those who watch from elsewhere.
func (s *session) newNotifier(id string, p *planner.Plan, owner rollout.Owner, watcher rollout.Observer) *notify.Notifier {
	cfg := notify.Config{Rollout: id, Plan: p.ID, Host: owner.Host, Counts: map[rollout.State]int{}, Now: s.now}
	for _, name := range slices.Sorted(maps.Keys(s.site.Notify)) {
		cfg.Receivers = append(cfg.Receivers, s.receiver(s.site.Notify[name]))
	}
	snap, err := s.store.Load(s.ctx, id)
	switch {
	case err == nil:
		cfg.DryRun = snap.Rollout.DryRun
		for _, h := range snap.Hosts {
			cfg.Counts[h.State]++
		}
	default: // it is recorded when the engine starts
		cfg.DryRun = s.c.Bool("dry-run") || s.c.Command.Name == "stage"
		for _, h := range p.Hosts {
			if h.Status == planner.StatusPlanned {
				cfg.Counts[rollout.StatePending]++
			}
		}
	}
	cfg.Warn = func(text string) {
		at := s.now().UTC()
		watcher.Observe(rollout.Event{At: at, Rollout: id, Kind: rollout.EventWarning, Wave: -1, Reason: rollout.Reason{Code: rollout.ReasonInternal, Text: text}})
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), 5*time.Second)
		defer cancel()
		_ = s.store.PutWarning(ctx, id, at, text) // it was shown; a journal that cannot be written is the engine's to tell
	}
	return notify.New(cfg)
}

// closeNotifier tells of an engine that failed, and waits for what is under way.
func (s *session) closeNotifier(n *notify.Notifier, o rollout.Outcome, err error) {
	if err != nil && o.Exit == rollout.ExitInterrupted {
		n.Failed(err)
	}
	n.Close(drainNotifications)
}

// rolloutNotifyTest sends one message to one receiver, now.
func (e *env) rolloutNotifyTest(c *cli.Context) error {
	if c.Args().Len() != 1 {
		return usagef("rollout notify-test wants the name of one [notify.NAME]")
	}
	site, err := e.loadSite(c)
	if err != nil {
		return err
	}
	name := c.Args().First()
	n := site.Notify[name]
	if n == nil {
		return inputError{err: fmt.Errorf("no [notify.%s] in the site", name), hint: "there is: " + orNone(slices.Sorted(maps.Keys(site.Notify)))}
	}
	s := &session{env: e, c: c, site: site}
	host, _ := os.Hostname()
	if err := notify.Deliver(e.ctx, s.receiver(n), notify.TestMessage(host, people.ProcessUser(), e.now().UTC()), nil); err != nil {
		return &statusError{status: statusFailed, err: fmt.Errorf("notify %s: %w", name, err)}
	}
	e.say("notify %s: delivered", name)
	return nil
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
