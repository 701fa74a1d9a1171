package inventory

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

const (
	annKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPZjgeM6W55EmKY2RnM3abejZzxGcOjVOjHrFPd0c3A5"
	bobKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICfxMlYfDp/K3EJusrj6c9kT81fYUOk1o+o92EnbtL4N"
)

const people = `
[[class]]
name = "testing"
[[class]]
name = "production"
[[level]]
name = "broad"
[person.ann]
keys = ["` + annKey + ` ann@desk", "keys/more"]
rights = ["plan", "push", "approve:testing"]
[person.bob]
os_user = "uid 4711"
rights = ["admin"]
[person.eve]
`

func blobOf(t *testing.T, text string) []byte {
	t.Helper()
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return key.Marshal()
}

func TestPeople(t *testing.T) {
	s := mustLoad(t, map[string]string{MainFile: people, "keys/more": "# the token\n\n" + bobKey + "\n"})
	ann := s.People["ann"]
	if s.PersonOf("ann") != ann || s.PersonOf("uid 4711") != s.People["bob"] || s.PersonOf("bob") != nil || s.PersonOf("root") != nil {
		t.Error("people of operating system users")
	}
	if s.PersonByKey(blobOf(t, annKey)) != ann || s.PersonByKey(blobOf(t, bobKey)) != ann || s.PersonByKey(nil) != nil {
		t.Error("people of keys")
	}
	if keys := ann.PublicKeys(); len(keys) != 2 || keys[1].At != filepath.Join(s.Dir, "keys/more") || !strings.HasPrefix(keys[0].Fingerprint, "SHA256:") {
		t.Errorf("keys %+v", keys)
	}
	if got := fmt.Sprint(ann.Rights); got != "[plan push approve:testing]" {
		t.Error(got)
	}
}

// TestRights: a right holds for its class or for all, an unknown person may view, and without people everything is allowed.
func TestRights(t *testing.T) {
	s := mustLoad(t, map[string]string{MainFile: people, "keys/more": bobKey})
	none := mustLoad(t, map[string]string{MainFile: ""})
	for _, c := range []struct {
		person string
		kind   RightKind
		class  string
		want   bool
	}{
		{"ann", RightView, "", true}, {"ann", RightPlan, "", true}, {"ann", RightPush, "production", true}, {"ann", RightPush, "", true},
		{"ann", RightApprove, "testing", true}, {"ann", RightApprove, "production", false}, {"ann", RightApprove, "", false},
		{"ann", RightEmergency, "testing", false}, {"ann", RightAdmin, "", false},
		{"bob", RightApprove, "production", true}, {"bob", RightEmergency, "", true}, {"bob", RightAdmin, "", true}, {"bob", RightPlan, "", true},
		{"eve", RightView, "", true}, {"eve", RightPlan, "", false}, {"eve", RightPush, "testing", false},
		{"", RightView, "", true}, {"", RightPush, "testing", false}, {"", RightAdmin, "", false},
	} {
		if got := s.May(s.People[c.person], c.kind, c.class); got != c.want {
			t.Errorf("%q may %s %q: %t", c.person, c.kind, c.class, got)
		}
		if !none.May(nil, c.kind, c.class) {
			t.Errorf("without people %s %q is refused", c.kind, c.class)
		}
	}
	if got := fmt.Sprint(s.WhoMay(RightApprove, "testing"), s.WhoMay(RightApprove, "production"), none.WhoMay(RightApprove, "x")); got != "[ann bob] [bob] []" {
		t.Error(got)
	}
}

// TestKeyFilesOfOthers: who can write a key file decides who approves.
func TestKeyFilesOfOthers(t *testing.T) {
	for want, spoil := range map[string]func(path string) error{
		"others can write it": func(path string) error { return os.Chmod(path, 0o666) },
		"has no public key":   func(path string) error { return os.WriteFile(path, []byte("# nothing\n"), 0o644) },
		"line 2: the option":  func(path string) error { return os.WriteFile(path, []byte("\nno-pty "+bobKey), 0o644) },
		"cert-authority":      func(path string) error { return os.WriteFile(path, []byte("cert-authority "+bobKey), 0o644) },
		"larger than":         func(path string) error { return os.WriteFile(path, []byte(strings.Repeat("#\n", maxKeyFile)), 0o644) },
		"is a directory":      func(path string) error { os.Remove(path); return os.Mkdir(path, 0o755) },
	} {
		dir := writeSite(t, map[string]string{MainFile: people, "keys/more": bobKey})
		if err := spoil(filepath.Join(dir, "keys/more")); err != nil {
			t.Fatal(err)
		}
		ps := problemsOf(t, dir)
		if len(ps) != 1 || !strings.Contains(ps[0].Message, want) || ps[0].Line != 9 {
			t.Errorf("%v, want one problem with %q", ps, want)
		}
	}
}

func TestTicketPatterns(t *testing.T) {
	re, err := CompileTicket("CHG-[0-9]+|OPS-7")
	if err != nil {
		t.Fatal(err)
	}
	for ticket, want := range map[string]bool{"CHG-12": true, "OPS-7": true, "CHG-": false, "xCHG-1": false, "CHG-1\n": false, "CHG-1x": false, "": false} {
		if re.MatchString(ticket) != want {
			t.Errorf("%q: %t", ticket, !want)
		}
	}
	if _, err := CompileTicket("a)|(b"); err == nil {
		t.Error("a pattern that closes the brackets around it is accepted")
	}
}

// TestCheckOfGates: gates that nobody can open are errors, those that depend on who starts are warnings.
func TestCheckOfGates(t *testing.T) {
	check := func(class, people string) string {
		s := mustLoad(t, map[string]string{MainFile: "[[class]]\nname = \"prod\"\n" + class + "[[level]]\nname = \"broad\"\n" + people})
		var out []string
		for _, p := range s.Check() {
			if strings.Contains(p.Message, "approve") || strings.Contains(p.Message, "ticket") {
				out = append(out, fmt.Sprintf("%s %d %s", p.Severity, p.Line, p.Message))
			}
		}
		return strings.Join(out, "; ")
	}
	two := "[person.ann]\nrights = [\"admin\"]\n[person.bob]\nrights = [\"approve:prod\"]\n"
	for _, c := range []struct{ class, people, want string }{
		{"approve = 1\n", "", ""},
		{"approve = 2\n", "", "warning 3 approve = 2 without people"},
		{"approve = 2\n", two, ""},
		{"approve = 3\n", two, `error 3 class "prod": approve = 3 and 2 may approve: ann, bob`},
		{"approve = 1\n", "[person.eve]\n", "and 0 may approve: nobody"},
		{"approve = 2\napprove_not_starter = true\n", two, "when ann starts a rollout, too few are left for approve = 2"},
		{"approve = 1\napprove_not_starter = true\n", two, ""},
		{"ticket = \"x\"\n", two, `"ticket" has no effect`},
		{"approve = 1\nticket_check = [\"/no/such\", \"{ticket}\"]\n", two, ""},
	} {
		if got := check(c.class, c.people); !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%q %q: %q, want %q", c.class, c.people, got, c.want)
		}
	}
}

// FuzzKeys: no text makes the reader of keys panic, and what it accepts is of a type whose signatures count.
func FuzzKeys(f *testing.F) {
	f.Add(annKey + " x\n# y\n\n" + bobKey)
	f.Add("no-pty " + annKey)
	f.Fuzz(func(t *testing.T, text string) {
		keys, err := parseKeys([]byte(text))
		if err == nil && len(keys) == 0 {
			t.Error("no key and no error")
		}
		_ = isKeyText(text)
	})
}
