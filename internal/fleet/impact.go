package fleet

import (
	"context"
	"errors"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"cpacman/internal/repo"
	"cpacman/internal/rpm"
	"cpacman/planner"
)

// rebootNames are the packages whose update takes effect only with a reboot (dnf's needs-restarting has the same list).
var rebootNames = []string{"kernel", "kernel-core", "kernel-rt", "kernel-rt-core", "glibc", "linux-firmware", "systemd", "dbus", "dbus-broker", "dbus-daemon", "microcode_ctl"}

// touch is what one package that comes in changes beside packages.
type touch struct {
	impact planner.Impact // its lists, and Unread; not sorted
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

// touched looks at every package that comes in: at the signed header of its file and at the installed header of what goes.
func (f *Fleet) touched(ctx context.Context, repos *Repos, groups []*group) (*touched, error) {
	out := &touched{touches: map[touchID]*touch{}, missing: map[[2]string]bool{}}
	var ids []touchID
	names := map[touchID]rpm.NEVRA{}
	for _, g := range groups {
		g.eachTouch(func(u *planner.Used, id touchID) {
			if _, seen := names[id]; !seen {
				names[id] = u.NEVRA
				ids = append(ids, id)
			}
		})
	}
	for batch := range slices.Chunk(ids, touchBatch) {
		if err := f.touchSome(ctx, repos, batch, names, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// eachTouch gives every package that comes in with what it does there.
func (g *group) eachTouch(yield func(*planner.Used, touchID)) {
	if g.result == nil {
		return
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
	for i := range g.result.Packages {
		u := &g.result.Packages[i]
		id := touchID{repo: u.Source, path: u.Path}
		if p := old[u.NameArch()]; p != nil {
			id.going, id.replaces = p.Header, true
		}
		yield(u, id)
	}
}

// touchSome is touched of one batch.
func (f *Fleet) touchSome(ctx context.Context, repos *Repos, ids []touchID, names map[touchID]rpm.NEVRA, out *touched) error {
	var digests []string
	for _, id := range ids {
		if id.going != "" {
			digests = append(digests, id.going)
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
	found, lost, errs := make([]touch, len(ids)), make([]bool, len(ids)), make([]error, len(ids))
	all := make([]*rpm.Header, len(ids))
	sideBySide(len(ids), func(i int) { all[i], lost[i], errs[i] = newHeader(ctx, repos, ids[i]) })
	if err := <-stored; err != nil {
		return err
	}
	sideBySide(len(ids), func(i int) {
		if errs[i] != nil {
			return
		}
		var going *rpm.Header
		coming := all[i]
		if blob := headers[ids[i].going]; blob != nil {
			if h, err := rpm.ParseHeader(blob); err == nil {
				going = h
			}
		}
		if coming == nil || going == nil && ids[i].replaces {
			found[i].impact.Unread = 1
			return
		}
		compareImpact(&found[i].impact, names[ids[i]], coming, going)
	})
	for i, id := range ids {
		out.touches[id] = &found[i]
		out.missing[[2]string{id.repo, id.path}] = lost[i]
	}
	return errors.Join(append(errs, ctx.Err())...)
}

// sideBySide runs fn for 0…n-1 on all processors.
func sideBySide(n int, fn func(i int)) {
	var next atomic.Int64
	var work sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		work.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				fn(i)
			}
		})
	}
	work.Wait()
}

// inShares divides 0…n-1 among all processors.
func inShares(n int, fn func(from, to int)) {
	shares := runtime.GOMAXPROCS(0)
	sideBySide(shares, func(i int) { fn(i*n/shares, (i+1)*n/shares) })
}

// impact says what the set of a group touches beside packages.
func (t *touched) impact(g *group) *planner.Impact {
	out := &planner.Impact{}
	g.eachTouch(func(u *planner.Used, id touchID) {
		if slices.Contains(rebootNames, u.Name) {
			out.RebootReasons = append(out.RebootReasons, u.NEVRA.String())
		}
		one := &t.touches[id].impact
		out.Services = append(out.Services, one.Services...)
		out.ConfigFiles = append(out.ConfigFiles, one.ConfigFiles...)
		out.Scriptlets = append(out.Scriptlets, one.Scriptlets...)
		out.Unread += one.Unread
	})
	out.Reboot = len(out.RebootReasons) > 0
	for _, list := range []*[]string{&out.Services, &out.ConfigFiles, &out.Scriptlets} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return out
}

// newHeader reads the header of a package file; nil where it cannot be read, and missing where the file is not there as metadata says. The error
// is of the metadata.
func newHeader(ctx context.Context, repos *Repos, id touchID) (h *rpm.Header, missing bool, err error) {
	located, err := repos.At(ctx, id.repo, id.path)
	if err != nil {
		return nil, false, err
	}
	file, err := located.Repo.OpenPackage(located.Package)
	if err != nil {
		return nil, true, nil
	}
	defer file.Close()
	if blob, err := headerAt(file, located.Package); err == nil {
		if h, err := rpm.ParseHeader(blob); err == nil {
			return h, false, nil
		}
	}
	if located.Repo.Kind() != repo.KindDirectory {
		return nil, false, nil
	}
	whole, err := rpm.ReadPackageHeaders(file)
	if err != nil {
		return nil, false, nil
	}
	return whole.Header, false, nil
}

// compareImpact adds what one package changes; going is nil for a package that comes in new.
func compareImpact(out *planner.Impact, n rpm.NEVRA, coming, going *rpm.Header) {
	now := scriptletTexts(coming)
	for kind, text := range now {
		if kind == "post" || kind == "posttrans" || kind == "pre" || kind == "pretrans" {
			out.Services = append(out.Services, restarts(text)...)
		}
	}
	if going == nil {
		return
	}
	before := scriptletTexts(going)
	for _, kind := range []string{"preun", "postun", "preuntrans", "postuntrans"} {
		out.Services = append(out.Services, restarts(before[kind])...)
	}
	var kinds []string
	for kind, text := range now {
		if before[kind] != text {
			kinds = append(kinds, kind)
		}
	}
	for kind := range before {
		if _, still := now[kind]; !still {
			kinds = append(kinds, kind+" (gone)")
		}
	}
	if len(kinds) > 0 {
		slices.Sort(kinds)
		out.Scriptlets = append(out.Scriptlets, n.String()+": "+strings.Join(kinds, ", "))
	}
	out.ConfigFiles = append(out.ConfigFiles, changedConfig(coming, going)...)
}

// scriptletTexts are the scriptlets of a package by kind; triggers of one kind are taken together.
func scriptletTexts(h *rpm.Header) map[string]string {
	out := map[string]string{}
	list, err := h.Scriptlets()
	if err != nil {
		return out
	}
	for _, s := range list {
		out[s.Kind] += strings.Join(s.Program, " ") + "\n" + s.Body + "\n"
	}
	return out
}

// The ways in which scriptlets restart services: the macros of systemd.spec(5) as they expand in different releases, and init scripts.
var (
	systemctlRestart = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?:systemctl|systemd-update-helper)[^\n;&|]*?\b(?:try-restart|restart|reload-or-restart|reload-or-try-restart|condrestart|mark-restart-system-units)((?:[ \t]+[A-Za-z0-9@_.:\\-]+)+)`)
	})
	serviceRestart = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`\bservice\s+([A-Za-z0-9@_.-]+)\s+(?:condrestart|try-restart|restart|force-reload)\b`)
	})
)

// restarts names the units that a scriptlet restarts, as far as its text shows.
func restarts(text string) []string {
	if !strings.Contains(text, "restart") && !strings.Contains(text, "force-reload") {
		return nil // as most; both patterns want one of the words
	}
	var out []string
	for _, m := range systemctlRestart().FindAllStringSubmatch(text, -1) {
		for _, unit := range strings.Fields(m[1]) {
			if !strings.HasPrefix(unit, "-") {
				out = append(out, unit)
			}
		}
	}
	for _, m := range serviceRestart().FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	return out
}

// changedConfig lists configuration files whose packaged content differs: rpm replaces them or leaves a .rpmnew or .rpmsave.
func changedConfig(coming, going *rpm.Header) []string {
	if !going.HasFile(rpm.FileConfig) {
		return nil
	}
	before := map[string]string{}
	old, err := going.Files()
	if err != nil {
		return nil
	}
	for _, f := range old {
		if f.Flags&rpm.FileConfig != 0 {
			before[f.Path] = f.Digest
		}
	}
	files, err := coming.Files()
	if err != nil {
		return nil
	}
	var out []string
	for _, f := range files {
		if digest, was := before[f.Path]; was && f.Flags&rpm.FileConfig != 0 && digest != f.Digest {
			out = append(out, f.Path)
		}
		delete(before, f.Path)
	}
	for path := range before {
		out = append(out, path+" (gone)")
	}
	return out
}
