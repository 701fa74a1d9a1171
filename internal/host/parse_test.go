package host

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"cpacman/internal/rpm"
	"cpacman/transport"
)

const sha = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// listing prints what facts.sh would, with the given package lines.
func listing(mark string, lines ...string) string {
	m := "@" + mark + " "
	s := "motd\n" + m + "machine m1\n" + m + "now 1000\n" + m + "db /var/lib/rpm\n" + m + "cpu x86_64\n" + m + "rpm RPM version 4.18.0\n" +
		m + "fp /var/lib/rpm/rpmdb.sqlite 1 2 t 900\n" + m + "begin\n"
	for _, l := range lines {
		s += strings.ReplaceAll(l, "@", "@"+mark) + "\n"
	}
	return s + m + "rc 0\n" + itoa(strings.Count(strings.Join(append(lines, "x"), "\n"), "\n")+1) + "\n" + m + "listed\n" + m + "lock free \n" + m + "end\n"
}

func line(name string) string {
	return "@ p\t" + name + "\t0\t1\t1\tnoarch\t" + sha + "\t5\t0\t@:vVendor"
}

func TestListing(t *testing.T) {
	for name, c := range map[string]struct {
		lines  []string
		change func(string) string
		stderr string
		want   []string // names
		err    error
	}{
		"two":                 {lines: []string{line("b"), line("a")}, want: []string{"a", "b"}},
		"line feed in vendor": {lines: []string{line("a") + "\nfail me\n@dead p\tevil\t0\t1\t1\tnoarch\t" + sha + "\t5\t0\tx:y"}, want: []string{"a"}},
		"tab in vendor":       {lines: []string{line("a") + "\tx\ty"}, want: []string{"a"}},
		"tab in name":         {lines: []string{line("a\t0\t1")}, err: ErrUnreadable},
		"gpg-pubkey":          {lines: []string{line("a"), strings.Replace(line("gpg-pubkey"), "noarch", "(none)", 1)}, want: []string{"a"}},
		"none":                {err: ErrUnreadable},
		"only a key":          {lines: []string{line("gpg-pubkey")}, err: ErrUnreadable},
		"line lost":           {lines: []string{line("a"), line("b")}, change: func(s string) string { return strings.Replace(s, "b\t0\t1", "b", 1) }, err: ErrUnreadable},
		"whole line lost":     {lines: []string{"x", line("a")}, change: func(s string) string { return strings.Replace(s, "\nx\n", "\n", 1) }, err: ErrProtocol},
		"cut":                 {lines: []string{line("a")}, change: func(s string) string { return s[:len(s)-30] }, err: ErrProtocol},
		"rpm failed":          {lines: []string{line("a")}, change: func(s string) string { return strings.Replace(s, " rc 0", " rc 1", 1) }, err: ErrUnreadable},
		"rpm complained":      {lines: []string{line("a")}, stderr: "sudo: x\nerror: rpmdbNextIterator: skipping h# 3\n", err: ErrUnreadable},
		"epoch is no number":  {lines: []string{strings.Replace(line("a"), "\t0\t", "\t-1\t", 1)}, err: ErrUnreadable},
		"epoch is too large":  {lines: []string{strings.Replace(line("a"), "\t0\t", "\t4294967296\t", 1)}, err: ErrUnreadable},
		"field is too long":   {lines: []string{line(strings.Repeat("a", 2000))}, err: ErrUnreadable},
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{stderr: c.stderr, raw: func(mark string) string {
				out := listing(mark, c.lines...)
				if c.change != nil {
					out = c.change(out)
				}
				return out
			}}
			f, _, err := Collect(context.Background(), s, CollectOptions{Host: "h"})
			if !errors.Is(err, c.err) || (c.err == nil) != (err == nil) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if err != nil {
				return
			}
			var got []string
			for _, p := range f.Packages {
				got = append(got, p.Name)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
			if f.Database.Fingerprint == "" || f.Packages[0].Header != sha || f.RPMVersion != "4.18.0" {
				t.Errorf("facts %+v", f)
			}
		})
	}
}

func TestReboot(t *testing.T) {
	p := func(name, v, r string, at int64) Package {
		return Package{Name: name, Version: v, Release: r, Arch: "x86_64", InstallTime: at}
	}
	for name, c := range map[string]struct {
		f    Facts
		want int
	}{
		"fresh":        {Facts{Kernel: "5.14.0-2.el9.x86_64", BootTime: 100, Packages: []Package{p("kernel-core", "5.14.0", "2.el9", 50), p("glibc", "2", "1", 50)}}, 0},
		"older kernel": {Facts{Kernel: "5.14.0-2.el9.x86_64", BootTime: 100, Packages: []Package{p("kernel-core", "5.14.0", "10.el9", 50), p("kernel-core", "5.14.0", "2.el9", 50)}}, 1},
		"glibc":        {Facts{Kernel: "x", BootTime: 100, Packages: []Package{p("glibc", "2", "1", 150), p("bash", "1", "1", 150)}}, 1},
		"no boot time": {Facts{Kernel: "x", Packages: []Package{p("glibc", "2", "1", 150)}}, 0},
		"drop-in":      {Facts{Kernel: "x", BootTime: 100, Packages: []Package{p("mydb", "2", "1", 150)}}, 1},
		"other kernel": {Facts{Kernel: "6.1-cloud", BootTime: 100, Packages: []Package{p("kernel", "5", "1", 50)}}, 0},
	} {
		a := parseAnswer("m", []byte("@m file restart /etc/x.conf\n@m line mydb\n@m file lock /y\n@m line bash\n"))
		if got := rebootNeeded(&c.f, restartNames(a)); len(got.Reasons) != c.want || got.Needed != (c.want > 0) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A file by which another tool wants a boot is a reason of its own, which comes and goes while packages stay.
func TestRebootMark(t *testing.T) {
	old := &Facts{BootID: "b", Reboot: &Reboot{Needed: true, Reasons: []string{"kernel 1 runs", "the host wants it: /run/gone"}}}
	for name, c := range map[string]struct {
		answer string
		want   []string
	}{
		"there": {"@m rebootmark /run/reboot-needed\n", []string{"kernel 1 runs", "the host wants it: /run/reboot-needed"}},
		"gone":  {"@m same\n", []string{"kernel 1 runs"}},
	} {
		f := &Facts{BootID: "b"}
		if err := f.judgeReboot(parseAnswer("m", []byte(c.answer)), CollectOptions{Previous: old}, true); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(&Reboot{Needed: true, Reasons: c.want}, f.Reboot); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestConfig(t *testing.T) {
	var b strings.Builder
	for l := range strings.Lines("file repo /a.repo\nline [base]\nline enabled = 0\nline baseurl=http://x/$v\nline [updates]\nline mirrorlist=http://m\n" +
		"file main /dnf.conf\nline excludepkgs=foo*, bar\nfile lock /v.list\nline bash-0:5.1-2.*\nfile module /php.module\nline [php]\nline stream=7.4\nline state=enabled\n") {
		b.WriteString("@m " + l)
	}
	var f Facts
	readConfig(&f, parseAnswer("m", []byte(b.String())))
	want := Facts{
		Repositories: []HostRepo{{ID: "base", URL: "http://x/$v"}, {ID: "updates", Enabled: true, URL: "http://m"}},
		Holds: []Hold{{Kind: "exclude", Pattern: "foo*", Source: "/dnf.conf"}, {Kind: "exclude", Pattern: "bar", Source: "/dnf.conf"},
			{Kind: "versionlock", Pattern: "bash-0:5.1-2.*", Source: "/v.list"}},
		Modules: []Module{{"php", "7.4", "enabled"}},
	}
	if d := cmp.Diff(want, f); d != "" {
		t.Error(d)
	}
	readConfig(&f, parseAnswer("m", []byte("@m unreadable lock /x\n@m file lock /etc/dnf/versionlock.toml\n@m line garbage [[\n")))
	if f.Holds != nil || f.Repositories == nil || strings.Join(f.Unread, " ") != "/etc/dnf/versionlock.toml /x" {
		t.Errorf("unreadable is %v of %q, none is %v", f.Holds, f.Unread, f.Repositories)
	}
}

func TestImportListing(t *testing.T) {
	in := "bash-4.2.46-28.el7.x86_64\nopenssl-1:1.0.2k-8.el7.x86_64\nzlib-(none):1.2-1.i686\ngpg-pubkey-f4a80eb5-53a7ff4b\n\n" +
		"gpg-pubkey-352c64e5-52ae6884.(none)\nbash-3.2-32.el5\n\x1b[31mnonsense\nerror: x y\n" + strings.Repeat("a", 2000) + "\n"
	f, warnings, err := ImportListing(strings.NewReader(in), "h", someTime)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range f.Packages {
		s := p.NEVRA().String()
		if p.Epoch == nil {
			s += " ?"
		}
		got = append(got, s)
	}
	if d := cmp.Diff([]string{"bash-4.2.46-28.el7.x86_64 ?", "openssl-1:1.0.2k-8.el7.x86_64", "zlib-1.2-1.i686"}, got); d != "" {
		t.Error(d)
	}
	if len(warnings) != 4 || len(f.Keys) != 2 || f.Keys[0].ID != "352c64e5" || f.InstalledDigest == "" || f.Source != "import-listing" {
		t.Errorf("warnings %q, keys %+v", warnings, f.Keys)
	}
	if _, _, err := ImportListing(strings.NewReader("nothing\n"), "h", someTime); !errors.Is(err, ErrUnreadable) {
		t.Errorf("no packages: %v", err)
	}
}

// A hostile or damaged database is an error, never a panic, and the file given is not touched.
func TestImportDatabaseDamaged(t *testing.T) {
	dir := t.TempDir()
	try := func(name string, b []byte) error {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, b, 0o400); err != nil {
			t.Fatal(err)
		}
		_, _, err := ImportDatabase(context.Background(), p, "h", someTime)
		after, rerr := os.ReadFile(p)
		if rerr != nil || string(after) != string(b) {
			t.Errorf("%s was changed", name)
		}
		return err
	}
	if err := try("bdb", []byte(strings.Repeat("\x00\x05\x31\x62", 2000))); !errors.Is(err, ErrUnreadable) {
		t.Errorf("bdb: %v", err)
	}
	for name, stmt := range map[string]string{
		"no table":  "CREATE TABLE x(a)",
		"view":      "CREATE VIEW Packages AS WITH RECURSIVE c(hnum, blob) AS (SELECT 1, x'00' UNION ALL SELECT hnum+1, blob FROM c) SELECT * FROM c",
		"empty":     "CREATE TABLE Packages(hnum INTEGER PRIMARY KEY, blob BLOB)",
		"no header": "CREATE TABLE Packages(hnum INTEGER PRIMARY KEY, blob BLOB); INSERT INTO Packages VALUES (1, x'0000000100000001ff')",
		"huge":      "CREATE TABLE Packages(hnum INTEGER PRIMARY KEY, blob BLOB); INSERT INTO Packages VALUES (1, zeroblob(40000000))",
	} {
		if err := try(name, makeDatabase(t, stmt)); !errors.Is(err, ErrUnreadable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTransactionValidate(t *testing.T) {
	if err := someTransaction().Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Transaction){
		"id":        func(x *Transaction) { x.ID = "a b" },
		"id quote":  func(x *Transaction) { x.ID = "a'b" },
		"no id":     func(x *Transaction) { x.ID = "" },
		"machine":   func(x *Transaction) { x.MachineID = "a\nlevel none" },
		"level":     func(x *Transaction) { x.VerifyLevel = "none\nold yes" },
		"digest":    func(x *Transaction) { x.Upgrade[0].SHA256 = strings.Repeat("A", 64) },
		"expect":    func(x *Transaction) { x.ExpectCount = 0 },
		"twice":     func(x *Transaction) { x.InstallOnly[0].SHA256 = x.Upgrade[0].SHA256 },
		"same name": func(x *Transaction) { x.InstallOnly[0].Name = x.Upgrade[0].Name },
		"erase":     func(x *Transaction) { x.Erase[0].Name = "*" },
		"option":    func(x *Transaction) { x.Erase[0].Name = "--all" },
		"empty":     func(x *Transaction) { *x = Transaction{ID: "a"} },
	} {
		tx := someTransaction()
		change(&tx)
		if err := tx.Validate(); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	for name, want := range map[string]string{"foo-1-1.noarch.rpm": "foo-1-1.noarch.rpm", "-U.rpm": "", "a*.rpm": "", "../x.rpm": "", "a b.rpm": "", "{a,b}.rpm": "", "foo": ""} {
		if want == "" {
			want = sha + ".rpm"
		}
		if got := fileName(File{Name: name, SHA256: sha}); got != want {
			t.Errorf("%s becomes %s", name, got)
		}
	}
}

// A host that sends another header than was asked for is found out.
func TestHeaderLies(t *testing.T) {
	s := &script{raw: func(mark string) string {
		return "@" + mark + " h " + sha + "\n" + base64.StdEncoding.EncodeToString([]byte("\x00\x00\x00\x00\x00\x00\x00\x00")) + "\n@" + mark + " e\n@" + mark + " end\n"
	}}
	got, err := Headers(context.Background(), s, []Package{{Name: "a", Version: "1", Release: "1", Arch: "noarch", Header: sha}}, HeaderOptions{Host: "liar"})
	if err == nil || len(got) != 0 || !strings.Contains(err.Error(), "liar") {
		t.Errorf("%v, %v", got, err)
	}
	s.raw = func(mark string) string { return "@" + mark + " fail headers no tag\n" }
	s.result = transport.Result{ExitStatus: 3}
	if _, err := Headers(context.Background(), s, []Package{{Name: "a", Header: sha}}, HeaderOptions{}); !errors.Is(err, ErrHeaderFormat) {
		t.Errorf("old rpm: %v", err)
	}
}

func TestProblems(t *testing.T) {
	out, keys, space := problems([]string{"rpm: RPM should not be used", "warning: /x/a.rpm: Header V4 RSA/SHA256 Signature, key ID 0608B895: NOKEY",
		"error: Failed dependencies:", "\tfoo is needed by bar-1-1.noarch", "\tinstalling package x-1-1.noarch needs 12MB on the / filesystem", "%% 0.0", ""}, true)
	want := []string{"warning: /x/a.rpm: Header V4 RSA/SHA256 Signature, key ID 0608B895: NOKEY", "foo is needed by bar-1-1.noarch",
		"installing package x-1-1.noarch needs 12MB on the / filesystem"}
	if d := cmp.Diff(want, out); d != "" || len(keys) != 1 || keys[0] != "0608b895" || !space {
		t.Errorf("%s %q %v", d, keys, space)
	}
}

func TestFailedUnits(t *testing.T) {
	got := failedUnits([]string{"● a.service loaded failed failed A", "cpacman-r1-install.service loaded failed failed x", "b.mount loaded", ""})
	if d := cmp.Diff([]string{"a.service", "b.mount"}, got); d != "" {
		t.Error(d)
	}
}

// Sums of PUSH-6: what is neither missing nor unexpected is there, and an exact set has neither.
func TestCompareSetsProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gen := rapid.SliceOfN(rapid.SampledFrom([]string{"a-1-1.noarch", "a-2-1.noarch", "b-1-1.noarch", "b-1-1.i686", "c-1:1-1.noarch"}), 0, 6)
		want, have := gen.Draw(t, "want"), gen.Draw(t, "have")
		w := map[rpm.NEVRA]int{}
		for _, s := range want {
			n, _ := rpm.ParseNEVRA(s)
			w[n]++
		}
		var ps []Package
		for _, s := range have {
			n, _ := rpm.ParseNEVRA(s)
			ps = append(ps, Package{Name: n.Name, Epoch: &n.Epoch, Version: n.Version, Release: n.Release, Arch: n.Arch})
		}
		missing, unexpected := compareSets(w, ps)
		m := map[string]bool{}
		for _, n := range missing {
			m[n.String()] = true
		}
		for _, n := range missing {
			if !slices.Contains(want, n.String()) {
				t.Fatalf("missing %s was not wanted", n)
			}
		}
		for _, n := range unexpected {
			if !slices.Contains(have, n.String()) || m[n.String()] {
				t.Fatalf("unexpected %s is not there, or is missing too", n)
			}
		}
		slices.Sort(want)
		slices.Sort(have)
		if (len(missing)+len(unexpected) == 0) != slices.Equal(want, have) {
			t.Fatalf("want %v, have %v, missing %v, unexpected %v", want, have, missing, unexpected)
		}
	})
}

// No order can carry a line that was not meant, whatever a plan holds.
func TestOrderProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z0-9._-]{1,8}`))
		tx := Transaction{ID: word.Draw(t, "id"), MachineID: word.Draw(t, "machine"), VerifyLevel: rapid.SampledFrom([]string{"", "all", "x\ny"}).Draw(t, "level"),
			Upgrade: []File{{Name: word.Draw(t, "name") + ".rpm", SHA256: sha}},
			Erase:   []rpm.NEVRA{{Name: word.Draw(t, "e"), EVR: rpm.EVR{Version: word.Draw(t, "v"), Release: "1"}, Arch: "noarch"}}}
		if tx.Validate() != nil {
			return
		}
		for l := range strings.Lines(string(tx.order())) {
			w := strings.Split(strings.TrimSuffix(l, "\n"), " ")
			if n := map[string]int{"cpacman-order": 2, "id": 2, "machine": 2, "level": 2, "lockwait": 2, "elements": 2, "u": 4, "e": 2}[w[0]]; n != len(w) || strings.ContainsAny(l, "'\"$`*?[]{}\\;&|<>") {
				t.Fatalf("line %q", l)
			}
		}
	})
}

func FuzzCollect(f *testing.F) {
	f.Add(listing("0000000000000000", line("a")))
	f.Add("@0000000000000000 packed\n" + packed(f, strings.NewReader(listing("0000000000000000", line("a")))))
	f.Add("@0000000000000000 begin\n@0000000000000000 listed\n@0000000000000000 end\n")
	f.Fuzz(func(t *testing.T, out string) {
		s := &script{raw: func(string) string { return out }}
		facts, _, err := Collect(context.Background(), s, CollectOptions{Random: zeros{}})
		if err == nil && len(facts.Packages) == 0 {
			t.Fatal("facts without packages")
		}
		_ = readStatus("x", parseAnswer("0000000000000000", []byte(out)))
		_ = restarted(parseAnswer("0000000000000000", []byte(out)))
		_, _ = Headers(context.Background(), s, []Package{{Name: "a", Header: sha}}, HeaderOptions{Random: zeros{}})
	})
}

func FuzzImportListing(f *testing.F) {
	f.Add("bash-4.2.46-28.el7.x86_64\ngpg-pubkey-f4a80eb5-53a7ff4b\n")
	f.Fuzz(func(t *testing.T, in string) {
		facts, _, err := ImportListing(strings.NewReader(in), "h", someTime)
		if err == nil && len(facts.Packages) == 0 {
			t.Fatal("facts without packages")
		}
	})
}

// What rpm 4.20 and 6.1 print when they pass over packages: the reason is found, and a wrong clock named.
func TestDatabaseError(t *testing.T) {
	const sequoia = `error: Verifying a signature using certificate D2FFADBB0114B42A495F49601D7F4C49A8B53EF2 (Lab <lab@lab.invalid>):
  Signature 3586 created at Sat Nov 21 14:58:58 2026 invalid: signature is not alive
      because: Not live until 2026-11-21T14:53:58Z
error: rpmdbNextIterator: skipping h#       2 
Header V4 RSA/SHA256 Signature, key ID a8b53ef2: BAD
Header SHA256 digest: OK
error: rpmdbNextIterator: skipping h#       3 
`
	const rpm6 = `error: rpmdbNextIterator: skipping h#       2 
Header OpenPGP V4 RSA/SHA256 signature, key fingerprint: b686ddb47ba7fb3a1ede30a0f13d580d21243154: BAD
`
	at := time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		stderr string
		now    time.Time
		want   []string
	}{
		"nothing":        {"sudo: x\n", at, []string{""}},
		"another error":  {"error: cannot open Packages\n", at, []string{`rpm said "error: cannot open Packages"`}},
		"clock":          {sequoia, at.Add(-24 * time.Hour), []string{"passes over 2 installed packages", "(Not live until 2026-11-21T14:53:58Z)", "off by -24h0m0s"}},
		"key":            {sequoia, at.Add(time.Minute), []string{"none of its keys has expired", "crypto policies"}},
		"rpm 6":          {rpm6, at, []string{"passes over 1 installed", "skipping h#"}},
		"no time at all": {rpm6, time.Time{}, []string{"passes over 1 installed"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := &answer{stderr: []byte(c.stderr)}
			if !c.now.IsZero() {
				a.lines = [][2]string{{"now", strconv.FormatInt(c.now.Unix(), 10)}}
			}
			got := databaseError(&Facts{CollectedAt: at}, a)
			for _, w := range c.want {
				if !strings.Contains(got, w) || w == "" && got != "" {
					t.Errorf("%q, want %q in it", got, w)
				}
			}
		})
	}
}

// A SUSE host that runs an older kernel than the newest installed one owes a reboot, though uname -r is not quite its package's release.
func TestKernelBehindOnSUSE(t *testing.T) {
	f := &Facts{Kernel: "5.14.21-150500.55.7-default"}
	for _, r := range []string{"150500.55.7.1", "150500.55.22.1"} {
		f.Packages = append(f.Packages, Package{Name: "kernel-default", Version: "5.14.21", Release: r, Arch: "x86_64"})
	}
	if got := kernelBehind(f); got == "" {
		t.Error("nothing is owed")
	}
}

// TestOldOS: what older hosts have in place of os-release.
func TestOldOS(t *testing.T) {
	for line, want := range map[string]OS{
		"CentOS release 6.10 (Final)":                             {"centos", "6.10"},
		"CentOS Linux release 7.2.1511 (Core)":                    {"centos", "7.2.1511"},
		"Red Hat Enterprise Linux Server release 5.11 (Tikanga)":  {"rhel", "5.11"},
		"Red Hat Enterprise Linux AS release 4 (Nahant Update 9)": {"rhel", "4"},
		"Oracle Linux Server release 6.10":                        {"ol", "6.10"},
		"Scientific Linux release 6.10 (Carbon)":                  {"scientific", "6.10"},
		"Fedora release 13 (Goddard)":                             {"fedora", "13"},
		"SUSE Linux Enterprise Server 11 (x86_64)":                {"sles", "11"},
		"SUSE Linux Enterprise Desktop 11 (i586)":                 {"sled", "11"},
		"something else":                                          {},
		"":                                                        {},
	} {
		if got := oldOS(line); got != want {
			t.Errorf("%q is %+v, want %+v", line, got, want)
		}
	}
}

// Kernels have many names, and most packages whose names begin like theirs are none.
func TestKernelNames(t *testing.T) {
	for _, name := range []string{
		"kernel", "kernel-core", "kernel-PAE", "kernel-64k-core", "kernel-rt", "kernel-rt-core", "kernel-debug-core", "kernel-uek", "kernel-uek-core", "kernel-lt", "kernel-ml-core", "kernel-plus",
		"kernel-default", "kernel-default-base", "kernel-azure", "kernel-rt_debug", "kernel6.12", "kernel-desktop-6.1.5-1.mga8", "kernel-server-5.15.88-1.mga8", "linux", "linux-esx",
	} {
		if !NeedsReboot(name) {
			t.Errorf("%s is no kernel", name)
		}
	}
	for _, name := range []string{
		"kernel-devel", "kernel-headers", "kernel-tools", "kernel-modules", "kernel-modules-core", "kernel-debug-devel", "kernel-doc", "kernel6.12-tools", "kernel6.12-modules-extra", "kernel-64k-modules",
		"kernel-default-devel", "kernel-macros", "kernel-source", "kernel-abi-whitelists", "kernel-livepatch-6.1.10-15.42", "kernel-desktop-devel-6.1.5-1.mga8", "kernel-srpm-macros", "kernelshark",
		"linux-api-headers", "linux-docs", "linuxconsoletools", "bash",
	} {
		if NeedsReboot(name) {
			t.Errorf("%s is a kernel", name)
		}
	}
	f := &Facts{Kernel: "6.12.20-23.97.amzn2023.x86_64"}
	for _, r := range []string{"23.97.amzn2023", "24.97.amzn2023"} {
		f.Packages = append(f.Packages, Package{Name: "kernel6.12", Version: "6.12.20", Release: r, Arch: "x86_64"})
	}
	if kernelBehind(f) == "" {
		t.Error("nothing is owed")
	}
	rt := &Facts{Kernel: "5.14.0-427.el9.x86_64+rt-debug"}
	for name, r := range map[string]string{"kernel-core": "427.el9", "kernel-rt-core": "427.el9", "kernel-rt-debug-core": "427.el9"} {
		rt.Packages = append(rt.Packages, Package{Name: name, Version: "5.14.0", Release: r, Arch: "x86_64"})
	}
	for _, name := range []string{"kernel-core", "kernel-rt-core", ""} {
		if got := kernelBehind(rt); got != "" {
			t.Error("another kernel is newer:", got)
		}
		rt.Packages = append(rt.Packages, Package{Name: name, Version: "5.14.0", Release: "503.el9", Arch: "x86_64"})
	}
	rt.Packages = append(rt.Packages, Package{Name: "kernel-rt-debug-core", Version: "5.14.0", Release: "503.el9", Arch: "x86_64"})
	if kernelBehind(rt) == "" {
		t.Error("nothing is owed")
	}
}

// No rpm database has many builds of one name: each pair of them would be a fault that is told.
func TestTooManyBuilds(t *testing.T) {
	of := func(names, builds int) (out []Package) {
		for i := range names {
			for j := range builds {
				out = append(out, Package{Name: fmt.Sprintf("p%06d", i), Version: strconv.Itoa(j), Release: "1", Arch: "x86_64"})
			}
		}
		return out
	}
	for _, c := range []struct {
		names, builds int
		bad           bool
	}{{10_000, 2, false}, {12, 60, false}, {1, 400, false}, {1, 500, true}, {1000, 20, true}} {
		if err := tooManyBuilds(of(c.names, c.builds)); (err != nil) != c.bad {
			t.Errorf("%d names of %d builds: %v", c.names, c.builds, err)
		}
	}
}
