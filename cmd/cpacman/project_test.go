package main

import (
	"encoding/json"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// mayImport is the table of the architecture page: what each package may import of ours. Tests may import more.
var mayImport = map[string][]string{
	"inventory":         {},
	"transport":         {},
	"transport/sshtest": {},
	"internal/rpm":      {},
	"planner":           {"internal/rpm"},
	"internal/repo":     {"internal/rpm"},
	"internal/host":     {"transport", "internal/rpm"},
	"internal/health":   {"transport"},
	"internal/sshsig":   {},
	"internal/people":   {"inventory", "internal/rollout", "internal/health", "internal/sshsig"},
	"internal/rollout":  {"inventory", "planner"},
	"internal/lab":      {"inventory"},
	"internal/notify":   {"internal/rollout"},
	"internal/trail":    {},
	"internal/store":    {"internal/host", "internal/rollout", "internal/trail", "planner", "inventory"},
	"internal/report":   {"inventory", "planner", "internal/repo", "internal/store", "internal/rollout", "internal/rpm"},
	"internal/evidence": {"internal/host", "internal/rollout", "internal/store", "internal/trail", "transport"},
	"internal/fleet": {"inventory", "transport", "planner", "internal/rpm", "internal/repo", "internal/host", "internal/health",
		"internal/rollout", "internal/store", "internal/trail", "internal/report"},
	"cmd/cpacman-lab": {"internal/lab", "inventory"},
}

// goPackage is what `go list -json` says of one.
type goPackage struct {
	ImportPath string
	Name       string
	Doc        string
	Imports    []string
}

func goPackages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Name,Doc,Imports", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p goPackage
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func TestImportsFollowTheArchitecture(t *testing.T) {
	for _, p := range goPackages(t) {
		name := strings.TrimPrefix(p.ImportPath, "cpacman/")
		allowed, listed := mayImport[name]
		switch {
		case name == "cmd/cpacman" || strings.HasPrefix(name, "scripts/"):
			continue
		case !listed:
			t.Errorf("package %s is not in the table of what may import what", name)
			continue
		}
		for _, i := range p.Imports {
			if ours, ok := strings.CutPrefix(i, "cpacman/"); ok && !slices.Contains(allowed, ours) {
				t.Errorf("%s may not import %s", name, ours)
			}
		}
	}
}

func TestPlannerAndRolloutDoNoIO(t *testing.T) {
	for _, p := range goPackages(t) {
		if name := strings.TrimPrefix(p.ImportPath, "cpacman/"); name != "planner" && name != "internal/rollout" {
			continue
		}
		for _, i := range p.Imports {
			if i == "os" || i == "net" || strings.HasPrefix(i, "net/") || strings.HasPrefix(i, "os/") || i == "database/sql" {
				t.Errorf("%s imports %s", p.ImportPath, i)
			}
		}
	}
}

func TestPackagesHaveDocs(t *testing.T) {
	for _, p := range goPackages(t) {
		if len(p.Doc) < 40 {
			t.Errorf("package %s has no comment that says what it is", p.ImportPath)
		}
		if p.Name == "util" || p.Name == "common" || p.Name == "types" || p.Name == "helpers" {
			t.Errorf("package %s is named after nothing", p.ImportPath)
		}
	}
}

// TestFlagsHaveOneMeaning holds what reorder relies on: a flag name takes a value everywhere or nowhere.
func TestFlagsHaveOneMeaning(t *testing.T) {
	app := newApp(&env{})
	takes := map[string]bool{}
	seen := map[string]string{}
	check := func(where string, flags []cli.Flag) {
		for _, f := range flags {
			d, ok := f.(cli.DocGenerationFlag)
			if !ok || d.GetUsage() == "" {
				t.Errorf("flag %v of %s has no usage", f.Names(), where)
				continue
			}
			for _, name := range f.Names() {
				if first, was := seen[name]; was && takes[name] != d.TakesValue() {
					t.Errorf("flag %s takes a value in one of %s and %s only", name, first, where)
				}
				seen[name], takes[name] = where, d.TakesValue()
			}
		}
	}
	check("cpacman", app.Flags)
	walk(app.Commands, func(c *cli.Command) {
		check(c.Name, c.Flags)
		if c.Usage == "" {
			t.Errorf("verb %s has no usage", c.Name)
		}
	})
}

// TestNoUnfinishedWork looks for the words that unfinished work leaves behind.
func TestNoUnfinishedWork(t *testing.T) {
	words := []string{"TO" + "DO", "FIX" + "ME", "X" + "XX"}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "lab" && path == "../../lab" || d.Name() == "bin") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, w := range words {
			if strings.Contains(string(b), w) {
				t.Errorf("%s has %s", path, w)
			}
		}
		if _, err := parser.ParseFile(token.NewFileSet(), path, b, parser.PackageClauseOnly); err != nil {
			t.Error(err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
