package main

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cpacman/internal/lab"
)

// unmet lists what rpm finds unmet on a host.
const unmet = "rpm -Va --nofiles --noscripts 2>/dev/null || :"

// Plans that go elsewhere than up are accepted by the hosts' rpm, and leave no dependency unmet that was not before: downgrades, back to
// what was before a rollout, back to an earlier state of a repository, repairs, locks.
func scenarioGoingBack(t *testing.T, l *lab.Lab, hosts []string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: hosts[0]}, {host: hosts[1]}}})
	before := map[string]string{}
	for _, h := range hosts {
		before[h] = d.on(h, unmet)
	}
	start := func(args ...string) (id string) {
		t.Helper()
		file := d.file("back.json")
		d.run(0, append([]string{"plan", "all", "--out", file}, args...)...)
		d.run(0, "rollout", "start", file)
		for _, h := range hosts {
			if got := d.on(h, unmet); got != before[h] {
				t.Errorf("after %v rpm finds unmet on %s:\n%s\nbefore:\n%s", args, h, got, before[h])
			}
		}
		return d.status().Rollout.ID
	}

	whole := start()
	one := start("--downgrade", "--package", "lab-tools-1.0-1.lab9.x86_64")
	d.installed(hosts[0], "lab-tools", "1.0")
	start("--undo", one)
	d.installed(hosts[0], "lab-tools", "1.2")

	// What an obsoletes took out is in the way of going back: it leaves ahead of the transaction. Then everything once more.
	was := d.on(hosts[0], "rpm -q lab-old; rpm -q lab-new || :")
	file := d.file("whole.json")
	d.run(0, "plan", "all", "--undo", whole, "--out", file)
	d.says(d.run(0, "plan", "show", file, hosts[0]), "lab-old-1.4-1.lab9.x86_64", "target-first")
	d.run(0, "rollout", "start", file)
	d.installed(hosts[0], "lab-old", "1.4")
	if got := d.on(hosts[0], "rpm -q lab-new || :"); got != "package lab-new is not installed" {
		d.Error(got)
	}
	start()
	if now := d.on(hosts[0], "rpm -q lab-old; rpm -q lab-new || :"); now != was {
		d.Errorf("after the update again: %s, at first: %s", now, was)
	}

	d.on(hosts[1], "rpm -e --nodeps lab-lib")
	start("--repair")
	d.installed(hosts[1], "lab-lib", "2.0")

	list := d.on(hosts[0], `rpm -qa --qf '%{NEVRA}\n' | grep -v ^lab-tools-`)
	d.must(os.WriteFile(d.file("lock"), []byte(list+"\nlab-tools-1.0-1.lab9.x86_64\n"), 0o600))
	start("--lock", d.file("lock"))
	d.installed(hosts[1], "lab-tools", "1.0")
	d.says(d.run(0, "plan", hosts[1], "--like", hosts[0]), "nothing to do")

	// A transaction that was cut: two builds are installed, and the files of the one that stays are those of the other. What stays is put in again.
	base := filepath.Join(l.SiteDir(), "repos", "labos-base")
	forced := func(host, repo, version string) {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(l.SiteDir(), "repos", repo, "lab-tools-"+version+"-1.lab9.x86_64.rpm"))
		d.must(err)
		d.on(host, "base64 -d >/tmp/x.rpm <<end\n"+base64.StdEncoding.EncodeToString(b)+"\nend\nrpm -i --force --nodeps --noscripts /tmp/x.rpm; rm /tmp/x.rpm")
	}
	files := func(host, version string) {
		t.Helper()
		d.installed(host, "lab-tools", version)
		if got := d.on(host, "cat /usr/share/labos/lab-tools-x86_64/version; rpm -V lab-tools"); got != version+"-1" {
			t.Errorf("files of lab-tools %s on %s: %s", version, host, got)
		}
	}
	was = d.on(hosts[0], "rpm -qa | sort")
	forced(hosts[0], "labos-updates", "1.2")
	d.on(hosts[1], "rpm -e --nodeps lab-tools")
	forced(hosts[1], "labos-updates", "1.2")
	forced(hosts[1], "labos-base", "1.0")
	file = d.file("again.json")
	d.run(0, "plan", hosts[0], "--lock", d.file("lock"), "--out", file)
	d.says(d.run(0, "plan", "show", file, hosts[0]), "put in again")
	d.run(0, "rollout", "start", file)
	files(hosts[0], "1.0")
	if now := d.on(hosts[0], "rpm -qa | sort"); now != was {
		t.Errorf("installed on %s: %s", hosts[0], difference(was, now))
	}
	start("--repair")
	files(hosts[1], "1.2")

	// The updates as they were in the beginning: what base has.
	start("--downgrade", "--repo-at", "labos-updates="+base)
	d.installed(hosts[0], "openssh-server", "8.7p1")
	d.installed(hosts[0], "lab-app", "1.0")

	d.says(d.run(4, "plan", "all", "--undo", "no-such"), "no-such")
	d.says(d.run(2, "plan", "all", "--repair", "--security"), "--repair")
	d.says(d.run(4, "plan", "all", "--repo-at", "nowhere=/tmp"), "nowhere")
}

// Policies of the inventory decide what moves; those that disagree keep a host out, and say who has to talk to whom.
func scenarioPolicies(t *testing.T, l *lab.Lab, hosts []string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: hosts[0]}, {host: hosts[1]}}})
	policies := `[[policy]]
name = "certified"
hosts = "` + hosts[0] + `"
priority = 10
owner = "dba"
reason = "vendor certifies 1.0 only"
hold = ["lab-tools"]

[[policy]]
name = "doc"
hosts = "` + hosts[0] + `"
allow_arch_change = ["lab-doc"]
remove = ["lab-held", "lab-lib"]

[[policy]]
name = "alike"
same_everywhere = ["lab-config"]
`
	d.write("inventory/policies.toml", policies)
	d.says(d.run(0, "inventory", "policies"), "hold lab-tools", "dba", "vendor certifies 1.0 only")
	d.says(d.run(0, "inventory", "show", hosts[0]), "policy certified")

	// One of the two alone: what must be the same everywhere does not move.
	d.says(d.run(0, "plan", hosts[0]), "policy alike: lab-config stays as it is everywhere", hosts[1]+" is not in this plan")

	file := d.file("policies.json")
	d.run(0, "plan", "all", "--out", file)
	d.says(d.run(0, "plan", "show", file, hosts[0]), "held by policy certified (owner dba): vendor certifies 1.0 only",
		"allowed by policy doc", "policy: removed by policy doc", "it stays: lab-app")
	d.run(0, "rollout", "start", file)
	d.installed(hosts[0], "lab-tools", "1.0")
	d.installed(hosts[1], "lab-tools", "1.2")
	d.installed(hosts[0], "lab-config", "1.1")
	d.installed(hosts[0], "lab-doc", "2.0")
	d.installed(hosts[1], "lab-doc", "1.0")
	if got := d.on(hosts[0], "rpm -q lab-held >/dev/null && echo there || echo gone"); got != "gone" {
		t.Errorf("lab-held is %s", got)
	}
	d.says(d.run(0, "explain", hosts[0], "lab-tools"), "vendor certifies 1.0 only")

	d.write("inventory/policies.toml", policies+"\n[[policy]]\nname = \"other\"\npriority = 10\nowner = \"web\"\nreason = \"wants it\"\npin = [\"lab-tools = 1.2\"]\n")
	d.says(d.run(4, "inventory", "check"), "certified", "other", "larger priority")
	d.says(d.run(4, "plan", "all"), "certified", "other", "larger")
	d.run(0, "plan", hosts[1])
}

// A file moves to another package of its source, and neither says a word of it: rpm takes the update in one go, and refuses the way back as long as the new
// package is there. It leaves first, and the plan says so.
func scenarioMovedFile(t *testing.T, l *lab.Lab, hosts []string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: hosts[0]}}, copyRepos: true,
		more: "[[repo]]\nid = \"moved\"\npath = \"repos/moved\"\nsigned = \"optional\"\n"})
	dir := filepath.Join(d.dir, "repos", "moved")
	d.must(os.MkdirAll(dir, 0o700))
	body := func(path, text string) lab.PackageFile { return lab.PackageFile{Path: path, Body: []byte(text)} }
	add := func(s lab.PackageSpec) {
		t.Helper()
		b, err := lab.BuildPackage(s)
		d.must(err)
		d.must(os.WriteFile(filepath.Join(dir, s.FileName()), b, 0o600))
		if s.Version == "1.0" {
			d.on(hosts[0], "base64 -d >/tmp/x.rpm <<end\n"+base64.StdEncoding.EncodeToString(b)+"\nend\nrpm -i --nosignature /tmp/x.rpm; rm /tmp/x.rpm")
		}
	}
	const lib, doc = "/usr/lib/move/lib.so", "/usr/share/doc/move/README"
	add(lab.PackageSpec{Name: "move", Version: "1.0", Release: "1", Files: []lab.PackageFile{body(lib, "one"), body(doc, "the same"), body("/usr/lib/move.d", "a file")}})
	add(lab.PackageSpec{Name: "move", Version: "2.0", Release: "1", Requires: []string{"move-libs", "move-doc", "move-dir"}, Files: []lab.PackageFile{body("/etc/move", "2")}})
	add(lab.PackageSpec{Name: "move-libs", Version: "2.0", Release: "1", SourceRPM: "move-2.0-1.src.rpm", Files: []lab.PackageFile{body(lib, "two")}})
	add(lab.PackageSpec{Name: "move-doc", Version: "2.0", Release: "1", SourceRPM: "move-2.0-1.src.rpm", Files: []lab.PackageFile{body(doc, "the same")}})

	add(lab.PackageSpec{Name: "move-dir", Version: "2.0", Release: "1", SourceRPM: "move-2.0-1.src.rpm", Files: []lab.PackageFile{{Path: "/usr/lib/move.d", Dir: true}}})

	d.run(0, "rollout", "start", d.plan("move", "move"))
	d.installed(hosts[0], "move", "2.0")
	file := d.file("back.json")
	d.run(0, "plan", "all", "--undo", d.status().Rollout.ID, "--out", file)
	show := d.run(0, "plan", "show", file, hosts[0])
	d.says(show, "target-first")
	for _, want := range []string{`move-libs-2.0-1.noarch +- +target-first: `, `move-dir-2.0-1.noarch +- +target-first: `, `move-doc-2.0-1.noarch +- +target: `} {
		if !regexp.MustCompile(want).MatchString(show.stdout) {
			t.Errorf("no %q in\n%s", want, show.stdout)
		}
	}
	d.run(0, "rollout", "start", file)
	d.installed(hosts[0], "move", "1.0")
	if got := d.on(hosts[0], "rpm -q move-libs move-doc move-dir; cat "+lib+" "+doc+"; rpm -V move"); !strings.HasSuffix(got, "onethe same") {
		t.Error(got)
	}
}

// A signal ends rpm when all is in and nothing is out yet, in a set where a file moves to a package of the same source and another package changes its arch.
// One host goes back by itself, of the other nothing is taken for done, and a plan takes it back; databases and bytes are those of before.
func scenarioCutBySignal(t *testing.T, l *lab.Lab, hosts []string) {
	d := newDesk(t, l, deskOptions{places: []place{{host: hosts[0]}, {host: hosts[1], level: "broad"}}, copyRepos: true, rollout: "rollback = \"host\"\nno_rollback = [\"cut-kept\"]",
		more: "[[repo]]\nid = \"cut\"\npath = \"repos/cut\"\nsigned = \"optional\"\n\n"})
	d.write("inventory/policies.toml", "[[policy]]\nname = \"arch\"\nallow_arch_change = [\"cut-arch\"]\n")
	dir := filepath.Join(d.dir, "repos", "cut")
	d.must(os.MkdirAll(dir, 0o700))
	add := func(s lab.PackageSpec, path, text string) {
		t.Helper()
		s.Release, s.Files = "1", []lab.PackageFile{{Path: path, Body: []byte(text)}}
		b, err := lab.BuildPackage(s)
		d.must(err)
		d.must(os.WriteFile(filepath.Join(dir, s.FileName()), b, 0o600))
		for i, h := range hosts[:2] {
			if s.Version == "1.0" && (i == 1 || s.Name != "cut-kept") {
				d.on(h, "base64 -d >/tmp/x.rpm <<end\n"+base64.StdEncoding.EncodeToString(b)+"\nend\nrpm -i --nosignature /tmp/x.rpm; rm /tmp/x.rpm")
			}
		}
	}
	add(lab.PackageSpec{Name: "cut", Version: "1.0"}, "/usr/lib/cut/lib", "one")
	add(lab.PackageSpec{Name: "cut", Version: "2.0", Requires: []string{"cut-libs"}}, "/etc/cut", "2")
	add(lab.PackageSpec{Name: "cut-libs", Version: "2.0", SourceRPM: "cut-2.0-1.src.rpm"}, "/usr/lib/cut/lib", "two")
	add(lab.PackageSpec{Name: "cut-arch", Version: "1.0"}, "/usr/share/cut/arch", "one")
	add(lab.PackageSpec{Name: "cut-arch", Version: "2.0", Arch: "x86_64"}, "/usr/share/cut/arch", "two")
	add(lab.PackageSpec{Name: "cut-kept", Version: "1.0"}, "/usr/share/cut/kept", "one") // such a host does not go back by itself
	add(lab.PackageSpec{Name: "cut-kept", Version: "2.0"}, "/usr/share/cut/kept", "two")
	add(lab.PackageSpec{Name: "cut-last", Version: "1.0"}, "/usr/share/cut/last", "one")
	add(lab.PackageSpec{Name: "cut-last", Version: "2.0", Requires: []string{"cut = 2.0", "cut-arch = 2.0"},
		Post: "if [ -e /tmp/cut ]; then rm /tmp/cut; kill -9 $PPID; fi"}, "/usr/share/cut/last", "two")

	const state = "rpm -qa 'cut*' | sort; rpm -V cut cut-arch cut-last; cat /usr/lib/cut/lib /usr/share/cut/*"
	before := [2]string{}
	for i, h := range hosts[:2] {
		before[i] = d.on(h, "touch /tmp/cut; "+state)
	}
	plan := d.plan("cut", "cut*")
	d.run(3, "rollout", "start", plan)
	d.host(hosts[0], "rolled_back", d.newest())
	if now := d.on(hosts[0], state); now != before[0] {
		t.Errorf("went back on %s: %s", hosts[0], difference(before[0], now))
	}
	d.run(0, "rollout", "abort", d.newest(), "--yes", "--reason", "cut")

	file := d.file("cut2.json")
	d.run(0, "plan", hosts[1], "--package", "cut*", "--out", file)
	d.run(3, "rollout", "start", file)
	id := d.newest()
	d.host(hosts[1], "tx_partial", id)
	d.run(0, "rollout", "retry", id, hosts[1])
	d.run(1, "rollout", "resume", id)
	d.reason(d.host(hosts[1], "held", id), "both installed", "--undo")
	d.run(0, "plan", hosts[1], "--undo", id, "--out", file)
	d.says(d.run(0, "plan", "show", file, hosts[1]), "cut-arch-1.0-1.noarch, which is there too and is put in again", "target-first")
	d.run(0, "rollout", "start", file)
	if now := d.on(hosts[1], state); now != before[1] {
		t.Errorf("undone on %s: %s", hosts[1], difference(before[1], now))
	}
}
