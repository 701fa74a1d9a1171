package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cpacman/internal/lab"
	"cpacman/internal/rollout"
	"cpacman/transport/sshtest"
)

const (
	// someHosts are updated at once where a thousand would take too long.
	someHosts = 300
	// lostSoon is after how long hosts are lost here.
	lostSoon = 8 * time.Second
)

// updated are the packages that a rollout brings to the next version; the others of a host stay.
var updated = []string{"app", "app-doc", "app-libs"}

// TestThousandRollouts updates hosts that are SSH servers in this process, all at once, by a cpacman in another one: real packages go to them by
// SFTP, and each has one transaction, and no more. Then 5 % of them die, each in a way and at a moment of its own; the others are updated, and
// what is told of the dead is true. They come back, and end as they would have without it.
func TestThousandRollouts(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a minute of processor time")
	}
	n := someHosts
	if os.Getenv("CPACMAN_LONG") != "" {
		n = thousand
	}
	s := newScriptedSite(t, n)
	if status, _ := s.cpacman(t, "facts", "all"); status != 0 {
		t.Fatalf("facts: exit status %d: %.2000s", status, s.errout)
	}
	t.Run("all live", s.allLive)
	t.Run("some die", s.someDie)
}

func (s *scriptedSite) allLive(t *testing.T) {
	s.publish(t, "2.0")
	plan := s.plan(t)
	s.await(len(s.hosts))
	status, peak := s.cpacman(t, "rollout", "start", plan, "--yes")
	if status != statusOK {
		t.Errorf("exit status %d: %s", status, s.tail())
	}
	small(t, peak)
	if most := s.atStart.most.Load(); most != int64(len(s.hosts)) {
		t.Errorf("at most %d hosts were at work at once, want all %d", most, len(s.hosts))
	}
	id, hosts := s.rollout(t)
	for _, h := range s.hosts {
		if rec := hosts[h.name]; rec.State != rollout.StateOK || rec.Attempt != 1 {
			t.Errorf("%s is %s in attempt %d (%s)", h.name, rec.State, rec.Attempt, rec.Reason.Text)
		}
		h.check(t, id, "2.0", 1)
		if len(h.refused) > 0 {
			t.Errorf("%s refused: %q", h.name, h.refused)
		}
	}
	s.knewAll(t)
}

func (s *scriptedSite) someDie(t *testing.T) {
	s.publish(t, "3.0")
	plan := s.plan(t)
	dying := s.doom(rand.New(rand.NewPCG(7, 12)))
	early := 0
	for _, f := range dying {
		if f.early() {
			early++
		}
	}
	s.await(len(s.hosts) - early)
	status, peak := s.cpacman(t, "rollout", "start", plan, "--yes")
	if status != statusGate {
		t.Errorf("exit status %d, want %d: lost hosts stop a rollout; %s", status, statusGate, s.tail())
	}
	small(t, peak)
	id, hosts := s.rollout(t)
	for _, h := range s.hosts {
		s.resting(t, id, h, hosts[h.name], dying)
	}
	s.barrier.Store(nil)
	away := s.mostComeBack(t, id, dying)
	s.allComeBack(t, id, dying, away)
	s.knewAll(t)
}

// mostComeBack has all come back but those of the ones that were not begun on which nothing listens; for the others it would take longer to be given
// up. It gives those that stay away.
func (s *scriptedSite) mostComeBack(t *testing.T, id string, dying map[string]fate) map[string]bool {
	t.Helper()
	away := map[string]bool{}
	for name, f := range dying {
		if f.early() && f.dead == refuses {
			away[name] = true
		} else {
			s.host(name).comesBack(t)
		}
	}
	if len(away) == 0 {
		t.Error("no host stays away")
	}
	if status, _ := s.cpacman(t, "rollout", "resume", id); status != statusFailed {
		t.Errorf("exit status %d, want %d: hosts failed; %s", status, statusFailed, s.tail())
	}
	_, hosts := s.rollout(t)
	for name, f := range dying {
		want := rollout.StateOK
		switch {
		case away[name]:
			want = rollout.StateUnreachable
		case f.when == withoutPower:
			want = rollout.StateTxFailed
		case f.when == atHealth:
			want = rollout.StateHealthFailed
		}
		if rec := hosts[name]; rec.State != want {
			t.Errorf("%s (%+v) has come back and is %s (%s), want %s", name, f, rec.State, rec.Reason.Text, want)
		}
	}
	return away
}

// allComeBack has the others come back too, and what failed tried again: then every host is as it would be if none had died.
func (s *scriptedSite) allComeBack(t *testing.T, id string, dying map[string]fate, away map[string]bool) {
	t.Helper()
	for name := range away {
		s.host(name).comesBack(t)
	}
	for _, args := range [][]string{{"rollout", "retry", id}, {"rollout", "resume", id}} {
		if status, _ := s.cpacman(t, args...); status != statusOK {
			t.Errorf("%q: exit status %d: %s", args, status, s.tail())
		}
	}
	_, hosts := s.rollout(t)
	for _, h := range s.hosts {
		attempts := 1
		if f := dying[h.name]; f.when == withoutPower || f.when == atHealth { // those that were not reached were never begun
			attempts = 2
		}
		if rec := hosts[h.name]; rec.State != rollout.StateOK || rec.Attempt != attempts {
			t.Errorf("%s (%+v) ends as %s in attempt %d (%s), want ok in attempt %d", h.name, dying[h.name], rec.State, rec.Attempt, rec.Reason.Text, attempts)
		}
		h.check(t, id, "3.0", 1)
	}
}

// resting looks at a host after a rollout in which some died: what is told of it must be true of it.
func (s *scriptedSite) resting(t *testing.T, id string, h *scriptedHost, rec rollout.HostRecord, dying map[string]fate) {
	t.Helper()
	f, dies := dying[h.name]
	want, version, runs := rollout.StateOK, "3.0", 1
	switch {
	case !dies:
	case f.early():
		want, version, runs = rollout.StateHeld, "2.0", 0 // put off, until the lost ones stopped the rollout
	case f.when == atHealth:
		want = rollout.StateHealthFailed
	case f.when == beforeAccepting || f.when == withoutPower:
		want, version, runs = rollout.StateLost, "2.0", 0
	default:
		want = rollout.StateLost
	}
	if rec.State != want || want == rollout.StateHeld && rec.Reason.Code != rollout.ReasonStopped {
		t.Errorf("%s (%+v) is %s (%s: %s), want %s", h.name, f, rec.State, rec.Reason.Code, rec.Reason.Text, want)
	}
	if dies && h.gone == lives {
		t.Errorf("%s (%+v) did not die, so this proves nothing", h.name, f)
	}
	h.check(t, id, version, runs)
}

// scriptedSite is hosts in this process, and the site that knows them.
type scriptedSite struct {
	control
	t       *testing.T
	hosts   []*scriptedHost
	atStart gauge // hosts that are asked to start their transaction
	barrier atomic.Pointer[barrier]
	strange sync.Map // by host: what it was asked and does not know
}

func newScriptedSite(t *testing.T, n int) *scriptedSite {
	t.Helper()
	s := &scriptedSite{control: control{site: t.TempDir(), env: []string{lostAfter + "=" + lostSoon.String()}}, t: t}
	if _, err := hostProgramNames(); err != nil {
		t.Fatal(err)
	}
	login := s.identity(t)
	packages := s.publish(t, "1.0")
	servers := make([]*sshtest.Server, n)
	for i := range n {
		h := newScriptedHost(t, s, i, login, packages)
		s.hosts, servers[i] = append(s.hosts, h), h.server
	}
	t.Cleanup(func() {
		var work sync.WaitGroup
		for _, h := range s.hosts {
			work.Go(func() { h.closing.Wait(); h.server.Close() })
		}
		work.Wait()
	})
	s.write(t, servers, fmt.Sprintf(`[limits]
connections = %d
transfers = %d
transactions = %d
starts = 64
[rollout]
max_failures = "20%%"
max_unreachable = "20%%"
restart = "needed"
[health.basic]
deadline = "6s"
[[level]]
name = "all"
max_failures = "20%%"
[[repo]]
id = "main"
path = "repo"
signed = "optional"
`, n, n, n))
	return s
}

func (s *scriptedSite) host(name string) *scriptedHost {
	return s.hosts[slices.IndexFunc(s.hosts, func(h *scriptedHost) bool { return h.name == name })]
}

// publish puts a version of the updated packages into the repository, the first time with the others, and gives what was put there.
func (s *scriptedSite) publish(t *testing.T, version string) map[string]hostPackage {
	t.Helper()
	dir := filepath.Join(s.site, "repo")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	names := slices.Clone(updated)
	if version == "1.0" {
		for i := range thousandPackages - len(updated) {
			names = append(names, fmt.Sprintf("package-of-the-distribution-%d", i))
		}
	}
	out := map[string]hostPackage{}
	random := rand.NewChaCha8([32]byte{1})
	for _, name := range names {
		body := make([]byte, 2000)
		random.Read(body) //nolint:errcheck // never fails
		spec := lab.PackageSpec{Name: name, Version: version, Release: "1.el9", Files: []lab.PackageFile{{Path: "/usr/share/" + name, Body: body}}}
		data, err := lab.BuildPackage(spec)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, spec.FileName()), data, 0o600)
		}
		p, bad := readHostPackage(data)
		if err := errors.Join(err, bad); err != nil {
			t.Fatal(err)
		}
		p.at = time.Unix(1_700_000_000, 0)
		out[p.name+"."+p.arch] = p
	}
	return out
}

// plan makes the plan of all hosts, from what is stored of them.
func (s *scriptedSite) plan(t *testing.T) string {
	t.Helper()
	path := filepath.Join(s.site, "plan.json")
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	status, _ := s.cpacman(t, "plan", "--stored", "all", "--out", path)
	if want := fmt.Sprintf("%d of %d hosts have something to do", len(s.hosts), len(s.hosts)); status != 0 || !strings.Contains(s.out+s.errout, want) {
		t.Fatalf("plan: exit status %d, want %q: %s", status, want, s.tail())
	}
	return path
}

// await has hosts accept a transaction only when that many have been asked for one.
func (s *scriptedSite) await(n int) {
	s.atStart.most.Store(0)
	s.barrier.Store(newBarrier(n))
}

// doom chooses hosts that die, and how each does.
func (s *scriptedSite) doom(rng *rand.Rand) map[string]fate {
	out := map[string]fate{}
	for i, n := range rng.Perm(len(s.hosts))[:len(s.hosts)/20] {
		f := someFate(i, rng)
		s.hosts[n].doom(f)
		out[s.hosts[n].name] = f
	}
	return out
}

// duration is how long a transaction takes on a host.
func (s *scriptedSite) duration(h *scriptedHost) time.Duration {
	if h.fate.when == withoutPower {
		return time.Hour // it does not come so far
	}
	return time.Duration(50+rand.IntN(900)) * time.Millisecond
}

// rollout is what the journal has of the last rollout.
func (s *scriptedSite) rollout(t *testing.T) (id string, hosts map[string]rollout.HostRecord) {
	t.Helper()
	if status, _ := s.cpacman(t, "rollout", "status", "--output", "json"); status != 0 {
		t.Fatalf("status: exit status %d: %s", status, s.tail())
	}
	var v struct {
		Rollout rollout.Rollout      `json:"rollout"`
		Hosts   []rollout.HostRecord `json:"hosts"`
	}
	if err := json.Unmarshal([]byte(s.out), &v); err != nil {
		t.Fatal(err)
	}
	hosts = map[string]rollout.HostRecord{}
	for _, h := range v.Hosts {
		hosts[h.Host] = h
	}
	if len(hosts) != len(s.hosts) || len(v.Hosts) != len(s.hosts) {
		t.Fatalf("%d records of %d hosts, want %d", len(v.Hosts), len(hosts), len(s.hosts))
	}
	return v.Rollout.ID, hosts
}

// check looks at a host itself: the set of a version, by as many runs of rpm for the rollout, each of a transaction of its own.
func (h *scriptedHost) check(t *testing.T, id, version string, runs int) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.settle()
	for _, name := range updated {
		if p := h.installed[name+".noarch"]; p.version != version {
			t.Errorf("%s has %s, want version %s", h.name, p.nevra(), version)
		}
	}
	if len(h.installed) != thousandPackages {
		t.Errorf("%s has %d packages, want %d", h.name, len(h.installed), thousandPackages)
	}
	ran := 0
	for tx, state := range h.ledger {
		if strings.HasPrefix(tx, id+"_") {
			ran += state.runs
		}
	}
	if ran != runs {
		t.Errorf("%s ran rpm %d times for rollout %s, want %d", h.name, ran, id, runs)
	}
	if runs > 0 && h.gone == lives && (h.lock.id != "" || len(h.dirs) > 0) {
		t.Errorf("%s is left with the lock of %q and uploads in %v; it was asked %v", h.name, h.lock.id, slices.Collect(maps.Keys(h.dirs)), h.asked)
	}
}

// knewAll fails the test when a host was asked something that it does not know.
func (s *scriptedSite) knewAll(t *testing.T) {
	t.Helper()
	s.strange.Range(func(name, command any) bool {
		t.Errorf("%v was asked what it does not know: %.300v", name, command)
		return false
	})
}
