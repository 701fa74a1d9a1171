package store

import (
	"context"

	"cpacman/internal/rollout"
)

// Hosts on which everything works are never taken back nor booted: being asked for it fails the rollout that asks.

var errNotAsked = rollout.Failed(rollout.ReasonInternal, "nothing asks for this")

func (w *tinyWorker) Confirm(context.Context) (rollout.Confirmation, error) {
	return rollout.Confirmation{}, errNotAsked
}
func (w *tinyWorker) StartBack(context.Context) error { return errNotAsked }
func (w *tinyWorker) PollBack(context.Context) (rollout.TxStatus, error) {
	return rollout.TxStatus{}, errNotAsked
}
func (w *tinyWorker) VerifyBack(context.Context) (rollout.Verification, error) {
	return rollout.Verification{}, errNotAsked
}
func (w *tinyWorker) Boot(context.Context) (string, error) { return "", errNotAsked }
func (w *tinyWorker) Reboot(context.Context, string) error { return errNotAsked }
func (w *tinyWorker) Restart(context.Context) (rollout.Restarted, error) {
	return rollout.Restarted{}, errNotAsked
}
