package inventory

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEffective(t *testing.T) {
	s := mustLoad(t, siteFiles(t))
	e := s.Effective(s.Host("web01"))
	for _, c := range []struct{ name, got, want string }{
		{"user of the group", e.SSH.User, "deploy"},
		{"port of the host", fmt.Sprint(e.SSH.Port), "2222"},
		{"jump emptied by a group", fmt.Sprint(e.SSH.Jump), "[]"},
		{"sudo of the site", string(e.SSH.Sudo), "nopasswd"},
		{"timeout", fmt.Sprint(e.SSH.ConnectTimeout), fmt.Sprint(5 * time.Second)},
		{"health adds up", fmt.Sprint(e.Health), "[basic ping web units]"},
		{"excludes add up", fmt.Sprint(e.Exclude), "[nginx httpd]"},
		{"class", words(e.InstallOnly, e.InstallOnlyKeep, e.PreBroken, e.HostSignatures), "[kmod-*] 2 plan all"},
		{"bandwidth", e.Bandwidth.String(), "10MB/s"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", c.name, c.got, c.want)
		}
	}
	e = s.Effective(s.Host("plain"))
	if got := words(e.SSH.User, len(e.SSH.Jump), e.Health, e.Exclude, e.InstallOnlyKeep, e.Bandwidth); got != "ops 2 [basic] [] 3 0" {
		t.Errorf("plain: %s", got)
	}
	if e := s.Effective(s.Host("db01")); fmt.Sprint(e.Exclude) != "[docker*]" {
		t.Errorf("db01 excludes %v", e.Exclude)
	}
	// Settings in force are not affected by asking for them.
	if s.SSH.User != "ops" || len(s.SSH.Jump) != 2 {
		t.Errorf("the site changed: %+v", s.SSH)
	}
}

// TestOrigins is `inventory show` in full: the table is kept in a file.
func TestOrigins(t *testing.T) {
	dir := writeSite(t, siteFiles(t))
	s, err := testLoader().Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, h := range s.Hosts {
		for _, o := range s.Origins(h) {
			fmt.Fprintf(&b, "%s|%s|%s\n", o.Key, o.Value, o.Origin)
		}
		b.WriteByte('\n')
	}
	got := strings.ReplaceAll(b.String(), dir, "SITE")
	const golden = "testdata/origins.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Error(diff)
	}
}

// TestGroupsAgree: groups that write the same, or whose host decides, are fine.
func TestGroupsAgree(t *testing.T) {
	s := mustLoad(t, map[string]string{MainFile: "", "inventory/a.toml": `
[group.a.ssh]
user = "x"
jump = ["g"]
[group.b.ssh]
user = "x"
port = 23
jump = [{ address = "g", user = "u" }]
[group.a.meta]
team = "a"
[group.b.meta]
team = "b"
[host.h]
groups = ["a", "b"]
meta.team = "h"
ssh.jump = []
`})
	h := s.Host("h")
	e := s.Effective(h)
	if got := words(h.Meta, e.SSH.User, e.SSH.Port, len(e.SSH.Jump)); got != "map[team:h] x 23 0" {
		t.Error(got)
	}
}

func TestHops(t *testing.T) {
	for text, want := range map[string]Hop{
		"gate":                    {Address: "gate", Port: 22},
		"ops@gate:2222":           {Address: "gate", User: "ops", Port: 2222},
		"192.0.2.1:23":            {Address: "192.0.2.1", Port: 23},
		"2001:db8::1":             {Address: "2001:db8::1", Port: 22},
		"a@[2001:db8::1]:2222":    {Address: "2001:db8::1", User: "a", Port: 2222},
		"user@corp.example@gate":  {Address: "gate", User: "user@corp.example", Port: 22},
		"[fe80::1%eth0]":          {Address: "fe80::1%eth0", Port: 22},
		"DOMAIN\\user@gate.local": {Address: "gate.local", User: "DOMAIN\\user", Port: 22},
	} {
		got, err := ParseHop(text)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", text, err, diff)
		}
		if back, err := ParseHop(got.String()); err != nil || !cmp.Equal(back, got) {
			t.Errorf("%s is written %s: %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "@gate", "a@", "gate:", "gate:0", "gate:65536", "gate:+1", "[::1", "[::1]22", "-x", "a b", "a@-b", "-oX@gate", "gate:22:22", "x@$(id)", "[gate]x"} {
		if h, err := ParseHop(bad); err == nil {
			t.Errorf("%q is %+v", bad, h)
		}
	}
}

func FuzzHop(f *testing.F) {
	f.Add("ops@gate:2222")
	f.Add("a@[2001:db8::1]:2222")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := ParseHop(text)
		if err != nil {
			return
		}
		if back, err := ParseHop(h.String()); err != nil || !cmp.Equal(back, h) {
			t.Errorf("%q is %+v, read back as %+v: %v", text, h, back, err)
		}
		if h.Address == "" || h.Address[0] == '-' || strings.ContainsAny(h.String(), " \n\x00'\"$`;|&") && !strings.Contains(h.User, "$") {
			t.Errorf("%q is %+v", text, h)
		}
	})
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain é 世界": "plain é 世界", "\x1b[31m": `\x1b[31m`, "a\nb": `a\x0ab`, "\u202egnp": `\u202egnp`, "\xff": `\ufffd`, "\u009b": `\x9b`,
	} {
		if got := printable(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
	many := make(Problems, 300)
	for i := range many {
		many[i] = Problem{File: "f", Line: i + 1, Message: "m", Severity: SeverityError}
	}
	if text := many.Error(); !strings.HasSuffix(text, "f:200: m\nand 100 more") {
		t.Errorf("%.80s", text[len(text)-80:])
	}
}

func TestNearest(t *testing.T) {
	known := []string{"class", "level", "groups", "max_failures", "max_unreachable"}
	for in, want := range map[string]string{"clas": "class", "lass": "class", "levle": "level", "group": "groups", "GROUPS": "groups", "max_failurse": "max_failures", "maxunreachable": "max_unreachable", "colour": "", "": "", "x": "", strings.Repeat("class", 100): ""} {
		if got := nearest(in, known); got != want {
			t.Errorf("%.20q: %q, want %q", in, got, want)
		}
	}
}

// TestSettings holds what hosts share to what each of them gets.
func TestSettings(t *testing.T) {
	s := mustLoad(t, siteFiles(t))
	opts := cmp.AllowUnexported(Effective{}, SSH{}, Source{}, keyLine{})
	for range 2 {
		for _, h := range s.Hosts {
			if diff := cmp.Diff(s.Effective(h), *s.Settings(h), opts); diff != "" {
				t.Errorf("%s: %s", h.Name, diff)
			}
		}
	}
	var text strings.Builder
	text.WriteString("[group.near]\nexclude = [\"a*\"]\n[group.far]\nexclude = [\"b*\"]\ngroups = [\"near\"]\n")
	for i, own := range []string{"", "", "groups = [\"near\"]", "groups = [\"near\"]", "groups = [\"far\", \"near\"]", "groups = [\"near\", \"far\"]", "groups = [\"far\"]",
		"exclude = [\"c*\"]", "exclude = [\"d*\"]"} {
		fmt.Fprintf(&text, "[host.h%d]\nclass = \"production\"\nlevel = \"broad\"\n%s\n", i, own)
	}
	files := siteFiles(t)
	files["inventory/shared.toml"] = text.String()
	s = mustLoad(t, files)
	if a, b := s.Host("h0"), s.Host("h1"); s.Settings(a) != s.Settings(b) {
		t.Error("two hosts that write nothing share nothing")
	}
	if a, b := s.Host("h2"), s.Host("h3"); s.Settings(a) != s.Settings(b) {
		t.Error("two hosts of a group share nothing")
	}
	for _, h := range s.Hosts {
		if diff := cmp.Diff(s.Effective(h), *s.Settings(h), opts); diff != "" {
			t.Errorf("%s: %s", h.Name, diff)
		}
	}
}
