package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"cpacman/internal/host"
	"cpacman/internal/rollout"
	"cpacman/internal/rpm"
	"cpacman/inventory"
	"cpacman/planner"
)

// SiteKey is a signing key that repositories of the site name.
type SiteKey struct {
	Key   rpm.Key
	Repos []string // that name it, in the order of the file
}

// SiteKeys reads the signing keys of repositories, by fingerprint. A key that stands in two files counts once, as it is read first.
func (f *Fleet) SiteKeys(repos []string) (map[string]*SiteKey, error) {
	out := map[string]*SiteKey{}
	for _, id := range repos {
		ring, err := f.Keyring(id)
		if err != nil {
			return nil, err
		}
		for _, k := range ring.Keys() {
			one := out[k.Fingerprint()]
			if one == nil {
				one = &SiteKey{Key: k}
				out[k.Fingerprint()] = one
			}
			if !slices.Contains(one.Repos, id) {
				one.Repos = append(one.Repos, id)
			}
		}
	}
	return out, nil
}

// HostHasKey tells whether a host has a key: by its fingerprint, and only where the host's facts do not tell that by what rpm calls it.
func HostHasKey(keys []host.Key, k rpm.Key) bool {
	return slices.ContainsFunc(keys, func(h host.Key) bool {
		if h.Fingerprint != "" {
			return h.Fingerprint == k.Fingerprint()
		}
		return k.MatchesPubkey(h.ID, h.Created)
	})
}

// planKeys adds to the plan what happens to signing keys (PUSH-9). Notes tell what was asked for and found nowhere.
func (f *Fleet) planKeys(req PlanRequest, candidates []*candidate, p *planner.Plan) ([]string, error) {
	site, err := f.SiteKeys(f.repoIDs())
	if err != nil {
		return nil, err
	}
	used, found := map[string]bool{}, map[string]bool{}
	for _, c := range candidates {
		if c.entry.Status != planner.StatusPlanned && c.entry.Status != planner.StatusNothing {
			continue
		}
		lines, err := keyLines(req.Keys, c, f.View(c.host, c.facts), site, found)
		if err != nil {
			return nil, err
		}
		if lines.Empty() {
			continue
		}
		c.entry.Keys, c.entry.Status = lines, planner.StatusPlanned
		for _, fp := range lines.Import {
			used[fp] = true
		}
		f.keysBack(c, p)
	}
	for fp := range used {
		one, err := planKey(site[fp])
		if err != nil {
			return nil, err
		}
		p.Keys = append(p.Keys, one)
	}
	var notes []string
	for _, r := range req.Keys.Retire {
		if !found[r] {
			notes = append(notes, fmt.Sprintf("no host of the plan has the signing key %s", r))
		}
	}
	return notes, nil
}

func (f *Fleet) repoIDs() []string {
	out := make([]string, len(f.Site.Repos))
	for i := range f.Site.Repos {
		out[i] = f.Site.Repos[i].ID
	}
	return out
}

// keyLines are the lines of one host. found gets what is retired.
func keyLines(asked planner.RequestedKeys, c *candidate, view []inventory.Repo, site map[string]*SiteKey, found map[string]bool) (planner.KeyLines, error) {
	var out planner.KeyLines
	named := map[string][]string{} // fingerprint: repositories of the view
	for _, r := range view {
		for fp, k := range site {
			if slices.Contains(k.Repos, r.ID) {
				named[fp] = append(named[fp], r.ID)
			}
		}
	}
	if asked.Import {
		for fp := range named {
			if !HostHasKey(c.facts.Keys, site[fp].Key) {
				out.Import = append(out.Import, fp)
			}
		}
	}
	for _, want := range asked.Retire {
		for _, k := range c.facts.Keys {
			if k.Fingerprint == "" || !strings.HasSuffix(k.Fingerprint, want) || !host.KeyEntry(k.Entry()) {
				continue
			}
			if in := named[k.Fingerprint]; len(in) > 0 {
				return out, &KeyInUseError{Host: c.host.Name, Fingerprint: k.Fingerprint, Repos: in}
			}
			found[want] = true
			if !slices.ContainsFunc(out.Retire, func(r planner.RetiredKey) bool { return r.Fingerprint == k.Fingerprint }) {
				out.Retire = append(out.Retire, planner.RetiredKey{Entry: k.Entry(), Fingerprint: k.Fingerprint, Owner: k.Owner})
			}
		}
	}
	return out, nil
}

// KeyInUseError refuses to retire a key that packages may still come signed with.
type KeyInUseError struct {
	Host, Fingerprint string
	Repos             []string
}

// Error names key, host and repositories.
func (e *KeyInUseError) Error() string {
	return fmt.Sprintf("the signing key %s cannot be retired: host %s takes packages from %s, whose keys name it", e.Fingerprint, e.Host, strings.Join(e.Repos, ", "))
}

// keysBack gives a host that only its keys change a way back: a set without packages, which the keys follow.
func (f *Fleet) keysBack(c *candidate, p *planner.Plan) {
	if f.Site.Rollout.Rollback == inventory.RollbackNever {
		return
	}
	if set, _ := p.Set(c.entry.Set); !set.Empty() {
		return
	}
	back := emptySet()
	if !slices.ContainsFunc(p.Rollbacks, func(s planner.Set) bool { return s.ID == back.ID }) {
		p.Rollbacks = append(p.Rollbacks, back)
	}
	c.entry.Rollback = planner.RollbackInfo{Complete: true, Set: back.ID}
}

// emptySet changes no package.
func emptySet() planner.Set {
	var s planner.Set
	if err := s.Seal(); err != nil {
		panic(err) // nothing in it can fail
	}
	return s
}

func planKey(k *SiteKey) (planner.PlanKey, error) {
	text, err := k.Key.Armor()
	if err != nil {
		return planner.PlanKey{}, err
	}
	if len(text) > host.MaxKeyImport {
		return planner.PlanKey{}, fmt.Errorf("the signing key %s of repository %s has %d bytes, more than the %d that are sent to hosts", k.Key.Fingerprint(), k.Repos[0], len(text), host.MaxKeyImport)
	}
	sum := sha256.Sum256([]byte(text))
	out := planner.PlanKey{Armor: text, Created: k.Key.Created(), Fingerprint: k.Key.Fingerprint(), Repos: slices.Clone(k.Repos), SHA256: hex.EncodeToString(sum[:])}
	if e := k.Key.Expires(); !e.IsZero() {
		out.Expires = &e
	}
	if ids := k.Key.UserIDs(); len(ids) > 0 {
		out.Owner = ids[0]
	}
	return out, nil
}

// planKeysOnly makes a plan that changes no package.
func (f *Fleet) planKeysOnly(ctx context.Context, req PlanRequest, candidates *candidates) (*Planned, error) {
	p := &planner.Plan{Format: planner.PlanFormat, Type: planner.TypeUpdate, Requested: planner.Requested{Selector: req.Selector, Keys: req.Keys}}
	set := emptySet()
	p.Sets = []planner.Set{set}
	for _, c := range candidates.list {
		if c.entry.Status != planner.StatusPlanned {
			continue
		}
		if len(f.View(c.host, c.facts)) == 0 {
			c.entry.Status, c.entry.Detail = planner.StatusNoView, "no repository of the site matches this host"
			continue
		}
		c.entry.Status, c.entry.Set, c.entry.Rollback = planner.StatusNothing, set.ID, planner.RollbackInfo{Complete: true}
	}
	return f.finishPlan(ctx, req, p, candidates, &Planned{Notes: map[string][]string{}})
}

// finishPlan adds keys, hosts and times, and seals the plan.
func (f *Fleet) finishPlan(_ context.Context, req PlanRequest, p *planner.Plan, candidates *candidates, out *Planned) (*Planned, error) {
	if req.Keys.Asked() {
		notes, err := f.planKeys(req, candidates.list, p)
		if err != nil {
			return nil, err
		}
		out.KeyNotes = notes
	}
	candidates.into(p, req.Expiry)
	out.Plan = p
	return out, p.SealTo(req.Observer)
}

// importFiles are the keys that a host imports, as it gets them. A plan whose text is not the key it shows is refused.
func importFiles(p *planner.Plan, lines planner.KeyLines) ([]host.KeyFile, error) {
	var out []host.KeyFile
	for _, fp := range lines.Import {
		k, ok := p.Key(fp)
		if !ok {
			return nil, fmt.Errorf("the plan has not the key %s", fp)
		}
		ring, err := rpm.ReadKeys(strings.NewReader(k.Armor))
		if err != nil {
			return nil, fmt.Errorf("the key %s of the plan: %w", fp, err)
		}
		if keys := ring.Keys(); len(keys) != 1 || keys[0].Fingerprint() != fp || len(ring.Skipped) > 0 {
			return nil, fmt.Errorf("the text of key %s in the plan is another key, or more than one", fp)
		}
		out = append(out, host.KeyFile{Fingerprint: fp, Armor: k.Armor, SHA256: k.SHA256})
	}
	return out, nil
}

// CheckKeys refuses a plan whose keys are not what it shows.
func CheckKeys(p *planner.Plan) error {
	var all planner.KeyLines
	for _, k := range p.Keys {
		all.Import = append(all.Import, k.Fingerprint)
	}
	_, err := importFiles(p, all)
	return err
}

// signerKeys gives the text of the keys that packages of a plan are signed with, by fingerprint.
type signerKeys struct {
	once sync.Once
	keys map[string]*SiteKey
	err  error
}

// files returns the keys of fingerprints that the repositories of the plan name.
func (s *signerKeys) files(f *Fleet, p *planner.Plan, fingerprints []string) ([]host.KeyFile, error) {
	s.once.Do(func() {
		ids := make([]string, len(p.Repos))
		for i := range p.Repos {
			ids[i] = p.Repos[i].ID
		}
		s.keys, s.err = f.SiteKeys(ids)
	})
	if s.err != nil {
		return nil, s.err
	}
	var out []host.KeyFile
	for _, fp := range fingerprints {
		k := s.keys[fp]
		if k == nil {
			continue
		}
		text, err := k.Key.Armor()
		if err != nil || len(text) > host.MaxKeyImport {
			continue // it was not planned; rpm's test tells what it thinks of it
		}
		sum := sha256.Sum256([]byte(text))
		out = append(out, host.KeyFile{Fingerprint: fp, Armor: text, SHA256: hex.EncodeToString(sum[:])})
	}
	return out, nil
}

// keyRefusals says why a host is held for its signing keys: it lacks one that the plan does not import, it has another one under the
// name of one to retire, or its rpm does not take one.
func (w *worker) keyRefusals(ctx context.Context, p host.Preflight) ([]rollout.Reason, error) {
	var out []rollout.Reason
	add := func(code rollout.ReasonCode, format string, args ...any) {
		out = append(out, rollout.Reason{Code: code, Text: fmt.Sprintf(format, args...)})
	}
	lacks := slices.DeleteFunc(slices.Clone(p.MissingKeys), func(fp string) bool {
		return slices.ContainsFunc(w.tx.Import, func(k host.KeyFile) bool { return k.Fingerprint == fp })
	})
	if len(lacks) > 0 {
		add(rollout.ReasonKeyMissing, "the host's rpm does not have the signing key %s: plan again with --keys to import it, or set host_signatures = \"digest\" for class %s",
			strings.Join(lacks, ", "), w.host.Class)
	}
	signers := w.d.signers(w.tx)
	for _, r := range w.keyLines.Retire {
		if slices.Contains(signers, r.Fingerprint) {
			add(rollout.ReasonKeyMissing, "the plan retires the key %s, and packages of it are signed with that key: plan again", r.Fingerprint)
		}
		for _, k := range p.Facts.Keys {
			if k.Entry() == r.Entry && k.Fingerprint != r.Fingerprint {
				add(rollout.ReasonChanged, "%s is not the key %s that the plan retires: plan again", r.Entry, r.Fingerprint)
			}
		}
	}
	files := slices.Clone(w.tx.Import)
	had, err := w.d.signerKeys.files(w.d.fleet, w.d.planOf(w.host.Name), signers)
	if err != nil {
		return nil, err
	}
	for _, k := range had {
		if !slices.ContainsFunc(files, func(o host.KeyFile) bool { return o.Fingerprint == k.Fingerprint }) {
			files = append(files, k)
		}
	}
	if len(files) == 0 {
		return out, nil
	}
	refused, err := w.s.TryKeys(ctx, files)
	if errors.Is(err, host.ErrNoSpace) {
		add(rollout.ReasonSpace, "%v; %s", err, freeWords(p.Facts))
		return out, nil
	}
	if err != nil {
		return nil, stepError(err, rollout.ReasonInternal)
	}
	for _, k := range files {
		if why := refused[k.Fingerprint]; why != "" {
			add(rollout.ReasonKeyRefused, "the host's rpm refuses the signing key %s: %s: look at its crypto policy (update-crypto-policies --show), or have the packages signed with a stronger key",
				k.Fingerprint, why)
		}
	}
	return out, nil
}

// keyFaults compares the keys of a host with what the plan does to them. retired says that they must be gone.
func keyFaults(keys []host.Key, lines planner.KeyLines, retired bool) []string {
	var out []string
	has := func(fp string) bool { return slices.ContainsFunc(keys, func(k host.Key) bool { return k.Matches(fp) }) }
	for _, fp := range lines.Import {
		if !has(fp) {
			out = append(out, "the signing key "+fp+" was not imported")
		}
	}
	for _, r := range lines.Retire {
		if retired && slices.ContainsFunc(keys, func(k host.Key) bool { return k.Entry() == r.Entry }) {
			out = append(out, "the signing key "+r.Fingerprint+" was not retired")
		}
	}
	return out
}
