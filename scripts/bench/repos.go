package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cpacman/internal/host"
	"cpacman/internal/store"
)

// repoRounds is how often reading repositories is measured.
const repoRounds = 5

// largeRepo is the id of the synthetic repository.
const largeRepo = "synthetic"

func (b *bench) largePath() string { return filepath.Join(b.o.work, "synthetic") }

// repos measures what a large repository costs: read for the first time, read again unchanged, and planned from. The peers read the same
// files; dnf also for the same rpm database.
func (b *bench) repos(ctx context.Context) error {
	s := synthetic{packages: b.o.large, random: rand.New(rand.NewPCG(1, 2))}
	if err := s.write(b.largePath()); err != nil {
		return err
	}
	b.say("made a repository of %d packages", b.o.large)
	if err := b.addLarge(); err != nil {
		return err
	}
	if err := b.reading(ctx); err != nil {
		return err
	}
	if err := b.planningLarge(ctx); err != nil {
		return err
	}
	leaves, err := b.leafFiller(ctx)
	if err != nil {
		return err
	}
	return b.planningMany(ctx, many{part: "repos", site: b.siteDir(), host: b.hosts[0].Name, leaves: leaves, dir: b.o.work, like: "hosts"})
}

// addLarge adds the repository to the site.
func (b *bench) addLarge() error {
	text := b.siteFile() + fmt.Sprintf("\n[[repo]]\nid = %q\npath = %q\nsigned = \"optional\"\n", largeRepo, b.largePath())
	return os.WriteFile(filepath.Join(b.siteDir(), "cpacman.toml"), []byte(text), 0o600)
}

// reading compares the first reading and the next ones.
func (b *bench) reading(ctx context.Context) error {
	cold := b.contest("repos", "cpacman repo list, first reading", b.cpacman(nil, "repo", "list"))
	cold.before = func(context.Context) error { return os.RemoveAll(filepath.Join(b.siteDir(), "state", "repos")) }
	warm := b.contest("repos", "cpacman repo list, unchanged", b.cpacman(nil, "repo", "list"))
	cold.series.ours, warm.series.ours = true, true
	list := []*contestant{cold, warm}
	var solv, cache, open *contestant
	if path, found := b.peer("repo2solv"); found {
		solv = b.contest("repos", "repo2solv", program{argv: []string{path, "-o", filepath.Join(b.o.work, "out.solv"), b.largePath()}})
		list = append(list, solv)
	}
	argv, err := b.dnfLarge(ctx, "")
	if err != nil {
		return err
	}
	if argv != nil {
		cache = b.contest("repos", "dnf makecache", program{argv: append(slices.Clone(argv), "makecache")})
		cache.before = func(context.Context) error { return b.dropDNFCache() }
		open = b.contest("repos", "dnf repoquery, cached", program{argv: append(slices.Clone(argv), "-C", "repoquery", "no-such-package")})
		list = append(list, cache, open)
	}
	if err := b.rounds(ctx, repoRounds, list); err != nil {
		return err
	}
	b.compareTimes(fmt.Sprintf("first reading of %d packages", b.o.large), cold, solv, &target{limit: 1, atMost: true})
	b.compareTimes(fmt.Sprintf("first reading of %d packages", b.o.large), cold, cache, &target{limit: 1, atMost: true})
	b.compareTimes("reading them again", warm, open, &target{limit: 0.2, atMost: true})
	b.compareMemory("memory of the first reading", cold, cache)
	return nil
}

// dropDNFCache removes what dnf keeps: below its root too, where it looks for the configured directory first.
func (b *bench) dropDNFCache() error {
	dir := filepath.Join(b.o.work, "dnf/cache")
	return errors.Join(os.RemoveAll(dir), os.RemoveAll(filepath.Join(b.o.work, "dnf/root", dir)))
}

// compareMemory adds the ratio of two peaks.
func (b *bench) compareMemory(what string, ours, peer *contestant) {
	if peer == nil {
		return
	}
	o, p := ours.series.peak(), peer.series.peak()
	b.report.compare(comparison{what: what + " / " + peer.series.name, ours: megabytes(o), peer: megabytes(p), ratio: float64(o) / float64(p),
		target: &target{limit: 1, atMost: true}})
}

// dnfLarge is dnf's command line over all repositories; hostName's rpm database is its root, or an empty one. Nil: it is not installed.
func (b *bench) dnfLarge(ctx context.Context, hostName string) ([]string, error) {
	if hostName == "" {
		hostName = b.hosts[0].Name
	}
	c, err := b.dnf(ctx, hostName)
	if c == nil || err != nil {
		return nil, err
	}
	b.report.series = slices.DeleteFunc(b.report.series, func(s *series) bool { return s == c.series })
	conf := filepath.Join(b.o.work, "dnf/dnf.conf")
	text, err := os.ReadFile(conf)
	if err != nil {
		return nil, fmt.Errorf("prepare dnf: %w", err)
	}
	text = fmt.Appendf(text, "[%[1]s]\nname=%[1]s\nbaseurl=file://%[2]s\n\n", largeRepo, b.largePath())
	if err := os.WriteFile(conf, text, 0o600); err != nil {
		return nil, fmt.Errorf("prepare dnf: %w", err)
	}
	i := slices.Index(c.program.argv, "-C")
	return c.program.argv[:i], nil
}

// planningLarge compares the plan of one host, with the large repository in its view.
func (b *bench) planningLarge(ctx context.Context) error {
	name := b.hosts[0].Name
	if _, err := b.time(ctx, "facts-for-large", b.cpacman(b.factsCheck, "facts", "all")); err != nil {
		return err
	}
	planFile := filepath.Join(b.o.work, "large.json")
	ours := b.contest("repos", "cpacman plan --stored, one host, large view", b.cpacman(nil, "plan", "--stored", name, "--out", planFile))
	ours.series.ours = true
	list := []*contestant{ours}
	argv, err := b.dnfLarge(ctx, name)
	if err != nil {
		return err
	}
	var peer *contestant
	if argv != nil {
		if _, err := b.time(ctx, "dnf-makecache-large", program{argv: append(slices.Clone(argv), "makecache")}); err != nil {
			return err
		}
		peer = b.contest("repos", "dnf check-update, large view", program{argv: append(slices.Clone(argv), "-C", "check-update"), okStatus: []int{100}})
		list = append(list, peer)
	}
	if err := b.warmRounds(ctx, planRounds, list); err != nil {
		return err
	}
	b.compareTimes(fmt.Sprintf("plan of one host, %d packages", b.o.large), ours, peer, &target{limit: 0.1, atMost: true})
	b.compareMemory("memory of that plan", ours, peer)
	return nil
}

// The fleet of planningMany.
const (
	manyHosts          = 10_000
	manyConfigurations = 20
)

// many says of what planningMany makes its fleets: of the stored facts of a host of a site, less one of the leaves for each configuration but the first.
type many struct {
	part, site, host string
	leaves           []string // packages that nothing needs
	dir              string   // where the sites of the fleets go
	like             string   // words for what the hosts are like
}

// leafFiller are filler packages of the lab's hosts that nothing requires.
func (b *bench) leafFiller(ctx context.Context) ([]string, error) {
	db, err := store.Open(ctx, filepath.Join(b.siteDir(), "state"))
	if err != nil {
		return nil, err
	}
	defer db.Close()
	facts, err := db.Facts(ctx, b.hosts[0].Name)
	if err != nil {
		return nil, err
	}
	var filler []string
	for _, p := range facts.Packages {
		if strings.HasPrefix(p.Name, "filler-") {
			filler = append(filler, p.Name)
		}
	}
	if slices.Sort(filler); len(filler) < manyConfigurations {
		return nil, fmt.Errorf("%s has %d filler packages, and %d configurations differ by one", facts.Host, len(filler), manyConfigurations)
	}
	return filler[len(filler)-manyConfigurations+1:], nil // they require those before them
}

// planningMany compares many hosts of few configurations with one host of each: what is the same is solved once (PLAN-11).
func (b *bench) planningMany(ctx context.Context, m many) error {
	var few, many []*contestant
	for _, n := range []int{manyConfigurations, manyHosts} {
		dir := filepath.Join(m.dir, fmt.Sprintf("many-%d", n))
		if err := m.write(ctx, dir, n); err != nil {
			return err
		}
		c := b.contest(m.part, fmt.Sprintf("cpacman plan --stored, %d %s in %d configurations", n, m.like, manyConfigurations),
			program{argv: []string{b.tool("cpacman"), "--site", dir, "plan", "--stored", "--out", filepath.Join(dir, "plan.json")}, check: solved(n)})
		// Not .ours: the limit of memory is for a lab of real hosts, and many hosts need more.
		if n == manyHosts {
			many = append(many, c)
		} else {
			few = append(few, c)
		}
	}
	list := append(few, many...)
	if err := b.warmRounds(ctx, planRounds, list); err != nil {
		return err
	}
	b.compareTimes(fmt.Sprintf("plan of %d %s", manyHosts, m.like), many[0], few[0], &target{limit: 1.5, atMost: true})
	b.report.note("Planning %d %s took %s of memory at most.", manyHosts, m.like, megabytes(many[0].series.peak()))
	return nil
}

// solved wants a line for every host.
func solved(hosts int) func(string) error {
	return atLeast(hosts, "planned hosts", func(line string) bool {
		w := strings.Fields(line)
		return len(w) > 4 && strings.HasPrefix(w[0], "many") && w[3] == "planned"
	})
}

// write makes a site of n hosts.
func (m *many) write(ctx context.Context, dir string, n int) error {
	if err := os.CopyFS(dir, os.DirFS(m.site)); err != nil {
		return fmt.Errorf("make a site of %d hosts: %w", n, err)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	var inventory strings.Builder
	for i := range n {
		fmt.Fprintf(&inventory, "[host.many%05d]\naddress = \"192.0.2.1\"\nclass = \"production\"\nlevel = \"broad\"\n\n", i)
	}
	if err := os.WriteFile(filepath.Join(dir, "inventory/lab.toml"), []byte(inventory.String()), 0o600); err != nil {
		return err
	}
	db, err := store.Open(ctx, filepath.Join(dir, "state"))
	if err != nil {
		return err
	}
	defer db.Close()
	facts, err := db.Facts(ctx, m.host)
	if err != nil {
		return err
	}
	var lists [manyConfigurations]*host.Facts
	for i := range lists {
		one := *facts
		if i > 0 {
			one.Packages = slices.DeleteFunc(slices.Clone(facts.Packages), func(p host.Package) bool { return p.Name == m.leaves[i-1] })
		}
		one.InstalledDigest = host.InstalledDigest(one.Packages)
		lists[i] = &one
	}
	for i := range n {
		one := *lists[i%manyConfigurations]
		one.Host, one.MachineID = fmt.Sprintf("many%05d", i), fmt.Sprintf("%032x", i+1)
		if err := db.PutFacts(ctx, &one); err != nil {
			return err
		}
	}
	return nil
}
