package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"cpacman/internal/fleet"
	"cpacman/internal/host"
	"cpacman/internal/store"
	"cpacman/inventory"
)

// session is an opened site with its state.
type session struct {
	*env
	c     *cli.Context
	site  *inventory.Site
	store *store.Store
	fleet *fleet.Fleet
	repos *fleet.Repos
	facts map[string]*host.Facts // stored ones, without packages; read at first use
	ahead *readAhead             // of a plan from stored facts; else nil

	engine bool           // this process is an engine of its own, without a terminal
	counts map[string]int // packages of an installed digest
}

// loadSite finds and reads the site; what is wrong in it is printed, all of it, and is an input error.
func (e *env) loadSite(c *cli.Context) (*inventory.Site, error) {
	return e.loadSiteBy(c, inventory.Load)
}

func (e *env) loadSiteBy(c *cli.Context, load func(dir string) (*inventory.Site, error)) (*inventory.Site, error) {
	wd, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("find the site: %w", err)
	}
	dir, err := inventory.Find(inventory.FindOptions{Flag: c.String("site"), Env: e.getenv("CPACMAN_SITE"), WorkDir: wd})
	if err != nil {
		return nil, inputError{err: err, hint: "cpacman init DIR writes a new site"}
	}
	site, err := load(dir)
	var problems inventory.Problems
	if errors.As(err, &problems) {
		for _, p := range problems {
			e.say("%s", p.Error())
		}
		return nil, inputf("site %s: %d %s found; nothing was done", dir, len(problems), plural(len(problems), "problem", "problems"))
	}
	if err != nil {
		return nil, inputError{err: err}
	}
	e.stateDir = site.StateDir
	return site, nil
}

// open opens the site and its state. The caller closes the session.
func (e *env) open(c *cli.Context) (*session, error) {
	site, err := e.loadSite(c)
	if err != nil {
		return nil, err
	}
	return e.openSite(c, site, nil)
}

// openPlanning is open for a verb that plans all hosts from their stored facts: those are read beside the inventory.
func (e *env) openPlanning(c *cli.Context) (s *session, err error) {
	ahead := &readAhead{}
	defer func() {
		if s == nil {
			ahead.abandon()
		}
	}()
	site, err := e.loadSiteBy(c, func(dir string) (*inventory.Site, error) { return ahead.load(e.ctx, dir) })
	if err != nil {
		return nil, err
	}
	return e.openSite(c, site, ahead)
}

func (e *env) openSite(c *cli.Context, site *inventory.Site, ahead *readAhead) (*session, error) {
	if err := e.checkVerb(site, c); err != nil {
		return nil, err
	}
	s := &session{env: e, c: c, site: site, ahead: ahead, counts: map[string]int{}}
	s.fleet = fleet.New(site, nil, fleet.Options{
		Log: e.logger(c), Now: e.now, AgentSocket: e.getenv("SSH_AUTH_SOCK"), AskPassword: e.askPassword(),
	})
	s.repos = s.fleet.NewRepos()
	if ahead != nil {
		ahead.readView(s)
		s.store = ahead.state()
	}
	if s.store == nil {
		var err error
		if s.store, err = e.openStore(c, site); err != nil {
			s.fleet.Close()
			return nil, err
		}
	}
	s.fleet.Store = s.store
	return s, nil
}

// onlyLooks are the verbs that change nothing in the state and nothing on hosts.
var onlyLooks = []string{"inventory list", "inventory show", "rollout list", "rollout status", "rollout export", "audit drift", "audit trail",
	"audit trail verify", "audit trail head", "audit trail export"}

// openStore opens the state of a site. Where it cannot be written, who only looks is shown a copy: when a disk is full at night, it has to be
// seen what the rollouts do.
func (e *env) openStore(c *cli.Context, site *inventory.Site) (*store.Store, error) {
	st, err := store.Open(e.ctx, site.StateDir)
	if err == nil || !store.Unwritable(err) || !slices.Contains(onlyLooks, verbOf(c)) && (verbOf(c) != "facts" || !c.Bool("stored")) {
		return st, err
	}
	seen, copyErr := store.OpenCopy(e.ctx, site.StateDir)
	if copyErr != nil {
		return nil, fmt.Errorf("%w; and %w", err, copyErr)
	}
	e.say("warning: %v", err)
	e.say("warning: this is a copy of the state as it is now; nothing can be recorded until that is corrected")
	return seen, nil
}

// Close releases what open took.
func (s *session) Close() {
	s.ahead.wait()
	s.fleet.Close()
	s.store.Close()
}

// logger writes warnings to stderr, and everything with --verbose.
func (e *env) logger(c *cli.Context) *slog.Logger {
	level := slog.LevelWarn
	if c.Bool("verbose") {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(e.stderr, &slog.HandlerOptions{Level: level}))
}

// askPassword asks at the terminal, without echo; nil where there is none.
func (e *env) askPassword() func(context.Context, string) ([]byte, error) {
	if !e.terminal {
		return nil
	}
	return func(ctx context.Context, user string) ([]byte, error) {
		tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
		if err != nil {
			return nil, fmt.Errorf("ask for the sudo password: %w", err)
		}
		defer tty.Close()
		fmt.Fprintf(tty, "sudo password of %s: ", user)
		p, err := readPassword(ctx, tty)
		fmt.Fprintln(tty)
		return p, err
	}
}

// storedFacts reads what is stored of every host, once.
func (s *session) storedFacts() (map[string]*host.Facts, error) {
	if s.facts == nil {
		facts, err := s.fleet.StoredFacts(s.ctx)
		if err != nil {
			return nil, err
		}
		s.facts = facts
	}
	return s.facts, nil
}

// planFacts reads what a plan asks of all stored facts.
func (s *session) planFacts() (err error) {
	if s.ahead != nil && s.ahead.store != nil {
		<-s.ahead.end
		s.facts, err = s.ahead.facts, s.ahead.err
		return err
	}
	s.facts, err = fleet.PlanFacts(s.ctx, s.store)
	return err
}

// selected resolves the selector of the command line, over the inventory and stored facts. Without one it is all hosts, and
// their number is printed, unless spelled is set: then it must be written.
func (s *session) selected(args []string, spelled bool) ([]*inventory.Host, string, error) {
	if len(args) == 0 {
		if spelled {
			return nil, "", usageError{err: errors.New("no hosts named"), hint: "write a selector, or the word all for every host"}
		}
		args = []string{"all"}
	}
	facts, err := s.storedFacts()
	if err != nil {
		return nil, "", err
	}
	hosts, err := s.site.Select(args, fleet.FactsOf(facts))
	if err != nil {
		return nil, "", inputError{err: err, hint: severalHosts(args, err)}
	}
	text := strings.Join(args, " ")
	if text == "all" {
		s.say("all hosts: %d", len(hosts))
	}
	return hosts, text, nil
}

// firstOf is a host that a selector means, where that is seen without facts; else nil.
func (s *session) firstOf(args []string) *inventory.Host {
	switch {
	case len(s.site.Hosts) == 0 || len(args) > 1:
		return nil
	case len(args) == 0 || args[0] == "all":
		return s.site.Hosts[0]
	}
	return s.site.Host(args[0])
}

// firstPlanned is the first host of a plan that reads repositories, where that is seen without facts; else nil.
func (s *session) firstPlanned() *inventory.Host {
	if s.c.Bool("keys-only") {
		return nil
	}
	return s.firstOf(s.c.Args().Slice())
}

// severalHosts is the hint for hosts that were listed as if they were arguments of their own.
func severalHosts(args []string, err error) string {
	if len(args) < 2 || !errors.Is(err, inventory.ErrSelectorSyntax) {
		return ""
	}
	for _, a := range args {
		if strings.ContainsAny(a, " ()\"'") || a == "and" || a == "or" || a == "not" {
			return ""
		}
	}
	return fmt.Sprintf("the arguments are one selector; for several hosts write '%s'", someOf(args[:1], 1)+" or "+args[1])
}

// confirm asks a yes-or-no question unless --yes was given. Without a terminal to ask at, it is a usage error.
func (e *env) confirm(c *cli.Context, question string) error {
	if c.Bool("yes") {
		return nil
	}
	if !e.terminal {
		return usageError{err: errors.New("this asks for confirmation and there is no terminal"), hint: "give --yes"}
	}
	fmt.Fprintf(e.stderr, "%s [y/N] ", question)
	line, err := e.readLine()
	if err != nil {
		fmt.Fprintln(e.stderr)
		return fmt.Errorf("not confirmed, nothing was done: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return &statusError{status: statusFailed, err: errors.New("not confirmed; nothing was done")}
}

// readLine reads a line of the answers, as far as there is one; Ctrl-C ends the wait. The reader that is left behind then ends with the
// process.
func (e *env) readLine() (string, error) {
	lines := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(e.stdin).ReadString('\n')
		lines <- line
	}()
	select {
	case <-e.ctx.Done():
		return "", e.ctx.Err()
	case line := <-lines:
		return line, nil
	}
}

// readPassword reads a line without echo. Ctrl-C ends the wait, and leaves the terminal as it was.
func readPassword(ctx context.Context, tty *os.File) ([]byte, error) {
	fd := int(tty.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return nil, fmt.Errorf("ask for the sudo password: %w", err)
	}
	type answer struct {
		password []byte
		err      error
	}
	answers := make(chan answer, 1)
	go func() {
		p, err := term.ReadPassword(fd)
		answers <- answer{p, err}
	}()
	select {
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), term.Restore(fd, before))
	case a := <-answers:
		return a.password, a.err
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
