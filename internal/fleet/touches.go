package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"cpacman/internal/host"
	"cpacman/internal/repo"
	"cpacman/internal/rpm"
	"cpacman/planner"
)

// touch is what one package that comes in changes beside packages.
type touch struct {
	id      touchID
	nevra   rpm.NEVRA
	at      Located
	dir     *repo.Dir       // of its repository; nil: it cannot be opened
	missing bool            // the file is not there as metadata says
	key     repo.DerivedKey // of the impact, in what is kept
	known   bool            // the impact was kept, or there is nothing to read
	impact  planner.Impact  // its lists, and Unread; not sorted
}

// touchID names a touch: a package of a repository, and the header of the installed one in whose place it comes, "" where there is none or it
// has none.
type touchID struct {
	repo, path string
	going      string
	replaces   bool // there is an installed one
}

// touched is what the packages of a plan change: hosts of different configurations get mostly the same packages, and each is looked at once.
type touched struct {
	touches map[touchID]*touch
	missing map[[2]string]bool // by repository and path, of every package looked at: its file is not there
}

// touchBatch is how many installed headers are in memory at once.
const touchBatch = 256

// touched looks at every package that comes in: at the signed header of its file and at the installed header of what goes. What was seen of the same
// file and the same header before is remembered.
func (f *Fleet) touched(ctx context.Context, repos *Repos, groups []*group) (*touched, error) {
	list := touchesOf(groups)
	close, err := locate(ctx, repos, list)
	if err != nil {
		return nil, err
	}
	defer close()
	kept := repo.OpenDerived(repos.opt.CacheDir, f.log, f.now)
	sideBySide(len(list), func(i int) { list[i].recall(kept) })
	unknown := slices.DeleteFunc(slices.Clone(list), func(t *touch) bool { return t.known })
	for batch := range slices.Chunk(unknown, touchBatch) {
		if err := f.look(ctx, batch, kept); err != nil {
			return nil, err
		}
	}
	kept.Save()
	out := &touched{touches: make(map[touchID]*touch, len(list)), missing: map[[2]string]bool{}}
	for _, t := range list {
		out.touches[t.id] = t
		out.missing[[2]string{t.id.repo, t.id.path}] = t.missing
	}
	return out, ctx.Err()
}

// touchesOf lists what comes in, each once.
func touchesOf(groups []*group) []*touch {
	var list []*touch
	seen := map[touchID]bool{}
	sideBySide(len(groups), func(i int) { groups[i].touches = groups[i].findTouches() })
	for _, g := range groups {
		for i, id := range g.touches {
			if !seen[id] {
				seen[id] = true
				list = append(list, &touch{id: id, nevra: g.result.Packages[i].NEVRA})
			}
		}
	}
	return list
}

// findTouches names what every package of the result touches, in their order.
func (g *group) findTouches() []touchID {
	if g.result == nil {
		return nil
	}
	to := make(map[rpm.NEVRA]rpm.NameArch, len(g.result.Set.Upgrade))
	for _, list := range [...][]planner.Move{g.result.Set.Upgrade, g.result.Set.Downgrade} {
		for i := range list {
			to[list[i].From] = list[i].To.NameArch()
		}
	}
	old := make(map[rpm.NameArch]*rpm.Package, len(to))
	for _, p := range g.input.Installed {
		if key, moves := to[p.NEVRA]; moves {
			old[key] = p
		}
	}
	out := make([]touchID, len(g.result.Packages))
	for i := range out {
		u := &g.result.Packages[i]
		out[i] = touchID{repo: u.Source, path: u.Path}
		if p := old[u.NameArch()]; p != nil {
			out[i].going, out[i].replaces = p.Header, true
		}
	}
	return out
}

// locate finds the packages of touches and opens the directories of their repositories, which the caller closes. The error is of the metadata.
func locate(ctx context.Context, repos *Repos, list []*touch) (close func(), err error) {
	dirs := map[string]*repo.Dir{}
	close = func() {
		for _, d := range dirs {
			if d != nil {
				d.Close()
			}
		}
	}
	for _, t := range list {
		if t.at, err = repos.At(ctx, t.id.repo, t.id.path); err != nil {
			close()
			return nil, err
		}
		dir, opened := dirs[t.id.repo]
		if !opened {
			dir, _ = t.at.Repo.OpenDir() // then no file of it is there either
			dirs[t.id.repo] = dir
		}
		t.dir = dir
	}
	return close, nil
}

// touchRules is the edition of compareImpact: what another one found is not taken for its own.
const touchRules = 1

// recall looks whether the file is there, and for what was found in it before.
func (t *touch) recall(kept *repo.Derived) {
	var file repo.FileID
	there := t.dir != nil
	if there {
		var err error
		file, err = t.dir.FileID(t.at.Package)
		there = err == nil
	}
	if !there {
		t.missing, t.known, t.impact.Unread = true, true, 1
		return
	}
	t.key = t.sum(file)
	if lists, found := kept.Get(t.key); found && len(lists) == 3 {
		t.known = true
		t.impact.Services, t.impact.ConfigFiles, t.impact.Scriptlets = lists[0], lists[1], lists[2]
	}
}

// sum is the key of what is found in a file.
func (t *touch) sum(file repo.FileID) repo.DerivedKey {
	p := t.at.Package
	b := make([]byte, 0, 512)
	for _, n := range [...]int64{touchRules, file.Size, file.MTime, file.CTime, int64(file.Inode), int64(file.Dev), p.HeaderStart, p.HeaderEnd} { //nolint:gosec // bits
		b = binary.LittleEndian.AppendUint64(b, uint64(n)) //nolint:gosec // bits
	}
	replaces := byte(0)
	if t.id.replaces {
		replaces = 1
	}
	b = append(append(append(append(b, replaces), t.nevra.String()...), 0), t.id.going...) // neither has a zero in it
	return sha256.Sum256(b)
}

// look reads both headers of each touch and compares them.
func (f *Fleet) look(ctx context.Context, batch []*touch, kept *repo.Derived) error {
	var digests []string
	for _, t := range batch {
		if t.id.going != "" {
			digests = append(digests, t.id.going)
		}
	}
	slices.Sort(digests)
	var headers map[string][]byte
	stored := make(chan error, 1) // from the database while the files are read
	go func() {
		var err error
		headers, err = f.Store.Headers(ctx, slices.Compact(digests))
		stored <- err
	}()
	coming := make([]*rpm.Header, len(batch))
	sideBySide(len(batch), func(i int) { coming[i], batch[i].missing = batch[i].newHeader() })
	if err := <-stored; err != nil {
		return err
	}
	sideBySide(len(batch), func(i int) {
		t := batch[i]
		var going *rpm.Header
		if blob := headers[t.id.going]; blob != nil {
			if h, err := rpm.ParseHeader(blob); err == nil {
				going = h
			}
		}
		if coming[i] == nil || going == nil && t.id.replaces {
			t.impact.Unread = 1
			return
		}
		compareImpact(&t.impact, t.nevra, coming[i], going)
		kept.Add(t.key, t.impact.Services, t.impact.ConfigFiles, t.impact.Scriptlets)
	})
	return ctx.Err()
}

// newHeader reads the header of the package's file; nil where it cannot be read, and missing where the file is not there as metadata says.
func (t *touch) newHeader() (h *rpm.Header, missing bool) {
	file, err := t.dir.OpenPackage(t.at.Package)
	if err != nil {
		return nil, true
	}
	defer file.Close()
	if blob, err := headerAt(file, t.at.Package); err == nil {
		if h, err := rpm.ParseHeader(blob); err == nil {
			return h, false
		}
	}
	if t.at.Repo.Kind() != repo.KindDirectory {
		return nil, false
	}
	whole, err := rpm.ReadPackageHeaders(file)
	if err != nil {
		return nil, false
	}
	return whole.Header, false
}

// impact says what the set of a group touches beside packages.
func (t *touched) impact(g *group) *planner.Impact {
	out := &planner.Impact{}
	for i, id := range g.touches {
		if u := &g.result.Packages[i]; host.NeedsReboot(u.Name) {
			out.RebootReasons = append(out.RebootReasons, u.NEVRA.String())
		}
		one := &t.touches[id].impact
		out.Services = append(out.Services, one.Services...)
		out.ConfigFiles = append(out.ConfigFiles, one.ConfigFiles...)
		out.Scriptlets = append(out.Scriptlets, one.Scriptlets...)
		out.Unread += one.Unread
	}
	out.Reboot = len(out.RebootReasons) > 0
	for _, list := range []*[]string{&out.Services, &out.ConfigFiles, &out.Scriptlets} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return out
}
