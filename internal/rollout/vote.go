package rollout

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ballot is the approvals as they stand. Called with mu held; what it gives is not changed by later steps.
func (r *run) ballot() Ballot {
	b := Ballot{Rollout: r.ro, Schedule: r.sched, Waves: slices.Clone(r.waves), Approvals: slices.Clip(r.approvals), People: r.cfg.People, amended: map[int]bool{}}
	for _, a := range r.sched.Amended {
		for _, h := range a.Hosts {
			if rec := r.hosts[h.Host]; rec.State.notBegun() {
				b.amended[rec.Wave] = true
			}
		}
	}
	return b
}

// verdict is what was found out about a command before the lock was taken.
type verdict struct {
	approval Approval
	err      error
}

// hear decides on an approval, without the lock: a program may be asked about its ticket. Other commands need no verdict. Only
// the dispatcher takes commands, so that nothing is approved in between. known is false when nobody can tell now.
func (r *run) hear(cmd Command) (v verdict, known bool) {
	r.mu.Lock()
	taken := cmd.Kind != CommandApprove || cmd.Seq <= r.ro.CommandSeq
	b := r.ballot()
	r.mu.Unlock()
	if taken {
		return verdict{}, true
	}
	v.approval, v.err = b.Judge(r.ctx, cmd, r.cfg.Clock.Now())
	var refused *ApprovalError
	if known = v.err == nil || errors.As(v.err, &refused); !known && r.ctx.Err() == nil {
		r.observe(Event{Kind: EventWarning, Wave: -1, Reason: Reason{ReasonInternal, "could not decide on an approval: " + v.err.Error()}})
	}
	return v, known
}

// approve adds an approval to a change. It holds for one digest: a plan or settings that changed need a new one. Called with mu
// held.
func (r *run) approve(v verdict, c *Change) (bool, string) {
	switch {
	case v.err != nil:
		return false, v.err.Error()
	case v.approval.Digest != r.ro.Digest:
		return false, "the approval is for digest " + short(v.approval.Digest) + ", the rollout has " + short(r.ro.Digest)
	}
	c.Approval = &v.approval
	return true, ""
}

// waitText says whose approval is missing. Called with mu held.
func (r *run) waitText(scope string) string {
	v, ok := r.ballot().Votes(scope)
	if !ok || v.Need == 1 {
		return "waits for an approval of " + scope
	}
	text := fmt.Sprintf("waits for approvals of %s: %d of %d", scope, len(v.Given), v.Need)
	if len(v.Given) > 0 {
		text += ", by " + strings.Join(v.Persons(), ", ")
	}
	return text
}

// words tells an approval in one line.
func (a Approval) words() string {
	text := "approve " + a.Scope + " by " + a.Person
	var more []string
	if a.How == HowSignature {
		more = append(more, "signed with "+a.Key, "recorded by "+a.User)
	}
	if a.Claimed != "" {
		more = append(more, "sudo says "+a.Claimed)
	}
	if a.Ticket != "" {
		more = append(more, "ticket "+a.Ticket)
	}
	if len(more) > 0 {
		text += " (" + strings.Join(more, ", ") + ")"
	}
	if a.Reason != "" {
		text += ": " + a.Reason
	}
	return text
}
