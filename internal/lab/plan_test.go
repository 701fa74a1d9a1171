package lab

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestPlannedHostsHoldTheirPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{Dir: "/x", Hosts: rapid.IntRange(1, 200).Draw(t, "hosts"), Seed: rapid.Int64().Draw(t, "seed")}
		o.Systemd = rapid.IntRange(-1, o.Hosts).Draw(t, "systemd")
		given := o.Systemd
		o, err := o.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		b := block{rapid.IntRange(0, blockCount-1).Draw(t, "block")}
		hosts := planHosts(o, b)
		modes, systemd, addresses := map[SudoMode]int{}, 0, map[string]bool{}
		first := map[string]bool{}
		for _, h := range hosts {
			modes[h.Sudo]++
			if h.Systemd {
				systemd++
			}
			if addresses[h.Address] {
				t.Errorf("address %s is given twice", h.Address)
			}
			addresses[h.Address] = true
			if a := netip.MustParseAddr(h.Address); !b.prefix().Contains(a) || !netip.MustParsePrefix("198.18.0.0/15").Contains(a) {
				t.Errorf("address %s is outside of %s", a, b.prefix())
			}
			if !first[h.Class] && h.Level != o.Levels[0] {
				t.Errorf("the first host of class %s is in level %s", h.Class, h.Level)
			}
			first[h.Class] = true
		}
		if want := max(0, given); given != 0 && systemd != want {
			t.Errorf("%d hosts with systemd, want %d", systemd, want)
		}
		if given == 0 && o.Hosts >= 4 && systemd == 0 {
			t.Error("no host with systemd among four or more")
		}
		if o.Hosts >= 3 && len(modes) != 3 {
			t.Errorf("sudo modes %v, want all three", modes)
		}
	})
}

func TestLevelsGrow(t *testing.T) {
	levels := []string{"canary", "early", "broad"}
	count := map[string]int{}
	for n := range 40 {
		count[levelOf(levels, n, 40)]++
	}
	if !(count["canary"] < count["early"] && count["early"] < count["broad"]) {
		t.Errorf("levels of 40 hosts: %v, want each larger than the one before", count)
	}
	got := ""
	for n := range 4 {
		got += levelOf(levels, n, 4) + " "
	}
	if got != "canary early broad broad " {
		t.Errorf("levels of 4 hosts: %s", got)
	}
}

func TestBlocksDoNotOverlap(t *testing.T) {
	seen := map[netip.Addr]int{}
	for n := range blockCount {
		b := block{n}
		if !b.prefix().IsValid() || b.prefix() != b.prefix().Masked() {
			t.Errorf("block %d: %s is not a network", n, b.prefix())
		}
		seen[b.address(0)]++
		if last := b.address(firstHost + maxHosts); !b.prefix().Contains(last) {
			t.Errorf("block %d has no room for %d hosts", n, maxHosts)
		}
	}
	if len(seen) != blockCount {
		t.Errorf("%d different blocks, want %d", len(seen), blockCount)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, tc := range map[string]struct {
		o    Options
		want string
	}{
		"no directory":    {Options{}, "--dir"},
		"colon":           {Options{Dir: "/a:b"}, "colons"},
		"too many":        {Options{Dir: "/x", Hosts: 1001}, "1001 hosts"},
		"negative":        {Options{Dir: "/x", Hosts: -1}, "-1 hosts"},
		"class name":      {Options{Dir: "/x", Classes: []string{"Prod"}}, `class "Prod"`},
		"level twice":     {Options{Dir: "/x", Levels: []string{"a", "a"}}, "twice"},
		"systemd":         {Options{Dir: "/x", Hosts: 2, Systemd: 3}, "3 hosts with systemd"},
		"tiny disk":       {Options{Dir: "/x", DiskBytes: 100}, "disk of 100 bytes"},
		"filler packages": {Options{Dir: "/x", Packages: -2}, "filler"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tc.o.withDefaults()
			if !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want a usage error with %q", err, tc.want)
			}
		})
	}
}

func TestServiceAnswersByItsHealthFile(t *testing.T) {
	root := t.TempDir()
	server := httptest.NewServer(serviceHandler(root))
	defer server.Close()
	health := filepath.Join(root, "usr/share/labsvc/health")
	if err := os.MkdirAll(filepath.Dir(health), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		body string
		want int
	}{{"ok\n", 200}, {"broken: no data\n", 500}, {"", 500}} {
		write(t, health, []byte(tc.body))
		resp, err := http.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != tc.want {
			t.Errorf("health %q: status %d, want %d", tc.body, resp.StatusCode, tc.want)
		}
	}
	conf := filepath.Join(root, "labsvc.conf")
	if err := checkServiceConfig(conf); err != nil {
		t.Errorf("no configuration: %v", err)
	}
	write(t, conf, []byte("# comment\n\ngreeting = hello\n"))
	if err := checkServiceConfig(conf); err != nil {
		t.Errorf("good configuration: %v", err)
	}
	write(t, conf, []byte("greeting = hello\ncolour = red\n"))
	if err := checkServiceConfig(conf); err == nil || !strings.Contains(err.Error(), `labsvc.conf:2: unknown option "colour"`) {
		t.Errorf("bad configuration: %v", err)
	}
}

func TestListensOn(t *testing.T) {
	table := `  sl  local_address rem_address   st tx_queue rx_queue
   0: 00000000:0016 00000000:0000 0A 00000000:00000000
   1: 101210C6:1F90 011210C6:A1B2 01 00000000:00000000
`
	for port, want := range map[int]bool{22: true, 8080: false, 80: false} {
		if got := listensOn(table, port); got != want {
			t.Errorf("port %d: %v, want %v", port, got, want)
		}
	}
}

func TestUpRefusesAForeignDirectory(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "thesis.tex"), []byte("mine"))
	o, err := Options{Dir: dir}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := create(o); !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), "thesis.tex") {
		t.Errorf("got %v, want a refusal that names the file", err)
	}
	if err := Down(t.Context(), dir); err != nil {
		t.Errorf("down where there is no lab: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "thesis.tex")); err != nil {
		t.Errorf("down touched a foreign file: %v", err)
	}
}

func TestDownRefusesADamagedRecord(t *testing.T) {
	for name, body := range map[string]string{
		"not json": "{",
		"format":   `{"format": 9, "id": "abcdef"}`,
		"id":       `{"format": 1, "id": "../../etc"}`,
		"no id":    `{"format": 1}`,
		"work":     `{"format": 1, "id": "abcdef", "work": "/etc"}`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, stateFile), []byte(body))
			if err := Down(t.Context(), dir); err == nil {
				t.Error("no error")
			}
			if _, err := os.Stat("/etc/passwd"); err != nil {
				t.Fatal("removed what the record named")
			}
		})
	}
}

// fakeTB notes which way Need ended a test.
type fakeTB struct{ skipped, failed string }

func (f *fakeTB) Helper()                           {}
func (f *fakeTB) Skipf(format string, args ...any)  { f.skipped = fmt.Sprintf(format, args...) }
func (f *fakeTB) Fatalf(format string, args ...any) { f.failed = fmt.Sprintf(format, args...) }

func TestNeedFailsWhereALabIsRequired(t *testing.T) {
	t.Setenv("PATH", t.TempDir()) // no tools: no lab
	t.Setenv("CI", "")
	t.Setenv("CPACMAN_LAB", "")
	var quiet fakeTB
	Need(&quiet)
	if !strings.HasPrefix(quiet.skipped, "needs root:") || quiet.failed != "" {
		t.Errorf("without a requirement: skipped %q, failed %q", quiet.skipped, quiet.failed)
	}
	t.Setenv("CPACMAN_LAB", "required")
	var strict fakeTB
	Need(&strict)
	if strict.failed == "" {
		t.Error("a lab is required and cannot be made, but the test did not fail")
	}
}
