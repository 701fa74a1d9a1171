package main

import (
	"fmt"
	"slices"
	"strings"

	"cpacman/internal/rollout"
	"cpacman/inventory"
)

// gateValue is the JSON of one gate in rollout status.
type gateValue struct {
	rollout.Votes
	Open    bool     `json:"open"`
	Pending []string `json:"pending"` // people whose yes is recorded and not yet taken by an engine
	Able    []string `json:"able"`    // people who could still say yes; empty on a site without people
}

// gates tells how every gate of a rollout stands.
func (s *session) gates(snap rollout.Snapshot) ([]gateValue, error) {
	now := rollout.BallotOf(snap, s.people())
	soon, err := s.ballot(snap)
	if err != nil {
		return nil, err
	}
	out := []gateValue{}
	for _, v := range now.All() {
		g := gateValue{Votes: v, Open: v.Open(), Pending: []string{}, Able: []string{}}
		given := v.Persons()
		if later, ok := soon.Votes(v.Scope); ok {
			for _, p := range later.Persons() {
				if !slices.Contains(given, p) {
					g.Pending = append(g.Pending, p)
				}
			}
		}
		for _, p := range s.site.WhoMay(inventory.RightApprove, v.Class) {
			started := v.NotStarter && now.Starter(p)
			if !started && !slices.Contains(given, p) && !slices.Contains(g.Pending, p) {
				g.Able = append(g.Able, p)
			}
		}
		out = append(out, g)
	}
	return out, nil
}

// sayGates prints who approved, and who or how many are missing.
func (s *session) sayGates(gates []gateValue) {
	for _, g := range gates {
		s.say("approvals of %s: %d of %d", g.Scope, len(g.Given), g.Need)
		for _, a := range g.Given {
			s.say("  %s, %s", a.Person, approvalWords(a))
		}
		for _, v := range g.Void {
			s.say("  not counted: %s", voidWords(v))
		}
		if len(g.Pending) > 0 {
			s.say("  recorded, not yet taken by an engine: %s", strings.Join(g.Pending, ", "))
		}
		if !g.Open {
			s.say("  %s", g.missingWords())
		}
	}
}

// missingWords says who or how many are missing.
func (g gateValue) missingWords() string {
	missing := max(g.Need-len(g.Given)-len(g.Pending), 0)
	switch {
	case missing == 0:
		return "missing: nobody, once an engine has taken what is recorded"
	case len(g.Able) > 0:
		return fmt.Sprintf("missing: %d of %s", missing, someOf(g.Able, 10))
	case g.NotStarter:
		return fmt.Sprintf("missing: %d %s, not the one who started", missing, plural(missing, "person", "people"))
	}
	return fmt.Sprintf("missing: %d %s", missing, plural(missing, "person", "people"))
}

// approvalWords tells how and when somebody said yes.
func approvalWords(a rollout.Approval) string {
	text := "at " + a.At.Local().Format("2006-01-02 15:04:05")
	if a.How == rollout.HowSignature {
		text += ", signed with " + a.Key + ", handed in by " + a.User
	} else if a.User != a.Person {
		text += ", as user " + a.User
	}
	if a.Claimed != "" {
		text += " (sudo says " + a.Claimed + ")"
	}
	if a.Ticket != "" {
		text += ", ticket " + a.Ticket
	}
	if a.Reason != "" {
		text += ": " + a.Reason
	}
	return text
}

func voidWords(v rollout.Void) string {
	who := v.Approval.Person
	if who == "" {
		who = "user " + v.Approval.User
	}
	return who + " at " + v.Approval.At.Local().Format("2006-01-02 15:04:05") + ": " + v.Why
}
