package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// planRounds is how often planning is measured: it is short, and a busy moment doubles it.
const planRounds = 15

// plan measures "what can be updated on this host", from stored facts and a warm cache,
// against dnf on a copy of that host's rpm database and the same repositories.
func (b *bench) plan(ctx context.Context) error {
	host := b.hosts[0].Name
	planFile := filepath.Join(b.o.work, "plan.json")
	// Also where the facts part has just run: then it is a short one.
	if _, err := b.time(ctx, "facts-for-plan", b.cpacman(b.factsCheck, "facts", "all")); err != nil {
		return err
	}
	ours := b.contest("plan", "cpacman plan --stored, one host", b.cpacman(nil, "plan", "--stored", host, "--out", planFile))
	whole := b.contest("plan", fmt.Sprintf("cpacman plan --stored, %d hosts", b.o.hosts), b.cpacman(nil, "plan", "--stored", "all", "--out", planFile+".all"))
	ours.series.ours, whole.series.ours = true, true
	list := []*contestant{ours, whole}
	peer, err := b.dnf(ctx, host)
	if err != nil {
		return err
	}
	if peer != nil {
		list = append(list, peer)
	}
	if err := b.warmRounds(ctx, planRounds, list); err != nil {
		return err
	}
	b.compareTimes("plan of one host", ours, peer, nil)
	return b.planAnswers(planFile, peer)
}

// dnf prepares a root with the host's rpm database. Nil: it is not installed.
func (b *bench) dnf(ctx context.Context, host string) (*contestant, error) {
	path, found := b.peer("dnf")
	if !found {
		return nil, nil
	}
	root := filepath.Join(b.o.work, "dnf/root")
	if err := b.copyDatabase(ctx, host, filepath.Join(root, "var/lib/rpm")); err != nil {
		return nil, err
	}
	repos := make([]dnfRepo, 0, len(benchRepos()))
	for _, id := range benchRepos() {
		repos = append(repos, dnfRepo{id, b.repoPath(id)})
	}
	confFile, err := configureDNF(filepath.Join(b.o.work, "dnf"), repos)
	if err != nil {
		return nil, err
	}
	argv := []string{path, "-q", "-c", confFile, "--installroot=" + root, "--releasever=9", "--forcearch=x86_64"}
	if _, err := b.time(ctx, "dnf-makecache", program{argv: append(argv, "makecache")}); err != nil {
		return nil, err
	}
	// -C: only from its cache, which spares dnf the look at repomd.xml. 100: there are updates.
	return b.contest("plan", "dnf check-update", program{argv: append(argv, "-C", "check-update"), okStatus: []int{100}}), nil
}

// dnfRepo is a repository as dnf is told of it.
type dnfRepo struct{ id, path string }

// configureDNF writes a configuration of dnf that keeps everything in a directory, and returns its file.
func configureDNF(dir string, repos []dnfRepo) (string, error) {
	var conf strings.Builder
	fmt.Fprintf(&conf, "[main]\ncachedir=%[1]s/cache\nlogdir=%[1]s/log\npersistdir=%[1]s/persist\nreposdir=%[1]s/repos.d\n"+
		"gpgcheck=0\ninstall_weak_deps=0\n\n", dir)
	for _, r := range repos {
		fmt.Fprintf(&conf, "[%[1]s]\nname=%[1]s\nbaseurl=file://%[2]s\n\n", r.id, r.path)
	}
	for _, sub := range []string{"cache", "log", "persist", "repos.d"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return "", fmt.Errorf("prepare dnf: %w", err)
		}
	}
	file := filepath.Join(dir, "dnf.conf")
	if err := os.WriteFile(file, []byte(conf.String()), 0o600); err != nil {
		return "", fmt.Errorf("prepare dnf: %w", err)
	}
	return file, nil
}

// copyDatabase copies the rpm database out of a host.
func (b *bench) copyDatabase(ctx context.Context, host, to string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return fmt.Errorf("copy rpm database of %s: %w", host, err)
	}
	archive := filepath.Join(b.o.work, "dnf", "rpmdb.tar")
	out, err := os.Create(archive)
	if err != nil {
		return fmt.Errorf("copy rpm database of %s: %w", host, err)
	}
	defer out.Close()
	cmd := exec.CommandContext(ctx, b.tool("cpacman-lab"), "exec", "--dir", b.labDir(), host, "tar", "-C", "/var/lib/rpm", "-cf", "-", ".")
	cmd.Stdout = out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("copy rpm database of %s: %w", host, err)
	}
	_, err = b.quick(ctx, "tar", "-C", to, "-xf", archive)
	return err
}

// planAnswers notes what both answered: a ratio is worth nothing when one of them did not
// do the work.
func (b *bench) planAnswers(planFile string, peer *contestant) error {
	data, err := os.ReadFile(planFile)
	if err != nil {
		return fmt.Errorf("read the plan: %w", err)
	}
	var p struct {
		Sets []struct {
			Install, Upgrade, Held, Blocked []json.RawMessage
		}
	}
	if err := json.Unmarshal(data, &p); err != nil {
		return fmt.Errorf("read the plan: %w", err)
	}
	if len(p.Sets) != 1 || len(p.Sets[0].Upgrade) == 0 {
		return errors.New("cpacman planned nothing for the host: the ratio would mean nothing")
	}
	s := p.Sets[0]
	answer := fmt.Sprintf("cpacman solved %d upgrades and %d installs, and gave reasons for %d held or blocked", len(s.Upgrade), len(s.Install), len(s.Held)+len(s.Blocked))
	if peer != nil {
		n, err := countLines(filepath.Join(b.o.work, "out", peer.series.file()+".out"), func(line string) bool {
			return len(strings.Fields(line)) == 3 && line[0] != ' '
		})
		if err != nil {
			return fmt.Errorf("read what dnf printed: %w", err)
		}
		answer += fmt.Sprintf("; dnf listed %d newer packages and solved nothing", n)
	}
	b.report.note("Plan of one host: %s.", answer)
	return nil
}
