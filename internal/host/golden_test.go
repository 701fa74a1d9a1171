package host

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cpacman/internal/rpm"
	"cpacman/transport"
)

// script is a Conn that answers each program with prepared lines and keeps what was sent.
type script struct {
	answers []string // without the mark; in order of the calls
	sent    []transport.Command
	files   []transport.Upload
	raw     func(mark string) string // instead of answers
	stderr  string
	result  transport.Result
}

func (s *script) Run(_ context.Context, c transport.Command) (transport.Result, error) {
	s.sent = append(s.sent, c)
	mark := c.Argv[4]
	r := s.result
	r.Stderr = []byte(s.stderr)
	if s.raw != nil {
		r.Stdout = []byte(s.raw(mark))
		return r, nil
	}
	text := "end"
	if len(s.answers) > 0 {
		text, s.answers = s.answers[0], s.answers[1:]
	}
	for line := range strings.Lines(text) {
		r.Stdout = append(r.Stdout, "@"+mark+" "+line...)
	}
	r.Stdout = append(r.Stdout, '\n')
	return r, nil
}

func (s *script) Upload(_ context.Context, f []transport.Upload) (transport.UploadStats, error) {
	s.files = append(s.files, f...)
	return transport.UploadStats{Files: len(f)}, nil
}

// zeros is a random source for marks that golden files can hold.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

var someTime = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func someFile(name string, digit string) File {
	n, _ := rpm.ParseNEVRA(strings.TrimSuffix(name, ".rpm"))
	return File{NEVRA: n, Name: name, SHA256: strings.Repeat(digit, 64), Size: 1000}
}

func someTransaction() Transaction {
	return Transaction{ID: "r1/web01/1", MachineID: strings.Repeat("ab", 16), Upgrade: []File{someFile("foo-2-1.noarch.rpm", "a")},
		InstallOnly: []File{someFile("kernel-3-1.x86_64.rpm", "b")}, Erase: []rpm.NEVRA{{Name: "kernel", EVR: rpm.EVR{Epoch: 1, Version: "1", Release: "1"}, Arch: "x86_64"}},
		ExpectBefore: strings.Repeat("c", 64), ExpectCount: 2, LockWait: 10 * time.Minute}
}

// someBack is the way back of someTransaction.
func someBack(tx Transaction) Transaction {
	return Transaction{ID: BackID(tx.ID), MachineID: tx.MachineID, OldPackage: true, First: []rpm.NEVRA{{Name: "new", EVR: rpm.EVR{Version: "1", Release: "1"}, Arch: "noarch"}},
		Upgrade: []File{someFile("foo-1-1.noarch.rpm", "d")}, Erase: []rpm.NEVRA{tx.InstallOnly[0].NEVRA}, LockWait: 10 * time.Minute}
}

// The programs and arguments sent to hosts are pinned, so that a change is seen by whoever reviews it. Texts of programs stand
// once, in scripts/; here are the calls.
func TestGoldenCommands(t *testing.T) {
	ctx := context.Background()
	tx := someTransaction()
	open := func(s *script, o SessionOptions) *Session {
		o.Host, o.Random, o.Now = "web01", zeros{}, func() time.Time { return someTime }
		ss := NewSession(s, o)
		ss.owner = &Owner{ID: "r1"}
		return ss
	}
	cases := map[string]func(*script){
		"collect": func(s *script) { _, _, _ = Collect(ctx, s, CollectOptions{Random: zeros{}}) },
		"collect-again": func(s *script) {
			_, _, _ = Collect(ctx, s, CollectOptions{Random: zeros{}, Sudo: true, Previous: &Facts{Source: "ssh", Database: Database{Fingerprint: "/var/lib/rpm/a 1 2\n/b 'x'", Path: "/var/lib/rpm"}}})
		},
		"headers": func(s *script) {
			_, _ = Headers(ctx, s, []Package{{Name: "a;b", Version: "1", Release: "1", Arch: "noarch", Header: strings.Repeat("a", 64)}}, HeaderOptions{Random: zeros{}})
		},
		"acquire": func(s *script) {
			_, _ = open(s, SessionOptions{}).Acquire(ctx, Owner{ID: "r1", Control: "c\ntl", User: "ann", Rollout: "r1"})
		},
		"release": func(s *script) { _ = open(s, SessionOptions{}).Release(ctx, Owner{ID: "r1"}) },
		"preflight": func(s *script) {
			_, _ = open(s, SessionOptions{}).call(ctx, "preflight", []string{"lock", "preflight"}, "unmet")
		},
		"stage": func(s *script) { _, _ = open(s, SessionOptions{}).Stage(ctx, tx.Upgrade, nil) },
		"stage-sudo": func(s *script) {
			s.answers = []string{"free 1000000 4096\nend", "drop /home/op/.cpacman-drop\nfree 1000000 4096\nend"}
			_, _ = open(s, SessionOptions{Sudo: true}).Stage(ctx, tx.Upgrade, nil)
		},
		"test":  func(s *script) { _, _ = open(s, SessionOptions{}).Test(ctx, tx) },
		"start": func(s *script) { _ = open(s, SessionOptions{}).Start(ctx, tx) },
		"start-armed": func(s *script) {
			_ = open(s, SessionOptions{}).StartArmed(ctx, tx, Switch{Back: someBack(tx), After: 2 * time.Minute})
		},
		"start-once": func(s *script) {
			_ = open(s, SessionOptions{}).StartArmed(ctx, tx, Switch{Back: someBack(tx), After: 2 * time.Minute, Boot: BootOnceNeeded})
		},
		"back":    func(s *script) { _ = open(s, SessionOptions{}).StartBack(ctx, someBack(tx)) },
		"confirm": func(s *script) { _, _, _ = open(s, SessionOptions{}).Confirm(ctx, BackID(tx.ID)) },
		"erase":   func(s *script) { _ = open(s, SessionOptions{}).RunErase(ctx, tx) },
		"poll":    func(s *script) { _, _ = open(s, SessionOptions{}).Poll(ctx, tx.ID, PollOptions{Tree: true}) },
		"verify": func(s *script) {
			_, _ = open(s, SessionOptions{}).call(ctx, "verify", []string{"after"}, hostID(tx.ID), "verified")
		},
		"clean": func(s *script) {
			_, _ = open(s, SessionOptions{Sudo: true}).Clean(ctx, CleanOptions{What: CleanAll, LedgerAge: time.Hour})
		},
		"bootable": func(s *script) { _ = open(s, SessionOptions{}).CanBootOnce(ctx) },
		"boot":     func(s *script) { _, _ = open(s, SessionOptions{}).Boot(ctx) },
		"reboot":   func(s *script) { _ = open(s, SessionOptions{}).Reboot(ctx, "abc-1") },
		"stale":    func(s *script) { _, _ = open(s, SessionOptions{}).Stale(ctx) },
		"restart": func(s *script) {
			_, _ = open(s, SessionOptions{}).RestartUnits(ctx, tx.ID, []string{"nginx.service", `a@dev-x\x2dy.service`})
		},
		"restart-poll": func(s *script) { _, _ = open(s, SessionOptions{}).PollRestart(ctx, tx.ID) },
		"services-check": func(s *script) {
			_, _ = open(s, SessionOptions{}).Services(ctx, ServiceUnits{For: tx.ID, Units: []string{"httpd.service"}}, false)
		},
		"services-start": func(s *script) {
			_, _ = open(s, SessionOptions{}).Services(ctx, ServiceUnits{Start: true, For: tx.ID, Units: []string{"httpd.service", `a@dev-x\x2dy.service`}}, true)
		},
		"ledger": func(s *script) { _, _ = open(s, SessionOptions{}).Ledger(ctx) },
	}
	for name, run := range cases {
		s := &script{}
		run(s)
		golden(t, name+".txt", s.text(t))
	}
	golden(t, "order.txt", string(tx.order()))
	keyed := tx
	keyed.Import = []KeyFile{{Fingerprint: strings.Repeat("1a", 20), Armor: "-----BEGIN\n\nxyz=\n", SHA256: strings.Repeat("e", 64)}}
	keyed.Retire = []string{"gpg-pubkey-0123abcd-5f5e1000"}
	golden(t, "order-keys.txt", string(keyed.order()))
	golden(t, "program-keytest.sh", program("guard", "keys", "keytest"))
	golden(t, "order-back.txt", string(someBack(tx).order()))
	golden(t, "program-facts.sh", program("config", "facts"))
	for _, p := range []string{"headers", "drop"} {
		golden(t, "program-"+p+".sh", program(p))
	}
	golden(t, "program-undrop.sh", program("fresh", "undrop"))
	for _, p := range []string{"stage", "admit"} {
		golden(t, "program-"+p+".sh", program("guard", "fresh", "uploads", p))
	}
	for _, p := range []string{"poll", "after", "ledger", "stale", "restarter", "services"} {
		golden(t, "program-"+p+".sh", program("guard", p))
	}
	golden(t, "program-acquire.sh", program("guard", "mutex", "lock", "acquire"))
	golden(t, "program-preflight.sh", program("guard", "lock", "preflight"))
	golden(t, "program-clean.sh", program("guard", "mutex", "lock", "fresh", "uploads", "clean"))
	golden(t, "program-test.sh", program("guard", "fresh", "uploads", "steps", "keys", "executor", "test"))
	golden(t, "program-start.sh", program(append([]string{"guard"}, startPrograms...)...))
	golden(t, "program-watch.sh", program("guard", "mutex", "switch", "watch"))
	golden(t, "program-boot.sh", program("guard", "detach", "boot"))
	golden(t, "program-restart.sh", program(append([]string{"guard"}, restartPrograms...)...))
	golden(t, "program-confirm.sh", program("guard", "mutex", "switch", "confirm"))
	golden(t, "program-runner.sh", runnerProgram())
	golden(t, "program-kernel.sh", kernelProgram())
	golden(t, "program-bootable.sh", program("guard", "bootloader", "bootable"))
}

// text names programs by their digest's beginning and prints the rest.
func (s *script) text(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, c := range s.sent {
		if len(c.Argv) < 5 || c.Argv[0] != "/bin/sh" || c.Argv[1] != "-c" || c.Argv[3] != "cpacman" || c.Script != "" || c.Stdin != nil {
			t.Errorf("command %q", c.Argv)
		}
		// With what quoting adds (its own, sudo's, the login shell's) transport refuses more than 128 KiB.
		line := ""
		for _, a := range c.Argv {
			line += " " + transport.Quote(a)
		}
		if n := len(transport.Quote(transport.Quote(line))); n > 96<<10 {
			t.Errorf("command of %d bytes", n)
		}
		fmt.Fprintf(&b, "sudo=%v program=%s", c.Sudo, digestOf([]byte(c.Argv[2]))[:12])
		for _, a := range c.Argv[4:] {
			if strings.Count(a, "\n") > 20 {
				a = "program=" + digestOf([]byte(a))[:12]
			}
			fmt.Fprintf(&b, " %q", a)
		}
		b.WriteString("\n")
	}
	for _, f := range s.files {
		fmt.Fprintf(&b, "upload %s size=%d mode=%o\n", f.Path, f.Size, f.Mode)
	}
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	p := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, []byte(got)) {
		t.Errorf("%s differs (-want +got); -update accepts it:\n%s", name, cmp.Diff(string(want), got))
	}
}

// Programs keep to what old shells have.
func TestShellDialect(t *testing.T) {
	entries, err := scripts.ReadDir("scripts")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := scripts.ReadFile("scripts/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		for n, line := range strings.Split(string(text), "\n") {
			for _, bad := range []string{"[[", "local ", "function ", "<<<", "&>", "$'", "echo -", "pkill", "killall", "==  ", "source "} {
				if strings.Contains(line, bad) && !strings.HasPrefix(strings.TrimSpace(line), "#") {
					t.Errorf("%s:%d has %q: %s", e.Name(), n+1, bad, line)
				}
			}
			if strings.Contains(line, "kill ") && !strings.Contains(line, "kill -0") && !strings.HasPrefix(strings.TrimSpace(line), "#") {
				t.Errorf("%s:%d kills: %s", e.Name(), n+1, line)
			}
		}
	}
}
