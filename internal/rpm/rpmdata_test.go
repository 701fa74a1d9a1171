package rpm

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// dataDir is a directory of real packages and databases that the project does not carry.
func dataDir(t *testing.T) string {
	dir := os.Getenv("CPACMAN_DATA")
	if dir == "" {
		t.Skip("needs data: CPACMAN_DATA names no directory of real packages")
	}
	return dir
}

// packageFiles lists everything below dir that is called a package.
func packageFiles(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.Contains(d.Name(), ".rpm") || err == nil && strings.Contains(d.Name(), ".x86_64-") {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// queryFormat makes rpm print what describe prints, a line for each fact.
var queryFormat = func() string {
	f := `N %{NAME}\nE %{EPOCH}\nV %{VERSION}\nR %{RELEASE}\nA %{ARCH}\nvendor %{VENDOR}\nsource %{SOURCERPM}\nbuilt %{BUILDTIME}\nsize %{LONGSIZE}\nmodule %{MODULARITYLABEL}\n`
	f += `[color %{FILECOLORS}\n][F %{FILENAMES} %{FILEFLAGS}\n]`
	for _, k := range []string{"PROVIDE", "REQUIRE", "CONFLICT", "OBSOLETE", "RECOMMEND", "SUGGEST", "SUPPLEMENT", "ENHANCE"} {
		f += fmt.Sprintf(`[%s %%{%sNAME} %%{%sFLAGS} %%{%sVERSION}\n]`, k, k, k, k)
	}
	for _, k := range []string{"PREIN", "POSTIN", "PREUN", "POSTUN", "PRETRANS", "POSTTRANS"} {
		f += fmt.Sprintf(`%s <%%{%s}>\n`, k, k)
	}
	return f + `T %{TRIGGERSCRIPTS:arraysize}\n`
}()

// askQuery returns rpm's lines about one package, normalised: flags that say nothing about versions are cut off.
func askQuery(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := exec.Command("rpm", append([]string{"--nosignature", "--nodigest", "--qf", queryFormat, "-q"}, args...)...).Output()
	if err != nil {
		return "", err
	}
	color := uint64(0)
	var lines []string
	for _, l := range strings.Split(string(out), "\n") {
		kind, rest, _ := strings.Cut(l, " ")
		switch kind {
		case "color":
			n, _ := strconv.ParseUint(rest, 10, 64)
			color |= n & 0x0f
			continue
		case "PROVIDE", "REQUIRE", "CONFLICT", "OBSOLETE", "RECOMMEND", "SUGGEST", "SUPPLEMENT", "ENHANCE":
			l = normaliseDep(kind, rest)
		}
		lines = append(lines, l)
	}
	return strings.Join(append(lines, fmt.Sprintf("color %d", color)), "\n"), nil
}

// normaliseDep turns "name with blanks FLAGS VERSION" into what describeDep prints.
func normaliseDep(kind, rest string) string {
	i := strings.LastIndexByte(rest, ' ')
	version, rest := rest[i+1:], rest[:i]
	i = strings.LastIndexByte(rest, ' ')
	bits, _ := strconv.ParseUint(rest[i+1:], 10, 64)
	d := Dep{Name: rest[:i], Pre: kind == "REQUIRE" && bits&(1<<6|1<<9|1<<10) != 0}
	if version != "" && bits&0xe != 0 {
		d.Sense, d.EVR = Sense(bits&0xe), parseLooseEVR(version)
	}
	return describeDep(kind, d)
}

func describeDep(kind string, d Dep) string { return fmt.Sprintf("%s %s pre=%v", kind, d, d.Pre) }

// none is how rpm prints what is not there.
func none(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

// describe prints a package as queryFormat makes rpm print it.
func describe(t *testing.T, h *Header) string {
	t.Helper()
	p, err := h.Package()
	if err != nil {
		t.Fatal(err)
	}
	vendor := p.Vendor
	if !h.Has(tagVendor) {
		vendor = "(none)"
	}
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	epoch := "(none)"
	if n, ok := h.Number(tagEpoch); ok {
		epoch = fmt.Sprint(n)
	}
	add("N %s\nE %s\nV %s\nR %s\nA %s\nvendor %s\nsource %s", p.Name, epoch, p.Version, p.Release, none(h.Text(tagArch)), vendor, none(p.SourceRPM))
	built := "(none)"
	if h.Has(tagBuildTime) {
		built = fmt.Sprint(p.BuildTime)
	}
	add("built %s\nsize %d\nmodule %s", built, p.InstalledSize, none(p.ModularityLabel))
	files, err := h.Files()
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range files {
		if f.Path != p.Files[i] {
			t.Fatalf("file %d: %s and %s", i, f.Path, p.Files[i])
		}
		add("F %s %d", f.Path, f.Flags)
	}
	lines = append(lines, describeDeps(p)...)
	lines = append(lines, describeScripts(t, h)...)
	return strings.Join(append(lines, fmt.Sprintf("color %d", p.Color)), "\n")
}

func describeDeps(p *Package) (lines []string) {
	for _, k := range []struct {
		kind string
		deps []Dep
	}{{"PROVIDE", p.Provides}, {"REQUIRE", p.Requires}, {"CONFLICT", p.Conflicts}, {"OBSOLETE", p.Obsoletes},
		{"RECOMMEND", p.Recommends}, {"SUGGEST", p.Suggests}, {"SUPPLEMENT", p.Supplements}, {"ENHANCE", p.Enhances}} {
		for _, d := range k.deps {
			lines = append(lines, describeDep(k.kind, d))
		}
	}
	return lines
}

func describeScripts(t *testing.T, h *Header) (lines []string) {
	t.Helper()
	scripts, err := h.Scriptlets()
	if err != nil {
		t.Fatal(err)
	}
	body, triggers := map[string]string{}, 0
	for _, s := range scripts {
		body[s.Kind] = s.Body
		if strings.HasPrefix(s.Kind, "trigger") {
			triggers++
		}
	}
	for _, k := range [][2]string{{"PREIN", "pre"}, {"POSTIN", "post"}, {"PREUN", "preun"}, {"POSTUN", "postun"}, {"PRETRANS", "pretrans"}, {"POSTTRANS", "posttrans"}} {
		lines = append(lines, fmt.Sprintf("%s <%s>", k[0], none(body[k[1]])))
	}
	count := "(none)"
	if triggers > 0 {
		count = fmt.Sprint(triggers)
	}
	return append(lines, "T "+count, "")
}

// diffLines returns the lines that only one side has, in any order. Repeated lines count once: what rpm 4 adds to a package of
// rpm 3 may be there already.
func diffLines(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	slices.Sort(g)
	slices.Sort(w)
	g, w = slices.Compact(g), slices.Compact(w)
	var out []string
	for len(g) > 0 || len(w) > 0 {
		switch {
		case len(w) == 0 || len(g) > 0 && g[0] < w[0]:
			out, g = append(out, "ours: "+g[0]), g[1:]
		case len(g) == 0 || w[0] < g[0]:
			out, w = append(out, "rpm:  "+w[0]), w[1:]
		default:
			g, w = g[1:], w[1:]
		}
	}
	return strings.Join(out, "\n")
}

// TestRealPackages reads every real package and compares all facts with rpm's own reading of it.
func TestRealPackages(t *testing.T) {
	dir := dataDir(t)
	if _, err := exec.LookPath("rpm"); err != nil {
		t.Skip("needs rpm: ", err)
	}
	agree, both, files := 0, 0, packageFiles(t, dir)
	for _, path := range files {
		name, _ := filepath.Rel(dir, path)
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		pkg, err := ReadPackageFile(f)
		f.Close()
		want, rpmErr := askQuery(t, "-p", path)
		switch {
		case err != nil && rpmErr != nil:
			both++
			t.Logf("%s: refused by both: %v", name, err)
		case err != nil || rpmErr != nil:
			t.Errorf("%s: ours %v, rpm %v", name, err, rpmErr)
		case diffLines(describe(t, pkg.Header), want) != "":
			t.Errorf("%s:\n%s", name, diffLines(describe(t, pkg.Header), want))
		default:
			agree++
		}
	}
	t.Logf("%d packages: %d agree in every fact, %d refused by both", len(files), agree, both)
}
