package repo

import (
	"bytes"
	"errors"
	"fmt"

	"cpacman/internal/rpm"
)

// Package is one package of a repository.
type Package struct {
	// The package's NEVRA, dependencies and so on. The pointer is stable and may be shared; nothing in it changes.
	*rpm.Package
	Location string   // path relative to the repository, checked: it cannot leave it
	Base     string   // xml:base, when metadata says that the file is somewhere else; such a file may be here all the same
	Checksum Checksum // of the file, as metadata has it; zero in a directory of RPMs
	Size     int64    // of the file in bytes; -1 if metadata does not say
	// HeaderStart and HeaderEnd are the range of the main header in the file, 0 if not known.
	HeaderStart, HeaderEnd int64
}

// place says where in primary.xml an element is.
type place uint8

const (
	inRoot place = iota
	inSkipped
	inPackage
	inFormat
	inName
	inArch
	inChecksum
	inVendor
	inSource
	inFile
	inProvides // the lists of dependencies follow in the order of depLists
	inRequires
	inConflicts
	inObsoletes
	inRecommends
	inSuggests
	inSupplements
	inEnhances
)

// slabSize is how many packages share one allocation.
const slabSize = 128

// primaryResult is what a piece of primary.xml holds.
type primaryResult struct {
	packages []*Package
	notes    []Problem
}

// primarySink builds packages from elements. It is used by one goroutine.
type primarySink struct {
	arena  arena
	result primaryResult
	fault  error

	places  []place
	value   []byte // text of the innermost wanted element
	sumType string

	pkg     *Package
	deps    []rpm.Dep // of the current list
	files   []string  // of the current package
	depSlab []rpm.Dep
	strSlab []string
	rpms    []rpm.Package
	pkgs    []Package
}

func newPrimarySink() *primarySink {
	return &primarySink{places: make([]place, 0, 16)}
}

// take gives the packages since the last take.
func (s *primarySink) take() primaryResult {
	r := s.result
	s.result = primaryResult{}
	return r
}

func (s *primarySink) err() error { return s.fault }

func (s *primarySink) fail(format string, args ...any) {
	if s.fault != nil {
		return
	}
	err := fmt.Errorf(format, args...)
	if s.pkg != nil && s.pkg.Name != "" {
		err = fmt.Errorf("package %s: %w", quoted(s.pkg.Name), err)
	}
	s.fault = err
}

func (s *primarySink) start(name []byte, attrs []xmlAttr) bool {
	at := inRoot
	if n := len(s.places); n > 0 {
		at = s.places[n-1]
	}
	next := inSkipped
	switch at {
	case inRoot:
		next = s.startPackage(name, attrs)
	case inPackage:
		next = s.packageElement(name, attrs)
	case inFormat:
		next = s.formatElement(name, attrs)
	case inProvides, inRequires, inConflicts, inObsoletes, inRecommends, inSuggests, inSupplements, inEnhances:
		if string(name) == "entry" {
			s.dependency(attrs)
		}
	}
	s.places = append(s.places, next)
	if next < inName || next > inFile {
		return false
	}
	s.value = s.value[:0]
	return true
}

func (s *primarySink) text(b []byte) { s.value = append(s.value, b...) }

// startPackage begins a <package type="rpm">; other types are not packages of ours.
func (s *primarySink) startPackage(name []byte, attrs []xmlAttr) place {
	if string(name) != "package" {
		return inSkipped
	}
	for _, a := range attrs {
		if string(a.name) == "type" && string(a.value) != "rpm" {
			s.result.notes = append(s.result.notes, Problem{What: "a package of type " + quoted(a.value) + " is ignored", Note: true})
			return inSkipped
		}
	}
	if len(s.rpms) == 0 {
		s.rpms, s.pkgs = make([]rpm.Package, slabSize), make([]Package, slabSize)
	}
	s.pkg = &s.pkgs[0]
	s.pkg.Package = &s.rpms[0]
	s.pkg.Size = -1
	s.rpms, s.pkgs = s.rpms[1:], s.pkgs[1:]
	s.files = s.files[:0]
	return inPackage
}

func (s *primarySink) packageElement(name []byte, attrs []xmlAttr) place {
	p := s.pkg
	switch string(name) {
	case "name":
		return inName
	case "arch":
		return inArch
	case "checksum":
		s.sumType = ""
		for _, a := range attrs {
			if string(a.name) == "type" {
				s.sumType = checksumType(string(a.value))
			}
		}
		return inChecksum
	case "format":
		return inFormat
	case "version":
		s.version(&p.EVR, attrs)
	case "time":
		for _, a := range attrs {
			if string(a.name) == "build" {
				p.BuildTime = lenientInt(a.value)
			}
		}
	case "size":
		s.sizes(attrs)
	case "location":
		s.location(attrs)
	}
	return inSkipped
}

func (s *primarySink) sizes(attrs []xmlAttr) {
	for _, a := range attrs {
		switch string(a.name) {
		case "package":
			n, err := parseSize(string(a.value))
			if err != nil {
				s.fail("%w", err)
			}
			if n != 0 { // no package has 0 bytes: programs that do not know the size write it
				s.pkg.Size = n
			}
		case "installed":
			s.pkg.InstalledSize = lenientInt(a.value)
		}
	}
}

func (s *primarySink) location(attrs []xmlAttr) {
	for _, a := range attrs {
		switch string(a.name) {
		case "href":
			store, href := cutStore(string(a.value))
			clean, err := cleanLocation(href)
			if err != nil {
				s.fail("%w: %s", err, quoted(a.value))
			}
			if store != "" {
				s.pkg.Base = store
			}
			if clean == string(a.value) {
				s.pkg.Location = s.arena.copy(a.value)
			} else {
				s.pkg.Location = clean
			}
		case "base":
			s.pkg.Base = s.arena.copy(a.value)
		}
	}
}

func (s *primarySink) formatElement(name []byte, attrs []xmlAttr) place {
	list := inSkipped
	switch string(name) {
	case "file":
		return inFile
	case "vendor":
		return inVendor
	case "sourcerpm":
		return inSource
	case "header-range":
		for _, a := range attrs {
			switch string(a.name) {
			case "start":
				s.pkg.HeaderStart = lenientInt(a.value)
			case "end":
				s.pkg.HeaderEnd = lenientInt(a.value)
			}
		}
	case "provides":
		list = inProvides
	case "requires":
		list = inRequires
	case "conflicts":
		list = inConflicts
	case "obsoletes":
		list = inObsoletes
	case "recommends":
		list = inRecommends
	case "suggests":
		list = inSuggests
	case "supplements":
		list = inSupplements
	case "enhances":
		list = inEnhances
	}
	if list != inSkipped {
		s.deps = append(s.deps[:0], *s.list(list)...)
	}
	return list
}

// list gives the field for a list of dependencies.
func (s *primarySink) list(at place) *[]rpm.Dep { return depLists(s.pkg.Package)[at-inProvides] }

// depLists gives the lists of dependencies in the order of the places and of the index.
func depLists(p *rpm.Package) [8]*[]rpm.Dep {
	return [8]*[]rpm.Dep{&p.Provides, &p.Requires, &p.Conflicts, &p.Obsoletes, &p.Recommends, &p.Suggests, &p.Supplements, &p.Enhances}
}

func (s *primarySink) end() {
	if len(s.places) == 0 {
		s.fail("unexpected end of an element")
		return
	}
	at := s.places[len(s.places)-1]
	s.places = s.places[:len(s.places)-1]
	switch at {
	case inPackage:
		s.finish()
		s.pkg = nil
	case inName:
		s.pkg.Name = s.arena.copy(bytes.TrimSpace(s.value))
	case inArch:
		s.pkg.Arch = s.arena.copy(bytes.TrimSpace(s.value))
	case inChecksum:
		value := bytes.TrimSpace(s.value)
		c, err := parseChecksum(s.sumType, s.arena.copy(value))
		if err != nil {
			s.fail("%w", err)
		}
		s.pkg.Checksum = c
	case inVendor:
		s.pkg.Vendor = s.arena.copy(bytes.TrimSpace(s.value))
	case inSource:
		s.pkg.SourceRPM = s.arena.copy(bytes.TrimSpace(s.value))
	case inFile:
		s.files = append(s.files, s.arena.copy(s.value))
	case inProvides, inRequires, inConflicts, inObsoletes, inRecommends, inSuggests, inSupplements, inEnhances:
		*s.list(at) = s.keepDeps()
	}
}

// keepDeps moves the current list into a slab.
func (s *primarySink) keepDeps() []rpm.Dep {
	n := len(s.deps)
	if n == 0 {
		return nil
	}
	if cap(s.depSlab)-len(s.depSlab) < n {
		s.depSlab = make([]rpm.Dep, 0, max(n, 2048))
	}
	from := len(s.depSlab)
	s.depSlab = append(s.depSlab, s.deps...)
	return s.depSlab[from : from+n : from+n]
}

// keepFiles moves the current files into a slab.
func (s *primarySink) keepFiles() []string {
	n := len(s.files)
	if n == 0 {
		return nil
	}
	if cap(s.strSlab)-len(s.strSlab) < n {
		s.strSlab = make([]string, 0, max(n, 2048))
	}
	from := len(s.strSlab)
	s.strSlab = append(s.strSlab, s.files...)
	return s.strSlab[from : from+n : from+n]
}

// finish checks a package: what has no name, version, arch, location or checksum could not be planned or proven.
func (s *primarySink) finish() {
	p := s.pkg
	p.Files = s.keepFiles()
	if err := checkPackage(p); err != nil {
		s.fail("%w", err)
		return
	}
	s.result.packages = append(s.result.packages, p)
}

// checkPackage refuses a package that lacks something or whose NEVRA could not be written and read again.
func checkPackage(p *Package) error {
	switch {
	case p.Name == "":
		return errors.New("a package has no name")
	case p.Arch == "":
		return errors.New("no arch")
	case p.Version == "":
		return errors.New("no version")
	case p.Release == "":
		return errors.New("no release")
	case p.Location == "":
		return errors.New("no location")
	case p.Checksum.Type == "":
		return errors.New("no checksum")
	}
	return checkNEVRA(p.NEVRA)
}
