package host

import (
	"context"
	"fmt"
)

// Boot names the boot the host is in: its boot id, "time-SECONDS" where it has none.
func (s *Session) Boot(ctx context.Context) (string, error) { return s.boot(ctx) }

// Reboot asks the host to boot within seconds, unless it is in another boot than from by now. ErrBusy: a transaction is under way.
func (s *Session) Reboot(ctx context.Context, from string) error {
	if !words(from, "-") {
		return fmt.Errorf("host %s: reboot: boot id %q", s.opt.Host, from)
	}
	_, err := s.boot(ctx, "reboot", from)
	return err
}

func (s *Session) boot(ctx context.Context, args ...string) (string, error) {
	a, err := s.call(ctx, "ask for the boot", []string{"detach", "boot"}, args...)
	if err != nil {
		return "", err
	}
	b := a.get("boot")
	if !words(b, "-") || len(b) > 64 {
		return "", fmt.Errorf("host %s: ask for the boot: %w: %q", s.opt.Host, ErrProtocol, bounded(b, 100))
	}
	return b, nil
}
