package host

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// While one is at work on a host whose transaction is done and waits to be confirmed, at each of its commands, another one comes. Whoever
// is told something finds that it becomes so, and no one is told that something was cut.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	pairs := [][3]string{
		{"back", "confirm"}, {"back", "back"}, {"back", "watch"}, {"back", "late"},
		{"confirm", "back"}, {"confirm", "confirm"}, {"confirm", "watch"}, {"confirm", "late"},
		{"watch", "back"}, {"watch", "confirm"}, {"late", "back"}, {"late", "confirm"}, {"late", "watch"},
		{"runner", "confirm"}, {"runner", "back"}, {"runner", "watch"}, {"fired", "confirm"}, {"fired", "back"}, {"fired", "watch"},
		{"back", "confirm", "confirmed"}, {"back", "back", "confirmed"}, {"back", "watch", "confirmed"}, {"confirm", "back", "confirmed"},
		{"runner", "confirm", "confirmed"}, {"runner", "watch", "confirmed"}, {"runner", "back", "confirmed"},
		{"back", "back", "plain"}, {"runner", "back", "plain"},
	}
	onLabs(t, newCutLab, pairs, 4, meetings)
}

// The same with a host that runs its new kernel.
func TestTwoAtOnceOnANewKernel(t *testing.T) {
	t.Parallel()
	pairs := [][3]string{
		{"confirm", "late", "booted"}, {"confirm", "back", "booted"}, {"confirm", "confirm", "booted"}, {"late", "confirm", "booted"}, {"back", "confirm", "booted"},
		{"keep", "late", "booted"}, {"keep", "back", "booted"}, {"leave", "confirm", "booted"}, {"leave", "back", "booted"},
		{"late", "back", "left"}, {"late", "confirm", "left"}, {"fired", "confirm", "left"}, {"restore", "confirm", "left"}, {"restore", "back", "left"},
	}
	onLabs(t, newKernelCutLab, pairs, 2, meetings)
}

func meetings(t *testing.T, k *cutLab, pair [3]string) {
	t.Helper()
	moment := pair[2]
	if moment == "" {
		moment = "done"
	}
	for _, at := range k.points(moment, pair[0]) {
		k.try(t, fmt.Sprintf("%s %s %s %d", pair[0], pair[1], moment, at), func() { k.meet(moment, pair[0], pair[1], at) })
	}
}

func (k *cutLab) meet(moment, first, second string, at int) {
	k.t.Helper()
	k.restore(moment)
	ended, stopped := k.stopped(first, "wait", at)
	if !stopped {
		<-ended
		return
	}
	k.noneCut()
	come := make(chan error, 1)
	go func() { come <- actors[second].do(k, k.other) }()
	select { // it may have to wait for the first one
	case err := <-come:
		come <- err
		k.noneCut()
	case <-time.After(1500 * time.Millisecond):
	}
	k.host.sh("touch /opt/go")
	k.told([]said{{first, <-ended}, {second, <-come}})
}

// booted tells whether a call ended for a boot off the new kernel.
func (k *cutLab) booted(err error) bool {
	return k.kernel != "" && bootedUnder(err)
}

// noneCut wants nobody to be told that something was interrupted.
func (k *cutLab) noneCut() {
	k.t.Helper()
	for _, id := range []string{k.tx.ID, k.back.ID} {
		st, err := k.s.Poll(context.Background(), id, PollOptions{})
		if k.booted(err) {
			continue
		}
		if err != nil && !errors.Is(err, ErrUnknownTransaction) || st.Phase == Interrupted {
			k.t.Errorf("%s: %+v, %v", id, st, err)
		}
	}
}

// said is what an actor was told.
type said struct {
	who string
	err error
}

// told wants what the actors were told, in the order they came, to become so.
func (k *cutLab) told(all []said) {
	k.t.Helper()
	back, stays := false, false
	for _, s := range all {
		who, err := s.who, s.err
		if k.booted(err) {
			back = back || k.read("/var/lib/cpacman/ledger/r1_h1_1-back/decision") == "back"
			continue
		}
		switch who {
		case "back", "runner":
			back = true
			if err != nil && !errors.Is(err, ErrReplay) {
				k.t.Errorf("%s: %v", who, err)
			}
		case "confirm", "keep":
			stays = stays || err == nil
			back = back || errors.Is(err, errGoesBack)
			if err != nil && !errors.Is(err, errGoesBack) {
				k.t.Errorf("%s: %v", who, err)
			}
		case "late", "fired", "leave", "restore":
			back = back || !stays && k.read("/var/lib/cpacman/ledger/r1_h1_1-back/decision") == "back"
		default:
			if err != nil {
				k.t.Errorf("%s: %v", who, err)
			}
		}
	}
	if !back && !stays { // the time has not come
		if !k.watched() {
			k.t.Error("nobody watches any more")
		}
		if err := k.confirms(k.s, context.Background()); err != nil {
			k.t.Errorf("confirm: %v", err)
		}
	}
	k.settles(false)
	k.outcome()
	k.has(!back)
}

// One who is at work is killed at each of its commands, or the host loses its power there. Nobody comes back: the host ends as it was,
// or as it was confirmed to be. Or the control host comes back and asks for the same again.
func TestCutAnywhere(t *testing.T) {
	t.Parallel()
	var trials []cutTrial
	for _, c := range [][2]string{{"before", "start"}, {"before", "installs"}, {"done", "back"}, {"done", "confirm"}, {"done", "late"}, {"done", "runner"}, {"done", "fired"},
		{"confirmed", "back"}, {"confirmed", "runner"}, {"plain", "back"}, {"plain", "runner"}} {
		for _, how := range []string{"kill", "power"} {
			trials = append(trials, cutTrial{c[0], c[1], how, true})
			if c[0] != "plain" { // nobody on the host would go on
				trials = append(trials, cutTrial{c[0], c[1], how, false})
			}
		}
	}
	onLabs(t, newCutLab, trials, 4, cuts)
}

// The same with a new kernel: it is the default if it is confirmed, and else neither runs nor is installed.
func TestCutAnywhereOnANewKernel(t *testing.T) {
	t.Parallel()
	var trials []cutTrial
	for _, c := range [][2]string{{"before", "start"}, {"before", "installs"}, {"before", "prepare"}, {"before", "guard"}, {"before", "once"}, {"booted", "confirm"}, {"booted", "keep"},
		{"booted", "late"}, {"booted", "leave"}, {"booted", "back"}, {"left", "late"}, {"left", "fired"}, {"left", "restore"}} {
		trials = append(trials, cutTrial{c[0], c[1], "power", true}, cutTrial{c[0], c[1], "power", false})
	}
	onLabs(t, newKernelCutLab, trials, 2, cuts)
}

type cutTrial struct {
	moment, who, how string
	again            bool
}

func cuts(t *testing.T, k *cutLab, c cutTrial) {
	t.Helper()
	for _, at := range k.points(c.moment, c.who) {
		name := fmt.Sprintf("%s %s %s %d %s", c.moment, c.who, c.how, at, map[bool]string{false: "alone", true: "again"}[c.again])
		k.try(t, name, func() { k.cut(c.moment, c.who, c.how, at, c.again) })
	}
}

// cutOff begins something at a moment, and kills it at a command of its, or takes the host's power there; false: it has ended before.
func (k *cutLab) cutOff(moment, who, how string, at int) bool {
	k.t.Helper()
	k.restore(moment)
	ended, stopped := k.stopped(who, map[string]string{"kill": "kill", "power": "wait"}[how], at)
	if how == "power" && stopped {
		k.boots()
	}
	<-ended // its connection is gone; what it was told does not count
	return stopped
}

func (k *cutLab) cut(moment, who, how string, at int, again bool) {
	k.t.Helper()
	if !k.cutOff(moment, who, how, at) {
		return
	}
	if again {
		k.comesBack(who)
	}
	k.settles(true)
	if _, err := k.s.Acquire(context.Background(), k.own); err != nil { // the mutex of the dead is in nobody's way
		k.t.Errorf("the host's lock: %v", err)
	}
	if again && moment == "plain" {
		if _, err := k.s.Verify(context.Background(), k.back, k.pre.Facts, k.pre.Unmet, false); err != nil {
			k.t.Errorf("verify: %v", err)
		}
	}
	if !k.exists("/var/lib/cpacman/ledger/r1_h1_1-back") { // cut before anything was armed
		k.has(false)
		return
	}
	k.outcome()
}

// comesBack is what a control host does that does not know what became of what it asked for.
func (k *cutLab) comesBack(who string) {
	k.t.Helper()
	ctx := context.Background()
	if _, err := k.s.Acquire(ctx, k.own); err != nil {
		k.t.Fatal(err)
	}
	goesBack := func() {
		for range 5 {
			if err := actors["back"].do(k, k.s); err != nil && !errors.Is(err, ErrReplay) {
				k.t.Errorf("back: %v", err)
			}
			for n := 0; k.works(k.back.ID) && n < 300; n++ {
				if n == 30 {
					k.passes() // no runner comes
				}
				time.Sleep(100 * time.Millisecond)
			}
			if st, err := k.s.Poll(ctx, k.back.ID, PollOptions{}); err != nil || st.Phase != Interrupted {
				return
			}
		}
	}
	switch who {
	case "start", "installs", "prepare", "guard", "once":
		for n := 0; ; n++ {
			st, err := k.s.Poll(ctx, k.tx.ID, PollOptions{})
			if errors.Is(err, ErrUnknownTransaction) && n < 2 {
				if err := k.s.StartArmed(ctx, k.tx, k.sw); err != nil && !errors.Is(err, ErrReplay) {
					k.t.Errorf("start again: %v", err)
				}
				continue
			}
			if err != nil {
				k.t.Errorf("poll: %v", err)
				return
			}
			if st.Final() {
				break
			}
			if n > 20 {
				k.passes()
			}
			time.Sleep(100 * time.Millisecond)
		}
		if st, err := k.s.Poll(ctx, k.tx.ID, PollOptions{}); err == nil && st.Phase == Done {
			if st.Kernel.Due {
				k.boots()
			}
			if err := k.confirms(k.s, ctx); err != nil && !errors.Is(err, errGoesBack) {
				k.t.Errorf("confirm: %v", err)
			}
			return
		}
		goesBack()
	case "back", "runner", "fired", "restore":
		goesBack()
	case "confirm", "late", "keep", "leave":
		if err := k.confirms(k.s, ctx); err != nil && !errors.Is(err, errGoesBack) {
			k.t.Errorf("confirm: %v", err)
		}
	}
}

// The power is lost in a scriptlet: rpm has put in what it brings and not yet taken out what that replaces. The host goes back all the same,
// and has nothing twice.
func TestPowerLostInAScriptlet(t *testing.T) {
	t.Parallel()
	k := newCutLab(t)
	for _, c := range []struct {
		name, moment, who string
		again             bool
		then              string
	}{
		{"transaction", "before", "installs", false, ""},
		{"transaction, a moment before", "before", "installs", false, "rpm -e --justdb --nodeps --noscripts app-2"}, // files come before the database
		{"way back", "done", "runner", false, ""},
		{"way back of a confirmed one", "confirmed", "runner", false, ""},
		{"way back without a switch", "plain", "runner", true, ""},
	} {
		k.try(t, c.name, func() {
			k.restore(c.moment)
			k.host.sh("touch /opt/stop")
			if err := actors[c.who].do(k, k.s); err != nil {
				k.t.Fatal(err)
			}
			k.host.wait("/opt/waits")
			k.boots()
			if c.then != "" {
				k.host.sh(c.then)
			}
			if c.again {
				k.comesBack("back")
			}
			k.settles(true)
			k.has(false)
		})
	}
}
