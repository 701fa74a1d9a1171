package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"

	"cpacman/internal/notify"
	"cpacman/internal/people"
	"cpacman/internal/rpm"
	"cpacman/planner"
	"cpacman/transport/sshtest"
)

// soloHost is the one host of newSolo: it lets cpacman in and runs nothing that it is told to.
const soloHost = "solo"

// newSolo is a desk without a lab: one host that can be reached, behind a class gate, and a plan for it that needs no package. more is
// added to cpacman.toml. What engines are left at the end of the test are killed.
func newSolo(t *testing.T, more string) (d *desk, plan string) {
	t.Helper()
	t.Parallel()
	d = &desk{T: t, dir: filepath.Join(t.TempDir(), "site")}
	d.must(os.MkdirAll(filepath.Join(d.dir, "inventory"), 0o700))
	key, err := sshtest.WriteIdentity(filepath.Join(d.dir, "id"))
	d.must(err)
	server, err := sshtest.Start(sshtest.Config{Authorized: []ssh.PublicKey{key}, NoExec: true})
	d.must(err)
	t.Cleanup(server.Close)
	known, err := sshtest.KnownHosts(d.dir, server)
	d.must(err)
	d.write("cpacman.toml", fmt.Sprintf("[ssh]\nidentity = [\"id\"]\nknown_hosts = %q\nport = %d\n"+
		"[[class]]\nname = \"production\"\napprove = 1\n[[level]]\nname = \"canary\"\nsoak = \"1h\"\n%s", known, server.Port(), more))
	d.write("inventory/hosts.toml", "[host.solo]\naddress = \"127.0.0.1\"\nclass = \"production\"\nlevel = \"canary\"\nlocation = \"here\"\n[location.here]\nbandwidth = \"1MB/s\"\n")
	t.Cleanup(d.killEngines)
	return d, d.soloPlan()
}

// soloPlan writes a plan that removes a package of soloHost.
func (d *desk) soloPlan() string {
	d.Helper()
	set := planner.Set{Remove: []planner.Remove{{NEVRA: rpm.NEVRA{Name: "telnet", EVR: rpm.EVR{Version: "1", Release: "1"}, Arch: "noarch"}, Rule: "policy", Because: "test"}}}
	d.must(set.Seal())
	now := time.Now().Truncate(time.Second)
	p := &planner.Plan{CreatedAt: now, Sets: []planner.Set{set}, Hosts: []planner.PlanHost{
		{Host: soloHost, Class: "production", Level: "canary", MachineID: "none", Set: set.ID, Status: planner.StatusPlanned, CollectedAt: now, Bytes: 5_000_000},
		{Host: "other", Status: planner.StatusNoFacts, Detail: "never asked", CollectedAt: now},
	}}
	d.must(p.Seal())
	path := d.file("plan.json")
	f, err := os.Create(path)
	d.must(err)
	defer f.Close()
	d.must(p.Encode(f))
	return path
}

// engineRows reads rollout engines.
func (d *desk) engineRows(args ...string) []engineRow {
	d.Helper()
	var rows []engineRow
	out := d.run(0, append([]string{"rollout", "engines", "--output", "json"}, args...)...)
	d.must(json.Unmarshal([]byte(out.stdout), &rows))
	return rows
}

// engine demands one rollout that is not over, and gives it.
func (d *desk) engine(want string) engineRow {
	d.Helper()
	rows := d.engineRows()
	if len(rows) != 1 || rows[0].Engine != want {
		d.Fatalf("engines %+v, want one that is %s", rows, want)
	}
	return rows[0]
}

func (d *desk) killEngines() {
	for _, r := range d.engineRows() {
		if r.Engine == "alive" {
			_ = syscall.Kill(r.Owner.PID, syscall.SIGKILL)
		}
	}
}

// untilState waits for the newest rollout to be in a state.
func (d *desk) untilState(want string) {
	d.Helper()
	id := d.newest()
	d.soon("rollout to be "+want, func() bool { return d.status(id).Rollout.State == want })
}

// soonLimit bounds what takes a second or two where nothing is wrong, on a machine that has much else to do.
const soonLimit = 45 * time.Second

// soon waits for something to become true.
func (d *desk) soon(what string, ok func() bool) {
	d.Helper()
	for end := time.Now().Add(soonLimit); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			d.Fatalf("waited %s in vain for %s:\n%s", soonLimit, what, d.run(0, "rollout", "status", d.newest()).stderr)
		}
	}
}

// gone waits for the end of a process that is not ours to wait for.
func (d *desk) gone(pid int) {
	d.Helper()
	d.soon(fmt.Sprintf("process %d to end", pid), func() bool {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}

// The terminal goes, with its whole session: the engine does not notice, takes an approval, and comes to the end of the rollout.
func TestEngineOutlivesTheTerminal(t *testing.T) {
	d, plan := newSolo(t, "")
	term := d.onTerminal("rollout", "start", "--detach", plan)
	term.shows("Ctrl-C ends only the watching")
	d.untilState("waiting")
	term.shows("waits for an approval of class production")
	e := d.engine("alive")
	if sid, err := unix.Getsid(e.Owner.PID); err != nil || sid != e.Owner.PID {
		t.Errorf("the engine %d is in session %d, %v", e.Owner.PID, sid, err)
	}
	if cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", e.Owner.PID)); err != nil || cwd != d.dir {
		t.Errorf("the engine works in %s, %v", cwd, err)
	}
	if in, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/0", e.Owner.PID)); err != nil || in != "/dev/null" {
		t.Errorf("the engine reads from %s, %v", in, err)
	}
	d.must(term.master.Close()) // hang up
	<-term.p.done

	if again := d.engine("alive"); again.Owner.PID != e.Owner.PID || !again.Detached {
		t.Errorf("engine %+v", again)
	}
	d.says(d.run(0, "rollout", "status"), "waits for approval of class production (0 of 1): cpacman rollout approve", "no wave starts any more when the plan expires")
	d.run(0, "rollout", "approve", "--reason", "seen")
	d.gone(e.Owner.PID)
	if s := d.status(d.newest()); s.Engine != nil || s.Rollout.State == "waiting" || s.Hosts[0].State == "pending" {
		t.Errorf("rollout %+v", s)
	}
	log, err := os.ReadFile(e.Log)
	d.must(err)
	for _, want := range []string{"engine of rollout " + e.Rollout, "waits for an approval", "approve class production by ", "the engine ends"} {
		if !strings.Contains(string(log), want) {
			t.Errorf("the log does not say %q:\n%s", want, log)
		}
	}
	if info, err := os.Stat(e.Log); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("log: %v, %v", info.Mode(), err)
	}
}

// Ctrl-C on the terminal ends the watching, with status 0, and nothing else.
func TestCtrlCEndsOnlyTheWatching(t *testing.T) {
	d, plan := newSolo(t, "[rollout]\ndetach = true\n")
	term := d.onTerminal("rollout", "start", plan)
	term.shows("waits for an approval of class production")
	if _, err := term.master.Write([]byte{3}); err != nil {
		t.Fatal(err)
	}
	term.shows("stopped watching; the engine goes on")
	<-term.p.done
	if got := term.p.cmd.ProcessState.ExitCode(); got != 0 {
		t.Errorf("exit status %d", got)
	}
	e := d.engine("alive")
	if d.status(e.Rollout).Rollout.State != "waiting" {
		t.Error("the rollout is no longer waiting")
	}
	// A second one that wants it is told who has it, and the plan does not start twice.
	d.says(d.run(0, "rollout", "resume", "--detach"), "told the engine of", strconv.Itoa(e.Owner.PID))
	d.says(d.run(4, "rollout", "start", plan), "was started as")
	d.run(0, "rollout", "abort", "--yes")
	d.gone(e.Owner.PID)
	d.says(d.run(0, "rollout", "engines"), "every rollout is over")
}

// An engine that is killed is found and replaced; one that is told to end, as at a shutdown, too. What was paused stays paused.
func TestEnginesAreResumed(t *testing.T) {
	d, plan := newSolo(t, "")
	out := d.run(0, "rollout", "start", "--detach", plan)
	d.says(out, "engine of", "process", "log ", "next: cpacman rollout watch "+d.newest())
	d.untilState("waiting")
	first := d.engine("alive")
	d.run(0, "rollout", "pause", "--reason", "lunch")
	d.untilState("paused")
	d.says(d.run(0, "rollout", "engines", "--resume"), "no engine is missing")

	d.must(syscall.Kill(first.Owner.PID, syscall.SIGKILL))
	d.gone(first.Owner.PID)
	if dead := d.engine("dead"); !dead.Due || dead.Owner.PID != first.Owner.PID {
		t.Errorf("after SIGKILL: %+v", dead)
	}
	d.says(d.run(0, "rollout", "engines"), "next: cpacman rollout engines --resume starts 1 engine")
	d.run(0, "rollout", "engines", "--resume")
	second := d.engine("alive")
	if second.Owner.PID == first.Owner.PID || second.State != "paused" {
		t.Errorf("after --resume: %+v", second)
	}

	d.must(syscall.Kill(second.Owner.PID, syscall.SIGTERM))
	d.gone(second.Owner.PID)
	if ended := d.engine("none"); !ended.Due || ended.State != "paused" {
		t.Errorf("after SIGTERM: %+v", ended)
	}
	d.run(0, "rollout", "engines", "--resume")
	third := d.engine("alive")
	d.run(0, "rollout", "resume")
	d.untilState("waiting")

	// A hang-up that reaches it is nothing to an engine.
	d.must(syscall.Kill(third.Owner.PID, syscall.SIGHUP))
	time.Sleep(300 * time.Millisecond)
	if again := d.engine("alive"); again.Owner.PID != third.Owner.PID {
		t.Errorf("after SIGHUP: %+v", again)
	}

	// Killed again, it is taken up by hand; in the foreground it is no longer an engine's business.
	d.must(syscall.Kill(third.Owner.PID, syscall.SIGKILL))
	d.gone(third.Owner.PID)
	d.says(d.run(0, "rollout", "status"), "waits for approval of class production (0 of 1)", "then cpacman rollout resume")
	d.says(d.run(0, "rollout", "resume", "--detach"), "engine of", "next: cpacman rollout watch")
	fourth := d.engine("alive")
	d.must(syscall.Kill(fourth.Owner.PID, syscall.SIGKILL))
	d.gone(fourth.Owner.PID)
	d.run(6, "rollout", "resume", "--foreground")
	if last := d.engine("none"); last.Due || last.Detached {
		t.Errorf("after a foreground resume: %+v", last)
	}
}

// An engine that cannot begin is no success: what it said is shown, and the rollout can be taken up.
func TestEngineThatCannotBegin(t *testing.T) {
	d, plan := newSolo(t, "")
	d.must(os.MkdirAll(filepath.Join(d.dir, "state"), 0o700))
	d.write("state/engines", "in the way")
	d.says(d.run(1, "rollout", "start", "--detach", plan), "ended before it took the rollout", "cpacman rollout resume")
	d.must(os.Remove(filepath.Join(d.dir, "state/engines")))
	if e := d.engine("none"); !e.Due {
		t.Errorf("%+v", e)
	}
	d.run(0, "rollout", "resume", "--detach")
	d.untilState("waiting")
}

func TestDetachRefusesAndWarns(t *testing.T) {
	d, plan := newSolo(t, "")
	d.says(d.run(2, "rollout", "start", "--detach", "--foreground", plan), "exclude each other")
	hosts := "[host.solo]\naddress = \"127.0.0.1\"\nclass = \"production\"\nlevel = \"canary\"\n"
	d.write("inventory/hosts.toml", hosts+"[host.solo.ssh]\nsudo = \"password\"\n")
	d.says(d.run(4, "rollout", "start", "--detach", plan), "sudo_password_command", "--foreground")
	if rows := d.engineRows(); len(rows) != 0 {
		t.Errorf("recorded all the same: %+v", rows)
	}
	d.write("inventory/hosts.toml", hosts+"[host.solo.ssh]\nidentity = []\n")
	cmd := d.command(d.ctx(), "rollout", "start", "--detach", "--dry-run", plan)
	cmd.Env = append(cmd.Env, "SSH_AUTH_SOCK="+d.file("no-agent"))
	text, err := cmd.CombinedOutput()
	if !strings.Contains(string(text), "warning: 1 host are") && !strings.Contains(string(text), "keys of the SSH agent (first solo)") {
		t.Errorf("%v: nothing says that the agent may go:\n%s", err, text)
	}
}

// Gates, pauses and the end of a detached rollout are told; a receiver that is dead delays and stops nothing.
func TestEngineNotifies(t *testing.T) {
	var mu sync.Mutex
	var got []notify.Message
	var tokens []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var m notify.Message
		if err := json.Unmarshal(body, &m); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		got, tokens = append(got, m), append(tokens, r.Header.Get("Authorization"))
	}))
	defer server.Close()
	hang := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	defer slow.Close()
	defer close(hang)
	d, plan := newSolo(t, "[notify.chat]\nwebhook = \""+server.URL+"/hook\"\ntoken_file = \"token\"\n"+
		"[notify.slow]\nwebhook = \""+slow.URL+"/hook\"\ntimeout = \"1s\"\n[notify.dead]\nwebhook = \"http://127.0.0.1:1/hook\"\n")
	d.write("token", "Bearer abc\n")
	d.says(d.run(0, "rollout", "notify-test", "chat"), "delivered")
	d.says(d.run(4, "rollout", "notify-test", "nobody"), "chat, dead, slow")
	d.run(0, "rollout", "start", "--detach", plan)
	id := d.newest()
	d.untilState("waiting")
	d.run(0, "rollout", "pause", "--reason", "lunch")
	d.untilState("paused")
	e := d.engine("alive")
	begin := time.Now()
	d.run(0, "rollout", "abort", "--yes")
	d.untilState("aborted")
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("the abort took %s", took)
	}
	d.gone(e.Owner.PID)
	if took := time.Since(begin); took > drainNotifications+15*time.Second {
		t.Errorf("the engine needed %s to end", took)
	}
	mu.Lock()
	defer mu.Unlock()
	var names []string
	for i, m := range got {
		names = append(names, m.Event)
		if m.Event != "test" && (m.Rollout != id || m.Counts["pending"] == 0 && m.Event != "aborted") || tokens[i] != "Bearer abc" {
			t.Errorf("token %q, message %+v", tokens[i], m)
		}
	}
	if strings.Join(names, " ") != "test waiting paused aborted" {
		t.Errorf("told: %v", names)
	}
	log, err := os.ReadFile(e.Log)
	d.must(err)
	if !strings.Contains(string(log), "notify dead: waiting was not delivered") || strings.Contains(string(log), "Bearer") || strings.Contains(string(log), "/hook") {
		t.Errorf("log:\n%s", log)
	}
	d.says(d.run(0, "rollout", "watch", id), "notify dead: waiting was not delivered")
}

// The token of a webhook is for its owner alone.
func TestNotifyTokenIsPrivate(t *testing.T) {
	d, _ := newSolo(t, "[notify.chat]\nwebhook = \"http://127.0.0.1:1/\"\ntoken_file = \"token\"\n")
	d.write("token", "Bearer abc\n")
	d.must(os.Chmod(filepath.Join(d.dir, "token"), 0o644))
	out := d.run(1, "rollout", "notify-test", "chat")
	d.says(out, "can be read by others", "chmod go=")
	d.says(d.run(4, "inventory", "check"), "can be read by others")
	if strings.Contains(out.stderr, "abc") {
		t.Error(out.stderr)
	}
}

func TestHandoverAndNotes(t *testing.T) {
	d, plan := newSolo(t, "")
	d.run(0, "rollout", "start", "--detach", plan)
	d.untilState("waiting")
	id := d.newest()
	d.says(d.run(0, "rollout", "status"), "owner: "+people.ProcessUser())
	d.run(2, "rollout", "handover", id, "--to", "kim")
	d.run(2, "rollout", "handover", id, "--to", "kim; rm", "--reason", "x")
	d.run(2, "rollout", "note", id)
	d.says(d.run(0, "rollout", "handover", "--to", "kim", "--reason", "night shift"), "handed over to kim")
	d.says(d.run(0, "rollout", "note", id, "solo", "is\x1b[31m slow", "today"), "note: kept")
	out := d.run(0, "rollout", "status")
	d.says(out, "owner: kim, handed over by "+people.ProcessUser(), "night shift", "slow today", "next:")
	if strings.Contains(out.stderr, "\x1b") {
		t.Errorf("a terminal escape comes through: %q", out.stderr)
	}
	var s struct {
		Owner string
		Notes []struct{ Kind, To, Text string }
		Next  []struct {
			What, Command string
			At            *time.Time
		}
	}
	d.must(json.Unmarshal([]byte(d.run(0, "rollout", "status", "--output", "json").stdout), &s))
	if s.Owner != "kim" || len(s.Notes) != 3 || len(s.Next) == 0 || !strings.Contains(s.Next[0].Command, "rollout approve") {
		t.Errorf("%+v", s)
	}
	e := d.engine("alive")
	d.run(0, "rollout", "abort", "--yes")
	d.gone(e.Owner.PID)
	d.says(d.run(0, "rollout", "watch", id), "hands over to kim: night shift", "note of")
}

func TestEngineLogIsBounded(t *testing.T) {
	path := engineLogPath(t.TempDir(), "r1")
	l, err := openEngineLog(path)
	if err != nil {
		t.Fatal(err)
	}
	l.max = 1000
	line := strings.Repeat("x", 99) + "\n"
	for range 35 {
		if _, err := l.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	if now, before := logSize(path), logSize(path+".1"); now != 500 || before != 1000 {
		t.Errorf("%d and %d bytes", now, before)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 2 {
		t.Errorf("files: %v", entries)
	}
	if tail := logTail(path, 300); len(tail) != 2 || tail[0] != strings.Repeat("x", 99) {
		t.Errorf("%d lines", len(tail))
	}
	if tail := logTail(path, 9999); len(tail) != 5 {
		t.Errorf("of a log that was begun anew: %d lines", len(tail))
	}
	if err := os.Symlink(path, path+".link"); err != nil {
		t.Fatal(err)
	}
	if _, err := openEngineLog(path + ".link"); err == nil {
		t.Error("a link was followed")
	}
}
