package rollout

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"cpacman/inventory"
)

// People says who people are and what they may do (SEC-2). The engine asks it each time it counts: what a command or a record says
// of itself is never believed.
//
// Person, MayApprove and Signer are pure and quick, and are called with the engine's lock held. Issued and CheckTicket may take
// their time; the engine calls them from one goroutine, without its lock, and does not retry.
type People interface {
	// Person names the person of an operating system user; "" for nobody.
	Person(osUser string) string
	// MayApprove tells whether a person may approve in a class.
	MayApprove(person, class string) bool
	// Signer verifies the signature of a text and names the person whose key made it, and the key's fingerprint.
	Signer(text, signature string) (person, key string, err error)
	// Issued gives the text of the request with a nonce, as it was made here; "" for an unknown nonce.
	Issued(ctx context.Context, nonce string) (string, error)
	// CheckTicket asks a program of the site about a ticket; nil is yes.
	CheckTicket(ctx context.Context, program []string, ticket string) error
}

// anybody is the people of a site that knows none: operating system users, who may do everything.
type anybody struct{}

func (anybody) Person(osUser string) string    { return osUser }
func (anybody) MayApprove(string, string) bool { return true }
func (anybody) Signer(string, string) (string, string, error) {
	return "", "", fmt.Errorf("no keys of people are known here")
}
func (anybody) Issued(context.Context, string) (string, error) { return "", nil }
func (anybody) CheckTicket(_ context.Context, program []string, _ string) error {
	return fmt.Errorf("nobody can run %s here", program[0])
}

// How an approval shows whose it is.
type How string

// The ways.
const (
	HowOSUser    How = "os_user"   // the operating system user of the process that recorded it
	HowSignature How = "signature" // an SSH signature over a request
)

// ApprovalError says why an approval cannot count.
type ApprovalError struct{ Text, Hint string }

func (e *ApprovalError) Error() string { return e.Text }

func refuse(hint, format string, args ...any) error {
	return &ApprovalError{Text: fmt.Sprintf(format, args...), Hint: hint}
}

// Ballot counts the approvals of a rollout. It decides from what is recorded and from who people are now; it is used by the
// engine and, to refuse at once what cannot count, by whoever records a command.
type Ballot struct {
	Rollout   Rollout
	Schedule  *Schedule
	Waves     []WaveRecord
	Approvals []Approval
	People    People // nil: every operating system user

	amended map[int]bool // waves with amended hosts that have not begun
}

// BallotOf is the ballot of a rollout as the journal has it.
func BallotOf(s Snapshot, p People) Ballot {
	b := Ballot{Rollout: s.Rollout, Schedule: &s.Schedule, Waves: s.Waves, Approvals: s.Approvals, People: p, amended: map[int]bool{}}
	for _, h := range s.Hosts {
		if s.Schedule.Host[h.Host].Plan != "" && h.State.notBegun() {
			b.amended[h.Wave] = true
		}
	}
	return b
}

func (b Ballot) people() People {
	if b.People == nil {
		return anybody{}
	}
	return b.People
}

// Votes is how the approvals of one gate stand.
type Votes struct {
	Scope      string     `json:"scope"`
	Class      string     `json:"class"`
	Need       int        `json:"need"`
	NotStarter bool       `json:"approve_not_starter"`
	Given      []Approval `json:"given"` // those that count, one of each person, in the order of the journal
	Void       []Void     `json:"void"`  // those that do not, and why

	level LevelPlan
}

// Void is an approval that does not count.
type Void struct {
	Approval Approval `json:"approval"`
	Why      string   `json:"why"`
}

// Open tells whether enough people said yes.
func (v Votes) Open() bool { return len(v.Given) >= v.Need }

// Persons names those who said yes.
func (v Votes) Persons() []string {
	out := []string{}
	for _, a := range v.Given {
		out = append(out, a.Person)
	}
	return out
}

// All gives every gate of the rollout that wants approvals, in the order in which the rollout comes to them.
func (b Ballot) All() []Votes {
	out := []Votes{}
	for _, l := range b.Schedule.Levels {
		if l.ClassApprove > 0 {
			out = append(out, b.count(l, l.ClassScope(), l.ClassApprove))
		}
		if l.Approve > 0 {
			out = append(out, b.count(l, l.Scope(), l.Approve))
		}
	}
	return out
}

// Votes gives one gate; false when the rollout has no such gate.
func (b Ballot) Votes(scope string) (Votes, bool) {
	for _, l := range b.Schedule.Levels {
		switch {
		case l.ClassApprove > 0 && l.ClassScope() == scope:
			return b.count(l, scope, l.ClassApprove), true
		case l.Approve > 0 && l.Scope() == scope:
			return b.count(l, scope, l.Approve), true
		}
	}
	return Votes{}, false
}

// count looks at every approval of a gate afresh. A person counts once, whatever the way.
func (b Ballot) count(l LevelPlan, scope string, need int) Votes {
	v := Votes{Scope: scope, Class: l.Class, Need: need, NotStarter: l.NotStarter, Given: []Approval{}, Void: []Void{}, level: l}
	for _, a := range b.Approvals {
		if a.Scope != scope {
			continue
		}
		confirmed, err := b.confirm(l, a)
		switch {
		case err != nil:
			v.Void = append(v.Void, Void{a, err.Error()})
		case slices.Contains(v.Persons(), confirmed.Person):
			v.Void = append(v.Void, Void{confirmed, confirmed.Person + " has approved already"})
		default:
			v.Given = append(v.Given, confirmed)
		}
	}
	return v
}

// confirm says whose an approval is and whether it may count, by itself. Only the record, the schedule and the people are used:
// not the clock, so that an approval that was good stays so, and no program.
func (b Ballot) confirm(l LevelPlan, a Approval) (Approval, error) {
	if a.Digest != b.Rollout.Digest {
		return a, refuse("a changed plan or setting voids approvals", "the approval is for digest %s, the rollout has %s", short(a.Digest), short(b.Rollout.Digest))
	}
	var err error
	switch a.How {
	case "", HowOSUser:
		a.How, a.Key = HowOSUser, ""
		if a.Person = b.people().Person(a.User); a.Person == "" {
			return a, refuse("cpacman.toml says who approves; an SSH signature is another way", "user %s is no person of this site", a.User)
		}
	case HowSignature:
		if a, err = b.confirmSignature(a); err != nil {
			return a, err
		}
	default:
		return a, refuse("", "nobody knows approvals by %q", string(a.How))
	}
	switch {
	case !b.people().MayApprove(a.Person, l.Class):
		return a, refuse(fmt.Sprintf("the right \"approve\" or \"approve:%s\" in [person.%s] grants it", l.Class, a.Person), "%s may not approve in class %s", a.Person, l.Class)
	case l.NotStarter && b.Starter(a.Person):
		what := "amended"
		if b.started(a.Person) {
			what = "started"
		}
		return a, refuse("somebody else has to approve", "%s %s the rollout, and class %s has approve_not_starter", a.Person, what, l.Class)
	}
	return a, checkTicket(l, a.Ticket)
}

// confirmSignature verifies a signed request, and that it is for this gate of this rollout.
func (b Ballot) confirmSignature(a Approval) (Approval, error) {
	q, err := ParseRequest([]byte(a.Request))
	if err != nil {
		return a, refuse("cpacman rollout approve --print-request makes one", "%s", err)
	}
	switch {
	case q.Rollout != b.Rollout.ID:
		return a, refuse("", "the request is for rollout %s, not for %s", q.Rollout, b.Rollout.ID)
	case q.Digest != b.Rollout.Digest || q.Digest != a.Digest:
		return a, refuse("a changed plan or setting voids requests; make a new one", "the request is for digest %s, the rollout has %s", short(q.Digest), short(b.Rollout.Digest))
	case q.Scope != a.Scope:
		return a, refuse("", "the request is for %s, not for %s", q.Scope, a.Scope)
	case !a.At.Before(q.Expires):
		return a, refuse("make a new one", "the request expired at %s", q.Expires.Format("2006-01-02 15:04Z"))
	}
	person, key, err := b.people().Signer(a.Request, a.Signature)
	if err != nil {
		return a, refuse("", "the signature %s", err)
	}
	a.Person, a.Key, a.Nonce = person, key, q.Nonce
	return a, nil
}

// Starter tells whether a person started the rollout, or amended it: whose own work it is. Somebody whom only sudo names is taken for
// it too: a claim may take a vote away and never gives one.
func (b Ballot) Starter(person string) bool {
	return b.started(person) ||
		slices.ContainsFunc(b.Schedule.Amended, func(a Amended) bool { return b.is(person, a.Person, a.User, a.Claimed) })
}

func (b Ballot) started(person string) bool {
	return b.is(person, b.Rollout.Person, b.Rollout.User, b.Rollout.Claimed)
}

// is tells whether a person did what is recorded with a person, a user and a claim.
func (b Ballot) is(person, recorded, user, claimed string) bool {
	return person == recorded || person == b.people().Person(user) || claimed != "" && person == b.people().Person(claimed)
}

// MaxTicket bounds a ticket, in bytes.
const MaxTicket = 200

// checkTicket holds a ticket against the pattern of its class. Whatever the pattern, a ticket is one word on one line that no
// program takes for an option.
func checkTicket(l LevelPlan, ticket string) error {
	switch {
	case ticket == "" && l.Ticket == "" && len(l.TicketCheck) == 0:
		return nil
	case ticket == "":
		return refuse("give --ticket", "an approval in class %s wants a ticket", l.Class)
	case len(ticket) > MaxTicket || ticket[0] == '-' || strings.ContainsFunc(ticket, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }):
		return refuse("", "%.40q is not a ticket", ticket)
	case l.Ticket == "":
		return nil
	}
	re, err := inventory.CompileTicket(l.Ticket)
	if err != nil {
		return refuse("", "the pattern of tickets of class %s cannot be read: %s", l.Class, err)
	}
	if !re.MatchString(ticket) {
		return refuse("", "ticket %q does not match %s, the pattern of class %s", ticket, l.Ticket, l.Class)
	}
	return nil
}

// Next is the scope whose approval will be missing next, or "".
func (b Ballot) Next() string {
	for i := range b.Waves {
		if b.due(i) {
			if scope := b.Missing(i); scope != "" {
				return scope
			}
		}
	}
	return ""
}

// due tells whether a wave will still come to its gates.
func (b Ballot) due(wave int) bool {
	return wave < len(b.Waves) && b.Waves[wave].State == WavePending || b.amended[wave]
}

// Missing is the scope that keeps a wave shut, or "".
func (b Ballot) Missing(wave int) string {
	for _, scope := range b.scopes(wave) {
		if v, ok := b.Votes(scope); ok && !v.Open() {
			return scope
		}
	}
	return ""
}

// scopes lists the gates on the way into a wave. Those of a class and a level are passed on the way into them, so that the last level
// can have one too. An amendment voids every approval from before, so after one each wave asks for both anew.
func (b Ballot) scopes(wave int) []string {
	amended := len(b.Schedule.Amended) > 0
	level := b.Schedule.Waves[wave].Level
	if !amended && wave > 0 && b.Schedule.Waves[wave-1].Level == level {
		return nil
	}
	var out []string
	l := b.Schedule.Levels[level]
	if amended || l.ClassApprove > 0 {
		out = append(out, l.ClassScope()) // a class without a gate has no votes
	}
	return append(out, l.Scope())
}

// Judge decides on a command to approve: the record to be kept, or *ApprovalError with the reason why it cannot count. Another
// error says that nobody can tell now. now is the clock of whoever judges.
func (b Ballot) Judge(ctx context.Context, cmd Command, now time.Time) (Approval, error) {
	a, v, err := b.examine(ctx, cmd, now)
	if err != nil {
		return a, err
	}
	if program := v.level.TicketCheck; len(program) > 0 {
		if err := b.people().CheckTicket(ctx, program, a.Ticket); err != nil {
			return a, refuse("", "ticket %q: %s", a.Ticket, err)
		}
	}
	return a, nil
}

// Expect adds the approvals that commands on their way will become, so that the same person is not asked twice.
func (b Ballot) Expect(ctx context.Context, cmds []Command, now time.Time) Ballot {
	b.Approvals = slices.Clone(b.Approvals)
	for _, c := range cmds {
		if c.Kind != CommandApprove {
			continue
		}
		if a, _, err := b.examine(ctx, c, now); err == nil {
			b.Approvals = append(b.Approvals, a)
		}
	}
	return b
}

// examine is Judge without programs.
func (b Ballot) examine(ctx context.Context, cmd Command, now time.Time) (Approval, Votes, error) {
	a := Approval{Scope: cmd.Scope, User: cmd.User, Reason: cmd.Reason, Digest: cmd.Digest, At: now, How: HowOSUser, Claimed: cmd.Claimed, Ticket: cmd.Ticket}
	if !cmd.At.IsZero() && cmd.At.Before(now) {
		a.At = cmd.At // when it was given; the engine may come to it much later
	}
	if cmd.Signature != "" || cmd.Request != "" {
		a.How, a.Request, a.Signature = HowSignature, cmd.Request, cmd.Signature
		q, err := ParseRequest([]byte(cmd.Request))
		if err == nil && q.Rollout != b.Rollout.ID { // before its gate, which is one of the other
			return a, Votes{}, refuse("", "the request is for rollout %s, not for %s", q.Rollout, b.Rollout.ID)
		}
		if err == nil && a.Scope == "" {
			a.Scope = q.Scope
		}
	}
	if a.Scope == "" {
		a.Scope = b.Next()
	}
	if a.Scope == "" {
		return a, Votes{}, refuse("", "nothing waits for an approval; name the scope")
	}
	v, ok := b.Votes(a.Scope)
	if !ok {
		return a, v, refuse("", "%q is no class or level of this rollout that wants an approval", a.Scope)
	}
	a, err := b.confirm(v.level, a)
	if err != nil {
		return a, v, err
	}
	if a.How == HowSignature {
		if err := b.fresh(ctx, a); err != nil {
			return a, v, err
		}
	}
	if slices.Contains(v.Persons(), a.Person) {
		return a, v, refuse("somebody else has to approve", "%s has approved %s already, and counts once", a.Person, a.Scope)
	}
	return a, v, nil
}

// fresh demands that a request was made here, and that no approval has used it.
func (b Ballot) fresh(ctx context.Context, a Approval) error {
	issued, err := b.people().Issued(ctx, a.Nonce)
	switch {
	case err != nil:
		return fmt.Errorf("look up the request: %w", err)
	case issued != a.Request:
		return refuse("cpacman rollout approve --print-request makes one", "the request was not made here")
	}
	for _, other := range b.Approvals {
		if other.Nonce == a.Nonce {
			return refuse("make a new request for each approval", "the request was used already, at %s", other.At.UTC().Format("2006-01-02 15:04Z"))
		}
	}
	return nil
}
