package planner

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"cpacman/internal/rpm"
)

// DefaultExpiry is how long a plan may be started when nothing else is said (PLAN-10).
const DefaultExpiry = 7 * 24 * time.Hour

// MaxPlanBytes bounds the plan file that Decode reads. A fleet of 10,000 hosts in 20 configurations takes 10 to 20 MB.
const MaxPlanBytes = 1 << 29

// ErrPlan marks a plan file that cannot be used: damaged, changed by hand, or of another format.
var ErrPlan = errors.New("not a usable plan")

// Seal brings the plan into its one written form (lists sorted, times in UTC and whole, no nil lists), sets format, expiry and id.
// Any change afterwards makes Encode refuse it; seal again.
func (p *Plan) Seal() error {
	return p.SealTo(nil)
}

// Observer hears of a plan while it is sealed: to write and sum that of a large fleet takes a while, and what else is to be done with it need not wait
// for its id.
type Observer interface {
	// Complete tells that the plan has all but its id, and is called beside all that follows; SealTo returns after it.
	Complete(p *Plan)
	// Writer gets what Encode writes, piece after piece, from the goroutine of SealTo. Before the last piece the plan may still turn out not to be valid.
	io.Writer
}

// SealTo is Seal, and gives what Encode writes of the plan to the observer, which may be nil. What it gave of a plan that is not valid, which the error
// tells, is of no use. A fault of the observer is given as it is.
func (p *Plan) SealTo(o Observer) error {
	p.Format = PlanFormat
	if p.Type == "" {
		p.Type = TypeUpdate
	}
	p.CreatedAt = p.CreatedAt.UTC()
	if p.ExpiresAt.IsZero() {
		p.ExpiresAt = p.CreatedAt.Add(DefaultExpiry)
	}
	p.ExpiresAt = p.ExpiresAt.UTC()
	p.normalise()
	c := *p
	c.ID = ""
	var invalid error
	var to io.Writer
	var beside sync.WaitGroup
	beside.Go(func() { invalid = c.validate() })
	if o != nil {
		to = o
		beside.Go(func() { o.Complete(&c) })
	}
	text := follow(to)
	rest, err := c.written(text.next)
	id, failed := text.sum(rest)
	beside.Wait()
	if err != nil {
		return fmt.Errorf("digest of the plan: %w", err)
	}
	p.ID = id
	if invalid != nil || to == nil {
		return invalid
	}
	for _, piece := range [][]byte{[]byte(id), rest} {
		if failed == nil {
			_, failed = to.Write(piece)
		}
	}
	return failed
}

// normalise sorts what a map or a scheduler may have put in any order.
func (p *Plan) normalise() {
	p.Requested.Filter = p.Requested.Filter.normal()
	p.normaliseKeys()
	p.Services.normalise()
	p.Repos = nonNil(p.Repos) // their order is their priority: kept
	for i := range p.Sets {
		p.Sets[i].normalise()
	}
	p.Sets = nonNil(p.Sets)
	slices.SortFunc(p.Sets, func(a, b Set) int { return cmp.Compare(a.ID, b.ID) })
	for i := range p.Hosts {
		h := &p.Hosts[i]
		h.CollectedAt = h.CollectedAt.UTC()
		h.Rollback.Missing = nonNil(h.Rollback.Missing)
		slices.SortFunc(h.Rollback.Missing, rpm.CompareNEVRA)
		slices.Sort(h.PreBroken)
		h.Keys.normalise()
		for _, list := range [][]string{h.Impact.RebootReasons, h.Impact.Services, h.Impact.ConfigFiles, h.Impact.Scriptlets} {
			slices.Sort(list)
		}
	}
	for i := range p.Rollbacks {
		p.Rollbacks[i].normalise()
	}
	slices.SortFunc(p.Rollbacks, func(a, b Set) int { return cmp.Compare(a.ID, b.ID) })
	p.Hosts = nonNil(p.Hosts)
	slices.SortFunc(p.Hosts, func(a, b PlanHost) int { return cmp.Compare(a.Host, b.Host) })
	sortPackages(p.Packages)
	p.Packages = nonNil(p.Packages)
	sortPackages(p.RollbackPackages)
	p.MissingFiles = nonNil(p.MissingFiles)
	slices.Sort(p.MissingFiles)
}

func sortPackages(l []PlanPackage) {
	for i := range l {
		l[i].Advisories = nonNil(l[i].Advisories)
		slices.Sort(l[i].Advisories)
	}
	slices.SortFunc(l, func(a, b PlanPackage) int {
		return cmp.Or(rpm.CompareNEVRA(a.NEVRA, b.NEVRA), cmp.Compare(a.Repo, b.Repo), cmp.Compare(a.Path, b.Path))
	})
}

// normal returns the filter with its lists sorted and without repetitions; severities in lower case.
func (f Filter) normal() Filter {
	set := func(in []string, lower bool) []string {
		if len(in) == 0 {
			return nil
		}
		out := slices.Clone(in)
		if lower {
			for i := range out {
				out[i] = strings.ToLower(out[i])
			}
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	f.Severities = set(f.Severities, true)
	f.Advisories, f.CVEs = set(f.Advisories, false), set(f.CVEs, false)
	f.Packages, f.Exclude = set(f.Packages, false), set(f.Exclude, false)
	f.OverrideHolds = set(f.OverrideHolds, false)
	return f
}

// nonNil makes an empty list of a nil one: JSON then has [] instead of null.
func nonNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// normalise sorts the lists of a set.
func (s *Set) normalise() {
	s.Install, s.Upgrade, s.Downgrade = nonNil(s.Install), nonNil(s.Upgrade), nonNil(s.Downgrade)
	s.Remove, s.Held, s.Blocked = nonNil(s.Remove), nonNil(s.Held), nonNil(s.Blocked)
	slices.SortFunc(s.Install, func(a, b Install) int { return rpm.CompareNEVRA(a.NEVRA, b.NEVRA) })
	for i := range s.Install {
		s.Install[i].NeededBy = nonNil(s.Install[i].NeededBy)
		slices.Sort(s.Install[i].NeededBy)
	}
	moves := func(a, b Move) int { return cmp.Or(rpm.CompareNEVRA(a.From, b.From), rpm.CompareNEVRA(a.To, b.To)) }
	slices.SortFunc(s.VendorChanges, func(a, b VendorChange) int {
		return cmp.Or(rpm.CompareNEVRA(a.From, b.From), rpm.CompareNEVRA(a.To, b.To))
	})
	slices.SortFunc(s.Upgrade, moves)
	slices.SortFunc(s.Downgrade, moves)
	slices.SortFunc(s.Remove, func(a, b Remove) int { return cmp.Or(rpm.CompareNEVRA(a.NEVRA, b.NEVRA), cmp.Compare(a.Rule, b.Rule)) })
	slices.SortFunc(s.Held, func(a, b Held) int {
		return cmp.Or(rpm.CompareNEVRA(a.NEVRA, b.NEVRA), rpm.CompareNEVRA(a.Available, b.Available))
	})
	for i := range s.Held {
		s.Held[i].Because = nonNil(s.Held[i].Because) // a chain: its order is its meaning
	}
	slices.SortFunc(s.Overridden, func(a, b Overridden) int {
		return cmp.Or(rpm.CompareNEVRA(a.NEVRA, b.NEVRA), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Because, b.Because))
	})
	slices.SortFunc(s.Blocked, func(a, b Blocked) int {
		return cmp.Or(rpm.CompareNEVRA(a.NEVRA, b.NEVRA), cmp.Compare(a.Rule, b.Rule), rpm.CompareNEVRA(a.Available, b.Available))
	})
}

// Seal sorts the set and sets its id, the digest of its content.
func (s *Set) Seal() (err error) {
	s.normalise()
	s.ID, err = s.digest()
	return err
}

// digest is the sha256 of the set written without its id.
func (s *Set) digest() (string, error) {
	c := *s
	c.ID = ""
	b, err := c.text()
	if err != nil {
		return "", fmt.Errorf("digest of a set: %w", err)
	}
	sum := sha256.Sum256(append(b, '\n'))
	return hex.EncodeToString(sum[:]), nil
}

// digest is the sha256 of the plan written without its id.
func (p *Plan) digest() (string, error) {
	c := *p
	c.ID = ""
	text := follow(nil)
	rest, err := c.written(text.next)
	id, _ := text.sum(rest)
	if err != nil {
		return "", fmt.Errorf("digest of the plan: %w", err)
	}
	return id, nil
}

// canonical writes v as JSON with two spaces of indent and a trailing newline. Its keys are sorted where those of its types are.
func canonical(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// MarshalJSON writes the set with sorted keys.
func (s Set) MarshalJSON() ([]byte, error) { return s.text() }

// Encode writes a sealed plan. The same plan gives the same bytes.
func (p *Plan) Encode(w io.Writer) error {
	var head bytes.Buffer
	rest, err := p.written(func(piece []byte) []byte {
		head.Write(piece)
		return piece[:0]
	})
	if err != nil {
		return fmt.Errorf("write the plan: %w", err)
	}
	sum := sha256.New()
	sum.Write(head.Bytes())
	sum.Write(rest[len(p.ID):])
	if hex.EncodeToString(sum.Sum(nil)) != p.ID {
		return fmt.Errorf("%w: it was changed after it was sealed", ErrPlan)
	}
	for _, piece := range [][]byte{head.Bytes(), rest} {
		if _, err := w.Write(piece); err != nil {
			return fmt.Errorf("write the plan: %w", err)
		}
	}
	return nil
}

// Decode reads a plan that Encode wrote. It is strict: another format, an unknown key, text behind the plan, an id that is not the
// digest of the rest, or references that lead nowhere are errors of kind ErrPlan. It does not look at the expiry: the caller
// has the clock.
func Decode(r io.Reader) (*Plan, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxPlanBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read the plan: %w", err)
	}
	if len(b) > MaxPlanBytes {
		return nil, fmt.Errorf("%w: larger than %d bytes", ErrPlan, MaxPlanBytes)
	}
	var head struct {
		Format *int `json:"format"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPlan, err)
	}
	switch {
	case head.Format == nil:
		return nil, fmt.Errorf("%w: it has no format; is this a file written by plan --out?", ErrPlan)
	case *head.Format != PlanFormat:
		return nil, fmt.Errorf("%w: its format is %d, this version reads format %d; plan again, or use the version that wrote it",
			ErrPlan, *head.Format, PlanFormat)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	p := new(Plan)
	if err := dec.Decode(p); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrPlan, err)
	}
	id, err := p.digest()
	if err != nil {
		return nil, err
	}
	if id != p.ID {
		return nil, fmt.Errorf("%w: its id does not match its content: it was changed or damaged; plan again", ErrPlan)
	}
	if err := p.validate(); err != nil {
		return nil, err
	}
	return p, nil
}

// Expired tells whether the plan may no longer be started at the given time.
func (p *Plan) Expired(now time.Time) bool { return !now.Before(p.ExpiresAt) }
