package rpm

import "strings"

// Sense is the comparison in a dependency: any of Less, Greater and Equal, or none for "any version".
type Sense uint8

// The bits of a Sense; their values are rpm's RPMSENSE_LESS, _GREATER and _EQUAL.
const (
	Less    Sense = 2
	Greater Sense = 4
	Equal   Sense = 8
)

// String writes the operator as spec files do: "<", "<=", "=", ">=", ">", or nothing.
func (s Sense) String() string {
	var b strings.Builder
	if s&Less != 0 {
		b.WriteByte('<')
	}
	if s&Greater != 0 {
		b.WriteByte('>')
	}
	if s&Equal != 0 {
		b.WriteByte('=')
	}
	return b.String()
}

// Dep is one dependency: a capability name with an optional range. Name may be a file path ("/usr/bin/sh"), a virtual name
// ("libc.so.6()(64bit)"), an rpmlib() feature, or a boolean expression in parentheses, which IsRich tells and ParseRich reads.
type Dep struct {
	Name  string
	Sense Sense
	Pre   bool // needed before scriptlets run: orders a transaction, changes no solution
	EVR   EVR  // zero when Sense is 0; Release may be empty
}

// IsRich tells whether the dependency is a boolean expression (rpm-dependencies: it begins with a parenthesis).
func (d Dep) IsRich() bool { return strings.HasPrefix(d.Name, "(") }

// String writes the dependency as a spec file would: "foo >= 1.2-3".
func (d Dep) String() string {
	if d.Sense == 0 {
		return d.Name
	}
	return d.Name + " " + d.Sense.String() + " " + d.EVR.String()
}

// Color tells which ELF files a package has (RPMTAG_FILECOLORS or-ed together). rpm lets two packages of one name share files
// only when both are coloured.
type Color uint8

// The bits of a Color, as rpm has them.
const (
	ELF32 Color = 1
	ELF64 Color = 2
)

// Package is what cpacman knows of one package build, from repository metadata, a header, or a host. Slices are shared between
// users and never changed after it was made.
type Package struct {
	NEVRA
	Vendor          string
	SourceRPM       string
	BuildTime       int64 // seconds since 1970
	InstalledSize   int64 // bytes
	ModularityLabel string
	Header          string // digest of the immutable header (SHA256HEADER, else SHA1HEADER), lower-case hex; "" if not known
	// Color is right only where ColorKnown is set: headers tell it, repository metadata does not.
	Color      Color
	ColorKnown bool

	Provides, Requires, Conflicts, Obsoletes    []Dep
	Recommends, Suggests, Supplements, Enhances []Dep

	// Files are the paths known: all of them when FilesComplete is set, else the part that primary metadata carries.
	Files         []string
	FilesComplete bool
}

// SupplementNames gives every name, or path, that the package supplements, those in boolean dependencies too; one may come several times.
func (p *Package) SupplementNames(yield func(name string)) {
	eachName(p.Supplements, yield)
}

// eachName gives the names in a list of dependencies, those in boolean ones too.
func eachName(deps []Dep, yield func(name string)) {
	for i := range deps {
		name := deps[i].Name
		if !strings.HasPrefix(name, "(") {
			yield(name)
		} else if r, err := ParseRich(name); err == nil {
			r.Leaves(func(d Dep) { yield(d.Name) })
		}
	}
}

// NamedPaths gives every file path that the requirements and conflicts of the package name, those in boolean dependencies too; one may
// come several times.
func (p *Package) NamedPaths(yield func(path string)) {
	paths := func(name string) {
		if strings.HasPrefix(name, "/") {
			yield(name)
		}
	}
	eachName(p.Requires, paths)
	eachName(p.Conflicts, paths)
}
