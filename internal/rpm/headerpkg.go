package rpm

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Bits of a dependency's flags (rpmsenseFlags). Requirements of %pre and %post, and the old PreReq, are what createrepo_c
// writes as pre="1", so that metadata and header say the same.
const (
	senseMask     = uint64(Less | Greater | Equal)
	sensePrereq   = 1 << 6
	senseScriptPr = 1 << 9
	senseScriptPo = 1 << 10
	sensePre      = sensePrereq | senseScriptPr | senseScriptPo
)

// PubkeyName is the name under which rpm databases keep imported keys; such an entry is no package.
const PubkeyName = "gpg-pubkey"

// IsSource tells whether the header belongs to a source package.
func (h *Header) IsSource() bool {
	// rpm's rule is a missing SOURCERPM (headerIsSource); keys in the database may lack it as well.
	return h.Has(tagSourcePackage) || !h.Has(tagSourceRPM) && h.Text(tagName) != PubkeyName
}

// IsDelta tells whether the package is a delta rpm, which cannot be installed.
func (h *Header) IsDelta() bool { return h.Text(tagPayloadFormat) == "drpm" }

// Package returns what the header says of its package. Package.Header is the SHA-256 digest; a source package has arch src or
// nosrc; an imported key (PubkeyName) has the arch "(none)", as rpm prints. Errors are ErrHeader: names that could not stand in
// a list, arrays that do not belong together.
func (h *Header) Package() (*Package, error) {
	p := &Package{
		Vendor:          h.Text(tagVendor),
		SourceRPM:       h.Text(tagSourceRPM),
		ModularityLabel: h.Text(tagModularityLabel),
		Header:          h.SHA256(),
		ColorKnown:      true,
		FilesComplete:   true,
	}
	var err error
	if p.NEVRA, err = h.nevra(); err != nil {
		return nil, err
	}
	if n, ok := h.Number(tagBuildTime); ok {
		p.BuildTime = int64(n)
	}
	n, ok := h.Number(tagLongSize)
	if !ok {
		n, _ = h.Number(tagSize)
	}
	p.InstalledSize = int64(min(n, math.MaxInt64))
	for _, c := range h.Numbers(tagFileColors) {
		p.Color |= Color(c & 0x0f)
	}
	if err := h.fillDeps(p); err != nil {
		return nil, err
	}
	if p.Files, err = h.paths(); err != nil {
		return nil, err
	}
	return p, nil
}

func (h *Header) nevra() (NEVRA, error) {
	n := NEVRA{Name: h.Text(tagName), Arch: h.Text(tagArch)}
	n.Version, n.Release = h.Text(tagVersion), h.Text(tagRelease)
	switch {
	case n.Name == PubkeyName && n.Arch == "":
		n.Arch = "(none)"
	case !h.IsSource():
	case h.Has(tagNoSource) || h.Has(tagNoPatch):
		n.Arch = "nosrc"
	default:
		n.Arch = "src"
	}
	if e, ok := h.Number(tagEpoch); ok {
		if e > math.MaxUint32 {
			return n, fmt.Errorf("%w: epoch %d", ErrHeader, e)
		}
		n.Epoch = uint32(e)
	}
	bad := func(s string) bool { return s == "" || strings.ContainsFunc(s, notVersion) }
	if !validName(n.Name) || !validName(n.Arch) || bad(n.Version) || bad(n.Release) || strings.ContainsAny(n.Version+n.Release, "-") || strings.ContainsAny(n.Arch, "-.") {
		return n, fmt.Errorf("%w: name %q version %q release %q arch %q", ErrHeader, n.Name, n.Version, n.Release, n.Arch)
	}
	return n, nil
}

func (h *Header) fillDeps(p *Package) error {
	for _, k := range []struct {
		into                 *[]Dep
		name, version, flags uint32
	}{
		{&p.Provides, tagProvideName, tagProvideVersion, tagProvideFlags},
		{&p.Requires, tagRequireName, tagRequireVersion, tagRequireFlags},
		{&p.Conflicts, tagConflictName, tagConflictVersion, tagConflictFlags},
		{&p.Obsoletes, tagObsoleteName, tagObsoleteVersion, tagObsoleteFlags},
		{&p.Recommends, tagRecommendName, tagRecommendName + 1, tagRecommendName + 2},
		{&p.Suggests, tagSuggestName, tagSuggestName + 1, tagSuggestName + 2},
		{&p.Supplements, tagSupplementName, tagSupplementName + 1, tagSupplementName + 2},
		{&p.Enhances, tagEnhanceName, tagEnhanceName + 1, tagEnhanceName + 2},
	} {
		deps, err := h.deps(k.name, k.version, k.flags)
		if err != nil {
			return err
		}
		*k.into = deps
	}
	// As rpm does when it reads a package older than rpm 4 (legacyRetrofit): every binary package provides itself.
	self := Dep{Name: p.Name, Sense: Equal, EVR: p.EVR}
	if h.region == 0 && !h.IsSource() && p.Name != PubkeyName && !slices.Contains(p.Provides, self) {
		p.Provides = append(p.Provides, self)
	}
	return nil
}

// deps joins three parallel arrays. Versions and flags are missing together in packages of rpm 3.
func (h *Header) deps(name, version, flags uint32) ([]Dep, error) {
	names, versions, bits := h.Texts(name), h.Texts(version), h.Numbers(flags)
	if versions != nil && len(versions) != len(names) || bits != nil && len(bits) != len(names) {
		return nil, fmt.Errorf("%w: %d names, %d versions, %d flags of tag %d", ErrHeader, len(names), len(versions), len(bits), name)
	}
	if names == nil {
		return nil, nil
	}
	deps := make([]Dep, len(names))
	for i := range deps {
		deps[i].Name = names[i]
		if bits == nil {
			continue
		}
		deps[i].Pre = name == tagRequireName && bits[i]&sensePre != 0
		if sense := Sense(bits[i] & senseMask); sense != 0 && versions != nil && versions[i] != "" {
			deps[i].Sense, deps[i].EVR = sense, parseLooseEVR(versions[i])
		}
	}
	return deps, nil
}

// paths returns the file list. Directory names are shared by many files, so the sum of the lengths is bounded by the size of
// the header: real packages have 60 bytes and more of other things for each file, and stay far below.
func (h *Header) paths() ([]string, error) {
	bases := h.Texts(tagBasenames)
	if bases == nil {
		return h.Texts(tagOldFilenames), nil
	}
	dirs, indexes := h.Texts(tagDirNames), h.Numbers(tagDirIndexes)
	if len(indexes) != len(bases) {
		return nil, fmt.Errorf("%w: %d file names, %d directory indexes", ErrHeader, len(bases), len(indexes))
	}
	budget := 8*len(h.data) + 1<<20
	paths := make([]string, len(bases))
	for i, x := range indexes {
		if x >= uint64(len(dirs)) {
			return nil, fmt.Errorf("%w: directory %d of %d", ErrHeader, x, len(dirs))
		}
		if budget -= len(dirs[x]) + len(bases[i]); budget < 0 {
			return nil, fmt.Errorf("%w: file list is too long", ErrHeader)
		}
		paths[i] = dirs[x] + bases[i]
	}
	return paths, nil
}

// Installed is a package of an rpm database.
type Installed struct {
	*Package
	Parsed      *Header
	InstallTime int64 // seconds since 1970, 0 when the database does not tell
}

// ParseInstalled reads the header of an installed package as it lies in an rpm database. Package.Header is the digest that rpm
// prints for it there: SHA-256 where the package came with one, else SHA-1, both computed from the immutable region.
func ParseInstalled(blob []byte) (*Installed, error) {
	h, err := ParseHeader(blob)
	if err != nil {
		return nil, err
	}
	p, err := h.Package()
	if err != nil {
		return nil, err
	}
	_, has256 := h.outer[installSHA256]
	if _, has1 := h.outer[installSHA1]; has1 && !has256 {
		p.Header = h.SHA1()
	}
	in := &Installed{Package: p, Parsed: h}
	if e, ok := h.outer[tagInstallTime]; ok && classOf(e.typ) == classNumber {
		in.InstallTime = int64(h.number(e, 0))
	}
	return in, nil
}
