package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// labHost is a host as `cpacman-lab status --output json` tells it.
type labHost struct {
	Name         string `json:"name"`
	Address      string `json:"address"`
	Port         int    `json:"port"`
	User         string `json:"user"`
	IdentityFile string `json:"identity_file"`
	KnownHosts   string `json:"known_hosts"`
	State        string `json:"state"`
}

// openRoot lets root log in with the lab's key on a host whose account is another one. Peers
// have no common way to become root, so all contestants log in as root everywhere.
const openRoot = `set -e
umask 077
mkdir -p /root/.ssh
printf '%s\n' "$1" >/root/.ssh/authorized_keys
sed -i 's/^PermitRootLogin .*/PermitRootLogin prohibit-password/' /etc/ssh/sshd_config
kill -HUP "$(cat /run/sshd.pid)"
`

// prepare makes the directories that every part uses.
func (b *bench) prepare() error {
	for _, dir := range []string{"out", "home", "site/inventory", "cm"} {
		if err := os.MkdirAll(filepath.Join(b.o.work, dir), 0o700); err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
	}
	// Debian's rpm has another default.
	if err := os.WriteFile(filepath.Join(b.o.work, "home/.rpmmacros"), []byte("%_dbpath /var/lib/rpm\n"), 0o600); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	return nil
}

// up makes the lab, opens its hosts to root and writes what the contestants need.
func (b *bench) up(ctx context.Context) error {
	argv := []string{b.tool("cpacman-lab"), "up", "--dir", b.labDir(), "--hosts", strconv.Itoa(b.o.hosts), "--packages", strconv.Itoa(b.o.packages),
		// room for one upload and the file that a tool may write beside it
		"--disk", strconv.FormatInt(2*b.o.sizeMB+256, 10)}
	b.say("making a lab of %d hosts with %d filler packages each", b.o.hosts, b.o.packages)
	s, err := b.time(ctx, "lab-up", program{argv: argv})
	if err != nil {
		return err
	}
	b.report.command("lab", program{argv: argv}.line())
	b.say("the lab is up after %.1f s", s.wall.Seconds())
	if err := b.readHosts(ctx); err != nil {
		return err
	}
	if err := b.openHosts(ctx); err != nil {
		return err
	}
	if err := b.writeFiles(); err != nil {
		return err
	}
	return b.warmUp(ctx)
}

func (b *bench) readHosts(ctx context.Context) error {
	text, err := b.quick(ctx, b.tool("cpacman-lab"), "status", "--dir", b.labDir(), "--output", "json")
	if err != nil {
		return err
	}
	var status struct {
		ID    string    `json:"id"`
		Hosts []labHost `json:"hosts"`
	}
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		return fmt.Errorf("read the lab's status: %w", err)
	}
	for _, h := range status.Hosts {
		if h.State != "up" {
			return fmt.Errorf("host %s of the lab is %s", h.Name, h.State)
		}
	}
	if len(status.Hosts) != b.o.hosts {
		return fmt.Errorf("the lab has %d hosts, %d were asked for", len(status.Hosts), b.o.hosts)
	}
	b.labID, b.hosts = status.ID, status.Hosts
	return nil
}

func (b *bench) openHosts(ctx context.Context) error {
	public, err := os.ReadFile(b.hosts[0].IdentityFile + ".pub")
	if err != nil {
		return fmt.Errorf("open hosts to root: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(4)
	for _, h := range b.hosts {
		if h.User == "root" {
			continue
		}
		group.Go(func() error {
			_, err := b.onHost(ctx, h.Name, "/bin/sh", "-c", openRoot, "sh", strings.TrimSpace(string(public)))
			return err
		})
	}
	return group.Wait()
}

// onHost runs a command inside a host, without SSH.
func (b *bench) onHost(ctx context.Context, host string, argv ...string) (string, error) {
	return b.quick(ctx, append([]string{b.tool("cpacman-lab"), "exec", "--dir", b.labDir(), host}, argv...)...)
}

// writeFiles writes cpacman's site, ssh_config for the peers, ansible's configuration and
// the list of the bare client.
func (b *bench) writeFiles() error {
	var ansible, floor strings.Builder
	ansible.WriteString("[lab]\n")
	for _, h := range b.hosts {
		ansible.WriteString(h.Name + "\n")
		fmt.Fprintf(&floor, "%s %s:%d\n", h.Name, h.Address, h.Port)
	}
	for name, text := range map[string]string{
		"site/cpacman.toml":       b.siteFile(),
		"site/inventory/lab.toml": b.inventoryFile(),
		"ssh_config":              sshConfig(b.hosts),
		"ssh_config.x25519":       sshConfig(b.hosts) + "  KexAlgorithms curve25519-sha256\n",
		"ansible.cfg":             b.ansibleConfig(),
		"ansible.hosts":           ansible.String(),
		"floor.hosts":             floor.String(),
	} {
		path := filepath.Join(b.o.work, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
	}
	return nil
}

// benchRepos are the repositories that cpacman and dnf plan from: the lab's without the
// one whose packages go wrong on purpose.
func benchRepos() []string { return []string{"labos-base", "labos-updates"} }

func (b *bench) repoPath(id string) string {
	return filepath.Join(b.labDir(), "site", "repos", id)
}

func (b *bench) siteFile() string {
	var out strings.Builder
	fmt.Fprintf(&out, "state = \"state\"\n\n[ssh]\nuser = \"root\"\nidentity = [%q]\nknown_hosts = %q\n\n[limits]\nconnections = %d\n\n",
		b.hosts[0].IdentityFile, b.hosts[0].KnownHosts, b.o.forks)
	for _, id := range benchRepos() {
		fmt.Fprintf(&out, "[[repo]]\nid = %q\npath = %q\nkeys = [%q]\n\n", id, b.repoPath(id), filepath.Join(b.labDir(), "site/keys/RPM-GPG-KEY-lab"))
	}
	out.WriteString("[[class]]\nname = \"production\"\n\n[[level]]\nname = \"broad\"\n")
	return out.String()
}

func (b *bench) inventoryFile() string {
	var out strings.Builder
	for _, h := range b.hosts {
		fmt.Fprintf(&out, "[host.%s]\naddress = %q\nclass = \"production\"\nlevel = \"broad\"\n\n", h.Name, h.Address)
	}
	return out.String()
}

// sshConfig is what the peers' ssh reads instead of the caller's.
func sshConfig(hosts []labHost) string {
	var out strings.Builder
	for _, h := range hosts {
		fmt.Fprintf(&out, "Host %s\n  HostName %s\n  Port %d\n\n", h.Name, h.Address, h.Port)
	}
	fmt.Fprintf(&out, "Host *\n  User root\n  IdentityFile %s\n  IdentitiesOnly yes\n  UserKnownHostsFile %s\n  StrictHostKeyChecking yes\n  BatchMode yes\n  LogLevel ERROR\n",
		hosts[0].IdentityFile, hosts[0].KnownHosts)
	return out.String()
}

// ansibleConfig is ansible at its best: pipelining, as many forks as the others, its stock
// ssh_args with connection sharing, and no search for the interpreter.
func (b *bench) ansibleConfig() string {
	return fmt.Sprintf(`[defaults]
inventory = %[1]s/ansible.hosts
forks = %[2]d
gathering = explicit
interpreter_python = /usr/bin/python3
nocows = True
local_tmp = %[1]s/home/.ansible/tmp

[ssh_connection]
pipelining = True
ssh_args = -F %[1]s/ssh_config -C -o ControlMaster=auto -o ControlPersist=60s
control_path_dir = %[1]s/cm
`, b.o.work, b.o.forks)
}

// settled is how old the rpm databases must be before anything is measured: cpacman trusts
// the fingerprint of no database that changed within two seconds, and no fleet is that young.
const settled = 3 * time.Second

// warmUp asks every host once with the bare client, which also waits for the daemons that
// were told to read their configuration again.
func (b *bench) warmUp(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(settled):
	}
	var err error
	for range 5 {
		if _, err = b.time(ctx, "warm-up", b.floor("rpm -qa")); err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}
