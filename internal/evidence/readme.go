package evidence

import (
	"fmt"
	"strings"
	"time"

	"cpacman/transport"
)

// readme says what is what.
func (c *collection) readme() string {
	r := c.snap.Rollout
	var b strings.Builder
	fmt.Fprintf(&b, "Evidence of rollout %s\n\n", r.ID)
	fmt.Fprintf(&b, "plan:     %s\nstate:    %s\nstarted:  %s by %s\n", r.PlanID, r.State, r.CreatedAt.UTC().Format(time.RFC3339), r.User)
	if !r.EndedAt.IsZero() {
		fmt.Fprintf(&b, "ended:    %s\n", r.EndedAt.UTC().Format(time.RFC3339))
	}
	fmt.Fprintf(&b, "hosts:    %d\nwritten by cpacman %s\n\n", len(c.snap.Hosts), c.opt.Version)
	b.WriteString(members)
	if c.sum.Head != "" {
		fmt.Fprintf(&b, "\nHead of the audit trail with the last line of this rollout:\n%s\n", c.sum.Head)
	}
	b.WriteString(howTo)
	b.WriteString("\nRemarks\n\n")
	if len(c.sum.Remarks) == 0 {
		b.WriteString("none\n")
	}
	for _, m := range c.sum.Remarks {
		b.WriteString("- " + strings.ReplaceAll(m, "\n", " ") + "\n")
	}
	return transport.Sanitize(b.String())
}

const members = `What is what

MANIFEST.sha256     the sha256 of each other file: sha256sum -c MANIFEST.sha256
plan.json           the plan that was started: sets of packages, hosts, digests of the repositories. Every package has its sha256,
                    which was proven, with its signature, before anything was sent
amendments/         plans that hosts follow instead since they were amended; schedule.json says which, who wanted it and what was before
rollout.json        the record of the rollout: who, when, why, state, why it stopped
schedule.json       every host in its wave, every percentage as an integer. What a health check or a hook does is left out but for a
                    sha256
waves.json          state and verdict of each wave
approvals.json      who said yes to which gate, when and why, and the digest of plan and settings that it was for
commands.jsonl      what operators wanted, one command a line
events.jsonl        everything that happened, one event a line, in its order
hosts.jsonl         one host a line: state, reason, baseline and health verdicts with what the checks printed
host-keys.jsonl     the SSH host keys that hosts proved to have (source "recorded")
transactions.jsonl  one transaction a line: what the host had before, and what it lost and got
installed/          the whole installed sets. The sha256 of a file is its name, and the digest that plan, facts and trail have
trail.jsonl         the lines of the audit trail about this rollout. Of lines in between that tell of something else only their place
                    in the chain is here
head.txt            the last line's number and digest
`

const howTo = `
How to check it

  sha256sum -c MANIFEST.sha256                          the files are what was written
  cpacman audit trail verify --file trail.jsonl         no line here was changed, removed or inserted
  cpacman audit trail verify --file trail.jsonl --head DIGEST@SEQ
                                                        with a head that was sent out: the lines are those of then
  cpacman audit trail verify --head "$(cat head.txt)"   on the control host: its trail still leads through these lines

What binds what: the digest of a line covers all before it. The line rollout.created has the sha256 of plan.json and the digest of the
settings; rollout.amended has the sha256 of an amendment's plan, the hosts that follow it, and the digests before and after; host.state has each host's end and health verdicts; host.packages has the digests of the installed sets before and after, and
refers to what was added and removed; approval, command and host.key have theirs. events.jsonl, hosts.jsonl and waves.json are the journal's
own words: the trail does not bind their every byte, compare them with its lines.

What it does not prove: who held the control host and every place that a head was sent to could have made all of it. Hosts say
themselves what is installed on them. There are no settings of the site in here, no keys and no passwords.
`
