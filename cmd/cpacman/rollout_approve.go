package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"cpacman/internal/rollout"
	"cpacman/internal/sshsig"
	"cpacman/internal/store"
	"cpacman/inventory"
)

// approveCommand is `rollout approve`.
func approveCommand(e *env, reason cli.Flag) *cli.Command {
	return &cli.Command{
		Name: "approve", Usage: "say yes to the gate a rollout waits at", ArgsUsage: "[ROLLOUT]",
		Description: "Counts for the operating system user of the process, or for whoever signed a request: --print-request writes one to stdout;\n" +
			"`ssh-keygen -Y sign -f KEY -n " + rollout.SignatureNamespace + " FILE` signs it, anywhere; --request and --signature hand both in. What cannot\n" +
			"count is refused at once; the engine decides again when it takes it.",
		Flags: []cli.Flag{
			reason,
			&cli.StringFlag{Name: "scope", Usage: "the `GATE`, as rollout status names it (default: the one being waited at)"},
			&cli.StringFlag{Name: "ticket", Usage: "the `TICKET` that allows it, where the class wants one"},
			&cli.BoolFlag{Name: "print-request", Usage: "print a request to be signed, and approve nothing"},
			&cli.DurationFlag{Name: "expires", Usage: "with --print-request: how long it may be signed and handed in", DefaultText: "1h"},
			&cli.StringFlag{Name: "request", Usage: "`FILE` with the request that was signed"},
			&cli.StringFlag{Name: "signature", Usage: "`FILE` with the SSH signature of the request"},
		},
		Action: e.rolloutApprove,
	}
}

// requestLife is how long a request may be signed unless --expires says otherwise.
const requestLife = time.Hour

func (e *env) rolloutApprove(c *cli.Context) error {
	signed, ask := c.IsSet("signature") || c.IsSet("request"), c.Bool("print-request")
	switch {
	case signed && (c.String("signature") == "" || c.String("request") == ""):
		return usagef("--signature and --request go together")
	case signed && ask:
		return usagef("--print-request makes a request; --request and --signature hand one in")
	case c.IsSet("expires") && !ask:
		return usagef("--expires goes with --print-request")
	case ask && (c.IsSet("ticket") || c.IsSet("reason")):
		return usagef("--ticket and --reason are given when the signature is handed in")
	}
	s, err := e.open(c)
	if err != nil {
		return err
	}
	defer s.Close()
	args := c.Args().Slice()
	if signed && len(args) == 0 { // the request says which
		q, _, err := s.readRequest()
		if err != nil {
			return err
		}
		args = []string{q.Rollout}
	}
	id, rest, err := s.rolloutArg(args)
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		return usagef("approval takes one rollout, not %q", rest[0])
	}
	snap, err := s.store.Load(s.ctx, id)
	if err != nil {
		return rolloutError(err, id)
	}
	if snap.Rollout.State == rollout.RolloutAborted {
		return inputf("rollout %s was aborted", id)
	}
	ballot, err := s.ballot(snap)
	if err != nil {
		return err
	}
	if ask {
		return s.printRequest(ballot)
	}
	return s.approve(ballot, signed)
}

// ballot is the approvals of a rollout, those on their way to the engine included.
func (s *session) ballot(snap rollout.Snapshot) (rollout.Ballot, error) {
	b := rollout.BallotOf(snap, s.people())
	pending, err := s.store.Pending(s.ctx, snap.Rollout.ID, snap.Rollout.CommandSeq)
	if err != nil {
		return b, err
	}
	return b.Expect(s.ctx, pending, s.now()), nil
}

// gateScope is the gate that the command line means.
func (s *session) gateScope(b rollout.Ballot) (rollout.Votes, error) {
	scope := s.c.String("scope")
	if scope == "" {
		scope = b.Next()
	}
	v, ok := b.Votes(scope)
	switch {
	case scope == "":
		return v, inputError{err: fmt.Errorf("rollout %s waits for no approval", b.Rollout.ID), hint: "cpacman rollout status " + b.Rollout.ID}
	case !ok:
		var names []string
		for _, one := range b.All() {
			names = append(names, one.Scope)
		}
		return v, inputError{err: fmt.Errorf("%q is no gate of rollout %s", scope, b.Rollout.ID), hint: "its gates: " + orNone(names)}
	}
	return v, nil
}

// printRequest makes a request, records it, and prints what is to be signed.
func (s *session) printRequest(b rollout.Ballot) error {
	life := s.c.Duration("expires")
	if !s.c.IsSet("expires") {
		life = requestLife
	}
	if life < time.Second || life > rollout.MaxRequests {
		return usagef("--expires wants a time from 1s to %s", rollout.MaxRequests)
	}
	v, err := s.gateScope(b)
	if err != nil {
		return err
	}
	var random [32]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	q := rollout.NewRequest(b.Rollout.ID, b.Rollout.Digest, v.Scope, s.now().Add(life), random)
	if err := s.store.PutRequest(s.ctx, q, s.actor().user); err != nil {
		return err
	}
	fmt.Fprint(s.stdout, q.Text())
	s.say("%s of rollout %s, plan %.12s: %s", v.Scope, b.Rollout.ID, b.Rollout.PlanID, voteWords(v))
	s.say("next: ssh-keygen -Y sign -f KEY -n %s FILE, then: cpacman rollout approve %s --request FILE --signature FILE.sig (until %s)",
		rollout.SignatureNamespace, b.Rollout.ID, q.Expires.Local().Format("2006-01-02 15:04:05"))
	return nil
}

// approve records an approval that can count.
func (s *session) approve(b rollout.Ballot, signed bool) error {
	a := s.actor()
	cmd := rollout.Command{
		Kind: rollout.CommandApprove, Scope: s.c.String("scope"), Digest: b.Rollout.Digest, User: a.user, Claimed: a.claimed,
		Ticket: s.c.String("ticket"), Reason: s.c.String("reason"), At: s.now().UTC(),
	}
	if signed {
		if err := s.readSigned(&cmd); err != nil {
			return err
		}
	} else {
		v, err := s.gateScope(b)
		if err != nil {
			return err
		}
		if err := s.may(inventory.RightApprove, v.Class); err != nil {
			return err
		}
		cmd.Scope = v.Scope
	}
	yes, err := b.Judge(s.ctx, cmd, s.now())
	var refused *rollout.ApprovalError
	if errors.As(err, &refused) {
		return inputError{err: fmt.Errorf("the approval cannot count: %w", err), hint: refused.Hint}
	}
	if err != nil {
		return err
	}
	cmd.Scope = yes.Scope
	if err := s.putApproval(b.Rollout.ID, cmd, yes); err != nil {
		return err
	}
	b.Approvals = append(slices.Clone(b.Approvals), yes)
	if v, ok := b.Votes(yes.Scope); ok && v.Need > 1 {
		s.say("%s: %s", v.Scope, voteWords(v))
	}
	return s.sayRecorded(b.Rollout.ID, "approval")
}

// readSigned reads the request and its signature.
func (s *session) readSigned(cmd *rollout.Command) error {
	q, text, err := s.readRequest()
	if err != nil {
		return err
	}
	signature, err := readBounded(s.c.String("signature"), sshsig.MaxBytes)
	if err != nil {
		return inputError{err: fmt.Errorf("read the signature: %w", err)}
	}
	cmd.Request, cmd.Signature, cmd.Digest = string(text), string(signature), q.Digest
	return nil
}

// readRequest reads the request that was signed.
func (s *session) readRequest() (q rollout.ApprovalRequest, text []byte, err error) {
	if text, err = readBounded(s.c.String("request"), rollout.MaxRequest); err != nil {
		return q, nil, inputError{err: fmt.Errorf("read the request: %w", err)}
	}
	if q, err = rollout.ParseRequest(text); err != nil {
		return q, nil, inputError{err: fmt.Errorf("read %s: %w", s.c.String("request"), err), hint: "cpacman rollout approve --print-request makes one"}
	}
	return q, text, nil
}

// readBounded reads a small file.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return b, err
}

// putApproval records the command; a request is used up with it.
func (s *session) putApproval(id string, cmd rollout.Command, yes rollout.Approval) error {
	if yes.How != rollout.HowSignature {
		return s.store.PutCommand(s.ctx, id, cmd)
	}
	err := s.store.PutSigned(s.ctx, id, cmd, yes.Nonce)
	var used *store.RequestUsedError
	if errors.As(err, &used) {
		return inputError{err: fmt.Errorf("the approval cannot count: %w", used), hint: "make a new request for each approval"}
	}
	return err
}

// voteWords tells how a gate stands: "1 of 2: ann".
func voteWords(v rollout.Votes) string {
	text := fmt.Sprintf("%d of %d", len(v.Given), v.Need)
	if len(v.Given) > 0 {
		text += ": " + strings.Join(v.Persons(), ", ")
	}
	return text
}
