package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"cpacman/internal/rpm"
)

// Check reads everything a repository has and lists all that is wrong: every metadata file against its sizes and checksums,
// every package for its presence and size (with Options.Full for its digest), packages that are there twice, and what advisories and
// modules name that is not there. The cache is neither read nor written. The error is for a check that could not be done at
// all: the context ended, or the path is no directory.
func Check(ctx context.Context, cfg Config, opt Options) ([]Problem, error) {
	opt.CacheDir = ""
	r, k, err := prepare(cfg, opt)
	if err != nil { // it is not there at all, which is a finding like another
		return []Problem{asProblem(cfg.ID, err)}, nil
	}
	defer k.root.Close() //nolint:errcheck // opened for reading
	c := &checker{r: r, k: k}
	if _, err := k.root.Lstat("repodata"); errors.Is(err, fs.ErrNotExist) { // as Open takes it
		c.directory(ctx)
	} else {
		c.repomd(ctx)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return c.found, nil
}

// checker gathers findings, each once.
type checker struct {
	r     *Repo
	k     *disk
	found []Problem
}

func (c *checker) add(list ...Problem) {
	for _, p := range list {
		if !slices.Contains(c.found, p) {
			c.found = append(c.found, p)
		}
	}
}

func (c *checker) fault(err error) {
	if err != nil {
		c.add(asProblem(c.r.id, err))
	}
}

func (c *checker) repomd(ctx context.Context) {
	md, err := readRepomd(ctx, c.k.root, c.r.id)
	if err != nil {
		c.fault(err)
		return
	}
	for _, e := range md.Entries {
		c.fault(c.k.verifyMeta(ctx, e))
	}
	if err := c.r.openRepomd(ctx, c.k); err != nil {
		c.fault(err)
		return
	}
	for _, p := range c.r.problems {
		// That a file is missing was found above, with the same words for all types.
		if _, err := c.k.root.Stat(p.File); p.File == "." || err == nil {
			p.Note = p.Note || p.What == noFileLists
			c.add(p)
		}
	}
	c.files(ctx)
	c.advisories()
	c.modules()
	c.packages(ctx, append(slices.Clone(c.r.Packages()), c.r.sources...))
}

// verifyMeta opens a metadata file to its end; one that cannot be opened (zchunk) is compared as it is.
func (k *disk) verifyMeta(ctx context.Context, e dataEntry) error {
	in, err := k.open(ctx, e)
	if errors.Is(err, ErrUnsupported) {
		if e.Checksum.Type == "" {
			return nil
		}
		return k.verifyRaw(ctx, e)
	}
	if err != nil {
		return err
	}
	return in.finish(nil)
}

// files looks for packages that the file lists do not know.
func (c *checker) files(ctx context.Context) {
	if !c.r.md.namesFilelists() {
		return // told when it was opened
	}
	e, _ := c.r.md.find("filelists")
	if err := c.r.LoadFiles(ctx); err != nil {
		c.fault(err)
		return
	}
	for i, g := range c.r.files.ranges {
		if g[0] == noEntries {
			c.add(Problem{Repo: c.r.id, File: e.Location, Package: c.r.at(uint32(i)).NEVRA.String(), What: "the file lists lack this package"})
		}
	}
}

// advisories looks for packages that advisories name and the repository has not. That is usual where old packages are dropped, so it
// is a note.
func (c *checker) advisories() {
	list, err := c.r.Advisories()
	if err != nil {
		c.fault(err)
		return
	}
	if c.r.noticeIndex == nil {
		return
	}
	c.add(c.r.noticeIndex.problems...)
	have := c.r.have()
	e, _ := c.r.md.find("updateinfo")
	for i := range list {
		for _, p := range list[i].Packages {
			if !have[p.NEVRA] && p.Arch != "src" && p.Arch != "nosrc" {
				c.add(Problem{Repo: c.r.id, File: e.Location, Package: p.NEVRA.String(), Note: true,
					What: "advisory " + quoted(list[i].ID) + " names this package, which is not in the repository"})
			}
		}
	}
}

// modules does the same for module streams.
func (c *checker) modules() {
	list, _, err := c.r.Modules()
	if err != nil {
		c.fault(err)
		return
	}
	if c.r.modules == nil {
		return
	}
	c.add(c.r.modules.problems...)
	have := c.r.have()
	e, _ := c.r.md.find("modules")
	for _, s := range list {
		for _, p := range s.Artifacts {
			if !have[p] {
				c.add(Problem{Repo: c.r.id, File: e.Location, Package: p.String(), Note: true,
					What: fmt.Sprintf("module %s names this package, which is not in the repository", quoted(s.Name+":"+s.Stream))})
			}
		}
	}
}

// have is the set of all packages.
func (r *Repo) have() map[rpm.NEVRA]bool {
	m := make(map[rpm.NEVRA]bool, r.Len())
	for _, p := range r.Packages() {
		m[p.NEVRA] = true
	}
	return m
}

// packages looks at every package's file, two at a time, and reports in the order of the list.
func (c *checker) packages(ctx context.Context, list []*Package) {
	faults := make([]error, len(list))
	var wg sync.WaitGroup
	for w := range scanWorkers {
		wg.Go(func() {
			for i := w; i < len(list) && ctx.Err() == nil; i += scanWorkers {
				faults[i] = c.pkg(ctx, list[i])
			}
		})
	}
	wg.Wait()
	for i, err := range faults {
		if err != nil {
			p := asProblem(c.r.id, err)
			p.Package = list[i].NEVRA.String()
			c.found = append(c.found, p)
		}
	}
}

func (c *checker) pkg(ctx context.Context, p *Package) error {
	if c.r.opt.Full {
		_, err := c.k.verifyPackage(ctx, p)
		return err
	}
	f, err := c.k.openPackage(p)
	if err != nil {
		return err
	}
	return f.Close()
}

// directory checks a plain directory of RPMs: every header, and with Full every digest.
func (c *checker) directory(ctx context.Context) {
	c.r.kind = KindDirectory
	entries, err := c.r.walk(ctx, c.k)
	if err != nil {
		c.fault(err)
		return
	}
	good := entries[:0]
	for _, e := range entries {
		if ctx.Err() != nil {
			return
		}
		if err := readEntry(c.k, e); err != nil {
			c.fault(err)
			continue
		}
		good = append(good, e)
	}
	c.r.offerDirectory(good)
	c.add(c.r.problems...)
	if !c.r.opt.Full {
		return
	}
	var all []*Package // also what is there twice: the copies may differ behind their headers
	for _, e := range good {
		if e.pkg != nil {
			all = append(all, e.pkg)
		}
	}
	c.packages(ctx, all)
}
