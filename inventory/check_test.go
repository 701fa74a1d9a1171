package inventory

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// checked gives what Check says of a site, a line each, without the directory.
func checked(t *testing.T, files map[string]string, prepare func(dir string)) []string {
	t.Helper()
	dir := writeSite(t, files)
	if prepare != nil {
		prepare(dir)
	}
	s, err := (&Loader{Owners: CurrentOwners(""), Home: filepath.Join(dir, "home")}).Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, p := range s.Check() {
		p.Hint = ""
		out = append(out, strings.ReplaceAll(p.Error(), dir+"/", ""))
	}
	return out
}

// healthy is a site without any problem.
func healthy() map[string]string {
	return map[string]string{
		MainFile: `[ssh]
identity = ["id"]
[[repo]]
id = "base"
path = "repo"
keys = ["key"]
[[class]]
name = "production"
[[level]]
name = "canary"
[[level]]
name = "broad"
`,
		"repo/x": "", "key": "", "id": "", "home/.ssh/known_hosts": "",
		"inventory/a.toml": `[cluster.front]
[host.a]
class = "production"
level = "canary"
clusters = ["front"]
[host.b]
class = "production"
level = "broad"
clusters = ["front"]
`,
	}
}

func private(t *testing.T) func(dir string) {
	return func(dir string) {
		if err := os.Chmod(filepath.Join(dir, "id"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCheckHealthy(t *testing.T) {
	if got := checked(t, healthy(), private(t)); len(got) != 0 {
		t.Errorf("%q", got)
	}
}

// TestCheck changes the healthy site in one way each.
func TestCheck(t *testing.T) {
	const inv = "inventory/a.toml"
	for _, c := range []struct {
		name           string
		file, from, to string
		want           []string
	}{
		{"no early member", inv, `"canary"`, `"broad"`, []string{
			`inventory/a.toml:1: warning: cluster "front" has no early member: all of its 2 members come in the last level, "broad", or have none`}},
		{"several early members", inv, `"broad"`, `"canary"`, []string{
			`inventory/a.toml:1: warning: cluster "front" has several early members: 2 of 2 are in the first level, "canary": a, b`}},
		{"no floor", inv, "[cluster.front]", "[cluster.front]\nmax_unavailable = \"100%\"", []string{
			`inventory/a.toml:2: warning: cluster "front": max_unavailable = "100%" lets all 2 members be down at once`}},
		{"one member", inv, "level = \"broad\"\nclusters = [\"front\"]", `level = "broad"`, []string{
			`inventory/a.toml:1: warning: cluster "front" has one member, a: nobody stands in for it`}},
		{"unused", inv, "[cluster.front]", "[cluster.front]\n[cluster.c]\n[group.g]\n[location.l]", []string{
			`inventory/a.toml:2: warning: cluster "c" has no members`,
			`inventory/a.toml:3: warning: group "g" has no hosts`,
			`inventory/a.toml:4: warning: location "l" has no hosts`}},
		{"no class", inv, "class = \"production\"\nlevel = \"canary\"", `level = "canary"`, []string{
			`inventory/a.toml:2: warning: hosts without a class, and so without repositories: a`}},
		{"no level", inv, `level = "canary"`, "", []string{
			`inventory/a.toml:2: warning: hosts without a level: a`,
			`inventory/a.toml:1: warning: cluster "front" has no early member: all of its 2 members come in the last level, "broad", or have none`}},
		{"same address", inv, `level = "canary"`, "level = \"canary\"\naddress = \"B\"", []string{
			`inventory/a.toml:7: hosts "b" and "a" (inventory/a.toml:2) are reached at the same address, b port 22`}},
		{"shadowed", inv, `level = "canary"`, "level = \"canary\"\nmeta.class = \"x\"", []string{
			`inventory/a.toml:5: warning: the free field "class" can be selected only as meta.class: a`}},
		{"legacy", inv, `level = "canary"`, "level = \"canary\"\nssh.profile = \"legacy\"", []string{
			`cpacman.toml: warning: SHA-1 and CBC are offered to 1 hosts: a`}},
		{"certificate missing", inv, `level = "canary"`, "level = \"canary\"\nssh.certificates = [\"gone-cert.pub\"]", []string{
			`inventory/a.toml:5: certificate "gone-cert.pub": no such file or directory`}},
		{"no repository", MainFile, `path = "repo"`, `path = "gone"`, []string{
			`cpacman.toml:5: repository "base": path "gone": no such file or directory`}},
		{"repository is a file", MainFile, `path = "repo"`, `path = "key"`, []string{
			`cpacman.toml:5: repository "base": path "key" is not a directory`}},
		{"no keys", MainFile, `keys = ["key"]`, "", []string{
			`cpacman.toml:3: repository "base" demands signatures and has no keys`}},
		{"key missing", MainFile, `keys = ["key"]`, `keys = ["gone"]`, []string{
			`cpacman.toml:6: repository "base": key "gone": no such file or directory`}},
		{"class without", MainFile, `name = "production"`, "name = \"production\"\nrepos = []\ninstall_only_keep = 1", []string{
			`cpacman.toml:3: warning: repository "base" is in no class`,
			`cpacman.toml:9: warning: class "production" has no repositories`,
			`cpacman.toml:10: warning: class "production" keeps one kernel, which counts as two: the new one and one to fall back to`,
			`inventory/a.toml:3: warning: hosts whose view has no repositories: a, b`}},
		{"repository matches nobody", MainFile, `keys = ["key"]`, "keys = [\"key\"]\nhosts = \"not class=production and os=x\"", []string{
			`inventory/a.toml:3: warning: hosts whose view has no repositories: a, b`}},
		{"identity missing", MainFile, `["id"]`, `["gone"]`, []string{`cpacman.toml:2: identity "gone": no such file or directory`}},
		{"known_hosts missing", MainFile, `identity`, "known_hosts = \"kh\"\nidentity", []string{
			`cpacman.toml:2: warning: known_hosts "kh" does not exist: every host will be refused`}},
		{"health check unused", MainFile, "[[class]]", "[health.x]\ntcp = \"{address}:1\"\n[[class]]", []string{`cpacman.toml:7: warning: health check "x" is not used`}},
		{"program missing", MainFile, `identity`, "sudo_password_command = [\"/nonexistent/pw\"]\nidentity", []string{
			`cpacman.toml:2: program "/nonexistent/pw": no such file or directory`}},
		{"trail program missing", MainFile, "[[class]]", "[trail]\ncommand = [\"/nonexistent/mail\"]\n[[class]]", []string{
			`cpacman.toml:8: program "/nonexistent/mail": no such file or directory`}},
		{"health program missing", MainFile, "name = \"canary\"", "name = \"canary\"\nhealth = [\"x\"]\n[health.x]\nprogram = [\"/nonexistent/lb\"]", []string{
			`cpacman.toml:13: program "/nonexistent/lb": no such file or directory`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := healthy()
			changed := strings.Replace(files[c.file], c.from, c.to, 1)
			if changed == files[c.file] {
				t.Fatal("nothing was changed")
			}
			files[c.file] = changed
			got := checked(t, files, private(t))
			less := func(s []string) map[string]bool {
				m := make(map[string]bool)
				for _, l := range s {
					m[l] = true
				}
				return m
			}
			if diff := cmp.Diff(less(c.want), less(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheckIdentityMode(t *testing.T) {
	got := checked(t, healthy(), func(dir string) {
		if err := os.Chmod(filepath.Join(dir, "id"), 0o640); err != nil {
			t.Fatal(err)
		}
	})
	if len(got) != 1 || got[0] != `cpacman.toml:2: identity "id" can be read by others: mode 0640` {
		t.Errorf("%q", got)
	}
}

func TestCheckKeyOpenToOthers(t *testing.T) {
	got := checked(t, healthy(), func(dir string) {
		private(t)(dir)
		if err := os.Chmod(filepath.Join(dir, "key"), 0o666); err != nil {
			t.Fatal(err)
		}
	})
	if len(got) != 1 || !strings.Contains(got[0], `repository "base": key: file "key" is not safe to use: others can write it`) {
		t.Errorf("%q", got)
	}
}

func TestCheckLocationMisspelt(t *testing.T) {
	files := healthy()
	files["inventory/a.toml"] = strings.Replace(files["inventory/a.toml"], "level = \"canary\"", "level = \"canary\"\nlocation = \"berlin\"", 1)
	files["inventory/b.toml"] = "[location.brelin]\n"
	want := []string{
		`inventory/a.toml:5: warning: location "berlin" of host "a" is not defined`,
		`inventory/b.toml:1: warning: location "brelin" has no hosts`,
	}
	if diff := cmp.Diff(want, checked(t, files, private(t))); diff != "" {
		t.Error(diff)
	}
}
