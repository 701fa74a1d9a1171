package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"cpacman/internal/lab"
	"cpacman/internal/people"
)

// Two people open the gate of a class by signatures of keys that this machine need not have, from an account that may only start;
// one of them, twice, does not.
func scenarioTwoApprove(t *testing.T, l *lab.Lab, hosts []string) {
	persons := fmt.Sprintf("[person.robot]\nos_user = %q\nrights = [\"plan\", \"push\"]\n", people.ProcessUser())
	keys := map[string]string{}
	dir := t.TempDir()
	keygen := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ssh-keygen", args...).CombinedOutput(); err != nil {
			t.Fatalf("ssh-keygen %v: %v: %s", args, err, out)
		}
	}
	for _, name := range []string{"ann", "bob"} {
		keys[name] = dir + "/" + name
		keygen("-q", "-t", "ed25519", "-N", "", "-f", keys[name])
		pub, err := os.ReadFile(keys[name] + ".pub")
		if err != nil {
			t.Fatal(err)
		}
		persons += fmt.Sprintf("[person.%s]\nkeys = [%q]\nrights = [\"approve:production\"]\n", name, strings.TrimSpace(string(pub)))
	}
	d := newDesk(t, l, deskOptions{
		places: []place{{host: hosts[0], class: "testing"}, {host: hosts[1], class: "production"}},
		classes: "[[class]]\nname = \"testing\"\n[[class]]\nname = \"production\"\napprove = 2\napprove_not_starter = true\nticket = \"OPS-[0-9]+\"\n" +
			persons,
	})
	approve := func(name string, want int) output {
		t.Helper()
		request := d.file("request")
		os.Remove(request + ".sig")
		d.must(os.WriteFile(request, []byte(d.run(0, "rollout", "approve", "--print-request").stdout), 0o600))
		keygen("-Y", "sign", "-f", keys[name], "-n", "cpacman-approval", request)
		return d.run(want, "rollout", "approve", "--request", request, "--signature", request+".sig", "--ticket", "OPS-7", "--reason", "seen in testing")
	}
	d.says(d.run(6, "rollout", "start", d.plan("tools", "lab-tools")), "waits for approvals of class production: 0 of 2")
	d.installed(hosts[0], "lab-tools", "1.2")
	d.says(d.run(1, "rollout", "approve"), "robot has not the right")
	approve("ann", 0)
	d.says(approve("ann", 4), "ann has approved class production already")
	d.says(d.run(6, "rollout", "resume"), "waits for approvals of class production: 1 of 2, by ann")
	d.installed(hosts[1], "lab-tools", "1.0")
	d.says(d.run(0, "rollout", "status"), "ann, at ", "signed with SHA256:", "ticket OPS-7: seen in testing", "missing: 1 of bob")
	approve("bob", 0)
	d.says(d.run(0, "rollout", "resume"), "done (2 ok)")
	d.installed(hosts[1], "lab-tools", "1.2")
	d.says(d.run(0, "rollout", "status", d.newest()), "approvals of class production: 2 of 2")
}
