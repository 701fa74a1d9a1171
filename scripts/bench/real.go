package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// realPart measures planning of a host of the caller's, over repositories of theirs: what a host costs depends on what it has and on what is new for it.
const realPart = "real"

// realHost is what the options say of that host.
type realHost struct {
	database string   // its rpmdb.sqlite
	release  string   // as rhel7.2
	kernel   string   // as uname -r prints it
	repos    []string // directories with repodata
}

// check refuses what cannot work. The part wants all of it, and it is of no use to others.
func (r *realHost) check(asked bool) error {
	given := r.database != "" || len(r.repos) > 0
	switch {
	case asked && (r.database == "" || len(r.repos) == 0 || r.release == "" || r.kernel == ""):
		return fmt.Errorf("%w: the part %s wants --rpmdb FILE, --release NAME, --kernel VERSION and --repo DIR", errUsage, realPart)
	case !asked && given:
		return fmt.Errorf("%w: --rpmdb and --repo are for the part %s, which is not among those named", errUsage, realPart)
	case strings.Trim(r.release, "0123456789.") == r.release && asked:
		return fmt.Errorf("%w: --release %q: a name and a version, as in rocky9 or rhel7.2", errUsage, r.release)
	}
	return nil
}

// version is the release as dnf wants it: the major number.
func (r *realHost) version() string {
	major, _, _ := strings.Cut(r.release[strings.IndexAny(r.release, "0123456789"):], ".")
	return major
}

const realName = "real"

func (b *bench) realDir(name string) string { return filepath.Join(b.o.work, realPart, name) }

// real compares as the part repos does: one host with dnf, and ten thousand hosts in twenty configurations with one of each.
func (b *bench) real(ctx context.Context) error {
	if err := b.realSite(ctx); err != nil {
		return err
	}
	site := b.realDir("site")
	ours := b.contest(realPart, "cpacman plan --stored, a host of yours", program{argv: []string{b.tool("cpacman"), "--site", site, "plan", "--stored", realName,
		"--out", b.realDir("plan.json")}})
	list := []*contestant{ours}
	root, err := b.realRoot()
	if err != nil {
		return err
	}
	peer, err := b.realDNF(ctx, root)
	if err != nil {
		return err
	}
	if peer != nil {
		list = append(list, peer)
	}
	if err := b.warmRounds(ctx, planRounds, list); err != nil {
		return err
	}
	b.compareTimes("plan of a host of yours", ours, peer, &target{limit: 0.1, atMost: true})
	b.compareMemory("memory of that plan", ours, peer)
	if err := b.planAnswers(b.realDir("plan.json"), peer); err != nil {
		return err
	}
	leaves, err := b.leaves(ctx, root)
	if err != nil {
		return err
	}
	return b.planningMany(ctx, many{part: realPart, site: site, host: realName, leaves: leaves, dir: filepath.Join(b.o.work, realPart), like: "hosts like yours"})
}

// realSite makes a site of that host, with its facts.
func (b *bench) realSite(ctx context.Context) error {
	site := b.realDir("site")
	if err := os.MkdirAll(filepath.Join(site, "inventory"), 0o700); err != nil {
		return fmt.Errorf("make a site: %w", err)
	}
	var text strings.Builder
	text.WriteString("[[class]]\nname = \"production\"\n\n[[level]]\nname = \"broad\"\n")
	for i, dir := range b.o.real.repos {
		fmt.Fprintf(&text, "\n[[repo]]\nid = \"repo%d\"\npath = %q\nsigned = \"optional\"\n", i, dir)
	}
	hosts := "[host." + realName + "]\naddress = \"192.0.2.1\"\nclass = \"production\"\nlevel = \"broad\"\n"
	for name, content := range map[string]string{"cpacman.toml": text.String(), "inventory/lab.toml": hosts} {
		if err := os.WriteFile(filepath.Join(site, name), []byte(content), 0o600); err != nil {
			return fmt.Errorf("make a site: %w", err)
		}
	}
	_, err := b.time(ctx, "real-facts", program{argv: []string{b.tool("cpacman"), "--site", site, "facts", "--import", b.o.real.database, "--host", realName,
		"--import-os", b.o.real.release, "--import-arch", "x86_64", "--import-kernel", b.o.real.kernel}})
	return err
}

// realRoot makes a root with the rpm database.
func (b *bench) realRoot() (string, error) {
	root := b.realDir("root")
	dir := filepath.Join(root, "var/lib/rpm")
	data, err := os.ReadFile(b.o.real.database)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "rpmdb.sqlite"), data, 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("copy the rpm database: %w", err)
	}
	return root, nil
}

// realDNF prepares dnf check-update over the same, for a root. Nil: it is not installed.
func (b *bench) realDNF(ctx context.Context, root string) (*contestant, error) {
	path, found := b.peer("dnf")
	if !found {
		return nil, nil
	}
	repos := make([]dnfRepo, len(b.o.real.repos))
	for i, dir := range b.o.real.repos {
		repos[i] = dnfRepo{fmt.Sprintf("repo%d", i), dir}
	}
	file, err := configureDNF(b.realDir("dnf"), repos)
	if err != nil {
		return nil, err
	}
	argv := []string{path, "-q", "-c", file, "--installroot=" + root, "--releasever=" + b.o.real.version(), "--forcearch=x86_64"}
	if _, err := b.time(ctx, "real-makecache", program{argv: append(argv, "makecache")}); err != nil {
		return nil, err
	}
	return b.contest(realPart, "dnf check-update, a host of yours", program{argv: append(argv, "-C", "check-update"), okStatus: []int{100}}), nil
}

// leaves are packages installed in a root that nothing there needs, as many as it takes to make the configurations differ.
func (b *bench) leaves(ctx context.Context, root string) ([]string, error) {
	database := "--dbpath=" + filepath.Join(root, "var/lib/rpm")
	names, err := b.quick(ctx, "rpm", database, "-qa", "--qf", `%{NAME}\n`)
	if err != nil {
		return nil, err
	}
	seen := map[string]int{}
	for _, name := range strings.Fields(names) {
		seen[name]++
	}
	var out []string
	for _, name := range strings.Fields(names) {
		if seen[name] > 1 || name == "gpg-pubkey" {
			continue
		}
		if _, err := b.quick(ctx, "rpm", database, "-e", "--test", name); err == nil {
			out = append(out, name)
		}
		if len(out) == manyConfigurations-1 {
			return out, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return nil, errors.New("the host has too few packages that nothing needs: configurations that differ by one cannot be made of it")
}
