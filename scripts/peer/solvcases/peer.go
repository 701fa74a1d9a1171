package solvcases

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"cpacman/internal/rpm"
)

// PeerFlags are the settings under which dnf asks libsolv, without weak dependencies.
const PeerFlags = "allowvendorchange keepexplicitobsoletes bestobeypolicy keeporphans yumobsoletes ignorerecommended"

// WriteTrial writes repositories and jobs as a libsolv test case that testsolv can be asked. flags are solver flags.
func WriteTrial(t *Trial, flags string) (string, error) {
	var b strings.Builder
	for _, r := range t.Repos {
		fmt.Fprintf(&b, "repo %s %d testtags <inline>\n#>=Ver: 3.0\n", r.Name, r.Priority)
		for _, p := range r.Packages {
			if err := writeTags(&b, p); err != nil {
				return "", err
			}
		}
	}
	fmt.Fprintf(&b, "system %s rpm %s\npoolflags implicitobsoleteusescolors\nsolverflags %s\n", t.Arch, t.System, flags)
	for _, j := range t.Jobs {
		fmt.Fprintf(&b, "job %s\n", j)
	}
	b.WriteString("result transaction,problems <inline>\n")
	return b.String(), nil
}

// writeTags writes one package; the name itself is provided, as every built package does.
func writeTags(b *strings.Builder, p *rpm.Package) error {
	version := rpm.EVR{Epoch: p.Epoch, Version: p.Version}.String()
	fmt.Fprintf(b, "#>=Pkg: %s %s %s %s\n#>=Prv: %s = %s\n", p.Name, version, p.Release, p.Arch, p.Name, p.EVR)
	for _, l := range [...]struct {
		tag  string
		deps []rpm.Dep
	}{{"Prv", p.Provides}, {"Req", p.Requires}, {"Con", p.Conflicts}, {"Obs", p.Obsoletes}} {
		for _, d := range l.deps {
			text := d.String()
			if d.IsRich() {
				r, err := rpm.ParseRich(d.Name)
				if err != nil {
					return fmt.Errorf("%s: %w", p.NEVRA, err)
				}
				text = richText(r)
			}
			fmt.Fprintf(b, "#>=%s: %s\n", l.tag, text)
		}
	}
	for _, f := range p.Files {
		fmt.Fprintf(b, "#>=Prv: %s\n", f)
	}
	return nil
}

// richText writes a boolean dependency in libsolv's notation.
func richText(r *rpm.Rich) string {
	if r.Op == rpm.RichLeaf {
		return r.Dep.String()
	}
	parts := make([]string, len(r.Args))
	for i, a := range r.Args {
		if parts[i] = richText(a); a.Op != rpm.RichLeaf {
			parts[i] = "(" + parts[i] + ")"
		}
	}
	op := map[rpm.RichOp]string{rpm.RichAnd: "&", rpm.RichOr: "|", rpm.RichIf: "<IF>", rpm.RichUnless: "<UNLESS>",
		rpm.RichWith: "+", rpm.RichWithout: "-"}[r.Op]
	if len(parts) == 3 && (r.Op == rpm.RichIf || r.Op == rpm.RichUnless) {
		return parts[0] + " " + op + " (" + parts[1] + " <ELSE> " + parts[2] + ")"
	}
	return strings.Join(parts, " "+op+" ")
}

// AskTestsolv lets libsolv's own program answer a trial in a folder of the caller.
func AskTestsolv(ctx context.Context, dir string, t *Trial, flags string) (Outcome, error) {
	text, err := WriteTrial(t, flags)
	if err != nil {
		return Outcome{}, err
	}
	path := filepath.Join(dir, "question.t")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return Outcome{}, err
	}
	out, err := exec.CommandContext(ctx, "testsolv", "-r", path).Output()
	if err != nil {
		return Outcome{}, fmt.Errorf("testsolv: %w", err)
	}
	answer := Trial{}
	for _, line := range strings.Split(string(out), "\n") {
		switch word, _, _ := strings.Cut(line, " "); word {
		case "install", "upgrade", "erase", "downgrade", "reinstall", "problem", "archchange", "vendorchange":
			answer.Result = append(answer.Result, line)
		}
	}
	return Expected(&answer)
}
