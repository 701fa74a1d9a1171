package fleet

import (
	"context"
	"sync"

	"cpacman/internal/rpm"
	"cpacman/planner"
)

// clashes answers for a planner which packages have different files of one path, from the headers of their files in repositories. What
// cannot be read clashes with nothing: rpm's own test stands behind.
type clashes struct {
	ctx   context.Context //nolint:containedctx // of the view that it is made for
	repos *Repos

	mu    sync.Mutex
	files map[[2]string]map[string]rpm.FileEntry // by repository and path; nil: it cannot be read
}

// of implements planner.View.Clash.
func (c *clashes) of(leaves *rpm.Package, comes *planner.Candidate, source string) bool {
	at, err := c.repos.At(c.ctx, source, comes.Path)
	if err != nil {
		return false
	}
	installed, err := c.repos.Find(c.ctx, leaves.NEVRA)
	if err != nil || len(installed) == 0 {
		return false
	}
	a, b := c.filesOf(installed[0]), c.filesOf(at)
	for path, one := range a {
		if other, both := b[path]; both && differ(one, other) {
			return true
		}
	}
	return false
}

// filesOf reads the list of a package's files, without what the package only names (%ghost). Directories are in it: a file may be in the place of one.
func (c *clashes) filesOf(l Located) map[string]rpm.FileEntry {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := [2]string{l.Repo.ID(), l.Package.Location}
	out, read := c.files[key]
	if read {
		return out
	}
	if list, err := filesIn(l); err == nil {
		out = make(map[string]rpm.FileEntry, len(list))
		for _, f := range list {
			if f.Flags&rpm.FileGhost == 0 {
				out[f.Path] = f
			}
		}
	}
	if c.files == nil {
		c.files = map[[2]string]map[string]rpm.FileEntry{}
	}
	c.files[key] = out
	return out
}

func filesIn(l Located) ([]rpm.FileEntry, error) {
	file, err := l.Repo.OpenPackage(l.Package)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if blob, err := headerAt(file, l.Package); err == nil {
		if h, err := rpm.ParseHeader(blob); err == nil {
			return h.Files()
		}
	}
	whole, err := rpm.ReadPackageHeaders(file)
	if err != nil {
		return nil, err
	}
	return whole.Header.Files()
}

// modeType is the type of a file in its mode (inode(7)).
const modeType = 0o170000

// differ is what makes rpm refuse a second owner of a path (rpmfilesCompare): another type, other bytes, another target.
func differ(a, b rpm.FileEntry) bool {
	return a.Mode&modeType != b.Mode&modeType || a.Digest != b.Digest || a.Target != b.Target
}
