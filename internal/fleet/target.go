package fleet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"cpacman/internal/host"
	"cpacman/internal/rollout"
	"cpacman/internal/rpm"
	"cpacman/internal/store"
	"cpacman/inventory"
	"cpacman/planner"
)

// Targets are what hosts had before a rollout, by the names they have now.
type Targets struct {
	Sets map[string][]rpm.NEVRA
	Void map[string]string // hosts whose record does not serve, with the reason: another machine has their name now (INV-9)
}

// TargetsBefore gives what each host had before a rollout changed it (PLAN-12): the record that was written ahead of its first
// transaction. Hosts that the rollout did not start on are left out. The record belongs to the machine: a renamed host has it under
// its new name, and for a rebuilt one it is void.
func (f *Fleet) TargetsBefore(ctx context.Context, id string) (Targets, error) {
	out := Targets{Sets: map[string][]rpm.NEVRA{}, Void: map[string]string{}}
	snap, err := f.Store.Load(ctx, id)
	if err != nil {
		return out, err
	}
	ids, err := f.Identities(ctx)
	if err != nil {
		return out, err
	}
	for _, rec := range snap.Hosts {
		for attempt := 1; attempt <= rec.Attempt; attempt++ {
			before, err := f.Store.Before(ctx, rollout.TxID(id, rec.Host, attempt))
			if errors.Is(err, store.ErrNotFound) {
				continue // that attempt did not get to its transaction
			}
			if err != nil {
				return out, err
			}
			name, void := ids.holder(f.Site, rec.Host, before.MachineID)
			if void != "" {
				out.Void[rec.Host] = void
			}
			if name != "" {
				out.Sets[name] = nevras(before.Packages)
			}
			break
		}
	}
	return out, nil
}

// Model is a host that others are to be like.
type Model struct {
	Host, OS, Arch string // OS as OSName writes it
	Installed      []rpm.NEVRA
}

// ModelOf gives what a host has, by its stored facts. Facts that are not there, or too old for a plan, are no model: a *CannotPlan.
func (f *Fleet) ModelOf(ctx context.Context, h *inventory.Host) (*Model, error) {
	facts, err := f.Store.Facts(ctx, h.Name)
	if errors.Is(err, store.ErrNotFound) {
		facts, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	if status, detail := f.FactsStatus(f.now(), h, facts, store.Contact{}, false, false); status == planner.StatusNoFacts || status == planner.StatusStale {
		return nil, &CannotPlan{Host: h.Name, Status: status, Detail: detail}
	}
	return &Model{Host: h.Name, OS: OSName(facts.OS), Arch: facts.Arch, Installed: nevras(facts.Packages)}, nil
}

// unlike says why a host cannot be made like the model; "" where it may.
func (m *Model) unlike(facts *host.Facts) string {
	if m == nil {
		return ""
	}
	another := func(a, b string) bool { return a != "" && b != "" && a != b }
	os := OSName(facts.OS)
	if another(os, m.OS) || another(facts.Arch, m.Arch) && !planner.SameFamily(facts.Arch, m.Arch) {
		return fmt.Sprintf("it is %s on %s, and host %s, which it is to be like, is %s on %s", os, facts.Arch, m.Host, m.OS, m.Arch)
	}
	return ""
}

func nevras(packages []host.Package) []rpm.NEVRA {
	out := make([]rpm.NEVRA, 0, len(packages))
	for _, p := range packages {
		if p.Name != "gpg-pubkey" {
			out = append(out, p.NEVRA())
		}
	}
	slices.SortFunc(out, rpm.CompareNEVRA)
	return slices.Compact(out)
}

// maxLock bounds the lines of a lock file.
const maxLock = 100_000

// ReadLock reads a lock file: one NEVRA to a line, as `rpm -qa --qf '%{NEVRA}\n'` prints them; '#' begins a comment, keys (gpg-pubkey)
// are passed over.
func ReadLock(r io.Reader) ([]rpm.NEVRA, error) {
	var out []rpm.NEVRA
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		if text = strings.TrimSpace(text); text == "" || strings.HasPrefix(text, "gpg-pubkey-") {
			continue
		}
		one, err := rpm.ParseNEVRA(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if out = append(out, one); len(out) > maxLock {
			return nil, fmt.Errorf("more than %d packages", maxLock)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, errors.New("it names no package")
	}
	slices.SortFunc(out, rpm.CompareNEVRA)
	return slices.Compact(out), nil
}

// CheckEpochs refuses a lock that was written without epochs, as plain `rpm -qa` does: packages that have one would be taken for others,
// and leave.
func (r *Repos) CheckEpochs(ctx context.Context, lock []rpm.NEVRA) error {
	for _, n := range lock {
		if n.Epoch != 0 {
			continue
		}
		exact, err := r.Find(ctx, n)
		if err != nil {
			return err
		}
		other, err := r.FindAnyEpoch(ctx, n)
		if err != nil {
			return err
		}
		if len(exact) == 0 && len(other) > 0 {
			return fmt.Errorf("%s has no epoch, and the repositories have %s: write the epoch, as rpm -qa --qf '%%{NEVRA}\\n' does", n, other[0].Package.NEVRA)
		}
	}
	return nil
}
