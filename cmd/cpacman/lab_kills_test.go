package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"cpacman/internal/lab"
)

// killPoint is a moment of a rollout. Either it is a line on stderr (HOST stands for the host's name), printed when the step is in the
// journal and before it is taken; or a hook or check that runs on the control host; or a scriptlet that runs on the host.
type killPoint struct{ line, program, scriptlet string }

func (k killPoint) String() string {
	name := "line " + k.line
	switch {
	case k.program != "":
		name = "in " + k.program
	case k.scriptlet != "":
		name = "in %" + k.scriptlet
	}
	return strings.NewReplacer(":", "", " ", "_").Replace(name)
}

// killPoints are where the control process is killed, in the order in which a rollout comes by.
var killPoints = []killPoint{
	{line: "proven: "},
	{line: "rollout: created"},
	{line: "rollout: running"},
	{program: "before-rollout"},
	{program: "before-level"},
	{program: "before-wave"},
	{line: "wave 1: running"},
	{line: "HOST: connecting"},
	{line: "HOST: preflight"},
	{line: "HOST: staging"},
	{line: "HOST: testing"},
	{line: "HOST: ready"},
	{program: "check-before"},
	{line: "HOST: waiting_lock"},
	{line: "HOST: draining"},
	{program: "before-host"},
	{line: "HOST: transacting"},
	{scriptlet: "post"},
	{line: "HOST: verifying"},
	{line: "HOST: confirming"},
	{line: "HOST: checking"},
	{program: "check-after"},
	{program: "after-host"},
	{line: "HOST: ok"},
	{line: "wave 1: soaking"},
	{program: "check-soak"},
	{line: "wave 1: passed"},
	{program: "after-wave"},
	{program: "after-level"},
	{program: "after-rollout"},
	{line: "rollout: done"},
}

// killProgram is every hook and the check of the rollouts that are killed. It keeps a log, and kills the cpacman that called it where
// the file "kill" says so, once. The check is green.
const killProgram = `#!/bin/sh
cd "${0%/*}" || exit 1
name=$1
if [ "$name" = check ]; then
    case $(grep -e '^before-host' -e '^after-host' log 2>/dev/null | tail -n 1) in
    before-host) name=check-after ;;
    after-host) name=check-soak ;;
    *) name=check-before ;;
    esac
fi
echo "$name" >>log
if [ "$(cat kill 2>/dev/null)" = "$name" ]; then
    rm kill
    kill -KILL $PPID
    sleep 0.2
fi
exit 0
`

// killedSet is what the rollouts bring: a dead man's switch, a slow scriptlet, a step of its own for a package that is installed beside.
var killedSet = []string{"openssh-server-8.7p1-38.lab9.x86_64", "openssh", "lab-slow", "kernel"}

// TestLabKills kills the control process with SIGKILL at each point of a rollout with hooks, checks, a dead man's switch and a soak, and
// resumes. Whatever the point, the host and the hooks end as if nobody had been killed: the first rollout shows how.
func TestLabKills(t *testing.T) {
	lab.Need(t)
	t.Parallel()
	const fewest = 20
	if len(killPoints) < fewest {
		t.Fatalf("only %d points", len(killPoints))
	}
	points := killPoints
	if os.Getenv("CPACMAN_LONG") == "" { // make long takes all of them
		points = nil
		for i := range killPoints {
			if i%10 == 2 {
				points = append(points, killPoints[i])
			}
		}
	}
	l := labUp(t, lab.Options{Hosts: 1 + len(points), Systemd: 2, SlowSeconds: 1})
	hosts := l.Hosts()
	want := runKilled(t, l, hosts[0], killPoint{})
	inCrew(len(points), func(i int) {
		point := points[i]
		t.Run(point.String(), func(t *testing.T) {
			got := runKilled(t, l, hosts[i+1], point)
			if got.host != want.host {
				t.Errorf("the host ended as\n%s\nwithout a kill it ends as\n%s", got.host, want.host)
			}
			for _, name := range want.programs {
				if !slices.Contains(got.programs, name) {
					t.Errorf("%s did not run", name)
				}
			}
			for name, n := range got.count() {
				const most = 2 // what was cut is run again, once
				if n > most && !strings.HasPrefix(name, "check-") {
					t.Errorf("%s ran %d times", name, n)
				}
			}
		})
	})
}

// inCrew calls f for 0 to n-1, as many at once as a crew has hands.
func inCrew(n int, f func(i int)) {
	work := make(chan int)
	var wg sync.WaitGroup
	for range crew {
		wg.Go(func() {
			for i := range work {
				f(i)
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	wg.Wait()
}

// killedEnd is how a rollout ended: the host as it is then, and the hooks and checks that ran.
type killedEnd struct {
	host     string
	programs []string
}

// count is how often each of the programs ran.
func (k killedEnd) count() map[string]int {
	n := map[string]int{}
	for _, name := range k.programs {
		n[name]++
	}
	return n
}

// runKilled carries a rollout out on one host, with one kill at the point (the zero point: none), and proves the host's end.
func runKilled(t *testing.T, l *lab.Lab, h lab.Host, point killPoint) killedEnd {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	more := fmt.Sprintf("[health.own]\nprogram = [%q, \"check\"]\ninterval = \"1s\"\ndeadline = \"20s\"\n", program)
	for _, at := range []string{"rollout", "level", "wave", "host"} {
		for _, side := range []string{"before-", "after-"} {
			more += fmt.Sprintf("[hook.%[1]s]\nwhen = \"%[1]s\"\nprogram = [%[2]q, \"%[1]s\"]\n", side+at, program)
		}
	}
	level := strings.Replace(levelTOML("canary", "100%", "0", "1s"), `"basic"`, `"basic", "own"`, 1)
	d := newDesk(t, l, deskOptions{places: []place{{host: h.Name}}, levels: level, rollout: `confirm = "60s"`, more: more})
	d.must(os.WriteFile(program, []byte(killProgram), 0o700))
	d.must(os.WriteFile(filepath.Join(dir, "kill"), []byte(point.program), 0o600))
	if !h.Systemd {
		d.on(h.Name, "/usr/sbin/cron")
	}
	before := d.on(h.Name, "rpm -qa | sort")
	plan := d.plan("killed", killedSet...)
	p := d.start("rollout", "start", plan)
	if point != (killPoint{}) {
		d.killAt(p, h.Name, point)
		p = d.start(d.afterKill(plan)...)
	}
	p.wait(0)
	if got := d.rollouts(); !slices.Equal(got, []string{"done"}) {
		t.Fatalf("rollouts: %q\n%s", got, p.errs.String())
	}
	id := d.newest()
	if out := d.run(0, "rollout", "status", id); strings.Contains(out.stdout+out.stderr, "rollout resume") {
		t.Errorf("it is done, and says:\n%s%s", out.stdout, out.stderr)
	}
	if rec := d.host(h.Name, "ok", id); rec.Attempt != 1 {
		t.Errorf("it took %d attempts", rec.Attempt)
	}
	d.ranOnce(h.Name, "post")
	d.unlocked(h.Name)
	d.noSwitch(h.Name, "/etc/cron.d")
	d.noSwitch(h.Name, "/etc/systemd/system")
	log, err := os.ReadFile(filepath.Join(dir, "log"))
	d.must(err)
	return killedEnd{d.killedHost(h.Name, id, before), strings.Fields(string(log))}
}

// killAt kills the process at the point, and waits for its end.
func (d *desk) killAt(p *process, host string, point killPoint) {
	d.Helper()
	switch {
	case point.line != "":
		p.errs.when(strings.Replace(point.line, "HOST", host, 1), func() { _ = p.cmd.Process.Kill() })
	case point.scriptlet != "":
		d.slow(host, point.scriptlet)
		p.signal(syscall.SIGKILL)
	}
	<-p.done
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL {
		d.Fatalf("it was not killed at %s: %v\n%s", point, p.err, p.errs.String())
	}
}

// afterKill is the command that goes on: start where nothing was recorded, for then nothing was done either, else what status says.
func (d *desk) afterKill(plan string) []string {
	d.Helper()
	if len(d.rollouts()) == 0 {
		return []string{"rollout", "start", plan}
	}
	id := d.newest()
	out := d.run(0, "rollout", "status", id)
	if !strings.Contains(out.stdout+out.stderr, "next: cpacman rollout resume") {
		return []string{"rollout", "status", id}
	}
	return []string{"rollout", "resume", id}
}

// rollouts are the states of all rollouts of the site.
func (d *desk) rollouts() []string {
	d.Helper()
	var states []string
	for _, line := range strings.Split(d.run(0, "rollout", "list", "--output", "csv").stdout, "\n")[1:] {
		if fields := strings.Split(line, ","); len(fields) > 1 {
			states = append(states, fields[1])
		}
	}
	return states
}

// killedHost is what a host has in the end, without what differs from host to host: packages that came and went, the steps of rpm, and
// every file of ours but the login account's drop.
func (d *desk) killedHost(host, id, before string) string {
	d.Helper()
	was, is := strings.Fields(before), strings.Fields(d.on(host, "rpm -qa | sort"))
	var out bytes.Buffer
	for _, p := range is {
		if !slices.Contains(was, p) {
			fmt.Fprintln(&out, "in", p)
		}
	}
	for _, p := range was {
		if !slices.Contains(is, p) {
			fmt.Fprintln(&out, "out", p)
		}
	}
	out.WriteString(d.on(host, `cd /var/lib/cpacman
cat ledger/*/rc
cat ledger/*-back/decision
find . ! -path './in*' ! -path '*/watching*' ! -name arm.log ! -name units | sort
find in /home/*/.cpacman-drop -name '*.part' 2>/dev/null
rpm -qa --qf '%{name} %{version}-%{release}.%{arch}\n' | sort | uniq -d`))
	text := strings.ReplaceAll(out.String(), id, "ID")
	return regexp.MustCompile(`\b`+host+`\b|_`+host+`_`).ReplaceAllString(text, "_HOST_")
}
