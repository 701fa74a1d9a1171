// Package people says who does something: which operating system user a process is of, which person of the site that is, and whose
// key made a signature (SEC-2). It answers the questions that internal/rollout asks when it counts approvals.
package people

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"
	"unicode"

	"cpacman/internal/health"
	"cpacman/internal/rollout"
	"cpacman/internal/sshsig"
	"cpacman/inventory"
)

// Requests are the requests for approvals that were made here.
type Requests interface {
	// Request gives the text of the request with a nonce; "" for an unknown one.
	Request(ctx context.Context, nonce string) (string, error)
}

// Directory is the people of one site, as it was loaded. It may be used from many goroutines.
type Directory struct {
	site     *inventory.Site
	requests Requests
}

var _ rollout.People = (*Directory)(nil)

// New makes the directory of a site.
func New(site *inventory.Site, requests Requests) *Directory {
	return &Directory{site: site, requests: requests}
}

// Person implements rollout.People. On a site without people each operating system user is one.
func (d *Directory) Person(osUser string) string {
	if len(d.site.People) == 0 {
		return osUser
	}
	if p := d.site.PersonOf(osUser); p != nil {
		return p.Name
	}
	return ""
}

// MayApprove implements rollout.People.
func (d *Directory) MayApprove(person, class string) bool {
	return d.site.May(d.site.People[person], inventory.RightApprove, class)
}

// Signer implements rollout.People: the signature must be in our namespace, and by a key of a person.
func (d *Directory) Signer(text, signature string) (person, key string, err error) {
	sig, err := sshsig.Parse([]byte(signature))
	if err != nil {
		return "", "", err
	}
	if err := sig.Verify([]byte(text), rollout.SignatureNamespace); err != nil {
		return "", "", err
	}
	p := d.site.PersonByKey(sig.Key.Marshal())
	if p == nil {
		return "", "", fmt.Errorf("is by the key %s, which no [person] of the site has", sig.Fingerprint())
	}
	return p.Name, sig.Fingerprint(), nil
}

// Issued implements rollout.People.
func (d *Directory) Issued(ctx context.Context, nonce string) (string, error) {
	return d.requests.Request(ctx, nonce)
}

// ticketTimeout is how long a program may think about a ticket. The engine admits no hosts meanwhile.
const ticketTimeout = 20 * time.Second

// CheckTicket implements rollout.People: it runs a program of the site as checks of health run, verified right before, without a
// shell, killed at its timeout together with what it started.
func (d *Directory) CheckTicket(ctx context.Context, program []string, ticket string) error {
	args := make([]string, len(program))
	for i, arg := range program {
		if args[i] = arg; i > 0 {
			args[i] = strings.ReplaceAll(arg, "{ticket}", ticket)
		}
	}
	checker := health.Checker{VerifyProgram: d.site.VerifyProgram}
	r := checker.Run(ctx, health.Host{}, []health.Check{{Name: "ticket_check", Program: args, Timeout: ticketTimeout}}, nil)[0]
	switch said := strings.TrimSpace(r.Output); {
	case r.Verdict == health.Green:
		return nil
	case r.Verdict == health.Red:
		return fmt.Errorf("%s refuses it: %s", program[0], said)
	default:
		return fmt.Errorf("%s could not be asked: %s", program[0], said)
	}
}

// ProcessUser names the user of this process by its real user id; "uid 1234" for one whom /etc/passwd does not have. The
// environment is not asked: user.Current of the standard library falls back to $USER where no name is found, and anybody can set
// that.
func ProcessUser() string {
	uid := strconv.Itoa(os.Getuid())
	return nameOf(uid, user.LookupId)
}

func nameOf(uid string, lookup func(string) (*user.User, error)) string {
	if u, err := lookup(uid); err == nil && u.Username != "" {
		return u.Username
	}
	return "uid " + uid
}

// maxClaim bounds what is recorded of a claim, in bytes.
const maxClaim = 64

// Claim cleans the value of $SUDO_USER. It says who a person claims to be: sudo sets it, and so can anybody else.
func Claim(sudoUser string) string {
	clean := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return '?'
		}
		return r
	}, sudoUser)
	if len(clean) > maxClaim {
		clean = strings.ToValidUTF8(clean[:maxClaim], "")
	}
	return clean
}
