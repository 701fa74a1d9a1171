package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"cpacman/internal/fleet"
	"cpacman/inventory"
	"cpacman/transport"
)

func initCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:      "init",
		Usage:     "write a new site with comments",
		ArgsUsage: "[DIR]",
		Flags:     []cli.Flag{&cli.BoolFlag{Name: "dry-run", Usage: "only say what would be written"}},
		Action: func(c *cli.Context) error {
			dir := c.String("site")
			switch {
			case c.Args().Len() > 1 || c.Args().Len() == 1 && dir != "":
				return usagef("init wants one directory")
			case c.Args().Len() == 1:
				dir = c.Args().First()
			case dir == "":
				dir = "."
			}
			if c.Bool("dry-run") {
				e.say("would write %s and %s", filepath.Join(dir, "cpacman.toml"), filepath.Join(dir, "inventory"))
				return nil
			}
			if err := inventory.Init(dir); err != nil {
				return inputError{err: err}
			}
			e.say("wrote a site in %s; edit cpacman.toml and inventory/, then: cpacman --site %s inventory check", dir, dir)
			return nil
		},
	}
}

func inventoryCommand(e *env) *cli.Command {
	return &cli.Command{
		Name:  "inventory",
		Usage: "hosts, and what holds for them",
		Subcommands: []*cli.Command{
			{Name: "list", Usage: "list hosts", ArgsUsage: "[SELECTOR]", Flags: outputFlags(), Action: e.inventoryList},
			{Name: "show", Usage: "the settings in force for a host, and where each came from", ArgsUsage: "HOST", Flags: outputFlags(), Action: e.inventoryShow},
			{Name: "check", Usage: "validate the whole site, asking nobody", Flags: outputFlags(), Action: e.inventoryCheck},
			{Name: "policies", Usage: "list package policies: what they do, for which hosts, by whom, until when", Flags: outputFlags(), Action: e.inventoryPolicies},
			{
				Name: "scan-keys", Usage: "ask hosts for their host keys and add them to known_hosts", ArgsUsage: "SELECTOR",
				Description: "What a network scan brings is not verified: compare the printed fingerprints with the hosts' consoles.\n" +
					"A key that differs from one already known is never replaced.",
				Flags: outputFlags(
					&cli.BoolFlag{Name: "dry-run", Usage: "print the keys and write nothing"},
					&cli.BoolFlag{Name: "yes", Usage: "do not ask"},
				),
				Action: e.scanKeys,
			},
		},
	}
}

func (e *env) inventoryList(c *cli.Context) error {
	s, err := e.open(c)
	if err != nil {
		return err
	}
	defer s.Close()
	hosts, err := s.listed(c.Args().Slice())
	if err != nil {
		return err
	}
	type row struct {
		Host     string            `json:"host"`
		Address  string            `json:"address"`
		Class    string            `json:"class"`
		Level    string            `json:"level"`
		Groups   []string          `json:"groups"`
		Clusters []string          `json:"clusters"`
		Location string            `json:"location"`
		OS       string            `json:"os"`
		Arch     string            `json:"arch"`
		Meta     map[string]string `json:"meta"`
		State    string            `json:"state"`
		Until    string            `json:"until"`
		Reason   string            `json:"reason"`
	}
	list := make([]row, 0, len(hosts))
	d := data{columns: []string{"host", "address", "class", "level", "groups", "clusters", "location", "os", "arch", "state"}}
	for _, h := range hosts {
		state := h.StateAt(s.now())
		list = append(list, row{h.Name, h.Address, h.Class, h.Level, notNil(h.Groups), notNil(h.Clusters), h.Location, h.OS, h.Arch, h.Meta, string(state), h.Until.String(), h.Reason})
		d.rows = append(d.rows, []string{h.Name, h.Address, h.Class, h.Level, strings.Join(h.Groups, ","), strings.Join(h.Clusters, ","), h.Location, h.OS, h.Arch, string(state)})
	}
	d.value = list
	if len(list) == 0 {
		s.say("the site has no hosts: add a [host.NAME] to a file below inventory/")
	}
	return s.emit(c, d)
}

// notNil makes a nil list an empty one, which JSON writes as [].
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (e *env) inventoryShow(c *cli.Context) error {
	if c.Args().Len() != 1 {
		return usagef("inventory show wants one host")
	}
	s, err := e.open(c)
	if err != nil {
		return err
	}
	defer s.Close()
	h, err := s.host(c.Args().First())
	if err != nil {
		return err
	}
	facts, err := s.storedFacts()
	if err != nil {
		return err
	}
	settings := s.site.OriginsAt(h, fleet.FactsOf(facts), e.now())
	view := s.fleet.View(h, facts[h.Name])
	ids := make([]string, 0, len(view))
	for _, r := range view {
		ids = append(ids, fmt.Sprintf("%s (priority %d)", r.ID, r.Priority))
	}
	origin := "inventory; facts are not stored yet"
	if facts[h.Name] != nil {
		origin = "inventory and stored facts"
	}
	if w := s.windowNow(h); w != "" {
		settings = append(settings, inventory.Setting{Key: "window.now", Value: w, Origin: "the clock"})
	}
	settings = append(settings, inventory.Setting{Key: "view", Value: strings.Join(ids, ", "), Origin: origin})
	identity, err := s.identitySettings(h)
	if err != nil {
		return err
	}
	settings = append(settings, identity...)
	d := data{columns: []string{"setting", "value", "from"}, value: settings}
	for _, one := range settings {
		d.rows = append(d.rows, []string{one.Key, one.Value, one.Origin})
	}
	return s.emit(c, d)
}

// host finds one host by its exact name.
func (s *session) host(name string) (*inventory.Host, error) {
	if h := s.site.Host(name); h != nil {
		return h, nil
	}
	err := inputError{err: fmt.Errorf("host %q is not in the inventory", name), hint: "cpacman inventory list prints the hosts"}
	best := 3
	for _, h := range s.site.Hosts {
		if d := editDistance(name, h.Name); d < best {
			best, err.hint = d, fmt.Sprintf("did you mean %q?", h.Name)
		}
	}
	return nil, err
}

func (e *env) inventoryCheck(c *cli.Context) error {
	site, err := e.loadSite(c)
	if err != nil {
		return err
	}
	problems := append(inventory.Problems(site.Check()), append(site.CheckPolicies(nil, e.now()), site.CheckStates(e.now())...)...)
	problems = append(problems, site.CheckWindows(e.now())...)
	d := data{columns: []string{"severity", "file", "line", "message", "hint"}, value: notNil(problems)}
	for _, p := range problems {
		line := ""
		if p.Line > 0 {
			line = fmt.Sprint(p.Line)
		}
		d.rows = append(d.rows, []string{string(p.Severity), p.File, line, p.Message, p.Hint})
	}
	if len(problems) > 0 || c.String("output") != "table" {
		if err := e.emit(c, d); err != nil {
			return err
		}
	}
	if len(site.People) == 0 {
		e.say("note: there is no [person] table: every user who can use this site may do everything, and counts as a person of that name")
	}
	wrong, doubtful := len(problems.Errors()), len(problems.Warnings())
	e.say("%s: %d hosts, %d classes, %d levels, %d repositories: %d errors, %d warnings",
		site.Dir, len(site.Hosts), len(site.Classes), len(site.Levels), len(site.Repos), wrong, doubtful)
	if wrong > 0 {
		return inputf("the site has %d %s", wrong, plural(wrong, "error", "errors"))
	}
	return nil
}

// inventoryPolicies lists every policy, expired ones included (PLAN-9).
func (e *env) inventoryPolicies(c *cli.Context) error {
	s, err := e.open(c)
	if err != nil {
		return err
	}
	defer s.Close()
	facts, err := s.storedFacts()
	if err != nil {
		return err
	}
	list := s.site.PolicyList(fleet.FactsOf(facts), e.now())
	d := data{columns: []string{"policy", "priority", "hosts", "rules", "owner", "reason", "expires", "at"}, value: notNil(list)}
	for _, p := range list {
		rules := make([]string, len(p.Rules))
		for i, r := range p.Rules {
			rules[i] = r.String()
		}
		hosts := strconv.Itoa(len(p.Hosts))
		if p.Undecided > 0 {
			hosts += fmt.Sprintf(" (%d not known: no facts)", p.Undecided)
		}
		expires := p.Expires
		if p.Expired {
			expires += " (expired)"
		}
		d.rows = append(d.rows, []string{p.Name, strconv.Itoa(p.Priority), hosts, strings.Join(rules, "; "), p.Owner, p.Reason, expires, fmt.Sprintf("%s:%d", p.File, p.Line)})
	}
	if err := e.emit(c, d); err != nil {
		return err
	}
	e.say("%d %s; the larger priority wins, and a tie that disagrees is an error", len(list), plural(len(list), "policy", "policies"))
	repos := slices.Clone(s.site.Repos)
	slices.SortStableFunc(repos, func(a, b inventory.Repo) int { return cmp.Compare(a.Priority, b.Priority) })
	for _, r := range repos {
		e.say("repository %s", r.Words())
	}
	s.sayIdlePolicies(list)
	return nil
}

// scanned is the keys one host showed.
type scanned struct {
	host *inventory.Host
	keys []transport.ScannedKey
	err  error
}

func (e *env) scanKeys(c *cli.Context) error {
	s, err := e.open(c)
	if err != nil {
		return err
	}
	defer s.Close()
	hosts, _, err := s.selected(c.Args().Slice(), true)
	if err != nil {
		return err
	}
	found := make([]scanned, len(hosts))
	s.fleet.Each(s.ctx, len(hosts), func(i int) {
		keys, err := s.fleet.ScanKeys(s.ctx, hosts[i])
		found[i] = scanned{hosts[i], keys, err}
	})
	if err := s.printKeys(found); err != nil {
		return err
	}
	failed := 0
	byFile := map[string][]transport.ScannedKey{}
	for _, f := range found {
		if f.err != nil {
			failed++
			continue
		}
		file := s.site.Effective(f.host).SSH.KnownHosts
		byFile[file] = append(byFile[file], f.keys...)
	}
	if err := s.appendKeys(byFile); err != nil {
		return err
	}
	if failed > 0 {
		return &statusError{status: statusUnreachable, err: fmt.Errorf("%d of %d hosts showed no key", failed, len(hosts))}
	}
	return nil
}

func (s *session) printKeys(found []scanned) error {
	type row struct {
		Host        string `json:"host"`
		Type        string `json:"type"`
		Fingerprint string `json:"fingerprint"`
		Verified    bool   `json:"verified"`
		Error       string `json:"error"`
	}
	var list []row
	d := data{columns: []string{"host", "type", "fingerprint", "state"}}
	for _, f := range found {
		if f.err != nil {
			list = append(list, row{Host: f.host.Name, Error: f.err.Error()})
			d.rows = append(d.rows, []string{f.host.Name, "", "", f.err.Error()})
			continue
		}
		for _, k := range f.keys {
			list = append(list, row{Host: f.host.Name, Type: k.Key.Type(), Fingerprint: k.Fingerprint()})
			d.rows = append(d.rows, []string{f.host.Name, k.Key.Type(), k.Fingerprint(), "unverified"})
		}
	}
	d.value = notNil(list)
	return s.emit(s.c, d)
}

// appendKeys writes the new keys, after a yes, each known_hosts file in one step.
func (s *session) appendKeys(byFile map[string][]transport.ScannedKey) error {
	files := make([]string, 0, len(byFile))
	for f := range byFile {
		files = append(files, f)
	}
	sort.Strings(files)
	for _, file := range files {
		keys := byFile[file]
		if s.c.Bool("dry-run") {
			s.say("would add %d keys to %s", len(keys), file)
			continue
		}
		if err := s.confirm(s.c, fmt.Sprintf("add %d unverified keys to %s?", len(keys), file)); err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return fmt.Errorf("write %s: %w", file, err)
		}
		added, err := transport.AppendKnownHosts(file, keys, false)
		if err != nil {
			return inputError{err: err, hint: "a changed key is a rebuilt host or an attack: check at the console, remove the old line by hand, scan again"}
		}
		s.say("%s: %d keys added, %d were there", file, added, len(keys)-added)
	}
	return nil
}
