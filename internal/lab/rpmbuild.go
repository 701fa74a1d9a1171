package lab

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/google/rpmpack"
)

// PackageSpec describes one RPM to build. Dependencies are written as in a spec file:
// "foo", "foo >= 1:2.0-1", "(foo if bar)".
type PackageSpec struct {
	Name    string
	Epoch   uint32 // 0: no epoch is written
	Version string
	Release string
	Arch    string // "" means noarch

	Summary     string
	Description string
	Vendor      string
	License     string
	URL         string
	Group       string
	BuildHost   string
	SourceRPM   string // "" means NAME-VERSION-RELEASE.src.rpm
	Modularity  string // module label, for packages of a module stream
	BuildTime   time.Time

	// Provides need not hold the package's own name; it is added with its full version.
	Provides, Requires, Conflicts, Obsoletes      []string
	Recommends, Suggests, Supplements, Enhances   []string
	RequiresPre, RequiresPost                     []string
	PreTrans, Pre, Post, PreUn, PostUn, PostTrans string // bodies of /bin/sh scriptlets
	Files                                         []PackageFile
	Compression                                   string // gzip (default), xz, zstd; gzip:1 and zstd:1 with a level
}

// PackageFile is one file, directory or symbolic link of a package.
type PackageFile struct {
	Path   string // absolute
	Body   []byte
	Mode   uint   // permission bits; 0 means 0644, or 0755 for a directory
	Dir    bool   // a directory
	Link   string // not empty: a symbolic link to this
	Config bool   // %config
	Keep   bool   // %config(noreplace)
	Ghost  bool   // %ghost
	Color  int    // ELF class as rpm counts it: 0 none, 1 ELF32, 2 ELF64
}

// Signer signs the bytes of a header, or of header and payload, as `gpg --detach-sign`
// would: a binary OpenPGP signature packet.
type Signer interface {
	Sign(data []byte) ([]byte, error)
}

// tags that rpmpack does not write itself; numbers from rpm's include/rpm/rpmtag.h.
const (
	tagSourceRPM       = 1044
	tagFileColors      = 1140
	tagFileClass       = 1141
	tagClassDict       = 1142
	tagModularityLabel = 5096
	tagEncoding        = 5062
)

// NEVRA is the package's full name; the epoch is written only when it is not 0.
func (s PackageSpec) NEVRA() string {
	return s.Name + "-" + s.EVR() + "." + s.arch()
}

// EVR is [epoch:]version-release.
func (s PackageSpec) EVR() string {
	evr := s.Version + "-" + s.Release
	if s.Epoch != 0 {
		evr = fmt.Sprintf("%d:%s", s.Epoch, evr)
	}
	return evr
}

// FileName is the usual name of the package's file, which has no epoch.
func (s PackageSpec) FileName() string {
	return s.Name + "-" + s.Version + "-" + s.Release + "." + s.arch() + ".rpm"
}

func (s PackageSpec) arch() string {
	if s.Arch == "" {
		return "noarch"
	}
	return s.Arch
}

// BuildPackage builds an unsigned RPM. The same spec always gives the same bytes.
func BuildPackage(s PackageSpec) ([]byte, error) { return BuildSignedPackage(s, nil) }

// BuildSignedPackage builds an RPM signed by signer; nil means unsigned.
func BuildSignedPackage(s PackageSpec, signer Signer) ([]byte, error) {
	if s.Name == "" || s.Version == "" || s.Release == "" {
		return nil, errors.New("build package: name, version and release must be given")
	}
	pkg, err := rpmpack.NewRPM(metadata(s))
	if err != nil {
		return nil, fmt.Errorf("build package %s: %w", s.NEVRA(), err)
	}
	pkg.AddPretrans(s.PreTrans)
	pkg.AddPrein(s.Pre)
	pkg.AddPostin(s.Post)
	pkg.AddPreun(s.PreUn)
	pkg.AddPostun(s.PostUn)
	pkg.AddPosttrans(s.PostTrans)
	if err := addFiles(pkg, s.Files); err != nil {
		return nil, fmt.Errorf("build package %s: %w", s.NEVRA(), err)
	}
	if err := addDependencies(pkg, s); err != nil {
		return nil, fmt.Errorf("build package %s: %w", s.NEVRA(), err)
	}
	pkg.AddCustomTag(tagEncoding, rpmpack.EntryString("utf-8"))
	if s.SourceRPM != "" {
		pkg.AddCustomTag(tagSourceRPM, rpmpack.EntryString(s.SourceRPM))
	}
	if s.Modularity != "" {
		pkg.AddCustomTag(tagModularityLabel, rpmpack.EntryString(s.Modularity))
	}
	if signer != nil {
		pkg.SetPGPSigner(signer.Sign)
	}
	var out bytes.Buffer
	if err := pkg.Write(&out); err != nil {
		return nil, fmt.Errorf("build package %s: %w", s.NEVRA(), err)
	}
	return out.Bytes(), nil
}

func metadata(s PackageSpec) rpmpack.RPMMetaData {
	or := func(value, otherwise string) string {
		if value == "" {
			return otherwise
		}
		return value
	}
	md := rpmpack.RPMMetaData{
		Name: s.Name, Version: s.Version, Release: s.Release, Arch: s.arch(),
		Summary:     or(s.Summary, "Lab package "+s.Name),
		Description: or(s.Description, "A package made for tests."),
		Vendor:      or(s.Vendor, "Lab OS"),
		Licence:     or(s.License, "Apache-2.0"),
		Group:       or(s.Group, "Unspecified"),
		URL:         s.URL,
		BuildHost:   or(s.BuildHost, "build.lab.invalid"),
		Compressor:  or(s.Compression, "gzip"),
		BuildTime:   s.BuildTime,
		Epoch:       s.Epoch,
	}
	if s.Epoch == 0 {
		md.Epoch = rpmpack.NoEpoch
	}
	if md.BuildTime.IsZero() {
		md.BuildTime = time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	}
	return md
}

// addFiles adds the files, and their colours when any file has one. The colours are an
// array beside the others, in the order rpmpack writes files: sorted by path.
func addFiles(pkg *rpmpack.RPM, files []PackageFile) error {
	sorted, err := sortFiles(files)
	if err != nil {
		return err
	}
	colors := make([]uint32, 0, len(sorted))
	classes := make([]uint32, 0, len(sorted))
	colored := false
	for _, f := range sorted {
		pkg.AddFile(rpmFile(f))
		colors = append(colors, uint32(f.Color))
		classes = append(classes, uint32(f.Color))
		colored = colored || f.Color != 0
	}
	if colored {
		pkg.AddCustomTag(tagFileColors, rpmpack.EntryUint32(colors))
		pkg.AddCustomTag(tagFileClass, rpmpack.EntryUint32(classes))
		pkg.AddCustomTag(tagClassDict, rpmpack.EntryStringSlice([]string{"",
			"ELF 32-bit LSB shared object, Intel 80386", "ELF 64-bit LSB shared object, x86-64"}))
	}
	return nil
}

func rpmFile(f PackageFile) rpmpack.RPMFile {
	out := rpmpack.RPMFile{Name: f.Path, Body: f.Body, Mode: f.Mode, Owner: "root", Group: "root",
		MTime: uint32(time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC).Unix())}
	switch {
	case f.Dir:
		if out.Mode == 0 {
			out.Mode = 0o755
		}
		out.Mode |= 0o40000
		out.Body = nil
	case f.Link != "":
		out.Mode = 0o120777
		out.Body = []byte(f.Link)
	case out.Mode == 0:
		out.Mode = 0o644
	}
	if f.Config || f.Keep {
		out.Type |= rpmpack.ConfigFile
	}
	if f.Keep {
		out.Type |= rpmpack.NoReplaceFile
	}
	if f.Ghost {
		out.Type = rpmpack.GhostFile
	}
	return out
}
