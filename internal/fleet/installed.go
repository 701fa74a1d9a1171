package fleet

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"cpacman/internal/host"
	"cpacman/internal/repo"
	"cpacman/internal/rpm"
	"cpacman/planner"
)

// Installed turns package lists into packages with dependencies. Every header is read and parsed once however many hosts have
// it, and every list once however many hosts share it. It may be used by many goroutines.
type Installed struct {
	fleet *Fleet
	repos *Repos

	headers *repo.Parsed
	most    int64 // bytes that the packages of a host may take

	mu    sync.Mutex
	lists map[string]*listing // by installed digest
}

// Bounds of what a host says of its packages, in headers that it can make up.
const (
	maxInstalled  = 1 << 30 // bytes of dependencies and file names: a full installation of a distribution has some 300 MB
	headersAtOnce = 20      // taken from the store before they are parsed: each may have 32 MiB
)

// listing is a List that is made once.
type listing struct {
	sync.Mutex
	list *List // nil: not made yet, or it failed
}

// List is the installed set of one or more hosts.
type List struct {
	Packages []*rpm.Package
	// Missing are packages of which not enough is known to be among Packages: their header did not come, or a listing does not tell their epoch, and no
	// repository has the same build.
	Missing []rpm.NEVRA
	// Bare are those of Packages of which a listing told the NEVRA and nobody knows the dependencies.
	Bare []rpm.NEVRA
	// Guessed are packages described by a repository's metadata because the listing has no header digests.
	Guessed int
}

// NewInstalled prepares a resolver that may fall back to the metadata of repos.
func (f *Fleet) NewInstalled(repos *Repos) *Installed {
	return &Installed{fleet: f, repos: repos, most: maxInstalled, headers: repo.OpenParsed(repos.opt.CacheDir, f.log, f.now), lists: map[string]*listing{}}
}

// List returns the packages of a digest; packages is asked for the listing when it was not seen before.
func (in *Installed) List(ctx context.Context, digest string, packages func() ([]host.Package, error)) (*List, error) {
	in.mu.Lock()
	one := in.lists[digest]
	if one == nil {
		one = &listing{}
		in.lists[digest] = one
	}
	in.mu.Unlock()
	one.Lock()
	defer one.Unlock()
	if one.list != nil {
		return one.list, nil
	}
	listed, err := packages()
	if err != nil {
		return nil, err
	}
	if err := in.parse(ctx, listed); err != nil {
		return nil, err
	}
	l := &List{}
	for _, p := range listed {
		found, guessed, err := in.resolve(ctx, p)
		switch {
		case err != nil:
			return nil, err
		case found == nil && p.Header == "" && p.Epoch != nil:
			if found, err = in.bare(ctx, p); err != nil {
				return nil, err
			}
			l.Bare = append(l.Bare, p.NEVRA())
		case found == nil:
			l.Missing = append(l.Missing, p.NEVRA())
			continue
		case guessed:
			l.Guessed++
		}
		l.Packages = append(l.Packages, found)
	}
	one.list = l
	return l, nil
}

// bare is what is known of a package that a listing alone tells of: enough to say what is newer, and not what it needs. Its vendor is taken to be that of the
// builds that there are: what nobody knows is no change of vendor.
func (in *Installed) bare(ctx context.Context, p host.Package) (*rpm.Package, error) {
	n := p.NEVRA()
	out := &rpm.Package{NEVRA: n, Vendor: p.Vendor, Provides: []rpm.Dep{{Name: n.Name, Sense: rpm.Equal, EVR: n.EVR}}}
	if out.Vendor == "" {
		located, err := in.repos.search(ctx, n.Name, func(o rpm.NEVRA) bool { return o.Arch == n.Arch })
		if err != nil {
			return nil, err
		}
		if len(located) > 0 {
			out.Vendor = located[0].Package.Vendor
		}
	}
	return out, nil
}

// Unknown says of how many packages the dependencies are not known, and names the first; "" when there are none.
func (l *List) Unknown() string {
	all := slices.Concat(l.Missing, l.Bare)
	if len(all) == 0 {
		return ""
	}
	names := make([]string, 0, 3)
	for _, n := range all[:min(len(all), 3)] {
		names = append(names, n.String())
	}
	more := ""
	if len(names) < len(all) {
		more = ", …"
	}
	return fmt.Sprintf("dependencies of %s are not known (%s%s)", counted(len(all)), strings.Join(names, ", "), more)
}

// leavesOut lists the packages that are not among Packages and that a name, a build or a glob means.
func (l *List) leavesOut(pattern string) (out []rpm.NEVRA) {
	for _, n := range l.Missing {
		if planner.Names(pattern, n) {
			out = append(out, n)
		}
	}
	return out
}

// LeftOut says which packages are not among those that are compared and planned; "" when all are.
func (l *List) LeftOut() string {
	if len(l.Missing) == 0 {
		return ""
	}
	const why = "neither their epoch nor their header is known, and no repository has them: collect facts again, or import a listing with epochs"
	if len(l.Missing) == 1 {
		return fmt.Sprintf("left out is %s (%s): %s", counted(1), l.Missing[0], why)
	}
	return fmt.Sprintf("left out are %s (%s, …): %s", counted(len(l.Missing)), l.Missing[0], why)
}

func counted(n int) string {
	if n == 1 {
		return "1 installed package"
	}
	return fmt.Sprintf("%d installed packages", n)
}

// resolve finds the package behind one line of a listing: its header when a digest was listed, else the one package of that
// name-version-release.arch in the repositories of the site.
func (in *Installed) resolve(ctx context.Context, p host.Package) (found *rpm.Package, guessed bool, err error) {
	if p.Header != "" {
		if found = in.headers.Get(p.Header); found != nil {
			return found, false, nil
		}
	}
	found, err = in.offered(ctx, p)
	return found, found != nil, err
}

// parse parses the stored headers of a listing that were not parsed before.
func (in *Installed) parse(ctx context.Context, listed []host.Package) error {
	var digests []string
	for _, p := range listed {
		if p.Header != "" && in.headers.Get(p.Header) == nil {
			digests = append(digests, p.Header)
		}
	}
	if len(digests) == 0 {
		return nil
	}
	left := in.most
	for _, p := range listed {
		left -= weight(in.headers.Get(p.Header))
	}
	for some := range slices.Chunk(digests, headersAtOnce) {
		size, err := in.parseSome(ctx, some)
		if err != nil {
			return err
		}
		if left -= size; left < 0 {
			return fmt.Errorf("%w: its packages have more than %d bytes of dependencies and file names", host.ErrUnreadable, in.most)
		}
	}
	return nil
}

// parseSome parses stored headers, and returns the weight of the packages.
func (in *Installed) parseSome(ctx context.Context, digests []string) (size int64, err error) {
	blobs, err := in.fleet.Store.Headers(ctx, digests)
	if err != nil {
		return 0, err
	}
	for _, digest := range digests {
		if blobs[digest] == nil || in.headers.Get(digest) != nil {
			continue
		}
		parsed, err := parseHeader(blobs[digest])
		if err != nil { // of a host that sent it before such were refused: as if it had not come
			in.fleet.log.Warn("a stored header cannot be read and counts as missing", "digest", digest, "error", err)
			continue
		}
		parsed.Header = digest
		size += weight(parsed)
		in.headers.Add(parsed)
	}
	return size, nil
}

// weight is about what a package takes in memory, nil nothing.
func weight(p *rpm.Package) int64 {
	if p == nil {
		return 0
	}
	const dep, file = 100, 16 // bytes beside the text
	n := 0
	for _, l := range [...][]rpm.Dep{p.Provides, p.Requires, p.Conflicts, p.Obsoletes, p.Recommends, p.Suggests, p.Supplements, p.Enhances} {
		n += dep * len(l)
		for i := range l {
			n += len(l[i].Name)
		}
	}
	for _, f := range p.Files {
		n += file + len(f)
	}
	return int64(n)
}

// Save keeps what was parsed for the next process.
func (in *Installed) Save() { in.headers.Save() }

// offered describes an installed package by the metadata of a repository that has the same NEVRA; a listing without epochs takes
// the epoch from there when exactly one fits (design 5).
func (in *Installed) offered(ctx context.Context, p host.Package) (*rpm.Package, error) {
	n := p.NEVRA()
	if p.Epoch != nil {
		located, err := in.repos.Find(ctx, n)
		if err != nil || len(located) == 0 {
			return nil, err
		}
		return described(located[0].Package.Package, p), nil
	}
	located, err := in.repos.FindAnyEpoch(ctx, n)
	if err != nil || len(located) == 0 {
		return nil, err
	}
	for _, l := range located[1:] {
		if l.Package.Epoch != located[0].Package.Epoch {
			return nil, nil
		}
	}
	return described(located[0].Package.Package, p), nil
}

// described copies what metadata says and adds what the host said itself.
func described(offered *rpm.Package, p host.Package) *rpm.Package {
	out := *offered
	if p.Header != "" {
		out.Header, out.Color, out.ColorKnown = p.Header, p.Color, true
	}
	if p.Vendor != "" {
		out.Vendor = p.Vendor
	}
	return &out
}
