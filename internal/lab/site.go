package lab

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// File names within a site.
const (
	identityFile = "id_ed25519"
	passwordFile = "sudo-password"
	keyFile      = "RPM-GPG-KEY-lab"
)

// writeKeys makes the identity of the control side and the password of the account whose
// sudo asks for one.
func (l *Lab) writeKeys() error {
	for _, dir := range []string{"", "ssh", "keys", "inventory", "repos"} {
		if err := os.MkdirAll(filepath.Join(l.SiteDir(), dir), 0o700); err != nil {
			return fmt.Errorf("make site: %w", err)
		}
	}
	private, public, err := hostKey("cpacman-lab")
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{
		identityFile:          private,
		identityFile + ".pub": []byte(public + "\n"),
		passwordFile:          []byte(l.password + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(l.SiteDir(), "ssh", name), data, 0o600); err != nil {
			return fmt.Errorf("make site: %w", err)
		}
	}
	return nil
}

func (l *Lab) writeSigningKey() (*KeySigner, error) {
	signer, err := NewSigner()
	if err != nil {
		return nil, err
	}
	public, err := signer.PublicKey()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(l.SiteDir(), "keys", keyFile), public, 0o644); err != nil {
		return nil, fmt.Errorf("make site: %w", err)
	}
	return signer, nil
}

func (l *Lab) seedHosts() error {
	authorized, err := os.ReadFile(filepath.Join(l.SiteDir(), "ssh", identityFile+".pub"))
	if err != nil {
		return fmt.Errorf("make hosts: %w", err)
	}
	return l.record("make host directories", func(s *state) {
		for i := range s.Hosts {
			if err == nil {
				err = l.seedHost(&s.Hosts[i], strings.TrimSpace(string(authorized)))
			}
		}
	})
}

// writeSite writes what an operator would: cpacman.toml, the inventory and known_hosts.
func (l *Lab) writeSite() error {
	var known bytes.Buffer
	for _, h := range l.state.Hosts {
		fmt.Fprintf(&known, "%s,%s %s\n", h.Name, h.Address, h.HostKey)
	}
	for name, data := range map[string][]byte{
		"ssh/known_hosts":    known.Bytes(),
		"cpacman.toml":       l.mainFile(),
		"inventory/lab.toml": l.inventoryFile(),
	} {
		if err := os.WriteFile(filepath.Join(l.SiteDir(), name), data, 0o600); err != nil {
			return fmt.Errorf("make site: %w", err)
		}
	}
	return nil
}

// mainFile is cpacman.toml.
func (l *Lab) mainFile() []byte {
	var out bytes.Buffer
	site := l.SiteDir()
	fmt.Fprintf(&out, `# The site of a throwaway lab. Made by cpacman-lab up; gone after cpacman-lab down.
state = "state"

[ssh]
user = "root"
identity = [%q]
known_hosts = %q
connect_timeout = "5s"

[limits]
lock_wait = "30s"

[rollout]
# Whole updates of the lab change systemd and glibc, so they get no dead man's switch.
without_switch = "allow"

`, filepath.Join(site, "ssh", identityFile), filepath.Join(site, "ssh", "known_hosts"))
	for _, repo := range []string{repoBase, repoUpdates, repoTrouble} {
		fmt.Fprintf(&out, "[[repo]]\nid = %q\npath = %q\nkeys = [%q]\n", repo, "repos/"+repo, "keys/"+keyFile)
		if repo == repoTrouble {
			out.WriteString("auto = false     # packages that go wrong: only what is asked for by name\n")
		}
		out.WriteString("\n")
	}
	for _, class := range l.state.Options.Classes {
		fmt.Fprintf(&out, "[[class]]\nname = %q\n\n", class)
	}
	for i, level := range l.state.Options.Levels {
		waves := `["25%", "100%"]`
		if i == 0 {
			waves = `["1"]`
		}
		fmt.Fprintf(&out, "[[level]]\nname = %q\nwaves = %s\nmax_failures = \"0\"\nsoak = %q\nhealth = [\"basic\"]\n\n", level, waves, l.state.Options.Soak.String())
	}
	fmt.Fprintf(&out, `[health.svc]
http = "http://{address}:%d/"
status = 200
body = "ok"
interval = "1s"
timeout = "2s"
passes = 2
deadline = "20s"

[health.svc-port]
tcp = "{address}:%d"
interval = "1s"
timeout = "2s"
deadline = "20s"

[health.svc-command]
command = ["/usr/bin/labsvc-check"]
interval = "1s"
timeout = "5s"
deadline = "20s"

`, servicePort, servicePort)
	if l.state.Options.Systemd > 0 {
		out.WriteString("[health.svc-unit]\nsystemd = [\"labsvc.service\"]\ninterval = \"1s\"\ntimeout = \"5s\"\ndeadline = \"20s\"\n")
	}
	return out.Bytes()
}

// inventoryFile is inventory/lab.toml.
func (l *Lab) inventoryFile() []byte {
	var out bytes.Buffer
	out.WriteString("# Every host runs the lab service; hosts with systemd run it as a unit.\n")
	for _, group := range []struct{ name, body string }{
		{"svc", "[group.svc]\nhealth = [\"svc\", \"svc-port\", \"svc-command\"]\n"},
		{"systemd", "[group.systemd]\nhealth = [\"svc-unit\"]\n"},
		{"sudo-nopasswd", fmt.Sprintf("[group.sudo-nopasswd.ssh]\nuser = %q\nsudo = \"nopasswd\"\n", nopasswdUser)},
		{"sudo-password", fmt.Sprintf("[group.sudo-password.ssh]\nuser = %q\nsudo = \"password\"\nsudo_password_command = [\"/bin/cat\", %q]\n",
			passwordUser, filepath.Join(l.SiteDir(), "ssh", passwordFile))},
	} {
		if slices.ContainsFunc(l.state.Hosts, func(h Host) bool { return slices.Contains(h.Groups, group.name) }) {
			out.WriteString(group.body + "\n")
		}
	}
	seen := map[string]bool{}
	for _, h := range l.state.Hosts {
		for _, c := range h.Clusters {
			if !seen[c] {
				seen[c] = true
				fmt.Fprintf(&out, "[cluster.%s]\nmax_unavailable = \"1\"\n\n", c)
			}
		}
	}
	for i, h := range l.state.Hosts {
		fmt.Fprintf(&out, "[host.%s]\naddress = %q\nclass = %q\nlevel = %q\ngroups = %s\nclusters = %s\nlocation = %q\nos = \"labos9\"\narch = \"x86_64\"\n\n",
			h.Name, h.Address, h.Class, h.Level, list(h.Groups), list(h.Clusters), []string{"north", "south"}[i%2])
	}
	return out.Bytes()
}

// list writes strings as a TOML array; they need no escaping.
func list(names []string) string {
	if len(names) == 0 {
		return "[]"
	}
	data, err := json.Marshal(names)
	if err != nil {
		return "[]"
	}
	return string(data)
}
