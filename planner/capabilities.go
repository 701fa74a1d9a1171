package planner

import (
	"hash/maphash"
	"math/bits"

	"cpacman/internal/rpm"
)

// capabilities finds who of some packages has a capability. A kernel alone provides ten thousand and few of them are asked for: a map with a
// list for each would take longer to make than all questions together.
type capabilities struct {
	pkgs    []*rpm.Package
	seed    maphash.Seed
	buckets []int32      // bucket → the end of its entries; the length is a power of two
	entries []capability // by bucket, in it in the order of the packages and of their Provides
}

type capability struct {
	providerRef
	hash uint32
}

// newCapabilities takes all that packages provide, their own names too where their Provides lack them; ids are places in the list.
func newCapabilities(pkgs []*rpm.Package) *capabilities {
	n := 0
	for _, pkg := range pkgs {
		n += 1 + len(pkg.Provides)
	}
	c := &capabilities{pkgs: pkgs, seed: maphash.MakeSeed(), buckets: make([]int32, 1<<bits.Len(uint(n)))} //nolint:gosec // a length
	all := make([]capability, 0, n)
	for i, pkg := range pkgs {
		self := false
		for k := range pkg.Provides {
			d := &pkg.Provides[k]
			all = append(all, c.entry(d.Name, int32(i), int32(k)))
			self = self || d.Name == pkg.Name && d.Sense == rpm.Equal && d.EVR == pkg.EVR
		}
		if !self {
			all = append(all, c.entry(pkg.Name, int32(i), -1))
		}
	}
	for i := range all {
		c.buckets[c.bucket(all[i].hash)]++
	}
	end := int32(0)
	for b := range c.buckets { // the beginning of each, which placing the entries moves to its end
		c.buckets[b], end = end, end+c.buckets[b]
	}
	c.entries = make([]capability, len(all))
	for i := range all {
		b := c.bucket(all[i].hash)
		c.entries[c.buckets[b]] = all[i]
		c.buckets[b]++
	}
	return c
}

func (c *capabilities) entry(name string, id, dep int32) capability {
	return capability{providerRef{id, dep}, c.hash(name)}
}

func (c *capabilities) hash(name string) uint32 { return uint32(maphash.String(c.seed, name)) } //nolint:gosec // its lower half

func (c *capabilities) bucket(hash uint32) int { return int(hash) & (len(c.buckets) - 1) }

// named gives the entries of a name, as long as it is told to go on.
func (c *capabilities) named(name string) func(yield func(providerRef) bool) {
	return func(yield func(providerRef) bool) {
		hash := c.hash(name)
		b := c.bucket(hash)
		from := int32(0)
		if b > 0 {
			from = c.buckets[b-1]
		}
		for _, e := range c.entries[from:c.buckets[b]] {
			if e.hash == hash && c.name(e.providerRef) == name && !yield(e.providerRef) {
				return
			}
		}
	}
}

// name is the capability of an entry.
func (c *capabilities) name(ref providerRef) string {
	if p := c.pkgs[ref.id]; ref.dep >= 0 {
		return p.Provides[ref.dep].Name
	}
	return c.pkgs[ref.id].Name
}

// provides tells whether an entry fulfils a plain dependency of its name.
func (c *capabilities) provides(ref providerRef, d *rpm.Dep) bool {
	return providesDep(c.pkgs[ref.id], ref.dep, d)
}
