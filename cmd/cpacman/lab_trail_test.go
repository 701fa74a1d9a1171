package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"cpacman/internal/lab"
)

// The audit trail of a rollout over real hosts whose control process is killed in between: the chain is whole, tells of both runs and of
// what each host lost and got once, and its heads went out. The bundle of evidence proves itself, and has no secret of the site.
func scenarioTrail(t *testing.T, l *lab.Lab, hosts []string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: hosts[0]}, {host: hosts[1], level: "broad"}}})
	out := t.TempDir()
	heads := filepath.Join(out, "heads")
	site, err := os.ReadFile(filepath.Join(d.dir, "cpacman.toml"))
	d.must(err)
	d.write("cpacman.toml", string(site)+"[trail]\nfile = \""+heads+"\"\ncommand = [\"/nonexistent/program\"]\n")
	p := d.start("rollout", "start", d.plan("slow", "lab-slow"))
	d.slow(hosts[0], "post")
	p.signal(syscall.SIGKILL)
	p.wait(-1)
	d.says(d.run(0, "audit", "trail", "verify"), "whole: ")
	d.says(d.run(0, "rollout", "resume"), "done (2 ok)", "warning: the head of the audit trail could not be sent: command:", "/nonexistent/program")

	id := d.newest()
	lines := d.run(0, "audit", "trail", "--rollout", id, "--output", "csv").stdout
	for text, want := range map[string]int{
		",rollout.created,": 1, ",engine.started,": 2, ",host.key,": 2, ",tx.asked,": 2, ",tx.ended,": 2, ",host.packages,": 2, ",head.sent,": 1,
		"1 in, 1 out": 2, "in: lab-slow-2.0-1.lab9.noarch; out: lab-slow-1.0-1.lab9.noarch": 2, " to ok": 2,
	} {
		if got := strings.Count(lines, text); got != want {
			d.Errorf("%d lines with %q, want %d:\n%s", got, text, want, lines)
		}
	}
	b, err := os.ReadFile(heads)
	d.must(err)
	_, rest, _ := strings.Cut(string(b), " head=")
	head, rest, ok := strings.Cut(rest, " ")
	if !ok || !strings.Contains(rest, "rollout="+id+" state=done") || strings.Count(string(b), "\n") != 1 {
		d.Fatalf("sent heads: %q", b)
	}
	d.says(d.run(0, "audit", "trail", "verify", "--head", head), "whole: ", "leads through")

	bundle := filepath.Join(out, "bundle.tar.gz")
	d.says(d.run(0, "rollout", "export", id, bundle), id)
	cmd := exec.Command("sh", "-c", `tar xzf bundle.tar.gz && cd cpacman-* && sha256sum -c MANIFEST.sha256 && cd installed && for f in *.txt; do test "$(sha256sum <$f | cut -d' ' -f1).txt" = $f || exit 9; done`)
	cmd.Dir = out
	if text, err := cmd.CombinedOutput(); err != nil {
		d.Fatalf("bundle: %v\n%s", err, text)
	}
	top := filepath.Join(out, "cpacman-"+id)
	d.says(d.run(0, "audit", "trail", "verify", "--file", filepath.Join(top, "trail.jsonl"), "--head", head), "whole: ")
	keys, err := os.ReadFile(filepath.Join(top, "host-keys.jsonl"))
	d.must(err)
	if strings.Count(string(keys), `"source":"recorded"`) != 2 || strings.Count(string(keys), "SHA256:") != 2 {
		d.Errorf("host keys: %s", keys)
	}
	noSecret(d, l, top)
}

// noSecret searches every file of a bundle for what must not be in it: the sudo password, private keys, the site's settings.
func noSecret(d *desk, l *lab.Lab, top string) {
	d.Helper()
	password, err := os.ReadFile(filepath.Join(l.SiteDir(), "ssh", "sudo-password"))
	d.must(err)
	d.must(filepath.WalkDir(top, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, secret := range []string{strings.TrimSpace(string(password)), "PRIVATE KEY", "id_ed25519", "known_hosts =", "sudo_password_command"} {
			if strings.Contains(string(b), secret) {
				d.Errorf("%s has %q", path, secret)
			}
		}
		return err
	}))
}
