package main

import (
	"strings"
	"testing"

	"cpacman/internal/lab"
)

// Signing keys of hosts: listed, imported and retired as lines of a reviewed plan, and taken back with the rollout (PUSH-9).
func scenarioKeys(t *testing.T, l *lab.Lab, hosts []string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: hosts[0]}, {host: hosts[1]}}, rollout: `rollback = "host"`})
	keys := func(h string) string { return d.on(h, "rpm -qa gpg-pubkey | sort") }
	had := keys(hosts[0])

	// a host that lost the key is told, and held in preflight with what to do
	d.on(hosts[0], "rpm -e "+had)
	d.says(d.run(0, "keys", "list", "all", "--lacking"), "1: "+hosts[0], "lab@lab.invalid", "plan --keys")
	bare := d.plan("bare", "lab-tools")
	d.says(d.run(1, "rollout", "start", bare), "does not have the signing key")
	d.reason(d.host(hosts[0], "held"), "plan again with --keys")

	// the key alone comes in by a plan that changes no package
	file := d.file("keys.json")
	d.says(d.run(0, "plan", "all", "--keys", "--keys-only", "--out", file), "1 signing keys to import", "1 of 2 hosts")
	d.says(d.run(0, "plan", "show", file, hosts[0]), "import key", "lab@lab.invalid", "sha256")
	if got := keys(hosts[0]); got != "" {
		t.Fatalf("planning imported %s", got)
	}
	d.run(0, "rollout", "start", "--dry-run", file)
	if got := keys(hosts[0]); got != "" {
		t.Fatalf("a dry run imported %s", got)
	}
	d.run(0, "rollout", "start", file)
	if got := keys(hosts[0]); got != had {
		t.Errorf("keys %q, want %q", got, had)
	}
	d.installed(hosts[0], "lab-tools", "1.0")

	// the key and packages in one transaction
	d.on(hosts[0], "rpm -e "+had)
	both := d.file("both.json")
	d.run(0, "plan", hosts[0], "--keys", "--package", "lab-tools", "--out", both)
	d.run(0, "rollout", "start", both)
	d.installed(hosts[0], "lab-tools", "1.2")
	if got := keys(hosts[0]); got != had {
		t.Errorf("keys %q, want %q", got, had)
	}

	// a key that no repository names leaves, and one that is named stays
	signer, err := lab.NewSigner()
	d.must(err)
	public, err := signer.PublicKey()
	d.must(err)
	d.on(hosts[1], "cat >/tmp/old.asc <<'END'\n"+string(public)+"END\nrpm --import /tmp/old.asc")
	d.says(d.run(0, "keys", "list", "all", "--unused"), signer.KeyID(), "unused", "--retire-key")
	d.says(d.run(4, "plan", "all", "--keys-only", "--retire-key", d.fingerprint(hosts[0])), "cannot be retired", "labos-")
	retire := d.file("retire.json")
	d.says(d.run(0, "plan", "all", "--keys-only", "--retire-key", signer.KeyID(), "--out", retire), "1 signing keys to retire")
	d.says(d.run(0, "plan", "show", retire, hosts[1]), "retire key", "when the host is healthy")
	d.run(0, "rollout", "start", retire)
	if got := keys(hosts[1]); got != had {
		t.Errorf("keys %q, want %q", got, had)
	}

	// and comes back with the rollout
	id := d.status().Rollout.ID
	d.says(d.run(0, "rollout", "rollback", "--yes", "--reason", "still needed", id), "rolled_back")
	if got := keys(hosts[1]); strings.Count(got, "gpg-pubkey") != 2 {
		t.Errorf("keys after the way back: %q", got)
	}
	d.host(hosts[1], "rolled_back")
}

// fingerprint is that of the first key that a host has.
func (d *desk) fingerprint(host string) string {
	for _, line := range strings.Split(d.run(0, "keys", "list", host, "--stored", "--output", "csv").stdout, "\n") {
		if first, _, ok := strings.Cut(line, ","); ok && len(first) == 40 {
			return first
		}
	}
	d.Fatal("no key is listed")
	return ""
}

// dnf as the executor of a class: the same rollout, in dnf's history, and back by rpm (PUSH-10). A host without dnf is held untouched.
func scenarioDNF(t *testing.T, l *lab.Lab, hosts []string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: hosts[0]}, {host: hosts[1]}}, rollout: `rollback = "host"`,
		classes: "[[class]]\nname = \"production\"\nexecutor = \"dnf\"\n"})
	if d.on(hosts[0], "command -v dnf || :") == "" {
		t.Skip("needs dnf: not installed")
	}
	d.on(hosts[1], "rm -f /usr/bin/dnf /bin/dnf /usr/bin/dnf5")
	plan := d.plan("tools", "lab-tools", "kernel")
	d.says(d.run(1, "rollout", "start", plan), "1 ok, 1 held")
	d.installed(hosts[0], "lab-tools", "1.2")
	d.reason(d.host(hosts[1], "held"), "there is no dnf on the host")
	d.installed(hosts[1], "lab-tools", "1.0")
	if got := d.on(hosts[0], "dnf history list 2>/dev/null"); !strings.Contains(got, "reposdir") {
		t.Errorf("dnf's history:\n%s", got)
	}
	d.says(d.run(0, "rollout", "rollback", "--yes", "--reason", "back by rpm", d.status().Rollout.ID, hosts[0]), "rolled_back")
	d.installed(hosts[0], "lab-tools", "1.0")
}
