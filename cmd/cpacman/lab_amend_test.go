package main

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"cpacman/internal/lab"
	"cpacman/planner"
)

// TestLabAmend: packages get onto two hosts by hand between the plan and the start, so that their sets are others. They are held, what
// differs is shown, and after a yes and a new approval one is updated by its new set and can go back, and the other, which has
// everything by then, is left as it is.
func TestLabAmend(t *testing.T) {
	lab.Need(t)
	t.Parallel()
	l := labUp(t, lab.Options{Hosts: 3, Systemd: -1, SlowSeconds: slowSeconds})
	var places []place
	var names []string
	for i, h := range l.Hosts() {
		names = append(names, h.Name)
		places = append(places, place{host: h.Name, level: []string{"canary", "canary", "broad"}[i]})
	}
	same, differs, empty := names[0], names[1], names[2]
	d := newDesk(t, l, deskOptions{places: places, rollout: "rollback = \"host\"", classes: "[[class]]\nname = \"production\"\napprove = 1\n"})
	add := func(host, name string) {
		t.Helper()
		_, err := l.Add(d.ctx(), host, name)
		d.must(err)
	}
	plan := d.plan("tools", "lab-tools", "lab-slow")
	add(differs, "lab-tools-1.1-1.lab9")
	add(empty, "lab-tools-1.1-1.lab9")
	d.run(6, "rollout", "start", plan)
	id := d.newest()
	d.run(0, "rollout", "approve", id, "--reason", "seen in testing")
	d.run(1, "rollout", "resume", id)
	d.host(same, "ok", id)
	d.reason(d.host(differs, "held", id), "changed since the plan")
	d.reason(d.host(empty, "held", id), "changed since the plan")
	d.says(d.run(0, "rollout", "status", id), "2 hosts changed since the plan", "cpacman rollout amend "+id+" --dry-run")

	d.says(d.run(2, "rollout", "amend", id), "wants --reason")
	d.says(d.run(4, "rollout", "amend", id, same, "--reason", "x"), "host "+same+" cannot be amended: it is ok")
	before := d.run(0, "rollout", "status", id, "--output", "json").stdout
	d.says(d.run(0, "rollout", "amend", id, "--dry-run"), "changed", "upgrade 1.0-1.lab9 to 1.2-1.lab9", "upgrade 1.1-1.lab9 to 1.2-1.lab9",
		"2 of 2 hosts differ", "nothing was recorded")
	if after := d.run(0, "rollout", "status", id, "--output", "json").stdout; after != before {
		t.Errorf("a dry run changed the rollout:\n%s", difference(before, after))
	}

	add(empty, "lab-tools-1.2-1.lab9")
	add(empty, "lab-slow-2.0-1.lab9")
	out := d.run(0, "rollout", "amend", id, "--reason", "put there by hand", "--yes", "--output", "json")
	var shown amendValue
	d.must(json.Unmarshal([]byte(out.stdout), &shown))
	if shown.After == nil || *shown.After == shown.Before || len(shown.Hosts) != 2 {
		t.Fatalf("shown: %s", out.stdout)
	}
	for _, h := range shown.Hosts {
		i := slices.IndexFunc(h.Differences, func(d planner.Difference) bool { return strings.HasPrefix(d.Package, "lab-tools.") })
		if h.Empty != (h.Host == empty) || i < 0 || len(h.Differences) != map[string]int{differs: 1, empty: 2}[h.Host] {
			t.Errorf("%+v", h)
		}
	}
	d.says(out, empty+": 0 packages added to its set, 2 removed, 0 changed; nothing is left to do", "every approval from before is void",
		"next: cpacman rollout approve "+id)
	d.says(d.run(0, "rollout", "amend", id, "--reason", "again", "--yes"), "it needs no amendment", "there is nothing to amend")

	// The approval of before does not count for what was amended.
	d.run(0, "rollout", "retry", id)
	d.says(d.run(6, "rollout", "resume", id), "approval of class production")
	d.installed(differs, "lab-tools", "1.1")
	engine := d.start("rollout", "resume", id, "--wait")
	engine.until("waiting")
	d.says(d.run(1, "rollout", "amend", id, "--reason", "x"), "nothing can be amended under it", "let the engine go")
	d.run(0, "rollout", "amend", id, differs, "--dry-run")
	engine.signal(syscall.SIGKILL)
	<-engine.done
	d.run(0, "rollout", "approve", id, "--reason", "the difference was looked at")
	engine = d.start("rollout", "resume", id)
	d.slow(differs, "post")
	engine.signal(syscall.SIGKILL)
	engine.wait(-1)
	d.run(0, "rollout", "resume", id) // the transaction is judged by the set that it was given
	d.ranOnce(differs, "post")
	d.flagged(d.host(differs, "ok", id), "amended")
	d.host(empty, "noop", id)
	d.installed(differs, "lab-tools", "1.2")
	d.installed(empty, "lab-tools", "1.2")

	d.says(d.run(0, "rollout", "status", id), "amended by", "2 hosts follow plan", "put there by hand")
	d.says(d.run(0, "audit", "trail", "--rollout", id), "rollout.amended", "because: put there by hand")
	d.run(0, "audit", "trail", "verify")
	bundle := d.file("evidence.tar.gz")
	d.run(0, "rollout", "export", id, bundle)
	if members := membersOf(t, bundle); !slices.ContainsFunc(members, func(m string) bool { return strings.HasSuffix(m, "/amendments/"+*shown.Plan+".json") }) {
		t.Errorf("the evidence has no plan of the amendment: %q", members)
	}

	// The way back is that of the new set: to what was there by hand.
	d.run(0, "rollout", "rollback", id, differs, "--yes", "--reason", "to see that it can")
	d.host(differs, "rolled_back", id)
	d.installed(differs, "lab-tools", "1.1")
	d.says(d.run(4, "rollout", "amend", id, "--reason", "x"), "is held because it changed")
}

// membersOf lists the names in an archive.
func membersOf(t *testing.T, path string) []string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, h.Name)
	}
}
