package fleet

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"cpacman/internal/host"
)

func TestAttemptsInALedger(t *testing.T) {
	var ledger []host.LedgerEntry
	for _, id := range []string{"r1_web01_2", "r1_web01_1", "r1_web01_x", "r1_web01_", "r1_web01_01", "r1_web011_3", "r2_web01_4", "r1_web01_1_5", "", "_", "r1_web01_99999999999999999999"} {
		ledger = append(ledger, host.LedgerEntry{ID: id})
	}
	if d := cmp.Diff([]int{2, 1}, attempts(ledger, "r1", "web01")); d != "" {
		t.Error(d)
	}
	if got := attempts(nil, "r1", "web01"); got != nil {
		t.Errorf("an empty ledger knows %v", got)
	}
}
