package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// facts measures the question "what has every host installed".
func (b *bench) facts(ctx context.Context) error {
	floor := b.contest("facts", "bare Go client, true", b.floor("true"))
	bareList := b.contest("facts", "bare Go client, rpm -qa", b.floor("rpm -qa"))
	first := b.contest("facts", "cpacman facts, first run", b.cpacman(b.factsCheck, "facts", "--force", "all"))
	first.before = func(context.Context) error { return os.RemoveAll(filepath.Join(b.siteDir(), "state")) }
	unchanged := b.contest("facts", "cpacman facts, unchanged", b.cpacman(b.factsCheck, "facts", "all"))
	list := []*contestant{floor, first, unchanged, bareList}
	first.series.ours, unchanged.series.ours = true, true

	clush, pssh, ansible := b.clush("clush rpm -qa", b.sshConfigPath()), b.pssh(), b.ansible()
	var classic *contestant
	if clush != nil {
		classic = b.clush("clush rpm -qa, X25519", b.sshConfigPath()+".x25519")
	}
	for _, c := range []*contestant{clush, classic, pssh, ansible} {
		if c != nil {
			list = append(list, c)
		}
	}
	if err := b.rounds(ctx, b.o.rounds, list); err != nil {
		return err
	}
	if err := b.trusted(ctx); err != nil {
		return err
	}
	all := fmt.Sprintf("facts of %d hosts, ", b.o.hosts)
	b.compareTimes(all+"first run", first, clush, &target{limit: 0.8, atMost: true})
	b.compareTimes(all+"first run", first, ansible, &target{limit: 0.25, atMost: true})
	b.compareTimes(all+"first run", first, classic, nil)
	b.compareTimes(all+"first run", first, pssh, nil)
	b.compareTimes(all+"first run", first, bareList, nil)
	b.compareTimes(all+"unchanged", unchanged, floor, &target{limit: 1.3, atMost: true})
	b.compareTimes(all+"unchanged", unchanged, clush, nil)
	return nil
}

// trusted makes sure that an unchanged run was one: without the fingerprint of a database
// every run is a first run, and the ratio would mean nothing.
func (b *bench) trusted(ctx context.Context) error {
	name := b.hosts[0].Name
	text, err := b.quick(ctx, b.tool("cpacman"), "--site", b.siteDir(), "facts", "--stored", "--output", "json", name)
	if err != nil {
		return err
	}
	var stored []struct {
		Facts struct {
			Database struct {
				Fingerprint string
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &stored); err != nil {
		return fmt.Errorf("read stored facts: %w", err)
	}
	if len(stored) != 1 || stored[0].Facts.Database.Fingerprint == "" {
		return fmt.Errorf("no fingerprint of the database of %s is stored: no run could be an unchanged one", name)
	}
	return nil
}

// contest enters a program with a series of its own.
func (b *bench) contest(part, name string, p program) *contestant {
	b.report.command(name, p.line())
	return &contestant{series: b.report.newSeries(part, name), program: p}
}

// compareTimes adds the ratio of two medians; nothing when the peer was skipped.
func (b *bench) compareTimes(what string, ours, peer *contestant, t *target) {
	if peer == nil {
		return
	}
	o, p := ours.series.median(), peer.series.median()
	b.report.compare(comparison{what: what + " / " + peer.series.name, ours: seconds(o), peer: seconds(p), ratio: o / p, target: t})
}

func (b *bench) cpacman(check func(string) error, args ...string) program {
	return program{argv: append([]string{b.tool("cpacman"), "--site", b.siteDir()}, args...), check: check}
}

// factsCheck wants every host in the table, with its packages.
func (b *bench) factsCheck(stdout string) error {
	return atLeast(b.o.hosts, "hosts with facts", func(line string) bool {
		w := strings.Fields(line)
		return len(w) > 6 && strings.HasPrefix(w[0], "lab") && w[1] == "ok"
	})(stdout)
}

func (b *bench) names() string {
	names := make([]string, 0, len(b.hosts))
	for _, h := range b.hosts {
		names = append(names, h.Name)
	}
	return strings.Join(names, ",")
}

func (b *bench) sshConfigPath() string { return filepath.Join(b.o.work, "ssh_config") }

// listed wants a line for each filler package of each host.
func (b *bench) listed() func(string) error {
	return atLeast(b.o.hosts*b.o.packages, "packages listed", func(line string) bool { return strings.Contains(line, "filler-") })
}

// clush as it comes, or with the key exchange that Go's library has too: OpenSSH's default
// costs its client many times the processor time, which is no merit of cpacman.
func (b *bench) clush(name, config string) *contestant {
	path, found := b.peer("clush")
	if !found {
		return nil
	}
	return b.contest("facts", name, program{check: b.listed(),
		argv: []string{path, "-f", strconv.Itoa(b.o.forks), "-o", "-F " + config, "-w", b.names(), "rpm -qa"}})
}

func (b *bench) pssh() *contestant {
	path, found := b.peer("parallel-ssh", "pssh")
	if !found {
		return nil
	}
	argv := []string{path, "-p", strconv.Itoa(b.o.forks), "-t", "0", "-x", "-F " + b.sshConfigPath(), "-i"}
	for _, h := range b.hosts {
		argv = append(argv, "-H", h.Name)
	}
	return b.contest("facts", "parallel-ssh rpm -qa", program{argv: append(argv, "rpm -qa"), check: b.listed()})
}

// ansible shares one connection a host within a run, as it does by default, and none
// between runs.
func (b *bench) ansible() *contestant {
	path, found := b.peer("ansible")
	if !found {
		return nil
	}
	c := b.contest("facts", "ansible package_facts", program{
		env:  []string{"ANSIBLE_CONFIG=" + filepath.Join(b.o.work, "ansible.cfg")},
		argv: []string{path, "all", "-m", "package_facts", "-a", "manager=rpm", "-f", strconv.Itoa(b.o.forks)},
		check: func(stdout string) error {
			if err := atLeast(b.o.hosts, "hosts with facts", func(line string) bool { return strings.Contains(line, "| SUCCESS =>") })(stdout); err != nil {
				return err
			}
			return atLeast(b.o.hosts*b.o.packages, "packages listed", func(line string) bool { return strings.Contains(line, `"name": "filler-`) })(stdout)
		},
	})
	c.after = b.endMasters
	return c
}

// endMasters ends the shared connections that ansible leaves open for a minute.
func (b *bench) endMasters(ctx context.Context) error {
	sockets, err := filepath.Glob(filepath.Join(b.o.work, "cm", "*"))
	if err != nil {
		return err
	}
	for _, s := range sockets {
		if _, err := b.quick(ctx, "ssh", "-F", b.sshConfigPath(), "-o", "ControlPath="+s, "-O", "exit", "any"); err != nil && ctx.Err() == nil {
			// One that has ended by itself leaves its socket.
			if err := os.Remove(s); err != nil && !os.IsNotExist(err) {
				return fmt.Errorf("end ansible's shared connections: %w", err)
			}
		}
	}
	return ctx.Err()
}
