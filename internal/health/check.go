package health

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// Basic is the name of the check that every site has: reachable, and no newly failed systemd unit.
const Basic = "basic"

// DefaultTimeout is that of a check that names none.
const DefaultTimeout = 3 * time.Second

// Check is one check with every placeholder filled in for one host. Exactly one of HTTP, TCP, Command, Program and Systemd is
// set; none of them is the check Basic.
type Check struct {
	Name    string
	HTTP    string        // URL, asked from the control host; redirects are not followed
	TCP     string        // address:port, dialled from the control host
	Command []string      // on the host, as the login account, no shell
	Program []string      // on the control host: absolute path and arguments, no shell
	Systemd []string      // units that must be active on the host
	Status  int           // of the HTTP answer; 0 means 200
	Body    string        // text that the first MaxBody bytes of the HTTP answer must contain
	Timeout time.Duration // of one run; 0 means DefaultTimeout
}

// Validate tells what is wrong with a check.
func (c Check) Validate() error {
	kinds := 0
	for _, set := range [...]bool{c.HTTP != "", c.TCP != "", len(c.Command) > 0, len(c.Program) > 0, len(c.Systemd) > 0} {
		if set {
			kinds++
		}
	}
	switch {
	case kinds > 1:
		return fmt.Errorf("check %s is of more than one kind", c.Name)
	case kinds == 0 && c.Name != Basic:
		return fmt.Errorf("check %s has nothing to check: write http, tcp, command, program or systemd", c.Name)
	case len(c.Program) > 0 && !filepath.IsAbs(c.Program[0]):
		return fmt.Errorf("check %s: program %q is not an absolute path", c.Name, c.Program[0])
	case c.HTTP != "" && !strings.HasPrefix(c.HTTP, "http://") && !strings.HasPrefix(c.HTTP, "https://"):
		return fmt.Errorf("check %s: %q is no http or https address", c.Name, c.HTTP)
	case c.Timeout < 0:
		return errors.New("check " + c.Name + ": negative timeout")
	}
	return nil
}

// needsHost tells whether the check needs a connection to the host.
func (c Check) needsHost() bool {
	return c.HTTP == "" && c.TCP == "" && len(c.Program) == 0
}

func (c Check) timeout() time.Duration {
	if c.Timeout > 0 {
		return c.Timeout
	}
	return DefaultTimeout
}

// Verdict is the result of a check.
type Verdict string

// The verdicts.
const (
	Green   Verdict = "green"
	Red     Verdict = "red"
	Unknown Verdict = "unknown" // could not be judged; never green
)

// Result is one run of one check. Output is bounded by MaxOutput and comes from a host or a service: it is to be sanitised
// where it is shown.
type Result struct {
	Check    string
	Verdict  Verdict
	Output   string
	Evidence string // what later runs of the same check are compared with; only Basic has some
	Took     time.Duration
}

// Bounds on what is read from hosts, services and programs, in bytes.
const (
	MaxOutput = 4096
	MaxBody   = 1 << 20
)

// bounded cuts s to MaxOutput at a rune and makes it valid UTF-8.
func bounded(s string) string {
	const more = " […]"
	s = strings.ToValidUTF8(strings.TrimSpace(s), "�")
	if len(s) <= MaxOutput {
		return s
	}
	return strings.ToValidUTF8(s[:MaxOutput-len(more)], "") + more
}
