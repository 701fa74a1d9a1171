package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"cpacman/internal/people"
	"cpacman/internal/rollout"
	"cpacman/inventory"
	"cpacman/planner"
)

// This file is the one place where rights are checked (SEC-2). env.open asks it for the right of the verb before anything is opened;
// verbs about classes ask it again for those. The engine decides on approvals by itself.

// neededRight says which right a verb needs; view is nobody's privilege. A test holds that every verb is listed.
func neededRight(verb string, c *cli.Context) (kind inventory.RightKind, listed bool) {
	unless := func(flag string, kind inventory.RightKind) (inventory.RightKind, bool) {
		if c.Bool(flag) {
			return inventory.RightView, true
		}
		return kind, true
	}
	switch verb {
	case "init", "version", "completion", "man", "evr", "inventory list", "inventory show", "inventory check", "inventory policies",
		"repo list", "repo show", "repo check", "explain", "rollout list", "rollout status", "rollout watch", "rollout export",
		"audit drift", "audit trail", "audit trail verify", "audit trail head", "audit trail export":
		return inventory.RightView, true
	case "rollout amend":
		if c.Bool("dry-run") {
			return inventory.RightPlan, true
		}
		return inventory.RightPush, true
	case "rollout approve":
		return inventory.RightView, true // who signed is known later; see approveAs
	case "facts", "keys list":
		return unless("stored", inventory.RightPlan)
	case "rollout engines":
		if c.Bool("resume") {
			return inventory.RightPush, true
		}
		return inventory.RightView, true
	case "plan", "health", "state backup", "rollout rehearse", "rollout note":
		return inventory.RightPlan, true
	case "rollout reboot", "rollout service stop", "rollout service start":
		if c.String("out") != "" {
			return inventory.RightPlan, true
		}
		return inventory.RightPush, true
	case "clean":
		return unless("dry-run", inventory.RightPush)
	case "rollout start", "rollout stage", "rollout resume", "rollout pause", "rollout abort", "rollout retry", "rollout skip", "rollout rollback",
		"rollout handover", "rollout engine", "rollout notify-test":
		return inventory.RightPush, true
	case "inventory scan-keys", "state restore", "repo accept":
		return inventory.RightAdmin, true
	}
	return inventory.RightAdmin, false
}

// verbOf gives the words of the verb that runs: "rollout start".
func verbOf(c *cli.Context) string {
	var words []string
	for _, one := range c.Lineage() {
		if one.Command != nil && one.Command.Name != "" && one.App != nil && one.Command.Name != one.App.Name {
			words = append(words, one.Command.Name)
		}
	}
	slices.Reverse(words)
	return strings.Join(words, " ")
}

// actor is who runs this process.
type actor struct {
	site    *inventory.Site
	user    string            // operating system user, by the real uid
	claimed string            // what sudo says; it counts for nothing
	person  *inventory.Person // nil: nobody of the site, or a site without people
}

func (e *env) actorOf(site *inventory.Site) actor {
	a := actor{site: site, user: people.ProcessUser(), claimed: people.Claim(e.getenv("SUDO_USER"))}
	a.person = site.PersonOf(a.user)
	return a
}

func (s *session) actor() actor { return s.actorOf(s.site) }

// name is the person, or on a site without people the user; "" for nobody.
func (a actor) name() string {
	switch {
	case a.person != nil:
		return a.person.Name
	case len(a.site.People) == 0:
		return a.user
	}
	return ""
}

// checkVerb refuses a verb to somebody who has its right in no class at all.
func (e *env) checkVerb(site *inventory.Site, c *cli.Context) error {
	kind, _ := neededRight(verbOf(c), c)
	a := e.actorOf(site)
	if site.May(a.person, kind, "") {
		return nil
	}
	for i := range site.Classes {
		if site.May(a.person, kind, site.Classes[i].Name) {
			return nil
		}
	}
	return a.refusal(kind, "")
}

// may refuses what somebody has no right to in one of the classes.
func (s *session) may(kind inventory.RightKind, classes ...string) error {
	a := s.actor()
	for _, class := range classes {
		if !s.site.May(a.person, kind, class) {
			return a.refusal(kind, class)
		}
	}
	return nil
}

// refusal names the right that is missing, and where it is granted.
func (a actor) refusal(kind inventory.RightKind, class string) error {
	file := a.site.MainFile()
	if a.person == nil {
		hint := fmt.Sprintf("a [person.NAME] with os_user = %q and the right %q in %s grants it", a.user, kind, file)
		if a.claimed != "" {
			hint += fmt.Sprintf("; that sudo was called by %s is a claim and does not count", a.claimed)
		}
		return &statusError{status: statusFailed, err: fmt.Errorf("user %s is no [person] of this site and may only view", a.user), hint: hint}
	}
	err := fmt.Errorf("%s has not the right %q", a.person.Name, kind)
	hint := fmt.Sprintf("rights in [person.%s] of %s grants it: %q", a.person.Name, file, kind)
	if class != "" {
		err = fmt.Errorf("%s has not the right %q in class %s", a.person.Name, kind, class)
		hint += fmt.Sprintf(" or %q", inventory.Right{Kind: kind, Class: class})
	}
	return &statusError{status: statusFailed, err: err, hint: hint}
}

// mayPushPlan checks the right to push a plan. Classes and levels must be those of the inventory, because gates and rights hang on
// them: a plan that calls a host of production one of testing is not started, whoever wrote it. Nor is one with hosts that the inventory
// has no more: a file of it may be lost. Those that are retired are left out.
func (s *session) mayPushPlan(p *planner.Plan) error {
	var gone []string
	for _, h := range p.Hosts {
		if h.Status != planner.StatusPlanned {
			continue
		}
		known := s.site.Host(h.Host)
		if known == nil {
			gone = append(gone, h.Host)
			continue
		}
		if known.Class != h.Class || known.Level != h.Level {
			return inputError{err: fmt.Errorf("host %s is in class %q, level %q, and the plan has it in class %q, level %q", h.Host, known.Class, known.Level, h.Class, h.Level),
				hint: "make a new plan"}
		}
	}
	if len(gone) > 0 {
		return inputError{err: fmt.Errorf("%s %s of the plan %s no longer in the inventory", plural(len(gone), "host", "hosts"), someOf(gone, 6), plural(len(gone), "is", "are")),
			hint: "make a new plan; a host that is scrapped after the plan was made is left out when the inventory has it with state = \"retired\""}
	}
	return s.may(inventory.RightPush, classesOf(p)...)
}

// mayHurry checks the right to leave out what keeps a rollout slow: to start a plan as an emergency, or outside of windows. It comes
// beside the right to push.
func (s *session) mayHurry(p *planner.Plan) error {
	return s.may(inventory.RightEmergency, classesOf(p)...)
}

// classesOf names the classes of the hosts that a plan changes, in the order of the plan.
func classesOf(p *planner.Plan) []string {
	var classes []string
	for _, h := range p.Hosts {
		if h.Status == planner.StatusPlanned && !slices.Contains(classes, h.Class) {
			classes = append(classes, h.Class)
		}
	}
	return classes
}

// mayPush checks the right to steer a rollout: in every class of it.
func (s *session) mayPush(sched rollout.Schedule) error {
	var classes []string
	for _, l := range sched.Levels {
		classes = append(classes, l.Class)
	}
	return s.may(inventory.RightPush, classes...)
}

// mayPushHosts checks the right to change hosts.
func (s *session) mayPushHosts(hosts []*inventory.Host) error {
	var classes []string
	for _, h := range hosts {
		if !slices.Contains(classes, h.Class) {
			classes = append(classes, h.Class)
		}
	}
	return s.may(inventory.RightPush, classes...)
}

// people is who the engine asks about approvals.
func (s *session) people() *people.Directory { return people.New(s.site, s.store) }
