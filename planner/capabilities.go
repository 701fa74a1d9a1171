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
	first   []int32 // bucket → its first entry, -1 for none; the length is a power of two
	entries []capability
}

// capability is an entry; those of a bucket are a list, in the order of the packages and of their Provides.
type capability struct {
	providerRef
	hash uint32
	next int32 // -1 at the end
}

// newCapabilities takes all that packages provide, their own names too where their Provides lack them; ids are places in the list.
func newCapabilities(pkgs []*rpm.Package) *capabilities {
	n := 0
	for _, pkg := range pkgs {
		n += 1 + len(pkg.Provides)
	}
	c := &capabilities{pkgs: pkgs, seed: maphash.MakeSeed(), first: make([]int32, 1<<bits.Len(uint(n))), entries: make([]capability, 0, n)} //nolint:gosec // a length
	for i := range c.first {
		c.first[i] = -1
	}
	for i := len(pkgs) - 1; i >= 0; i-- { // from the end: what is added last stands first
		pkg := pkgs[i]
		if !providesItself(pkg) {
			c.add(pkg.Name, int32(i), -1)
		}
		for k := len(pkg.Provides) - 1; k >= 0; k-- {
			c.add(pkg.Provides[k].Name, int32(i), int32(k))
		}
	}
	return c
}

// providesItself tells whether a package has its own name and EVR among its Provides, as rpm writes them.
func providesItself(pkg *rpm.Package) bool {
	for i := range pkg.Provides {
		if d := &pkg.Provides[i]; d.Name == pkg.Name && d.Sense == rpm.Equal && d.EVR == pkg.EVR {
			return true
		}
	}
	return false
}

func (c *capabilities) add(name string, id, dep int32) {
	hash := c.hash(name)
	b := c.bucket(hash)
	c.entries = append(c.entries, capability{providerRef{id, dep}, hash, c.first[b]})
	c.first[b] = int32(len(c.entries) - 1) //nolint:gosec // fewer than 2^31 entries
}

func (c *capabilities) hash(name string) uint32 { return uint32(maphash.String(c.seed, name)) } //nolint:gosec // its lower half

func (c *capabilities) bucket(hash uint32) int { return int(hash) & (len(c.first) - 1) }

// named gives the entries of a name, as long as it is told to go on.
func (c *capabilities) named(name string) func(yield func(providerRef) bool) {
	return func(yield func(providerRef) bool) {
		hash := c.hash(name)
		for at := c.first[c.bucket(hash)]; at >= 0; at = c.entries[at].next {
			if e := &c.entries[at]; e.hash == hash && c.name(e.providerRef) == name && !yield(e.providerRef) {
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
