package fleet

import (
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"cpacman/internal/rpm"
	"cpacman/planner"
)

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
