package fleet

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"

	"cpacman/internal/repo"
	"cpacman/internal/rpm"
	"cpacman/internal/store"
	"cpacman/planner"
)

// rebootNames are the packages whose update takes effect only with a reboot (dnf's needs-restarting has the same list).
var rebootNames = []string{"kernel", "kernel-core", "kernel-rt", "kernel-rt-core", "glibc", "linux-firmware", "systemd", "dbus", "dbus-broker", "dbus-daemon", "microcode_ctl"}

// impact says what a set touches beside packages: from the signed headers of what comes and the installed headers of what goes.
func (f *Fleet) impact(ctx context.Context, repos *Repos, g *group) (*planner.Impact, error) {
	out := &planner.Impact{}
	if g.result == nil {
		return out, nil
	}
	old := map[rpm.NameArch]*rpm.Package{}
	for _, m := range append(slices.Clone(g.result.Set.Upgrade), g.result.Set.Downgrade...) {
		for _, p := range g.input.Installed {
			if p.NEVRA == m.From {
				old[m.To.NameArch()] = p
			}
		}
	}
	for _, u := range g.result.Packages {
		if slices.Contains(rebootNames, u.Name) {
			out.RebootReasons = append(out.RebootReasons, u.NEVRA.String())
		}
		coming := newHeader(ctx, repos, u)
		going, err := f.oldHeader(ctx, old[u.NameArch()])
		if err != nil {
			return nil, err
		}
		if coming == nil || going == nil && old[u.NameArch()] != nil {
			out.Unread++
			continue
		}
		compareImpact(out, u.NEVRA, coming, going)
	}
	out.Reboot = len(out.RebootReasons) > 0
	for _, list := range []*[]string{&out.Services, &out.ConfigFiles, &out.Scriptlets} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return out, nil
}

// newHeader reads the header of a package file; nil where it is not there or cannot be read.
func newHeader(ctx context.Context, repos *Repos, u planner.Used) *rpm.Header {
	located, err := repos.At(ctx, u.Source, u.Path)
	if err != nil {
		return nil
	}
	return readMainHeader(located)
}

func readMainHeader(l Located) *rpm.Header {
	if blob, err := readHeader(l); err == nil {
		if h, err := rpm.ParseHeader(blob); err == nil {
			return h
		}
	}
	if l.Repo.Kind() != repo.KindDirectory {
		return nil
	}
	in, err := l.Repo.OpenPackage(l.Package)
	if err != nil {
		return nil
	}
	defer in.Close()
	file, err := rpm.ReadPackageHeaders(in)
	if err != nil {
		return nil
	}
	return file.Header
}

// oldHeader is the stored header of an installed package; nil where none is stored.
func (f *Fleet) oldHeader(ctx context.Context, p *rpm.Package) (*rpm.Header, error) {
	if p == nil || p.Header == "" {
		return nil, nil
	}
	blob, err := f.Store.Header(ctx, p.Header)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	h, err := rpm.ParseHeader(blob)
	if err != nil {
		return nil, nil
	}
	return h, nil
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
	systemctlRestart = regexp.MustCompile(`(?:systemctl|systemd-update-helper)[^\n;&|]*?\b(?:try-restart|restart|reload-or-restart|reload-or-try-restart|condrestart|mark-restart-system-units)((?:[ \t]+[A-Za-z0-9@_.:\\-]+)+)`)
	serviceRestart   = regexp.MustCompile(`\bservice\s+([A-Za-z0-9@_.-]+)\s+(?:condrestart|try-restart|restart|force-reload)\b`)
)

// restarts names the units that a scriptlet restarts, as far as its text shows.
func restarts(text string) []string {
	var out []string
	for _, m := range systemctlRestart.FindAllStringSubmatch(text, -1) {
		for _, unit := range strings.Fields(m[1]) {
			if !strings.HasPrefix(unit, "-") {
				out = append(out, unit)
			}
		}
	}
	for _, m := range serviceRestart.FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	return out
}

// changedConfig lists configuration files whose packaged content differs: rpm replaces them or leaves a .rpmnew or .rpmsave.
func changedConfig(coming, going *rpm.Header) []string {
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
