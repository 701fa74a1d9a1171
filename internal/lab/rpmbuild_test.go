package lab

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// needRPM skips where there is no rpm to be the oracle.
func needRPM(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("rpm"); err != nil {
		t.Skip("needs rpm: install the package rpm to check built packages with it")
	}
}

// rpm runs rpm with a database of its own and returns what it printed.
func rpm(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command("rpm", append([]string{"--dbpath", filepath.Join(dir, "db")}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "HOME="+dir)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestBuiltPackageIsWhatRPMReads(t *testing.T) {
	needRPM(t)
	dir := t.TempDir()
	spec := PackageSpec{
		Name: "alpha", Epoch: 2, Version: "1.0~rc1", Release: "3", Arch: "x86_64",
		Requires:    []string{"beta >= 1:2.0-1", "(gamma if delta)", "/bin/sh"},
		Provides:    []string{"virtual = 7"},
		Obsoletes:   []string{"old < 5"},
		Conflicts:   []string{"enemy = 1"},
		Recommends:  []string{"nice"},
		Supplements: []string{"(a and b)"},
		Post:        "echo hello",
		Compression: "zstd",
		Files: []PackageFile{
			{Path: "/usr/share/alpha", Dir: true},
			{Path: "/usr/share/alpha/data", Body: []byte("text")},
			{Path: "/etc/alpha.conf", Body: []byte("a=1\n"), Keep: true},
			{Path: "/usr/share/alpha/link", Link: "data"},
			{Path: "/usr/lib64/libalpha.so.1", Body: ELF(2), Mode: 0o755, Color: 2},
		},
	}
	data, err := BuildPackage(spec)
	if err != nil {
		t.Fatal(err)
	}
	again, err := BuildPackage(spec)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, again) {
		t.Error("the same spec gave different bytes")
	}
	file := filepath.Join(dir, spec.FileName())
	write(t, file, data)
	for _, tc := range []struct{ args, want string }{
		{"-qp --qf %{EPOCH}:%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}/%{HEADERCOLOR}/%{PAYLOADCOMPRESSOR}", "2:alpha-1.0~rc1-3.x86_64/2/zstd"},
		{"-qp --provides", "alpha = 2:1.0~rc1-3\nvirtual = 7\n"},
		{"-qp --obsoletes", "old < 5\n"},
		{"-qp --conflicts", "enemy = 1\n"},
		{"-qp --recommends", "nice\n"},
		{"-qp --supplements", "(a and b)\n"},
		{"-qpc", "/etc/alpha.conf\n"},
		{"-qp --qf [%{FILENAMES}=%{FILEFLAGS:fflags}\\n]", "/etc/alpha.conf=cn\n/usr/lib64/libalpha.so.1=\n/usr/share/alpha=\n/usr/share/alpha/data=\n/usr/share/alpha/link=\n"},
	} {
		got, err := rpm(t, dir, append(strings.Fields(tc.args), file)...)
		if err != nil || got != tc.want {
			t.Errorf("rpm %s: got %q (%v), want %q", tc.args, got, err, tc.want)
		}
	}
	requires, _ := rpm(t, dir, "-qp", "--requires", file)
	for _, want := range []string{"beta >= 1:2.0-1", "(gamma if delta)", "/bin/sh", "rpmlib(RichDependencies) <= 4.12.0-1", "rpmlib(TildeInVersions) <= 4.10.0-1"} {
		if !strings.Contains(requires, want+"\n") {
			t.Errorf("requires lack %q:\n%s", want, requires)
		}
	}
}

func TestSignatureSatisfiesRPM(t *testing.T) {
	needRPM(t)
	dir := t.TempDir()
	signer, err := NewSigner()
	if err != nil {
		t.Fatal(err)
	}
	key, err := signer.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "key"), key)
	spec := PackageSpec{Name: "signed", Version: "1", Release: "1", Files: []PackageFile{{Path: "/usr/share/signed", Body: bytes.Repeat([]byte("x"), 5000)}}}
	data, err := BuildSignedPackage(spec, signer)
	if err != nil {
		t.Fatal(err)
	}
	good, bad, none := filepath.Join(dir, "good.rpm"), filepath.Join(dir, "bad.rpm"), filepath.Join(dir, "none.rpm")
	write(t, good, data)
	damaged := bytes.Clone(data)
	damaged[len(damaged)-10] ^= 0xff
	write(t, bad, damaged)
	unsigned, err := BuildPackage(spec)
	if err != nil {
		t.Fatal(err)
	}
	write(t, none, unsigned)
	if out, err := rpm(t, dir, "-K", good); err == nil {
		t.Errorf("rpm accepted a signature by a key it does not have: %s", out)
	}
	if out, err := rpm(t, dir, "--import", filepath.Join(dir, "key")); err != nil {
		t.Fatalf("import: %v: %s", err, out)
	}
	level := []string{"--define", "_pkgverify_level all", "-Kv"}
	if out, err := rpm(t, dir, append(level, good)...); err != nil || !strings.Contains(strings.ToLower(out), "key id "+signer.KeyID()[8:]) {
		t.Errorf("rpm refused a good package: %v: %s", err, out)
	}
	for _, file := range []string{bad, none} {
		if out, err := rpm(t, dir, append(level, file)...); err == nil {
			t.Errorf("rpm accepted %s: %s", filepath.Base(file), out)
		}
	}
}

func TestBuildPackageRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		spec PackageSpec
		want string
	}{
		"no version":       {PackageSpec{Name: "a", Release: "1"}, "must be given"},
		"operator":         {PackageSpec{Name: "a", Version: "1", Release: "1", Requires: []string{"b => 1"}}, `"b => 1"`},
		"no spaces":        {PackageSpec{Name: "a", Version: "1", Release: "1", Requires: []string{"b >=1"}}, `"b >=1"`},
		"open rich":        {PackageSpec{Name: "a", Version: "1", Release: "1", Requires: []string{"(b if c"}}, "parenthesis"},
		"relative path":    {PackageSpec{Name: "a", Version: "1", Release: "1", Files: []PackageFile{{Path: "etc/x"}}}, "absolute"},
		"twice":            {PackageSpec{Name: "a", Version: "1", Release: "1", Files: []PackageFile{{Path: "/x"}, {Path: "/x"}}}, "twice"},
		"odd compression":  {PackageSpec{Name: "a", Version: "1", Release: "1", Compression: "rar"}, "rar"},
		"empty dependency": {PackageSpec{Name: "a", Version: "1", Release: "1", Requires: []string{""}}, `""`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := BuildPackage(tc.spec); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want one with %q", err, tc.want)
			}
		})
	}
}
