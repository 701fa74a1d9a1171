package inventory

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// BasicCheck is the health check that is always there: the host is reachable and
// has no newly failed systemd unit.
const BasicCheck = "basic"

// CheckKind is what a health check does.
type CheckKind string

// The kinds of checks.
const (
	CheckBasic   CheckKind = "basic"
	CheckHTTP    CheckKind = "http"
	CheckTCP     CheckKind = "tcp"
	CheckCommand CheckKind = "command"
	CheckProgram CheckKind = "program"
	CheckSystemd CheckKind = "systemd"
)

// Kind gives the kind of the check.
func (c *HealthCheck) Kind() CheckKind {
	switch {
	case c.HTTP != "":
		return CheckHTTP
	case c.TCP != "":
		return CheckTCP
	case len(c.Command) > 0:
		return CheckCommand
	case len(c.Program) > 0:
		return CheckProgram
	case len(c.Systemd) > 0:
		return CheckSystemd
	}
	return CheckBasic
}

// For gives the check for one host: {address} and {host} are replaced. An IPv6
// address gets brackets in a URL and before a port.
func (c *HealthCheck) For(h *Host) HealthCheck {
	out := *c
	bracketed := h.Address
	if strings.Contains(bracketed, ":") {
		bracketed = "[" + bracketed + "]"
	}
	network := strings.NewReplacer("{address}", bracketed, "{host}", h.Name)
	plain := strings.NewReplacer("{address}", h.Address, "{host}", h.Name)
	out.HTTP, out.TCP = network.Replace(c.HTTP), network.Replace(c.TCP)
	out.Command, out.Program = replaceAll(plain, c.Command), replaceAll(plain, c.Program)
	return out
}

func replaceAll(r *strings.Replacer, args []string) []string {
	var out []string
	for _, a := range args {
		out = append(out, r.Replace(a))
	}
	return out
}

// check validates one health check and hands every fault to fault, with the key
// it is about.
func (c *HealthCheck) check(fault func(key, hint, format string, args ...any)) {
	c.checkKind(fault)
	known := true
	for _, text := range append(append([]string{c.HTTP, c.TCP}, c.Command...), c.Program...) {
		known = c.checkPlaceholders(text, fault) && known
	}
	if known {
		c.checkNetwork(fault)
	}
	c.checkArguments(fault)
	for _, key := range []string{"status", "body"} {
		if c.IsSet(key) && c.HTTP == "" {
			fault(key, "", "key %q in [health.%s] is only for http", key, c.Name)
		}
	}
	if c.Status < 100 || c.Status > 599 {
		fault("status", "", "key \"status\" in [health.%s]: %d is not an HTTP status", c.Name, c.Status)
	}
	if c.Passes < 1 || c.Passes > 1000 {
		fault("passes", "", "key \"passes\" in [health.%s] is a number from 1 to 1000, not %d", c.Name, c.Passes)
	}
	if c.Timeout <= 0 {
		fault("timeout", "", "key \"timeout\" in [health.%s] must be more than 0", c.Name)
	}
	if c.Deadline < c.Timeout {
		fault("deadline", "", "key \"deadline\" in [health.%s]: %s is less than the timeout of one try, %s", c.Name, FormatDuration(c.Deadline), FormatDuration(c.Timeout))
	}
}

// checkKind demands exactly one kind, and none of basic.
func (c *HealthCheck) checkKind(fault func(key, hint, format string, args ...any)) {
	var kinds []string
	for _, k := range []string{"http", "tcp", "command", "program", "systemd"} {
		if c.IsSet(k) {
			kinds = append(kinds, k)
		}
	}
	switch {
	case c.Name == BasicCheck && len(kinds) > 0:
		fault(kinds[0], "give your check another name", "[health.basic] is built in and takes no %q", kinds[0])
	case c.Name != BasicCheck && len(kinds) == 0:
		fault("", "", "[health.%s] wants one of http, tcp, command, program and systemd", c.Name)
	case len(kinds) > 1:
		fault(kinds[1], "make two checks of it", "[health.%s] wants one of http, tcp, command, program and systemd, not %s", c.Name, strings.Join(kinds, " and "))
	}
}

// placeholder finds what looks like one.
var placeholder = regexp.MustCompile(`\{[A-Za-z_]*\}`)

// checkPlaceholders reports whether all placeholders are known.
func (c *HealthCheck) checkPlaceholders(text string, fault func(key, hint, format string, args ...any)) bool {
	ok := true
	for _, p := range placeholder.FindAllString(text, -1) {
		if p != "{address}" && p != "{host}" {
			ok = false
			fault(string(c.Kind()), "", "[health.%s]: placeholder %q is not {address} or {host}", c.Name, p)
		}
	}
	return ok
}

// checkNetwork validates a URL and an address with a port.
func (c *HealthCheck) checkNetwork(fault func(key, hint, format string, args ...any)) {
	sample := c.For(&Host{Name: "host", Address: "192.0.2.1"})
	if c.HTTP != "" {
		u, err := url.Parse(sample.HTTP)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
			fault("http", "", "key \"http\" in [health.%s]: %q is not an http or https URL", c.Name, c.HTTP)
		case u.User != nil:
			fault("http", "secrets never stand in a site: use a program that reads its own", "key \"http\" in [health.%s] must not have a user or password", c.Name)
		}
	}
	if c.IsSet("http") && c.HTTP == "" {
		fault("http", "", "key \"http\" in [health.%s] is empty", c.Name)
	}
	if c.IsSet("tcp") {
		host, port, err := net.SplitHostPort(sample.TCP)
		n, errPort := strconv.Atoi(port)
		if err != nil || errPort != nil || n < 1 || n > 65535 || checkAddress(host) != nil {
			fault("tcp", `write it like "{address}:443"`, "key \"tcp\" in [health.%s]: %q is not an address and a port", c.Name, c.TCP)
		}
	}
}

// checkArguments validates argument lists and units.
func (c *HealthCheck) checkArguments(fault func(key, hint, format string, args ...any)) {
	for _, l := range []struct {
		key  string
		args []string
	}{{"command", c.Command}, {"program", c.Program}} {
		if !c.IsSet(l.key) {
			continue
		}
		if err := checkProgramArgs(l.args); err != nil {
			fault(l.key, "", "key %q in [health.%s]: %s", l.key, c.Name, err)
		}
	}
	if c.IsSet("systemd") && len(c.Systemd) == 0 {
		fault("systemd", "", "key \"systemd\" in [health.%s] is empty", c.Name)
	}
	for _, u := range c.Systemd {
		if !unitName().MatchString(u) {
			fault("systemd", "", "key \"systemd\" in [health.%s]: %q is not the name of a unit", c.Name, clip(u))
		}
	}
}

// unitName is what systemd accepts in names of units (systemd.unit(5)).
var unitName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9:_.\\@-]{0,254}$`) })

// checkProgramArgs demands an argument list with an absolute path (SEC-1).
func checkProgramArgs(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf(`wants arguments like ["/usr/bin/test", "-f", "/x"]`)
	}
	if !filepath.IsAbs(args[0]) || strings.Contains(args[0], "{") {
		return fmt.Errorf("%q is not the absolute path of a program; there is no shell and no search path", clip(args[0]))
	}
	return nil
}
