package host

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// startPrograms are what accepting a transaction is made of.
var startPrograms = []string{"mutex", "steps", "lock", "detach", "switch", "start"} //nolint:gochecknoglobals // a constant list

// BackID is the id of the way back of a transaction. It is an id of its own and runs once, too.
func BackID(id string) string { return id + "-back" }

// Switch is a dead man's switch (ROLL-8): unless Confirm comes over a connection within After of the end of the transaction, counted
// anew after a reboot, the host goes back by itself.
type Switch struct {
	Back  Transaction // First, Upgrade, InstallOnly and Erase are done in this order; what is there already is passed over
	After time.Duration
	Boot  BootOnce
}

// BootOnce says whether a new kernel that the transaction installs beside the running one is to be booted once, and to become the default
// only when it is confirmed. Without such a kernel it means nothing.
type BootOnce string

// What may be asked for.
const (
	BootAsPackaged BootOnce = ""        // the packages make it the default, or not
	BootOnceNeeded BootOnce = "needed"  // where the host cannot do that nothing is started: ErrNoBootOnce
	BootOnceWanted BootOnce = "allowed" // where the host cannot do that it is left to the packages
)

// ErrNoBootOnce says that no boot loader was found that could boot the new kernel once; the transaction was not started.
var ErrNoBootOnce = errors.New("the new kernel cannot be booted once")

// CanBootOnce asks whether the host can boot a new kernel once; nothing is changed. ErrNoBootOnce: it cannot, and why.
func (s *Session) CanBootOnce(ctx context.Context) error {
	a, err := s.call(ctx, "ask for the boot loader", []string{"bootloader", "bootable"})
	if err != nil {
		return err
	}
	if why, no := a.last("cannot"); no {
		return fmt.Errorf("host %s: %w: %s", s.opt.Host, ErrNoBootOnce, bounded(why, 500))
	}
	if a.get("boots") == "" {
		return fmt.Errorf("host %s: ask for the boot loader: %w", s.opt.Host, ErrProtocol)
	}
	return nil
}

// kernelProgram looks after a new kernel that is booted once.
func kernelProgram() string { return program("guard", "bootloader", "kernel") }

// ErrNoSwitch says that nothing on the host could fire the switch after a reboot; the transaction was not started.
var ErrNoSwitch = errors.New("the dead man's switch cannot be armed")

// StartArmed is Start with a switch, which is armed on the host before the transaction is accepted. Its packages must be staged.
func (s *Session) StartArmed(ctx context.Context, tx Transaction, sw Switch) error {
	if s.owner == nil {
		return fmt.Errorf("host %s: start transaction %s: %w", s.opt.Host, tx.ID, ErrNotLocked)
	}
	if sw.After < time.Second || sw.Back.ID != BackID(tx.ID) {
		return fmt.Errorf("host %s: %w: the switch of %s has id %q and %s", s.opt.Host, errTransaction, tx.ID, sw.Back.ID, sw.After)
	}
	_, backDigest, err := s.sendOrder(ctx, sw.Back)
	if err != nil {
		return err
	}
	drop, digest, err := s.sendOrder(ctx, tx)
	if err != nil {
		return err
	}
	defer s.ordersUsed()
	args := []string{s.sender(), drop, digest, hostID(tx.ID), s.owner.ID, "install",
		runnerProgram(), hostID(sw.Back.ID), backDigest, strconv.FormatInt(int64(sw.After/time.Second), 10),
		program("guard", "mutex", "switch", "watch")}
	if sw.Boot != BootAsPackaged && len(tx.InstallOnly) > 0 {
		args = append(args, string(sw.Boot), kernelProgram())
	}
	_, err = s.call(ctx, "start transaction "+tx.ID, startPrograms, args...)
	var refused *RemoteError
	if errors.As(err, &refused) {
		switch refused.Code {
		case "noswitch":
			return fmt.Errorf("host %s: %w: %s", s.opt.Host, ErrNoSwitch, refused.Text)
		case "nobootonce":
			return fmt.Errorf("host %s: %w: %s", s.opt.Host, ErrNoBootOnce, refused.Text)
		}
	}
	return err
}

// StartBack starts the way back of a transaction and returns; Poll with its id tells what becomes of it. A switch that was armed with
// the same id, confirmed or not, has decided so then, and watches over it until it is done. One that was cut goes on where it was.
// ErrReplay: it is under way, or ended.
func (s *Session) StartBack(ctx context.Context, back Transaction) error {
	return s.start(ctx, back, "back")
}

// Decision is what the dead man's switch of a transaction came to. The host alone knows it.
type Decision string

// The decisions.
const (
	NoSwitch  Decision = "none"      // none was armed
	Confirmed Decision = "confirmed" // the host stays as it is
	GoesBack  Decision = "back"      // too late: the host goes back, or went; Poll of the way back tells
	Void      Decision = "void"      // the transaction never began
)

// Confirm tells the host that it is reached and is to stay as it is, unless its switch has decided otherwise. A new kernel that was booted
// once becomes the default; where the host booted with another it goes back, and why says so. id is that of the way back.
func (s *Session) Confirm(ctx context.Context, id string) (d Decision, why string, err error) {
	if !words(id, "._-/:") {
		return "", "", fmt.Errorf("host %s: %w: id %q", s.opt.Host, errTransaction, id)
	}
	a, err := s.call(ctx, "confirm "+id, []string{"mutex", "switch", "confirm"}, hostID(id))
	if err != nil {
		return "", "", err
	}
	switch d := Decision(a.get("decision")); d {
	case NoSwitch, Confirmed, GoesBack, Void:
		return d, bounded(a.get("why"), 500), nil
	}
	return "", "", fmt.Errorf("host %s: confirm %s: %w", s.opt.Host, id, ErrProtocol)
}
