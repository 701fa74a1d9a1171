package fleet

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"cpacman/internal/host"
	"cpacman/internal/rollout"
	"cpacman/internal/store"
	"cpacman/inventory"
	"cpacman/planner"
	"cpacman/transport"
)

// wire is a connection to a host that takes everything, until it is cut at a program with a word in it. It answers the lock with held.
type wire struct {
	cut    string
	held   string
	ran    []string
	orders []string
}

func (w *wire) Run(_ context.Context, c transport.Command) (transport.Result, error) {
	mark, text := c.Argv[4], c.Argv[2]
	lines := ""
	switch {
	case strings.Contains(text, "accept() {"):
		w.ran = append(w.ran, "start")
	case strings.Contains(text, "say broken"):
		w.ran = append(w.ran, "lock")
		lines = w.held
	}
	if w.cut != "" && len(w.ran) > 0 && w.ran[len(w.ran)-1] == w.cut {
		return transport.Result{}, &transport.Error{Host: "h1", Op: "run", Kind: transport.KindUnreachable, Err: errors.New("connection reset")}
	}
	return transport.Result{Stdout: []byte(marked(mark, lines+"end\n"))}, nil
}

func marked(mark, lines string) string {
	var b strings.Builder
	for l := range strings.Lines(lines) {
		b.WriteString("@" + mark + " " + l)
	}
	return b.String()
}

func (w *wire) Upload(_ context.Context, files []transport.Upload) (transport.UploadStats, error) {
	for _, f := range files {
		r, err := f.Open()
		if err != nil {
			return transport.UploadStats{}, err
		}
		b, err := io.ReadAll(r)
		if err != nil {
			return transport.UploadStats{}, err
		}
		w.orders = append(w.orders, string(b))
	}
	return transport.UploadStats{Files: len(files)}, nil
}

// starter is a worker of one attempt over a connection.
func starter(t *testing.T, st *store.Store, w *wire) *worker {
	t.Helper()
	job := rollout.Job{Rollout: "r1", Host: "h1", Attempt: 1, TxID: "r1/h1/1"}
	d := &Deployment{fleet: &Fleet{Store: st}, plan: &planner.Plan{}, owner: rollout.Owner{Host: "ctl", User: "ann"}}
	n := &worker{d: d, host: &inventory.Host{Name: "h1"}, job: job}
	n.tx = host.Transaction{ID: job.TxID, Upgrade: []host.File{{NEVRA: nevra(t, "foo-2-1.noarch"), Name: "foo.rpm", SHA256: strings.Repeat("a", 64), Size: 1}}}
	n.s = host.NewSession(w, host.SessionOptions{Host: "h1", Owner: n.lockOwner()})
	return n
}

func testStore(t *testing.T) *store.Store {
	t.Helper()
	st, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	return st
}

// The connection is lost while the transaction is asked for, and the host never heard of it: the second try, over another connection and by
// another worker, asks for exactly the same, with the lock in hand.
func TestStartOverAnotherConnection(t *testing.T) {
	st := testStore(t)
	first, second := &wire{cut: "start"}, &wire{}
	w := starter(t, st, first)
	w.before = &host.Facts{Host: "h1", MachineID: strings.Repeat("1", 32), InstalledDigest: strings.Repeat("c", 64),
		Packages: []host.Package{{Name: "foo", Version: "1", Release: "1", Arch: "noarch", Header: strings.Repeat("d", 64)}}}
	w.unmet = []string{"foo needs bar"}
	if err := w.Lock(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	var e *rollout.Error
	if err := w.Start(t.Context()); !errors.As(err, &e) || e.Kind != rollout.KindLost {
		t.Fatalf("the first try: %v", err)
	}
	again := starter(t, st, second)
	if err := again.Start(t.Context()); err != nil {
		t.Fatalf("the second try: %v", err)
	}
	if got := strings.Join(second.ran, " "); got != "lock start" {
		t.Errorf("the second connection ran %q", got)
	}
	if len(first.orders) != 1 || len(second.orders) != 1 || first.orders[0] != second.orders[0] || !strings.Contains(second.orders[0], "expect 1 ccc") {
		t.Errorf("orders %q and %q", first.orders, second.orders)
	}
	if b, err := st.Before(t.Context(), "r1/h1/1"); err != nil || len(b.Unmet) != 1 || b.Digest != strings.Repeat("c", 64) {
		t.Errorf("the record of what was there before: %+v, %v", b, err)
	}
}

// Who was silent for so long that another has taken the lock over is told who, and starts nothing.
func TestStartFindsTheLockTakenOver(t *testing.T) {
	w := starter(t, testStore(t), &wire{held: "held alive\nid r2\ncontrol far\nuser bob\nrollout r2\nsince 1795221172\n"})
	w.before = &host.Facts{Host: "h1", InstalledDigest: strings.Repeat("c", 64)}
	var e *rollout.Error
	if err := w.Start(t.Context()); !errors.As(err, &e) || e.Kind != rollout.KindLocked || !strings.Contains(err.Error(), "locked by bob@far (r2) since 2026-11-21") {
		t.Errorf("%v", err)
	}
}
