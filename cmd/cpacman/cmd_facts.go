package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"cpacman/internal/fleet"
	"cpacman/internal/host"
	"cpacman/inventory"
	"cpacman/planner"
)

func factsCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "facts",
		Usage:     "ask hosts what they have, and store it",
		ArgsUsage: "[SELECTOR]",
		Description: "Asks over SSH, one round trip a host; a host whose package database did not change is not listed again.\n" +
			"--import stores the facts of a host that cannot be reached: a listing of `rpm -qa`, or its rpmdb.sqlite.",
		Flags: outputFlags(
			&cli.BoolFlag{Name: "stored", Usage: "print what is stored; ask nobody"},
			&cli.BoolFlag{Name: "force", Usage: "list packages even where the database did not change"},
			&cli.StringFlag{Name: "import", Usage: "read facts of one host from `FILE` instead"},
			&cli.StringFlag{Name: "host", Usage: "the `HOST` that --import is for"},
			&cli.StringFlag{Name: "import-os", Usage: "release of the imported host, as in rocky9 or rhel7.2 (default: the inventory's os)"},
			&cli.StringFlag{Name: "import-arch", Usage: "arch of the imported host (default: the inventory's arch, else x86_64)"},
			&cli.StringFlag{Name: "import-kernel", Usage: "running kernel of the imported host, as uname -r prints it"},
		),
		Action: func(c *cli.Context) error {
			if err := factsConflict(c); err != nil {
				return err
			}
			s, err := e.open(c)
			if err != nil {
				return err
			}
			defer s.Close()
			switch {
			case c.IsSet("import"):
				return s.importFacts()
			case c.Bool("stored"):
				return s.showStoredFacts()
			}
			return s.collectFacts()
		},
	}
}

// factsConflict refuses flags that ask for different things.
func factsConflict(c *cli.Context) error {
	if c.IsSet("import") {
		if c.Args().Present() {
			return usagef("--import is for the one host that --host names, not for %q", c.Args().First())
		}
		if c.Bool("stored") || c.Bool("force") {
			return usagef("--import asks nobody; leave --stored and --force out")
		}
		return nil
	}
	for _, name := range []string{"host", "import-os", "import-arch", "import-kernel"} {
		if c.IsSet(name) {
			return usagef("--%s goes with --import; name hosts as arguments", name)
		}
	}
	if c.Bool("stored") && c.Bool("force") {
		return usagef("--stored asks nobody; leave --force out")
	}
	return nil
}

// collect asks the hosts with progress on stderr.
func (s *session) collect(hosts []*inventory.Host, force bool) ([]fleet.FactsResult, error) {
	defer boundMemory(min(len(hosts), s.site.Limits.Connections), memoryForFacts)()
	bar := s.newCounter("facts", len(hosts))
	defer bar.done()
	return s.fleet.CollectFacts(s.ctx, s.repos, hosts, fleet.CollectOptions{Force: force, Observe: func(r fleet.FactsResult) {
		if r.Err != nil {
			text := strings.TrimPrefix(r.Err.Error(), r.Host.Name+": ") // some errors begin with the host, some do not
			bar.note("%s: %s", r.Host.Name, text)
		}
		bar.add()
	}})
}

func (s *session) collectFacts() error {
	hosts, _, err := s.selected(s.c.Args().Slice(), false)
	if err != nil {
		return err
	}
	results, err := s.collect(hosts, s.c.Bool("force"))
	if err != nil {
		return err
	}
	failed, unreachable := 0, 0
	for _, r := range results {
		_, away := r.Host.Maintenance(s.now())
		switch {
		case r.Err == nil, away: // a host in maintenance may be anything
		case fleet.ErrorKind(r.Err) == "unreachable":
			unreachable++
		default:
			failed++
		}
	}
	s.facts = nil
	if err := s.printFacts(hosts, true); err != nil {
		return err
	}
	if err := s.twins(); err != nil {
		return err
	}
	switch {
	case failed > 0:
		return &statusError{status: statusFailed, err: fmt.Errorf("%d of %d hosts gave no facts", failed+unreachable, len(hosts)), hint: "the lines above say why, host by host"}
	case unreachable > 0:
		return &statusError{status: statusUnreachable, err: fmt.Errorf("%d of %d hosts could not be reached", unreachable, len(hosts))}
	}
	s.say("next: cpacman plan")
	return nil
}

func (s *session) showStoredFacts() error {
	hosts, _, err := s.selected(s.c.Args().Slice(), false)
	if err != nil {
		return err
	}
	if err := s.printFacts(hosts, false); err != nil {
		return err
	}
	return s.twins()
}

// factsRow is one host of the JSON output.
type factsRow struct {
	Host   string             `json:"host"`
	Status planner.HostStatus `json:"status"`
	Detail string             `json:"detail"`
	Facts  *host.Facts        `json:"facts"`
}

// printFacts prints the stored facts of hosts; in JSON with everything, in tables a line each.
func (s *session) printFacts(hosts []*inventory.Host, live bool) error {
	contacts, err := s.store.Contacts(s.ctx)
	if err != nil {
		return err
	}
	stored, err := s.storedFacts()
	if err != nil {
		return err
	}
	ids, err := s.fleet.Identities(s.ctx)
	if err != nil {
		return err
	}
	whole := s.c.String("output") == "json"
	d := data{columns: []string{"host", "state", "age", "os", "arch", "kernel", "packages", "failed_units", "reboot", "lock", "detail"}}
	list, now := make([]factsRow, 0, len(hosts)), s.now()
	for _, h := range hosts {
		contact, asked := contacts[h.Name]
		f := stored[h.Name]
		status, detail := s.fleet.Status(now, ids, h, f, contact, asked, live || asked && !contact.OK)
		if status == planner.StatusPlanned {
			status = "ok"
		}
		if f != nil && whole {
			if f, err = s.store.Facts(s.ctx, h.Name); err != nil {
				return err
			}
		}
		list = append(list, factsRow{h.Name, status, detail, f})
		row, err := s.factsLine(h, f, status, detail)
		if err != nil {
			return err
		}
		d.rows = append(d.rows, row)
	}
	d.value = list
	return s.emit(s.c, d)
}

func (s *session) factsLine(h *inventory.Host, f *host.Facts, status planner.HostStatus, detail string) ([]string, error) {
	if f == nil {
		return []string{h.Name, string(status), "", "", "", "", "", "", "", "", detail}, nil
	}
	n, known := s.counts[f.InstalledDigest]
	if !known {
		packages, err := s.store.Installed(s.ctx, f.InstalledDigest)
		if err != nil {
			return nil, err
		}
		n = len(packages)
		s.counts[f.InstalledDigest] = n
	}
	units := "unknown"
	if f.FailedUnits != nil {
		units = strconv.Itoa(len(f.FailedUnits))
	}
	reboot := "unknown" // an import cannot tell
	switch {
	case f.Reboot == nil:
	case f.Reboot.Needed:
		reboot = "needed"
	default:
		reboot = "no"
	}
	lock := "unknown"
	if f.Lock != nil {
		lock = "free"
		if f.Lock.Held {
			lock = fmt.Sprintf("held by %d %s", f.Lock.PID, f.Lock.Command)
		}
	}
	return []string{h.Name, string(status), age(s.now().Sub(f.CollectedAt)), fleet.OSName(f.OS), f.Arch, f.Kernel, strconv.Itoa(n), units, reboot, lock, detail}, nil
}

// age writes how old something is, in the largest unit that fits.
func age(d time.Duration) string {
	switch {
	case d < 0:
		return "in the future"
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + "m"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + "h"
	}
	return strconv.Itoa(int(d.Hours()/24)) + "d"
}

// maxImportWarnings bounds what is said of lines that cannot be read.
const maxImportWarnings = 20

// maxListing bounds an imported listing: 64 MiB.
const maxListing = 64 << 20

// importFacts stores the facts of a host that cannot be reached (FACT-5).
func (s *session) importFacts() error {
	name := s.c.String("host")
	if name == "" {
		return usagef("--import wants --host NAME: whose facts these are")
	}
	h := s.site.Host(name)
	if h == nil {
		return inputError{err: fmt.Errorf("host %s is not in the inventory", name), hint: "cpacman inventory list prints the hosts"}
	}
	f, warnings, err := s.readImport(s.c.String("import"), h)
	for _, w := range warnings[:min(len(warnings), maxImportWarnings)] {
		s.say("warning: %s", shortened(w))
	}
	if more := len(warnings) - maxImportWarnings; more > 0 {
		s.say("warning: and %d lines more", more)
	}
	if err != nil {
		return err
	}
	if err := s.store.PutFacts(s.ctx, f); err != nil {
		return err
	}
	s.say("stored facts of %s: %d packages, %s", h.Name, len(f.Packages), f.Source)
	s.facts = nil
	return s.printFacts([]*inventory.Host{h}, false)
}

func (s *session) readImport(path string, h *inventory.Host) (*host.Facts, []string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, inputError{err: fmt.Errorf("import facts of %s: %w", h.Name, err)}
	}
	defer file.Close()
	magic := make([]byte, 16)
	n, _ := file.ReadAt(magic, 0)
	var f *host.Facts
	var warnings []string
	switch {
	case string(magic[:n]) == "SQLite format 3\x00":
		var headers map[string][]byte
		if f, headers, err = host.ImportDatabase(s.ctx, path, h.Name, s.now()); err == nil {
			err = s.store.PutHeaders(s.ctx, headers)
		}
	case bytes.IndexByte(magic[:n], 0) >= 0 || bytes.HasPrefix(magic, []byte{0x1f}): // Berkeley DB (to RHEL 8), ndb (SUSE), gzip
		return nil, nil, inputError{err: fmt.Errorf("import facts of %s: %s is neither a listing nor an rpmdb.sqlite; databases of other kinds and packed files are not read", h.Name, path),
			hint: `on the host: rpm -qa --qf '%{NAME}-%{EPOCH}:%{VERSION}-%{RELEASE}.%{ARCH}\n' >listing.txt`}
	default:
		f, warnings, err = host.ImportListing(&limited{file, maxListing}, h.Name, s.now())
		switch {
		case errors.Is(err, host.ErrUnreadable):
			err = errors.New("no line of it is a package: this is no listing of rpm -qa; nothing was stored")
		case err == nil && len(warnings) >= len(f.Packages):
			err = fmt.Errorf("%d lines are no packages and %d are: this is no listing of rpm -qa; nothing was stored", len(warnings), len(f.Packages))
		}
	}
	if err != nil {
		return nil, warnings, inputError{err: fmt.Errorf("import facts of %s from %s: %w", h.Name, path, err)}
	}
	return f, warnings, s.completeImport(f, h)
}

// completeImport adds what a listing cannot tell, from flags and the inventory.
func (s *session) completeImport(f *host.Facts, h *inventory.Host) error {
	release := s.c.String("import-os")
	if release == "" {
		release = h.OS
	}
	if release != "" {
		f.OS = parseOS(release)
	}
	switch {
	case s.c.String("import-arch") != "":
		f.Arch = s.c.String("import-arch")
	case h.Arch != "":
		f.Arch = h.Arch
	case f.Arch == "":
		f.Arch = "x86_64"
	}
	if k := s.c.String("import-kernel"); k != "" {
		f.Kernel = k
	}
	return nil
}

// parseOS reads "rocky9" or "rhel7.2".
func parseOS(s string) host.OS {
	for i, r := range s {
		if r >= '0' && r <= '9' && i > 0 {
			return host.OS{ID: s[:i], VersionID: s[i:]}
		}
	}
	return host.OS{ID: s}
}

// limited is a reader that fails past its limit instead of ending early.
type limited struct {
	r    *os.File
	left int64
}

// Read implements io.Reader.
func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errors.New("the file is too large to be a package listing")
	}
	if int64(len(p)) > l.left {
		p = p[:l.left]
	}
	n, err := l.r.Read(p)
	l.left -= int64(n)
	return n, err
}
