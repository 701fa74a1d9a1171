package host

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// cutter goes before every program of cpacman on a host whose /bin/sh is bash: bash calls it at each command. The program that /opt/at
// names stops at its nth command, once: it is killed there, or waits until it is told to go on. At 0 it writes down what its commands are.
// What only looks at variables, and what reads in loops, does not count; the calls of those do.
const cutter = `[ -r /opt/at ] || return 0
read -r cut_who cut_at cut_how </opt/at
cut_me=$STEP
unset STEP BASH_ENV
if [ -z "$cut_me" ]; then
	cut_argv=()
	while IFS= read -r -d '' cut_arg; do cut_argv+=("$cut_arg"); done </proc/$$/cmdline
	case ${cut_argv[1]} in
	*/runner.sh) cut_me=runner ;;
	*/watch.sh) cut_me=watch ;;
	*/kernel.sh) cut_me=kernel-${cut_argv[5]} ;;
	esac
fi
[ "$cut_me" = "$cut_who" ] || return 0
cut_n=0
cut_step() {
	[ "$BASH_SUBSHELL" = 0 ] && declare -F isdigest >/dev/null || return 0
	case ${FUNCNAME[1]} in first | starttime | sinceboot | members | lockholder | crond | sha256 | isdigest | say | readorder) return 0 ;; esac
	case ${FUNCNAME[1]} in entry | version | readlock | place | placed | mine | command_of | listtags | rpmpaths | ask | keep) return 0 ;; esac
	case $1 in "${FUNCNAME[1]}"* | for\ * | ask\ * | keep\ * | \[\ -z\ * | \[\ -n\ * | \[\ \"*) return 0 ;; esac
	case $1 in case\ * | continue | set\ -* | isdigest\ * | read\ * | shift* | say\ * | return* | break | trap\ * | :) return 0 ;; esac
	[[ ! $1 =~ ^[a-z_0-9]+= ]] || return 0
	cut_n=$((cut_n + 1))
	if [ "$cut_at" = 0 ]; then
		printf '%s %s: %s\n' "$cut_n" "${FUNCNAME[1]}" "${1//$'\n'/ }" >>/opt/steps
	elif [ "$cut_n" = "$cut_at" ] && mkdir /opt/cut 2>/dev/null; then
		printf '%s: %s\n' "${FUNCNAME[1]}" "$1" >/opt/cut/where
		[ "$cut_how" != kill ] || kill -9 $$
		: >/opt/cut/waits
		until [ -e /opt/go ]; do sleep 0.02; done
	fi
}
set -T
set -o posix
trap 'cut_step "$BASH_COMMAND"' DEBUG
`

// cutKey is the program that the cutter may stop, by its name and by words that are in it.
type cutKey struct{}

func cuttable(name, words string) context.Context {
	return context.WithValue(context.Background(), cutKey{}, [2]string{name, words})
}

// cutLab is a host that is brought back, again and again, to one moment of a transaction with a switch.
type cutLab struct {
	*lab
	other    *Session // of a second control process of the same rollout
	tx, back Transaction
	pre      Preflight
	sw       Switch
	counts   map[string]int // commands of an actor at a moment
	kernel   string         // where the transaction is a new kernel that is booted once: how the boot loader names an entry
}

// newCutLab is a host in five moments: before a transaction over an Obsoletes, when it is done, confirmed, and done without a switch.
func newCutLab(t *testing.T) *cutLab {
	t.Helper()
	ran := func(name string) string {
		return "echo " + name + " >>/opt/ran\n[ ! -e /opt/stop ] || { rm /opt/stop; : >/opt/waits; sleep 1000; }\n"
	}
	app, old := pkg{nevra: "app-1-1.noarch", files: map[string]string{"/opt/app": "1"}}, pkg{nevra: "old-1-1.noarch"}
	l := newLab(t, app, old, pkg{nevra: "user-1-1.noarch", requires: []string{"old"}})
	app.post = ran("app-1")
	l.host.sh("mkdir -p /etc/cron.d")
	k := &cutLab{lab: l}
	k.ready(Transaction{
		Upgrade: []File{
			build(t, l.key, pkg{nevra: "app-2-1.noarch", requires: []string{"lib"}, files: map[string]string{"/opt/app": "2"}, post: ran("app-2")}),
			build(t, l.key, pkg{nevra: "new-1-1.noarch", provides: []string{"old = 2"}, obsoletes: []string{"old"}}),
			build(t, l.key, pkg{nevra: "lib-1-1.noarch"}),
		},
		Removes: nevras(t, "app-1-1.noarch", "old-1-1.noarch"),
	}, Transaction{
		First: nevras(t, "new-1-1.noarch"), Upgrade: []File{build(t, l.key, app), build(t, l.key, old)}, Erase: nevras(t, "lib-1-1.noarch"),
	}, BootAsPackaged)
	k.restore("done")
	if d, _, err := k.s.Confirm(context.Background(), k.back.ID); err != nil || d != Confirmed {
		t.Fatalf("%s, %v", d, err)
	}
	k.remember("confirmed")
	k.restore("before")
	if err := k.s.Start(context.Background(), k.tx); err != nil {
		t.Fatal(err)
	}
	await(t, k.s, k.tx.ID, Done)
	k.remember("plain")
	return k
}

// newKernelCutLab is a host before it gets a new kernel, when it has it, when it has booted it once, and when it has left it.
func newKernelCutLab(t *testing.T) *cutLab {
	t.Helper()
	const layout = "bls"
	y := layouts[layout]
	k := &cutLab{lab: newTrial(t, layout, shells["bash"], true).lab, kernel: y.entry}
	f := build(t, k.key, kernelOf("2", y.add, y.remove))
	k.ready(Transaction{InstallOnly: []File{f}}, Transaction{Erase: nevras(t, "kernel-2-1.noarch")}, BootOnceNeeded)
	k.put("/usr/sbin/shutdown", powerOff+strings.SplitAfterN(bootSelf, "\n", 3)[2]+"setsid /opt/crond 100000 </dev/null >/dev/null 2>&1 &\nrm -f /run/off\n")
	k.restore("done")
	k.boots()
	k.look() // notes the boot
	k.remember("booted")
	k.restore("booted")
	if err := actors["late"].do(k, k.s); err != nil {
		t.Fatal(err)
	}
	if got := k.read("/run/osrelease"); got != "1-1.noarch" {
		t.Fatalf("it runs %s, and was to leave it", got)
	}
	k.remember("left")
	return k
}

// powerOff is the beginning of a boot that no process lives through but its own.
const powerOff = "#!/bin/sh\n: >/run/off\nkill -9 -1\n"

// ready remembers the moments before and after a transaction with a switch.
func (k *cutLab) ready(tx, back Transaction, once BootOnce) {
	t := k.t
	t.Helper()
	k.counts = map[string]int{}
	k.host.shell = []string{"/bin/sh"}
	k.host.sh("cp /bin/bash /opt/bash; [ -e /opt/crond ] || cp -L /bin/sleep /opt/crond; rm -f /bin/sh")
	k.put("/etc/cutter", cutter)
	k.put("/bin/sh", "#!/bin/dash\nBASH_ENV=/etc/cutter exec /opt/bash \"$@\"\n")
	k.tx, k.pre = k.prepare("r1/h1/1", tx)
	k.back = back
	k.back.ID, k.back.MachineID, k.back.OldPackage, k.back.LockWait = BackID(k.tx.ID), k.tx.MachineID, true, time.Minute
	if _, err := k.s.Stage(context.Background(), k.back.Upgrade, nil); err != nil {
		t.Fatal(err)
	}
	k.other = NewSession(k.host, SessionOptions{Host: "h1"})
	if _, err := k.other.Acquire(context.Background(), k.own); err != nil {
		t.Fatal(err)
	}
	k.remember("before")
	k.restore("before")
	k.sw = Switch{Back: k.back, After: time.Hour, Boot: once}
	if err := k.s.StartArmed(context.Background(), k.tx, k.sw); err != nil {
		t.Fatal(err)
	}
	if st := await(t, k.s, k.tx.ID, Done); st.RC["u"]+st.RC["i"] != 0 {
		t.Fatalf("%+v", st)
	}
	k.remember("done")
}

// dies is what happens to the processes of a host that is switched off. Process 1 is the host itself.
func (k *cutLab) dies() { k.host.sh("kill -9 -1 || :") }

// What makes a moment.
const (
	remembers = `cat /proc/sys/kernel/random/boot_id >/run/MOMENT.boot; cat /proc/sys/kernel/osrelease >/run/MOMENT.kernel
cd / && tar -cf /run/MOMENT.tar $(ls -d var/lib/rpm var/lib/cpacman etc/cron.d opt boot/grub boot/loader boot/vmlinuz-?-1.noarch usr/lib/modules/?-1.noarch 2>/dev/null)`
	restores = `rm -rf /var/lib/rpm/* /var/lib/cpacman /etc/cron.d/* /opt/* /boot/grub/* /boot/loader/* /boot/vmlinuz-?-1.noarch /usr/lib/modules/?-1.noarch
tar -C / -xpf /run/MOMENT.tar; cat /run/MOMENT.boot >/proc/sys/kernel/random/boot_id; [ ! -f /run/osrelease ] || cat /run/MOMENT.kernel >/run/osrelease`
	powered = "; setsid /opt/crond 100000 </dev/null >/dev/null 2>&1 &"
)

func (k *cutLab) remember(moment string) {
	k.t.Helper()
	k.dies()
	k.host.sh(strings.ReplaceAll(remembers, "MOMENT", moment))
}

func (k *cutLab) restore(moment string) {
	k.t.Helper()
	k.dies()
	k.host.sh(strings.ReplaceAll(restores, "MOMENT", moment) + powered)
}

// boots takes the host's power and gives it back.
func (k *cutLab) boots() {
	k.t.Helper()
	k.dies()
	if k.kernel != "" {
		k.host.sh("exec sh /usr/sbin/shutdown")
		return
	}
	k.host.sh("cat /proc/sys/kernel/random/uuid >/proc/sys/kernel/random/boot_id" + powered)
}

// look is one look of the switch, and the boot that may come of it.
func (k *cutLab) look() {
	k.lab.look()
	for k.exists("/run/off") { // it boots
		time.Sleep(10 * time.Millisecond)
	}
}

func (k *cutLab) read(path string) string {
	b, _ := os.ReadFile(k.host.path(path))
	return strings.TrimSpace(string(b))
}

func (k *cutLab) exists(path string) bool {
	_, err := os.Lstat(k.host.path(path))
	return err == nil
}

func (k *cutLab) watched() bool { return k.watchedIn("/etc/cron.d") }

// passes lets minutes go by for what waits for them: the beginning of a runner that never comes, a mutex of the dead, a switch of a
// transaction that never began, the time to confirm.
func (k *cutLab) passes() {
	k.host.sh(`cd /var/lib/cpacman 2>/dev/null || exit 0
for f in ledger/*/state; do grep -q '^pid 0$' $f 2>/dev/null && grep -q '^phase accepted$' $f && sed -i 's/^time .*/time 1/' $f; done
[ ! -d holder.gone ] || touch -c -d '-2 minutes' holder.gone
for f in ledger/*/armed ledger/*/clock; do [ ! -f $f ] || sed -i 's/ .*/ -100000/' $f; done
:`)
}

// settles lets time pass until the host does nothing more.
func (k *cutLab) settles(lapse bool) {
	k.t.Helper()
	for n := range 100 {
		if n > 3 && lapse || n > 20 {
			k.passes()
		}
		k.look()
		if !k.watched() && !k.busy() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	k.t.Error("the host never comes to rest")
}

// works tells whether a transaction is under way, or is to begin.
func (k *cutLab) works(id string) bool {
	st, err := k.s.Poll(context.Background(), id, PollOptions{})
	return err == nil && !st.Final() && st.Phase != Armed
}

// busy tells whether the transaction or its way back is.
func (k *cutLab) busy() bool { return k.works("r1_h1_1") || k.works("r1_h1_1-back") }

// has wants the packages of before or after the transaction on the host, and each of its scriptlets to have run as often as it should.
func (k *cutLab) has(after bool) {
	k.t.Helper()
	if k.kernel != "" {
		k.bootsBy(after)
		return
	}
	k.packages(after, "app-1 base-1 old-1 user-1", "app-2 base-1 lib-1 new-1 user-1")
	if ran := strings.Count(k.read("/opt/ran"), "app-2"); ran > 1 || after && ran != 1 {
		k.t.Errorf("app-2 was installed %d times", ran)
	}
	if got, want := k.read("/opt/app"), map[bool]string{false: "1", true: "2"}[after]; got != want {
		k.t.Errorf("/opt/app has %q, want %q", got, want)
	}
}

func (k *cutLab) packages(after bool, then, now string) {
	k.t.Helper()
	got := strings.Join(strings.Fields(k.host.sh("rpm -qa --qf '%{NAME}-%{VERSION}\\n' | grep -v gpg-pubkey | sort")), " ")
	if want := map[bool]string{false: then, true: now}[after]; got != want {
		k.t.Errorf("installed: %s\nwant:      %s", got, want)
	}
}

// bootsBy wants the host to run the old or the new kernel, to boot it by default, and nothing else once.
func (k *cutLab) bootsBy(after bool) {
	k.t.Helper()
	k.packages(after, "base-1 kernel-1", "base-1 kernel-1 kernel-2")
	r := map[bool]string{false: "1-1.noarch", true: "2-1.noarch"}[after]
	if got := k.read("/run/osrelease"); got != r {
		k.t.Errorf("it runs %s, want %s", got, r)
	}
	env := k.host.sh("grub-editenv /boot/grub/grubenv list")
	if !strings.Contains(env, "saved_entry="+fmt.Sprintf(k.kernel, r)+"\n") || strings.Contains(strings.ReplaceAll(env, "next_entry=\n", ""), "next_entry") {
		k.t.Errorf("want %s by default and nothing once:\n%s", r, env)
	}
}

// outcome checks the host that came to rest: it has what its switch has decided, and no more of the switch.
func (k *cutLab) outcome() {
	k.t.Helper()
	decision := k.read("/var/lib/cpacman/ledger/r1_h1_1-back/decision")
	st, err := k.s.Poll(context.Background(), k.back.ID, PollOptions{})
	went := err == nil && st.Phase != Armed
	switch {
	case went && (st.Phase != Done && st.Phase != Verified || st.RC["x"]+st.RC["u"]+st.RC["i"]+st.RC["e"] != 0):
		k.t.Errorf("the way back: %+v", st)
	case !went && decision == "back":
		k.t.Errorf("it is to go back, and does not: %+v, %v", st, err)
	}
	k.has(!went && decision == "confirmed")
	if k.watched() {
		k.t.Error("somebody still watches")
	}
	for end := time.Now().Add(5 * time.Second); k.exists("/var/lib/cpacman/holder"); time.Sleep(100 * time.Millisecond) { // a last look may be under way
		if time.Now().After(end) {
			k.t.Errorf("the mutex is left: %s", k.read("/var/lib/cpacman/holder"))
			break
		}
	}
	if k.exists("/var/lib/cpacman/ledger/r1_h1_1-back/p") && decision != "" {
		k.t.Error("the packages of the way back are left")
	}
}

// actor is something that may happen on the host at any moment.
type actor struct {
	name string // of the program, for the cutter
	do   func(k *cutLab, s *Session) error
}

func (k *cutLab) confirms(s *Session, ctx context.Context) error {
	d, _, err := s.Confirm(ctx, k.back.ID)
	if err == nil && d == GoesBack {
		err = errGoesBack
	}
	return err
}

var errGoesBack = errors.New("goes back")

func comesLate(k *cutLab, _ *Session) error {
	k.host.sh("echo 0 >/var/lib/cpacman/ledger/r1_h1_1-back/seconds")
	k.look()
	return nil
}

func starts(k *cutLab, s *Session) error {
	return s.StartArmed(cuttable("start", "say started"), k.tx, k.sw)
}

func confirmsIt(k *cutLab, s *Session) error {
	return k.confirms(s, cuttable("confirm", "say decision"))
}

var actors = map[string]actor{
	"start":    {"start", starts},
	"installs": {"runner", starts},
	"back":     {"back", func(k *cutLab, s *Session) error { return s.StartBack(cuttable("back", "say started"), k.back) }},
	"runner":   {"runner", func(k *cutLab, s *Session) error { return s.StartBack(context.Background(), k.back) }},
	"confirm":  {"confirm", confirmsIt},
	"watch":    {"watch", func(k *cutLab, _ *Session) error { k.look(); return nil }},
	"late":     {"watch", comesLate},
	"fired":    {"runner", comesLate},
	// What becomes of a new kernel.
	"prepare": {"kernel-prepare", starts},
	"guard":   {"kernel-guard", starts},
	"once":    {"kernel-once", starts},
	"keep":    {"kernel-keep", confirmsIt},
	"leave":   {"kernel-leave", comesLate},
	"restore": {"kernel-restore", comesLate},
	// What comes before and after a transaction.
	"lock": {"lock", locks}, "release": {"release", releases}, "look": {"look", looks}, "admit": {"admit", admits},
	"proof": {"proof", proves}, "discard": {"discard", discards}, "clean": {"clean", cleans},
}

// steps counts the commands of an actor at a moment.
func (k *cutLab) steps(moment, who string) int {
	k.t.Helper()
	k.restore(moment)
	a := actors[who]
	k.put("/opt/at", a.name+" 0 -\n")
	if err := a.do(k, k.s); err != nil {
		k.t.Fatalf("%s: %v", who, err)
	}
	for end := time.Now().Add(30 * time.Second); k.busy() && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	list := k.read("/opt/steps")
	if list == "" {
		k.t.Fatalf("%s: nothing was counted", who)
	}
	if dir := os.Getenv("CPACMAN_CUTS_STEPS"); dir != "" {
		if err := os.WriteFile(dir+"/"+moment+"-"+who, []byte(list), 0o600); err != nil {
			k.t.Fatal(err)
		}
	}
	return strings.Count(list, "\n") + 1
}

// points are the commands at which an actor is cut: with CPACMAN_CUTS=all each of them, else one that changes from run to run.
func (k *cutLab) points(moment, who string) (out []int) {
	k.t.Helper()
	n, known := k.counts[moment+" "+who]
	if !known {
		n = k.steps(moment, who)
		k.counts[moment+" "+who] = n
	}
	switch v := os.Getenv("CPACMAN_CUTS"); {
	case v == "":
		return []int{1 + rand.IntN(n)} //nolint:gosec // any will do
	case v != "all":
		at, err := strconv.Atoi(v)
		if err != nil {
			k.t.Fatalf("CPACMAN_CUTS is %q, want all or the number of a command", v)
		}
		return []int{at}
	}
	for at := range n {
		out = append(out, at+1)
	}
	return out
}

// onLabs shares trials out to hosts of their own: all of them with CPACMAN_CUTS=all, else some that change from run to run.
func onLabs[T any](t *testing.T, lab func(*testing.T) *cutLab, trials []T, some int, try func(t *testing.T, k *cutLab, trial T)) {
	t.Helper()
	labs := 1
	if os.Getenv("CPACMAN_CUTS") == "" {
		trials = slices.Clone(trials)
		rand.Shuffle(len(trials), func(i, j int) { trials[i], trials[j] = trials[j], trials[i] })
		trials = trials[:min(some, len(trials))]
	} else {
		labs = min(6, len(trials))
	}
	for n := range labs {
		t.Run("host "+strconv.Itoa(n+1), func(t *testing.T) {
			t.Parallel()
			k := lab(t)
			for i := n; i < len(trials); i += labs {
				try(t, k, trials[i])
			}
		})
	}
}

// stopped begins an actor that is to stop at its nth command, and waits until it has; false: it has ended before.
func (k *cutLab) stopped(who, how string, at int) (ended chan error, stopped bool) {
	k.t.Helper()
	a := actors[who]
	k.put("/opt/at", fmt.Sprintf("%s %d %s\n", a.name, at, how))
	ended = make(chan error, 1)
	go func() { ended <- a.do(k, k.s) }()
	over := false
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if k.exists("/opt/cut/where") && (how == "kill" || k.exists("/opt/cut/waits")) {
			return ended, true
		}
		if over && !k.busy() {
			return ended, false
		}
		if !over {
			select {
			case err := <-ended:
				over = true
				ended <- err
			default:
			}
		}
	}
	k.t.Fatalf("%s neither stops at %d nor ends", who, at)
	return nil, false
}

// trouble prints what there is to see where a trial has failed.
func (k *cutLab) trouble(t *testing.T) {
	t.Helper()
	if !t.Failed() {
		return
	}
	t.Log("cut at ", k.read("/opt/cut/where"))
	k.ledger()
	t.Log(k.host.sh("ps axo pid,ppid,stat,args 2>/dev/null || :"))
}

// try is one trial.
func (k *cutLab) try(t *testing.T, name string, trial func()) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		was := k.lab.t
		k.lab.t, k.host.t = t, t
		defer func() { k.lab.t, k.host.t = was, was }()
		defer k.trouble(t)
		trial()
	})
}
