package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
)

// What is done on a host before and after its transaction.
func locks(k *cutLab, s *Session) error {
	_, err := s.Acquire(cuttable("lock", "say broken"), k.own)
	return err
}

func releases(k *cutLab, s *Session) error {
	return s.Release(cuttable("release", "say broken"), k.own)
}

func looks(k *cutLab, s *Session) error {
	_, err := s.Stage(cuttable("look", "say bad"), k.files(), nil)
	return err
}

func admits(k *cutLab, s *Session) error {
	_, err := s.Stage(cuttable("admit", "say admitted"), k.files(), nil)
	return err
}

func proves(k *cutLab, s *Session) error {
	_, err := s.Test(cuttable("proof", "say changed"), k.tx)
	return err
}

func discards(k *cutLab, s *Session) error {
	_, err := s.Clean(cuttable("discard", "say gone"), CleanOptions{What: CleanFiles, Files: digestsOf(k.files())})
	return err
}

func cleans(k *cutLab, s *Session) error {
	_, err := s.Clean(cuttable("clean", "say gone"), CleanOptions{What: CleanAll})
	return err
}

// files are what the transaction and its way back need.
func (k *cutLab) files() []File { return slices.Concat(k.tx.Upgrade, k.back.Upgrade) }

// What comes before and after a transaction is cut at each of its commands, and done again by a control host that knows nothing: it has the same
// end as if nothing had been cut, and when all is over nothing of cpacman is left on the host.
func TestCutAround(t *testing.T) {
	t.Parallel()
	var trials []cutTrial
	for _, c := range [][2]string{{"empty", "lock"}, {"empty", "look"}, {"empty", "admit"}, {"before", "lock"}, {"before", "release"}, {"before", "look"}, {"before", "proof"},
		{"before", "discard"}, {"before", "clean"}, {"confirmed", "discard"}, {"confirmed", "clean"}} {
		trials = append(trials, cutTrial{c[0], c[1], "kill", true}, cutTrial{c[0], c[1], "power", true})
	}
	onLabs(t, newAroundLab, trials, 4, func(t *testing.T, k *cutLab, c cutTrial) {
		t.Helper()
		for _, at := range k.points(c.moment, c.who) {
			k.try(t, fmt.Sprintf("%s %s %s %d", c.moment, c.who, c.how, at), func() { k.around(c.moment, c.who, c.how, at) })
		}
	})
}

// newAroundLab has one more moment: nothing of cpacman was ever there.
func newAroundLab(t *testing.T) *cutLab {
	t.Helper()
	k := newCutLab(t)
	k.restore("before")
	k.over(k.s)
	k.remember("empty")
	return k
}

func (k *cutLab) around(moment, who, how string, at int) {
	k.t.Helper()
	k.cutOff(moment, who, how, at)
	k.passes()
	s := NewSession(k.host, SessionOptions{Host: "h1"})
	if _, err := s.Acquire(context.Background(), k.own); err != nil {
		k.t.Fatal(err)
	}
	if moment != "confirmed" {
		k.wholeLife(s)
	}
	k.has(true)
	k.over(s)
}

// wholeLife stages, proves and does the transaction, and confirms it.
func (k *cutLab) wholeLife(s *Session) {
	k.t.Helper()
	ctx := context.Background()
	if _, err := s.Stage(ctx, k.files(), nil); err != nil {
		k.t.Fatal(err)
	}
	if r, err := s.Test(ctx, k.tx); err != nil || !r.OK {
		k.t.Fatalf("%+v, %v", r, err)
	}
	if err := s.StartArmed(ctx, k.tx, k.sw); err != nil {
		k.t.Fatal(err)
	}
	await(k.t, s, k.tx.ID, Done)
	if err := k.confirms(s, ctx); err != nil {
		k.t.Errorf("confirm: %v", err)
	}
	if _, err := s.Verify(ctx, k.tx, k.pre.Facts, k.pre.Unmet, true); err != nil {
		k.t.Errorf("verify: %v", err)
	}
}

// over ends everything on the host: nothing is left then.
func (k *cutLab) over(s *Session) {
	k.t.Helper()
	ctx := context.Background()
	if err := s.Release(ctx, k.own); err != nil {
		k.t.Errorf("release: %v", err)
	}
	r, err := s.Clean(ctx, CleanOptions{What: CleanAll, Over: []string{k.own.ID}})
	if err != nil || !r.Gone {
		k.t.Errorf("clean: %+v, %v\n%s", r, err, k.host.sh("find /var/lib/cpacman"))
	}
	if k.watched() {
		k.t.Error("somebody still watches")
	}
	if _, err := s.Poll(ctx, k.tx.ID, PollOptions{}); !errors.Is(err, ErrUnknownTransaction) {
		k.t.Errorf("poll: %v", err)
	}
}
