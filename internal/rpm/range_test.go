package rpm

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// mustDep reads "name", or "name op version" as spec files have it.
func mustDep(t testing.TB, s string) Dep {
	t.Helper()
	f := strings.Fields(s)
	d := Dep{Name: f[0]}
	if len(f) == 3 {
		var ok bool
		if f[1] == "<>" {
			d.Sense = Less | Greater
		} else if d.Sense, ok = parseSense(f[1]); !ok {
			t.Fatalf("no comparison: %q", s)
		}
		d.EVR = parseLooseEVR(f[2])
	}
	return d
}

func TestSatisfies(t *testing.T) {
	for _, c := range []struct {
		provide, require string
		want             bool
	}{
		{"b", "a", false}, {"b", "a = 1.2", false}, {"a", "a", true}, {"a", "a < 1.2", true}, {"a = 1.2", "a", true},
		{"a = 1.2", "a = 1.2", true}, {"a = 1.2", "a < 1.2", false}, {"a = 1.2", "a <> 1.2", false}, {"a = 1.2", "a <> 1.3", true},
		{"a = 1.2", "a <= 1.3", true}, {"a = 1.2", "a > 1.3", false},
		{"a = 1.2-1", "a > 1.2-2", false}, {"a = 1.2-1", "a < 1.2-2", true}, {"a = 1.3-1", "a >= 1.2-2", true},
		{"a = 0:1.2", "a = 1.2", true}, {"a = 1:1.2", "a = 1.2", false}, {"a = 1:1.2", "a > 1.2", true}, {"a = 1.2", "a < 1:1.2", true},
		{"a > 1.2", "a = 1.2", false}, {"a > 1.2", "a >= 1.2", true}, {"a > 1.2", "a <= 1.2", false}, {"a < 1.2", "a <= 1.2", true},
		{"a >= 1.2", "a = 1.2", true}, {"a >= 1.2", "a < 1.2", false}, {"a <= 1.2", "a > 1.2", false},
		// A missing release is any release, for the side that has "=".
		{"a = 1.2-1", "a = 1.2", true}, {"a = 1.2-1", "a < 1.2", false}, {"a = 1.2-1", "a > 1.2", false}, {"a = 1.2-1", "a <> 1.2", false},
		{"a > 1.2-1", "a = 1.2", true}, {"a < 1.2-1", "a = 1.2", true}, {"a < 1.2-1", "a >= 1.2", true},
		{"a = 1.2", "a < 1.2-1", true}, {"a = 1.2", "a > 1.2-1", true}, {"a > 1.2", "a = 1.2-1", false}, {"a <= 1.2", "a > 1.2-1", true},
		{"a = 1.2", "a = 1.2~rc1", false}, {"a = 1.2~rc1", "a < 1.2", true}, {"a = 1.2^git", "a > 1.2", true},
	} {
		if got := Satisfies(mustDep(t, c.provide), mustDep(t, c.require)); got != c.want {
			t.Errorf("%q for %q: %v, want %v", c.provide, c.require, got, c.want)
		}
	}
	empty := Dep{Name: "a", Sense: Equal}
	if !Satisfies(empty, mustDep(t, "a > 7")) {
		t.Error("a range with an empty version does not overlap with everything")
	}
}

// buildSpec builds a noarch package with rpmbuild and returns its path.
func buildSpec(t *testing.T, name string, tags []string) string {
	t.Helper()
	if _, err := exec.LookPath("rpmbuild"); err != nil {
		t.Skip("needs rpm: ", err)
	}
	dir := t.TempDir()
	spec := filepath.Join(dir, name+".spec")
	text := "Name: " + name + "\nVersion: 1\nRelease: 1\nSummary: test\nLicense: none\nBuildArch: noarch\nAutoReqProv: no\n" +
		strings.Join(tags, "\n") + "\n%description\ntest\n%files\n"
	if err := os.WriteFile(spec, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("rpmbuild", "--define", "_topdir "+dir, "--define", "_rpmdir "+dir, "--quiet", "-bb", spec).CombinedOutput()
	if err != nil {
		t.Skipf("needs rpm: rpmbuild does not build here: %v: %.300s", err, out)
	}
	return filepath.Join(dir, "noarch", name+"-1-1.noarch.rpm")
}

// TestOverlapAgainstRPM lets rpm match every pair of ranges: one package provides, one requires, and what rpm calls missing is
// what does not overlap.
func TestOverlapAgainstRPM(t *testing.T) {
	var ranges []string
	for _, op := range []string{"=", "<", "<=", ">", ">="} {
		for _, v := range []string{"1.2", "1.2-1", "1.2-2", "1.3-1", "1:1.2-1", "1.2~rc-1", "1.2^a", "2:1.1", "0:1.2"} {
			ranges = append(ranges, " "+op+" "+v)
		}
	}
	ranges = append(ranges, "")
	var provides, requires []string
	want := map[string]bool{}
	for i, p := range ranges {
		for j, r := range ranges {
			name := fmt.Sprintf("cap%d.%d", i, j)
			provides, requires = append(provides, "Provides: "+name+p), append(requires, "Requires: "+name+r)
			want[name] = Satisfies(mustDep(t, name+p), mustDep(t, name+r))
		}
	}
	a, b := buildSpec(t, "provider", provides), buildSpec(t, "requirer", requires)
	db := t.TempDir()
	out, err := exec.Command("rpm", "--dbpath", db, "-i", "--test", "--nosignature", a, b).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "Failed dependencies") {
		t.Skipf("needs rpm: no answer: %v: %.300s", err, out)
	}
	missing := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\s+(cap\S+).* is needed by requirer`).FindAllStringSubmatch(string(out), -1) {
		missing[m[1]] = true
	}
	for i, p := range ranges {
		for j, r := range ranges {
			if name := fmt.Sprintf("cap%d.%d", i, j); want[name] == missing[name] {
				t.Errorf("provided%q, required%q: %v, rpm says %v", p, r, want[name], !missing[name])
			}
		}
	}
	t.Logf("%d pairs, %d of them missing", len(want), len(missing))
}
