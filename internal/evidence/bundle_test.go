package evidence

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"cpacman/internal/host"
	"cpacman/internal/rollout"
	"cpacman/internal/store"
	"cpacman/internal/trail"
)

var at = time.Date(2026, 3, 1, 2, 3, 4, 5, time.UTC)

// evil is what a host might print to take over a terminal.
const evil = "\x1b[2J\u009b31m\u202e=cmd()"

func facts(name string, versions ...string) *host.Facts {
	f := &host.Facts{Host: name, CollectedAt: at, MachineID: "m"}
	epoch := uint32(0)
	for _, v := range versions {
		f.Packages = append(f.Packages, host.Package{Name: "p", Epoch: &epoch, Version: v, Release: "1", Arch: "noarch", Header: strings.Repeat("a", 64)})
	}
	f.InstalledDigest = host.InstalledDigest(f.Packages)
	return f
}

// fill makes two rollouts whose lines are mixed.
func fill(t *testing.T, dir string) *store.Store {
	t.Helper()
	ctx := context.Background()
	s, err := store.Open(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(s.PutPlan(ctx, "p1", at, []byte(`{"id":"p1"}`)))
	snap := func(id string) rollout.Snapshot {
		return rollout.Snapshot{
			Rollout: rollout.Rollout{ID: id, PlanID: "p1", State: rollout.RolloutDone, User: "op", Again: true, Reason: evil, CreatedAt: at, UpdatedAt: at, EndedAt: at.Add(time.Hour)},
			Schedule: rollout.Schedule{PlanID: "p1", Hosts: 2, Checks: []rollout.Check{{Name: "web",
				Definition: json.RawMessage(`{"command":["/bin/login","hunter2"]}`)}}, Waves: []rollout.WavePlan{{Hosts: []string{"a", "b"}}}},
			Waves: []rollout.WaveRecord{{State: rollout.WavePassed}},
			Hosts: []rollout.HostRecord{{Host: "a", State: rollout.StatePending, Attempt: 1, Started: at}, {Host: "b", State: rollout.StatePending, Attempt: 1}},
		}
	}
	for _, id := range []string{"r1", "r2"} {
		must(s.Create(ctx, snap(id), true))
	}
	epoch, err := s.Acquire(ctx, "r1", rollout.Owner{User: "op", Host: "elsewhere"})
	must(err)
	must(s.PutHostKey(ctx, "r1", "a", store.HostKey{Type: "ssh-ed25519", Fingerprint: "SHA256:abc", Address: "192.0.2.1:22"}))
	must(s.PutBefore(ctx, "r1/a/1", facts("a", "1"), nil))
	must(s.PutCommand(ctx, "r2", rollout.Command{Kind: rollout.CommandPause, User: "somebody else", Reason: "of the other rollout"}))
	must(s.PutAfter(ctx, "r1/a/1", "r1/a/1", facts("a", "2")))
	must(s.PutCommand(ctx, "r1", rollout.Command{Kind: rollout.CommandPause, User: "eve", Reason: evil, At: at}))
	must(s.Append(ctx, "r1", epoch, rollout.Change{
		Hosts: []rollout.HostRecord{{Host: "a", State: rollout.StateHealthFailed, Attempt: 1, TxID: "r1/a/1", Reason: rollout.Reason{Code: rollout.ReasonHealth, Text: evil},
			Checks: []rollout.CheckResult{{Check: "web", Verdict: rollout.Red, Output: evil, At: at}}, Started: at, Updated: at}},
		Events: []rollout.Event{{Kind: rollout.EventHost, Host: "a", To: "health_failed", At: at, Reason: rollout.Reason{Text: evil}}},
	}))
	return s
}

// read unpacks a bundle and checks what holds for each: sorted, sealed by its manifest, nothing that a terminal obeys.
func read(t *testing.T, path string) (map[string]string, []*tar.Header) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	zip, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	var headers []*tar.Header
	for in := tar.NewReader(zip); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		_, name, _ := strings.Cut(h.Name, "/")
		files[name] = string(b)
		headers = append(headers, h)
	}
	if !slices.IsSortedFunc(headers, func(a, b *tar.Header) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("members are not sorted")
	}
	listed := 0
	for _, line := range strings.Split(strings.TrimSuffix(files["MANIFEST.sha256"], "\n"), "\n") {
		digest, name, _ := strings.Cut(line, "  ")
		sum := sha256.Sum256([]byte(files[name]))
		if hex.EncodeToString(sum[:]) != digest {
			t.Errorf("manifest: %s has another digest", name)
		}
		listed++
	}
	if listed != len(files)-1 {
		t.Errorf("the manifest lists %d of %d files", listed, len(files))
	}
	for name, text := range files {
		for _, r := range text {
			if r != '\n' && unicode.In(r, unicode.Cc, unicode.Cf) {
				t.Errorf("%s has the character %U", name, r)
				break
			}
		}
	}
	return files, headers
}

func write(t *testing.T, s *store.Store, opt Options) (Summary, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bundle.tar.gz")
	sum, err := Write(context.Background(), s, "r1", path, opt)
	if err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	return sum, path
}

func TestBundle(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s := fill(t, dir)
	now := func(name string) ([]store.HostKey, error) {
		t.Errorf("known_hosts was asked for %s", name)
		return nil, nil
	}
	sum, path := write(t, s, Options{Version: "1", KnownKeys: now})
	files, headers := read(t, path)
	if sum.Fault != nil || len(sum.Remarks) != 0 || sum.Members != len(files) {
		t.Errorf("summary %+v", sum)
	}
	raw, _ := os.ReadFile(path)
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 || trail.DigestOf(raw) != sum.SHA256 {
		t.Errorf("mode %v, digest %s", info.Mode(), sum.SHA256)
	}
	for _, h := range headers {
		if !h.ModTime.Equal(at.Add(time.Hour).Truncate(time.Second)) || h.Mode != 0o600 || h.Uid != 0 || h.Uname != "" || !strings.HasPrefix(h.Name, "cpacman-r1/") {
			t.Errorf("member %+v", h)
		}
	}
	before, after := facts("a", "1").InstalledDigest, facts("a", "2").InstalledDigest
	for _, d := range []string{before, after} {
		if trail.DigestOf([]byte(files["installed/"+d+".txt"])) != d {
			t.Errorf("installed/%s.txt: %q", d, files["installed/"+d+".txt"])
		}
	}
	for name, want := range map[string][]string{
		"plan.json":          {`{"id":"p1"}`},
		"transactions.jsonl": {before, after, `"added":["p-2-1.noarch ` + strings.Repeat("a", 64) + `"]`, `"removed":["p-1-1.noarch `},
		"host-keys.jsonl":    {`"host":"a","source":"recorded"`, "SHA256:abc", `"host":"b","source":"none"`},
		"hosts.jsonl":        {`"state":"health_failed"`, `"verdict":"red"`, `\u001b[2J\u009b31m\u202e=cmd()`},
		"commands.jsonl":     {`"user":"eve"`},
		"events.jsonl":       {`"to":"health_failed"`},
		"waves.json":         {`"passed"`},
		"approvals.json":     {"[]\n"},
		"head.txt":           {sum.Head},
		"README.txt":         {sum.Head, "none\n", "state:    done"},
		"schedule.json":      {`"sha256"`},
	} {
		for _, w := range want {
			if !strings.Contains(files[name], w) {
				t.Errorf("%s lacks %q:\n%s", name, w, files[name])
			}
		}
	}
	for name, text := range files {
		if strings.Contains(text, "hunter2") || strings.Contains(text, "somebody else") || strings.Contains(text, "of the other rollout") {
			t.Errorf("%s tells what it must not:\n%s", name, text)
		}
	}
	checkChain(t, s, files, sum)

	// The same rollout, the same bytes; whatever other rollouts do meanwhile.
	if err := s.PutCommand(context.Background(), "r2", rollout.Command{Kind: rollout.CommandPause, User: "x"}); err != nil {
		t.Fatal(err)
	}
	again, _ := write(t, s, Options{Version: "1", KnownKeys: now})
	if again.SHA256 != sum.SHA256 {
		t.Error("a second export has other bytes")
	}
}

// checkChain holds that the bundle's lines prove themselves, against its own head and against the store.
func checkChain(t *testing.T, s *store.Store, files map[string]string, sum Summary) {
	t.Helper()
	head, err := trail.ParseHead(files["head.txt"])
	if err != nil || head.String() != sum.Head {
		t.Fatal(err)
	}
	res, err := trail.Check(strings.NewReader(files["trail.jsonl"]), head)
	if err != nil || res.Fault != nil || res.First != 1 {
		t.Errorf("trail.jsonl: %+v, %v", res, err)
	}
	if n := strings.Count(files["trail.jsonl"], `"content":`); n != 2 {
		t.Errorf("%d lines of the other rollout have only their place, want 2:\n%s", n, files["trail.jsonl"])
	}
	if res, err := s.CheckTrail(context.Background(), head); err != nil || res.Fault != nil {
		t.Errorf("store: %+v, %v", res, err)
	}
	forged := strings.Replace(files["trail.jsonl"], `"actor":"eve"`, `"actor":"bob"`, 1)
	if res, err := trail.Check(strings.NewReader(forged), head); err != nil || res.Fault == nil {
		t.Errorf("a forged line passes: %+v, %v", res, err)
	}
}

// TestBundleOfBeforeTheTrail: what was not recorded is said to be missing, and known_hosts of now is marked as that.
func TestBundleOfBeforeTheTrail(t *testing.T) {
	ctx, dir := context.Background(), filepath.Join(t.TempDir(), "state")
	s := fill(t, dir)
	// r2 as an older cpacman would have left it: neither lines nor a plan of its own; here with a host that was at work.
	path := filepath.Join(t.TempDir(), "b.tar.gz")
	sum, err := Write(ctx, s, "r2", path, Options{KnownKeys: func(name string) ([]store.HostKey, error) {
		if name != "a" {
			t.Errorf("asked for %s, which nobody connected to", name)
		}
		return []store.HostKey{{Type: "ssh-rsa", Fingerprint: "SHA256:now"}}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(sum.Remarks) != 1 || !strings.Contains(sum.Remarks[0], "known_hosts_now") {
		t.Errorf("remarks %q", sum.Remarks)
	}
	files, _ := read(t, path)
	if !strings.Contains(files["host-keys.jsonl"], `"source":"known_hosts_now"`) || !strings.Contains(files["README.txt"], "were not recorded") {
		t.Errorf("host keys: %s", files["host-keys.jsonl"])
	}
	if _, err := Write(ctx, s, "no-such", path, Options{}); !errors.Is(err, rollout.ErrNotFound) {
		t.Errorf("no such rollout: %v", err)
	}
	if _, err := Write(ctx, s, "r1", filepath.Join(dir, "no", "where"), Options{}); err == nil {
		t.Error("written into a directory that is not there")
	}
}
