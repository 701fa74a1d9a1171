package host

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// configOf reads configuration files as a host's shell does.
func configOf(t *testing.T, shell []string, files map[string]string) Facts {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(strings.ReplaceAll(text, "ROOT", root)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command(shell[0], append(shell[1:], "-c", program("config")+"root=$1\nconfig\n", "cpacman", "m", root)...).Output()
	if err != nil && len(out) == 0 {
		t.Fatal(err)
	}
	var f Facts
	readConfig(&f, parseAnswer("m", out))
	for i := range f.Holds {
		f.Holds[i].Source = strings.TrimPrefix(f.Holds[i].Source, root)
	}
	return f
}

// What dnf, yum, dnf 5 and zypper would respect, in the forms that their manual pages show.
func TestHoldsOfAHost(t *testing.T) {
	const list, toml, zypp = "/etc/dnf/plugins/versionlock.list", "/etc/dnf/versionlock.toml", "/etc/zypp/locks"
	when := func(w ...string) (out []HoldWhen) {
		for ; len(w) > 0; w = w[3:] {
			out = append(out, HoldWhen{w[0], w[1], w[2]})
		}
		return out
	}
	cases := map[string]struct {
		files map[string]string
		want  []Hold
	}{
		"nothing": {nil, []Hold{}},
		"dnf.conf": {map[string]string{"etc/dnf/dnf.conf": "[main]\ngpgcheck=1\nexcludepkgs = foo*, bar\nexclude_from_weak=weak\nexclude_from_weak_autodetect=true\nexclude=baz\n\n" +
			"protected_packages=systemd,\n\tsudo\n# a word\nbest=True\n  indented\n[epel]\nexcludepkgs=nginx\n"},
			[]Hold{{Kind: "exclude", Pattern: "foo*"}, {Kind: "exclude", Pattern: "bar"}, {Kind: "exclude", Pattern: "baz"},
				{Kind: "protected", Pattern: "systemd"}, {Kind: "protected", Pattern: "sudo"}}},
		"a list over several lines": {map[string]string{"etc/yum.conf": "[main]\nexclude=\n  kernel*\n\t# not this\n\tphp* mysql*\nkeepcache=0"},
			[]Hold{{Kind: "exclude", Pattern: "kernel*"}, {Kind: "exclude", Pattern: "php*"}, {Kind: "exclude", Pattern: "mysql*"}}},
		"drop-ins of dnf 5": {map[string]string{"etc/dnf/libdnf5.conf.d/20-x.conf": "[main]\nexcludepkgs=foo\n", "usr/share/dnf5/libdnf.conf.d/p.conf": "[main]\nprotected_packages=dnf5\n"},
			[]Hold{{Kind: "exclude", Pattern: "foo"}, {Kind: "protected", Pattern: "dnf5"}}},
		"protected.d": {map[string]string{"etc/dnf/protected.d/x.conf": "bar foo\nzed,dnf\n"},
			[]Hold{{Kind: "protected", Pattern: "bar"}, {Kind: "protected", Pattern: "foo"}, {Kind: "protected", Pattern: "zed"}, {Kind: "protected", Pattern: "dnf"}}},
		"vendors": {map[string]string{"etc/zypp/vendors.d/00-openSUSE.conf": "[main]\nvendors=openSUSE,SUSE,SUSE LLC <https://www.suse.com/>\n"},
			[]Hold{{Kind: "same-vendor", Pattern: "openSUSE,SUSE,SUSE LLC <https://www.suse.com/>"}}},
		"a long line": {map[string]string{"etc/dnf/dnf.conf": "[main]\nexclude=" + strings.Repeat("x", 1000) + "," + strings.Repeat("y", 1000) + ",foo\n"},
			[]Hold{{Kind: "exclude", Pattern: strings.Repeat("x", 1000)}, {Kind: "exclude", Pattern: strings.Repeat("y", 1000)}, {Kind: "exclude", Pattern: "foo"}}},
		"a line that is too long":    {map[string]string{"etc/dnf/dnf.conf": "[main]\nexclude=foo " + strings.Repeat("x ", 40000) + "\n"}, nil},
		"a pattern that is too long": {map[string]string{list: strings.Repeat("x", 2000) + "\n"}, nil},
		"versionlock": {map[string]string{list: "# Added lock\nbash-0:4.2.46-33.el7.*\n\n!evil-1:6.6-1.*\n"},
			[]Hold{{Kind: "versionlock", Pattern: "bash-0:4.2.46-33.el7.*", Source: list}, {Kind: "versionlock", Pattern: "!evil-1:6.6-1.*", Source: list}}},
		"a list elsewhere": {map[string]string{"etc/yum/pluginconf.d/versionlock.conf": "[main]\nenabled = 1\nlocklist = ROOT/etc/my.list\n", "etc/my.list": "0:bash-4.2.46-33.el7.*\n"},
			[]Hold{{Kind: "versionlock", Pattern: "0:bash-4.2.46-33.el7.*", Source: "/etc/my.list"}}},
		"a list elsewhere that is not there": {map[string]string{"etc/dnf/plugins/versionlock.conf": "[main]\nenabled = 1\nlocklist = ROOT/etc/my.list\n", list: "bash-0:4.2.46-33.el7.*\n"}, nil},
		"a plugin that is turned off": {map[string]string{"etc/dnf/plugins/versionlock.conf": "[main]\nlocklist = ROOT/etc/none\nenabled = No\n", list: "bash-0:4.2.46-33.el7.*\n",
			"etc/yum/pluginconf.d/versionlock.conf": "[main]\nenabled=0\nenabled=1\n", "etc/yum/pluginconf.d/versionlock.list": "foo-0:1-1.*\n"},
			[]Hold{{Kind: "versionlock", Pattern: "foo-0:1-1.*"}}},
		"dnf 5": {map[string]string{toml: "version = \"1.0\"\n\n# keep\n[[packages]]\nname = \"bash\" # comment\n[[packages.conditions]]\nkey = \"evr\"\ncomparator = \"=\"\n" +
			"value = \"0:5.2.15-5.fc39\"\n\n[[packages]]\nname = \"iftop\"\ncomment = \"x\"\n[[packages.conditions]]\nkey = \"evr\"\ncomparator = \"!=\"\nvalue = \"0:1.0-0.31\"\n" +
			"[[packages]]\nname = \"acpi\"\n[[packages.conditions]]\nkey = \"evr\"\ncomparator = \"<\"\nvalue = \"4\"\n[[packages.conditions]]\nkey = \"evr\"\ncomparator = \">=\"\nvalue = \"3\"\n" +
			"[[packages]]\nname = \"odd\"\n[[packages.conditions]]\nkey = \"evr\"\ncomparator = \"~\"\nvalue = \"4\"\n"},
			[]Hold{{Kind: "versionlock", Pattern: "bash", When: when("evr", "=", "0:5.2.15-5.fc39")}, {Kind: "versionlock", Pattern: "iftop", When: when("evr", "!=", "0:1.0-0.31")},
				{Kind: "versionlock", Pattern: "acpi", When: when("evr", "<", "4", "evr", ">=", "3")}, {Kind: "versionlock", Pattern: "odd"}}},
		"dnf 5, damaged": {map[string]string{toml: "[[packages]]\nname = \"bash\n"}, nil},
		"zypper": {map[string]string{zypp: "\ntype: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: vim*\n\n# x\ntype: patch\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: SUSE-1\n\n" +
			"type: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: kernel-default\nversion: > 5.3\n\nsolvable_name: sub\nversion: 1.2-3\n\n" +
			"match_type: regex\nsolvable_name:\nquery_string: ^lib.*$\n\nmatch_type: exact\nrepo: packman\nsolvable_name: a\nsolvable_name: b\nversion: ==1\n\n" +
			"type: package\nsolvable_summary: game\nquery_string: game"},
			[]Hold{{Kind: "zypper-lock", Pattern: "vim*"}, {Kind: "zypper-lock", Pattern: "kernel-default", When: when("edition", ">", "5.3")},
				{Kind: "zypper-lock", Pattern: "sub", Match: MatchSubstring, Fold: true, When: when("edition", "=", "1.2-3")}, {Kind: "zypper-lock", Pattern: "^lib.*$", Match: MatchRegex, Fold: true},
				{Kind: "zypper-lock", Pattern: "a", Match: MatchExact, Fold: true, When: when("edition", "=", "1")}, {Kind: "zypper-lock", Pattern: "b", Match: MatchExact, Fold: true, When: when("edition", "=", "1")},
				{Kind: "zypper-lock", Pattern: "game", Match: MatchNothing}}},
	}
	for shellName, shell := range shells {
		if _, err := exec.LookPath(shell[0]); err != nil {
			t.Logf("without %s: %v", shellName, err)
			continue
		}
		for name, c := range cases {
			t.Run(shellName+"/"+name, func(t *testing.T) {
				got := configOf(t, shell, c.files)
				for i := range c.want {
					if c.want[i].Source == "" {
						c.want[i].Source = got.Holds[min(i, len(got.Holds)-1)].Source
					}
				}
				if d := cmp.Diff(c.want, got.Holds); d != "" {
					t.Error(d)
				}
			})
		}
	}
}

// A lock on everything is as many locks as there are packages; more than can be kept is not known at all.
func TestManyHolds(t *testing.T) {
	read := func(n int) []Hold {
		var b strings.Builder
		b.WriteString("@m file lock /v.list\n")
		for range n {
			b.WriteString("@m line foo-0:1-1.*\n")
		}
		var f Facts
		readConfig(&f, parseAnswer("m", []byte(b.String())))
		return f.Holds
	}
	if got := len(read(maxHolds)); got != maxHolds {
		t.Errorf("%d holds of %d", got, maxHolds)
	}
	if got := read(maxHolds + 1); got != nil {
		t.Errorf("%d holds of more than can be kept", len(got))
	}
}

// What is there in the place of a list and is no file is not one without locks; nothing there, or a device, is.
func TestListIsNoFile(t *testing.T) {
	for name, c := range map[string]struct {
		put  func(path string) error
		none bool
	}{
		"nothing":           {func(string) error { return nil }, true},
		"/dev/null":         {func(path string) error { return os.Symlink("/dev/null", path) }, true},
		"a directory":       {func(path string) error { return os.Mkdir(path, 0o755) }, false},
		"a link to nothing": {func(path string) error { return os.Symlink("/no/such/list", path) }, false},
	} {
		root := t.TempDir()
		if err := os.MkdirAll(filepath.Join(root, "etc/dnf/plugins"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := c.put(filepath.Join(root, "etc/dnf/plugins/versionlock.list")); err != nil {
			t.Fatal(err)
		}
		out, _ := exec.Command("/bin/sh", "-c", program("config")+"root=$1\nconfig\n", "cpacman", "m", root).Output()
		var f Facts
		readConfig(&f, parseAnswer("m", out))
		if (f.Holds != nil) != c.none {
			t.Errorf("%s: holds %v: %s", name, f.Holds, out)
		}
	}
}

// A directory that is closed to the login is not one without locks.
func TestClosedDirectory(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: another user looks")
	}
	root := t.TempDir()
	for p := root; len(p) > len(os.TempDir()); p = filepath.Dir(p) {
		if err := os.Chmod(p, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(root, "etc/dnf/plugins"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(root, "etc/dnf/plugins"), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-c", program("config")+"root=$1\nconfig\n", "cpacman", "m", root)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	cmd.Dir = "/"
	out, _ := cmd.Output()
	var f Facts
	readConfig(&f, parseAnswer("m", out))
	if f.Holds != nil || f.Modules == nil {
		t.Errorf("holds %v, modules %v: %s", f.Holds, f.Modules, out)
	}
}
