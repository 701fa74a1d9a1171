package host

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// A ledger that a cpacman of another runner protocol wrote is refused by name, in the state and in the order, and nothing is started
// beside it (OPS-2).
func TestOtherProtocolIsRefused(t *testing.T) {
	l := newLab(t, pkg{nevra: "app-1-1.noarch"})
	ctx := context.Background()
	tx, _ := l.prepare("r1/h1/1", Transaction{Upgrade: []File{build(t, l.key, pkg{nevra: "app-2-1.noarch"})}, Removes: nevras(t, "app-1-1.noarch")})
	if err := l.s.Start(ctx, tx); err != nil {
		t.Fatal(err)
	}
	before := await(t, l.s, tx.ID, Done)
	if before.Before != tx.ExpectBefore || before.Before == "" {
		t.Errorf("the order names the set %q, it was to begin from %q", before.Before, tx.ExpectBefore)
	}
	for name, spoil := range map[string]string{
		"state": "cd /var/lib/cpacman/ledger/r1_h1_1 && sed 's/^protocol 1$/protocol 2/' state >s && cat s >state",
		"order": "cd /var/lib/cpacman/ledger/r1_h1_1 && sed 's/^cpacman-order 1$/cpacman-order 2/' order >o && cat o >order",
	} {
		l.host.sh(spoil)
		_, err := l.s.Poll(ctx, tx.ID, PollOptions{})
		if !errors.Is(err, ErrVersion) || !strings.Contains(err.Error(), "r1_h1_1 is of runner protocol 2, this cpacman knows 1") {
			t.Errorf("%s: poll: %v", name, err)
		}
		if name == "state" {
			next := tx
			next.ID = "r1/h1/2"
			if err := l.s.Start(ctx, next); !errors.Is(err, ErrVersion) {
				t.Errorf("start beside it: %v", err)
			}
			if _, err := l.s.Ledger(ctx); !errors.Is(err, ErrVersion) {
				t.Errorf("ledger: %v", err)
			}
		}
		l.host.sh(strings.NewReplacer("protocol 1$", "protocol 2$", "/protocol 2/", "/protocol 1/", "order 1$", "order 2$", "/cpacman-order 2/", "/cpacman-order 1/").Replace(spoil))
		if _, err := l.s.Poll(ctx, tx.ID, PollOptions{}); err != nil {
			t.Errorf("%s, put back: %v", name, err)
		}
	}
}
