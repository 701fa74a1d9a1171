package people

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cpacman/internal/rollout"
	"cpacman/inventory"
)

type requests map[string]string

func (r requests) Request(_ context.Context, nonce string) (string, error) { return r[nonce], nil }

// load makes a site of one file; files are more of it, and programs are made executable.
func load(t *testing.T, text string, programs map[string]string) *inventory.Site {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, body := range programs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "cpacman.toml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	site, err := inventory.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return site
}

func TestNobodyIsAnybody(t *testing.T) {
	d := New(load(t, "", nil), requests{})
	if d.Person("root") != "root" || !d.MayApprove("root", "prod") {
		t.Error("a site without people")
	}
	d = New(load(t, "[person.ann]\nos_user = \"root\"\n[person.bob]\nrights = [\"approve\"]\n", nil), requests{"n": "text"})
	if d.Person("root") != "ann" || d.Person("ann") != "" || d.MayApprove("ann", "prod") || !d.MayApprove("bob", "prod") || d.MayApprove("", "prod") {
		t.Error("a site with people")
	}
	if text, err := d.Issued(context.Background(), "n"); err != nil || text != "text" {
		t.Errorf("issued %q, %v", text, err)
	}
}

// TestProcessUserIsNoEnvironment: neither the name in the environment nor a uid without a name makes somebody else of a process.
func TestProcessUserIsNoEnvironment(t *testing.T) {
	before := ProcessUser()
	for _, name := range []string{"USER", "LOGNAME", "SUDO_USER", "HOME"} {
		t.Setenv(name, "mallory")
	}
	if got := ProcessUser(); got != before || got == "mallory" || got == "" {
		t.Errorf("%q, before %q", got, before)
	}
	gone := func(string) (*user.User, error) { return nil, errors.New("unknown") }
	if got := nameOf("4711", gone); got != "uid 4711" {
		t.Errorf("a uid without a name: %q", got)
	}
}

func TestClaim(t *testing.T) {
	for in, want := range map[string]string{"": "", "ann": "ann", "a\x1b[31m\nb": "a?[31m?b", strings.Repeat("ä", 100): strings.Repeat("ä", 32), "a\xff": "a?"} {
		if got := Claim(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

// TestSignaturesOfPeople signs as an approver does, with ssh-keygen, and verifies as the engine does.
func TestSignaturesOfPeople(t *testing.T) {
	keygen, err := exec.LookPath("ssh-keygen")
	if err != nil {
		t.Skip("needs ssh-keygen: not in the PATH")
	}
	dir := t.TempDir()
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(keygen, args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	q := rollout.NewRequest("r1", "d", "class prod", time.Now().Add(time.Hour), [32]byte{7})
	text := filepath.Join(dir, "request")
	if err := os.WriteFile(text, []byte(q.Text()), 0o600); err != nil {
		t.Fatal(err)
	}
	sign := func(key, namespace string) string {
		t.Helper()
		os.Remove(text + ".sig")
		run("-Y", "sign", "-f", filepath.Join(dir, key), "-n", namespace, text)
		b, err := os.ReadFile(text + ".sig")
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	var site strings.Builder
	for _, name := range []string{"ann", "bob", "stranger"} {
		run("-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, name))
		pub, err := os.ReadFile(filepath.Join(dir, name+".pub"))
		if err != nil {
			t.Fatal(err)
		}
		if name != "stranger" {
			site.WriteString("[person." + name + "]\nkeys = [\"" + strings.TrimSpace(string(pub)) + "\"]\n")
		}
	}
	d := New(load(t, site.String(), nil), requests{})
	for _, name := range []string{"ann", "bob"} {
		person, key, err := d.Signer(q.Text(), sign(name, rollout.SignatureNamespace))
		if err != nil || person != name || !strings.HasPrefix(key, "SHA256:") {
			t.Errorf("%s: %q %q %v", name, person, key, err)
		}
	}
	good := sign("ann", rollout.SignatureNamespace)
	for want, got := range map[string][2]string{
		"which no [person] of the site has": {q.Text(), sign("stranger", rollout.SignatureNamespace)},
		`namespace "file"`:                  {q.Text(), sign("ann", "file")},
		"does not fit the text":             {strings.Replace(q.Text(), "class prod", "class test", 1), good},
		"does not begin with":               {q.Text(), "x" + good},
	} {
		if person, _, err := d.Signer(got[0], got[1]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q, %v, want an error with %q", person, err, want)
		}
	}
}

// TestTicketProgram: the program gets the ticket as one argument, through no shell; what it says decides.
func TestTicketProgram(t *testing.T) {
	site := load(t, "", map[string]string{
		"ticket": "#!/bin/sh\necho \"$# $2\"\n[ \"$2\" = 'id=CHG-1; rm x' ]\n", "open": "#!/bin/sh\n"})
	if err := os.Chmod(filepath.Join(site.Dir, "open"), 0o777); err != nil {
		t.Fatal(err)
	}
	d := New(site, requests{})
	check := func(ticket string, program ...string) string {
		program[0] = filepath.Join(site.Dir, program[0])
		if err := d.CheckTicket(context.Background(), program, ticket); err != nil {
			return err.Error()
		}
		return ""
	}
	if got := check("CHG-1; rm x", "ticket", "-x", "id={ticket}"); got != "" {
		t.Error(got)
	}
	if got := check("CHG-2", "ticket", "-x", "id={ticket}"); !strings.Contains(got, "refuses it: exit status 1: 2 id=CHG-2") {
		t.Error(got)
	}
	if got := check("CHG-2", "nothing", "{ticket}"); !strings.Contains(got, "could not be asked") {
		t.Error(got)
	}
	if got := check("CHG-2", "open", "{ticket}"); !strings.Contains(got, "could not be asked") || !strings.Contains(got, "others can write it") {
		t.Error(got)
	}
}
