package planner

import (
	"cmp"
	"slices"

	"cpacman/internal/rpm"
)

// Index answers what a source offers, so that a large repository need not be read for a host that touches little of it. It knows
// a package by its place among all, sorted by name, arch, epoch, version, release and path, without source packages. Lists are in the
// order of places. It must be usable from several goroutines and answer the same to the same question.
type Index interface {
	Len() int
	At(place int32) Candidate
	Named(name string) []int32
	// Provides gives who has a capability, and how: the entry of its Provides, or the package's own name and EVR where those lack it.
	Provides(name string, yield func(place int32, has rpm.Dep))
	// Obsoletes gives who has an Obsoletes entry for a name, and its number.
	Obsoletes(name string, yield func(place, dep int32))
	// Lists gives who has a path in Files.
	Lists(path string) []int32
	// Supplements gives who supplements a capability or a path.
	Supplements(name string) []int32
	// Requires tells whether a package requires, or conflicts with, a path.
	Requires(path string) bool
	// Required gives every path that a package requires, or conflicts with, once.
	Required(yield func(path string))
	// Names gives every package name once.
	Names(yield func(name string) bool)
	// Err tells that answers given were not right.
	Err() error
}

// packageIndex is the Index of a source whose packages are all in memory.
type packageIndex struct {
	packages  []*Candidate // by place
	place     []int32      // by index in the source; -1 for source packages
	names     map[string][]int32
	provides  map[string][]providerRef
	obsoletes map[string][]providerRef
	files     map[string][]int32
	required  map[string]bool

	supplements map[string][]int32
}

// newPackageIndex indexes packages; they are shared.
func newPackageIndex(list []Candidate) *packageIndex {
	x := &packageIndex{place: make([]int32, len(list)), obsoletes: map[string][]providerRef{}, files: map[string][]int32{}, required: map[string]bool{},
		supplements: map[string][]int32{}}
	var order []int32
	provides := 0
	for i := range list {
		x.place[i] = -1
		if a := list[i].Arch; a != "src" && a != "nosrc" {
			order = append(order, int32(i))
			provides += len(list[i].Provides)
		}
	}
	slices.SortStableFunc(order, func(i, j int32) int {
		a, b := &list[i], &list[j]
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Arch, b.Arch), cmp.Compare(a.Epoch, b.Epoch),
			cmp.Compare(a.Version, b.Version), cmp.Compare(a.Release, b.Release), cmp.Compare(a.Path, b.Path))
	})
	// Growing these maps would cost more than filling them.
	x.names, x.provides = make(map[string][]int32, len(order)), make(map[string][]providerRef, provides)
	for place, i := range order {
		x.place[i] = int32(place)
		x.add(int32(place), &list[i])
	}
	return x
}

func (x *packageIndex) add(place int32, c *Candidate) {
	x.packages = append(x.packages, c)
	x.names[c.Name] = append(x.names[c.Name], place)
	for i := range c.Provides {
		name := c.Provides[i].Name
		x.provides[name] = append(x.provides[name], providerRef{place, int32(i)})
	}
	if !providesItself(c.Package) {
		x.provides[c.Name] = append(x.provides[c.Name], providerRef{place, -1})
	}
	for i := range c.Obsoletes {
		x.obsoletes[c.Obsoletes[i].Name] = append(x.obsoletes[c.Obsoletes[i].Name], providerRef{place, int32(i)})
	}
	for _, f := range c.Files {
		x.files[f] = append(x.files[f], place)
	}
	c.NamedPaths(func(path string) { x.required[path] = true })
	c.SupplementNames(func(name string) {
		if l := x.supplements[name]; len(l) == 0 || l[len(l)-1] != place {
			x.supplements[name] = append(l, place)
		}
	})
}

func (x *packageIndex) Len() int                        { return len(x.packages) }
func (x *packageIndex) At(place int32) Candidate        { return *x.packages[place] }
func (x *packageIndex) Named(name string) []int32       { return x.names[name] }
func (x *packageIndex) Lists(path string) []int32       { return x.files[path] }
func (x *packageIndex) Requires(path string) bool       { return x.required[path] }
func (x *packageIndex) Supplements(name string) []int32 { return x.supplements[name] }
func (x *packageIndex) Required(yield func(path string)) {
	for path := range x.required {
		yield(path)
	}
}
func (x *packageIndex) Err() error { return nil }
func (x *packageIndex) Provides(name string, yield func(place int32, has rpm.Dep)) {
	for _, r := range x.provides[name] {
		if p := x.packages[r.id]; r.dep < 0 {
			yield(r.id, rpm.Dep{Name: p.Name, Sense: rpm.Equal, EVR: p.EVR})
		} else {
			yield(r.id, p.Provides[r.dep])
		}
	}
}

func (x *packageIndex) Obsoletes(name string, yield func(place, dep int32)) {
	for _, r := range x.obsoletes[name] {
		yield(r.id, r.dep)
	}
}

func (x *packageIndex) Names(yield func(string) bool) {
	for name := range x.names {
		if !yield(name) {
			return
		}
	}
}
