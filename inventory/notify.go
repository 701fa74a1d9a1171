package inventory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"time"
)

// NotifyOn is what a notification is about (ROLL-12).
type NotifyOn string

// The occasions.
const (
	NotifyGate    NotifyOn = "gate"    // a wave passed, or the rollout waits for a person: an approval, a pause
	NotifyFailure NotifyOn = "failure" // the rollout stopped, or a host is lost
	NotifyEnd     NotifyOn = "end"     // the rollout is over, or stopped
)

func (NotifyOn) values() []string { return []string{"gate", "failure", "end"} }

// Notify is one receiver of notifications. Exactly one of Webhook and Command is set.
type Notify struct {
	Source
	Name      string        `toml:"-"`
	On        []NotifyOn    `toml:"on"`
	Webhook   string        `toml:"webhook"`    // URL that gets a POST of JSON
	TokenFile string        `toml:"token_file"` // absolute; its line is the header Authorization
	Command   []string      `toml:"command"`    // run on the control host, no shell, JSON on standard input
	Timeout   time.Duration `toml:"timeout"`    // of one try
}

func (n *Notify) setDefaults() {
	n.On, n.Timeout = []NotifyOn{NotifyGate, NotifyFailure, NotifyEnd}, 30*time.Second
}

func (n *Notify) setName(name string) { n.Name = name }

// notifyRows are the keys of [notify.NAME].
func notifyRows() []KeyDoc {
	return []KeyDoc{
		{Key: "on", Type: "list of gate | failure | end", Default: `["gate", "failure", "end"]`, Doc: "gate: a wave passed, or the rollout waits or is paused; failure: it stopped, or a host is lost or could not go back; end: it is over, or stopped"},
		{Key: "webhook", Type: "URL", Doc: "gets a POST of JSON, three tries; https, or http to this machine. Exactly one of webhook and command"},
		{Key: "token_file", Type: "path", Doc: "file whose one line is sent as the header Authorization, as in \"Bearer …\"; nobody else may read it (mode 0600); only with webhook"},
		{Key: "command", Type: "argument list", Doc: "run on the control host without a shell, with the JSON on standard input; absolute path, not writable by others"},
		{Key: "timeout", Type: "duration", Unit: "s, m, h, d", Default: `"30s"`, Doc: "of one try; at most 5m"},
	}
}

// maxNotifyTimeout bounds one try: an engine that ends waits for what is under way.
const maxNotifyTimeout = 5 * time.Minute

// checkNotify validates the receivers of notifications.
func (ld *loading) checkNotify() {
	for _, name := range sortedKeys(ld.site.Notify) {
		n := ld.site.Notify[name]
		fault := ld.at(&n.Source)
		if err := checkName(name, maxName); err != nil {
			fault("", "", "notify %s", err)
			continue
		}
		if n.IsSet("on") && len(n.On) == 0 {
			fault("on", "leave it out for all of them", "key \"on\" in [notify.%s] is empty", name)
		}
		if n.Timeout < time.Second || n.Timeout > maxNotifyTimeout {
			fault("timeout", "", "key \"timeout\" in [notify.%s] is from 1s to %s, not %s", name, FormatDuration(maxNotifyTimeout), FormatDuration(n.Timeout))
		}
		switch {
		case !n.IsSet("webhook") && !n.IsSet("command"):
			fault("", "", "[notify.%s] wants one of webhook and command", name)
		case n.IsSet("webhook") && n.IsSet("command"):
			fault("command", "make two of it", "[notify.%s] wants one of webhook and command, not both", name)
		case n.IsSet("command"):
			if err := checkProgramArgs(n.Command); err != nil {
				fault("command", "", "key \"command\" in [notify.%s]: %s", name, err)
			}
		default:
			n.checkWebhook(fault)
		}
		if n.IsSet("token_file") {
			if !n.IsSet("webhook") {
				fault("token_file", "", "key \"token_file\" in [notify.%s] is only for webhook", name)
			}
			n.TokenFile = ld.path(n.TokenFile, &n.Source, "token_file", "token_file")
		}
	}
}

// checkWebhook demands a URL that does not carry a secret in the clear.
func (n *Notify) checkWebhook(fault func(key, hint, format string, args ...any)) {
	u, err := url.Parse(n.Webhook)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		fault("webhook", "", "key \"webhook\" in [notify.%s] is not an http or https URL", n.Name)
	case u.User != nil:
		fault("webhook", "put it into a file for token_file", "key \"webhook\" in [notify.%s] must not have a user or password", n.Name)
	case u.Scheme == "http" && !ownMachine(u.Hostname()):
		fault("webhook", "write https", "key \"webhook\" in [notify.%s]: http is only for this machine (127.0.0.1, ::1, localhost)", n.Name)
	}
}

// ownMachine tells whether a name can only be this machine.
func ownMachine(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// maxSecret bounds a file that holds a secret.
const maxSecret = 4096

// ReadSecret reads a file with one line that nobody but its trusted owner may read (SEC-3). The error never holds any of it.
func (s *Site) ReadSecret(path string) ([]byte, error) {
	f, info, err := s.owners.openSafe(path)
	if err != nil {
		return nil, fmt.Errorf("read the secret: %w", err)
	}
	defer f.Close()
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others (mode %04o); run: chmod go= %s", path, info.Mode().Perm(), shellQuote(path))
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return nil, fmt.Errorf("read the secret %s: %w", path, cause(err))
	}
	b = bytes.TrimRight(b, "\r\n")
	switch {
	case len(b) == 0:
		return nil, fmt.Errorf("%s is empty", path)
	case len(b) > maxSecret:
		return nil, fmt.Errorf("%s is longer than %d bytes", path, maxSecret)
	case bytes.ContainsFunc(b, func(r rune) bool { return r < 0x20 || r == 0x7f }):
		return nil, errors.New(path + " has more than one line, or control characters")
	}
	return b, nil
}

// notify reports token files and commands that will not do.
func (c *checker) notify() {
	s := c.site
	for _, name := range sortedKeys(s.Notify) {
		n := s.Notify[name]
		if n.TokenFile != "" {
			if _, err := s.ReadSecret(n.TokenFile); err != nil {
				c.fail(&n.Source, "token_file", "", "notify %q: %s", name, err)
			}
		}
		if len(n.Command) > 0 {
			if err := s.owners.VerifyProgram(n.Command[0]); err != nil {
				c.unsafe(&n.Source, "command", "program", n.Command[0], err)
			}
		}
	}
}
