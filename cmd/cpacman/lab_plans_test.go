package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cpacman/internal/lab"
)

// Plans are files: the same facts give the same bytes, and each is started once, in time.
func scenarioPlans(t *testing.T, l *lab.Lab, hosts []string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: hosts[0]}}})
	d.run(0, "facts", "all")
	read := func(name string) []byte {
		d.run(0, "plan", "all", "--stored", "--out", d.file(name))
		b, err := os.ReadFile(d.file(name))
		d.must(err)
		return b
	}
	if first, second := read("one.json"), read("two.json"); !bytes.Equal(first, second) {
		d.Errorf("two plans of the same facts differ:\n%s\n%s", first, second)
	}

	file := d.file("short.json")
	d.run(0, "plan", "all", "--package", "lab-tools", "--expires", "1s", "--out", file)
	time.Sleep(1100 * time.Millisecond)
	d.says(d.run(4, "rollout", "start", file), "expired", "make a new plan")

	plan := d.plan("tools", "lab-tools")
	d.run(0, "rollout", "start", plan)
	d.installed(hosts[0], "lab-tools", "1.2")
	d.says(d.run(4, "rollout", "start", plan), "was started as", "--again")
	d.says(d.run(2, "rollout", "start", plan, "--again"), "--reason")
	d.says(d.run(0, "rollout", "start", plan, "--again", "--reason", "to see that nothing is left"), "1 noop")

	// a plan that somebody edited
	b, err := os.ReadFile(plan)
	d.must(err)
	edited := d.file("edited.json")
	d.must(os.WriteFile(edited, bytes.Replace(b, []byte("1.2-1.lab9"), []byte("1.1-1.lab9"), 1), 0o600))
	d.says(d.run(4, "rollout", "start", edited), "edited.json")
	d.must(os.WriteFile(edited, b[:len(b)/2], 0o600))
	d.says(d.run(4, "rollout", "start", edited), "edited.json")
}

// Damaged and unsigned packages and metadata stop on the control host: nothing is sent.
func scenarioRepositories(t *testing.T, l *lab.Lab, hosts []string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: hosts[0]}}, copyRepos: true})
	plan := d.plan("tools", "lab-tools")
	updates := filepath.Join(d.dir, "repos", "labos-updates")
	damage := func(pattern string, change func([]byte) []byte) (name string, restore func()) {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(updates, pattern))
		d.must(err)
		if len(files) != 1 {
			t.Fatalf("%s matches %q", pattern, files)
		}
		b, err := os.ReadFile(files[0])
		d.must(err)
		d.must(os.WriteFile(files[0], change(bytes.Clone(b)), 0o600))
		return filepath.Base(files[0]), func() { d.must(os.WriteFile(files[0], b, 0o600)) }
	}
	half := func(b []byte) []byte { return b[:len(b)/2] }
	flip := func(b []byte) []byte { b[len(b)/2] ^= 0xff; return b }

	for _, change := range []func([]byte) []byte{half, flip} {
		primary, restore := damage("repodata/*-primary.xml.*", change)
		d.says(d.run(4, "plan", "all"), primary)
		d.says(d.run(4, "rollout", "start", plan), primary)
		d.says(d.run(4, "repo", "check", "labos-updates"), primary)
		restore()
	}
	for _, change := range []func([]byte) []byte{half, flip} {
		name, restore := damage("lab-tools-1.2-1.lab9.x86_64.rpm", change)
		d.says(d.run(4, "rollout", "start", plan), name, "labos-updates", "nothing was sent")
		restore()
	}
	d.must(os.Rename(filepath.Join(updates, "lab-tools-1.2-1.lab9.x86_64.rpm"), d.file("away.rpm")))
	d.says(d.run(4, "rollout", "start", plan), "lab-tools-1.2-1.lab9.x86_64.rpm", "nothing was sent")
	d.must(os.Rename(d.file("away.rpm"), filepath.Join(updates, "lab-tools-1.2-1.lab9.x86_64.rpm")))

	// What a host would go back to is at hand, or it is said beforehand that it is not.
	old := filepath.Join(d.dir, "repos", "labos-base", "lab-tools-1.0-1.lab9.x86_64.rpm")
	d.says(d.run(0, "plan", "show", plan, hosts[0]), "rollback possible")
	d.must(os.Rename(old, d.file("away.rpm")))
	d.says(d.run(0, "plan", "show", d.plan("tools", "lab-tools"), hosts[0]), "not at hand in any repository (first: lab-tools-1.0-1.lab9.x86_64)")
	d.must(os.Rename(d.file("away.rpm"), old))

	d.says(d.run(4, "rollout", "start", d.plan("unsigned", "lab-unsigned")), "lab-unsigned-2.0-1.lab9.noarch", "not signed", "nothing was sent")
	if out := d.run(0, "rollout", "list", "--output", "csv").stdout; strings.Count(out, "\n") != 1 {
		d.Errorf("a rollout was recorded: %s", out)
	}
	if got := d.on(hosts[0], "find /var/lib/cpacman -name '*.rpm' 2>/dev/null || :"); got != "" {
		d.Errorf("something was sent: %s", got)
	}
	d.installed(hosts[0], "lab-unsigned", "1.0")
	d.run(0, "rollout", "start", plan) // all is well again, and the plan is still good
	d.installed(hosts[0], "lab-tools", "1.2")
}

// tree lists what a dry run could have left, by path.
const tree = `find /var /tmp /root /home /etc /run /usr/share/labos -xdev ! -path '/run/lab*' ! -path '/var/log/*' ! -name .rpm.lock ! -path '/run/sshd*' ! -path '/run/sudo*' | sort`

// A dry run goes as far as rpm's test and leaves nothing, whatever the account; --keep-staged leaves the packages.
func scenarioDryRun(t *testing.T, l *lab.Lab, hosts []string) {
	var places []place
	for _, h := range hosts {
		places = append(places, place{host: h})
	}
	d := newDesk(t, l, deskOptions{places: places})
	d.run(0, "facts", "all")
	before := map[string]string{}
	for _, h := range hosts {
		before[h] = d.on(h, tree)
	}
	plan := d.plan("tools", "lab-tools", "kernel")
	d.says(d.run(0, "rollout", "start", "--dry-run", plan), "3 noop")
	for _, h := range hosts {
		if after := d.on(h, tree); after != before[h] {
			d.Errorf("a dry run left on %s:\n%s", h, difference(before[h], after))
		}
		d.installed(h, "lab-tools", "1.0")
	}
	d.says(d.run(0, "rollout", "stage", plan), "staged and proven on 3 of 3 hosts")
	d.says(d.run(0, "rollout", "list"), "staging")
	for _, h := range hosts {
		if got := d.on(h, "find /var/lib/cpacman/spool -name '*.rpm' | wc -l"); got != "3" {
			d.Errorf("%s kept %s packages, want 3: lab-tools, kernel and the linux-firmware that it needs", h, got)
		}
	}
	d.says(d.run(0, "rollout", "stage", plan), "staged and proven on 3 of 3 hosts") // again: what is there is not sent
	// a plan that was only tried is not used up
	if out := d.run(0, "rollout", "start", "--output", "json", plan).stdout; strings.Contains(out, `"kind":"progress"`) {
		d.Errorf("what was staged is sent again:\n%s", out)
	}
	for _, h := range hosts {
		d.installed(h, "lab-tools", "1.2")
	}
	d.run(0, "clean", "all", "--yes")
	for _, h := range hosts {
		if got := d.on(h, "find /var/lib/cpacman -name '*.rpm' 2>/dev/null || :"); got != "" {
			d.Errorf("clean left on %s: %s", h, got)
		}
	}
}

// difference lists lines of one text that the other lacks.
func difference(before, after string) string {
	var out []string
	count := map[string]int{}
	for _, l := range strings.Split(before, "\n") {
		count[l]--
	}
	for _, l := range strings.Split(after, "\n") {
		count[l]++
	}
	for l, n := range count {
		switch {
		case n > 0:
			out = append(out, "+ "+l)
		case n < 0:
			out = append(out, "- "+l)
		}
	}
	return strings.Join(out, "\n")
}
