package inventory

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// HookValues are what the placeholders of a hook stand for.
type HookValues struct {
	Host, Address, Class, Level, Wave, Rollout string
	// ID names this run of the hook: the same again when it is run again.
	ID string
	// State is what the host has come to, for after-hooks of hosts, and Flags what else was found: words with commas between them.
	State, Flags string
}

// Args gives the argument list of the hook with its placeholders replaced, each within its argument: no shell sees them.
func (h *Hook) Args(v HookValues) []string {
	r := strings.NewReplacer("{host}", v.Host, "{address}", v.Address, "{class}", v.Class, "{level}", v.Level, "{wave}", v.Wave,
		"{rollout}", v.Rollout, "{id}", v.ID, "{state}", v.State, "{flags}", v.Flags)
	if len(h.Command) > 0 {
		return replaceAll(r, h.Command)
	}
	return replaceAll(r, h.Program)
}

// OfHost tells a hook that runs for each host, from those that run for a wave, a level or the rollout.
func (h *Hook) OfHost() bool { return h.When == BeforeHost || h.When == AfterHost }

// HooksFor names the hooks of a host for one time, sorted. Selectors are decided by inventory values alone, so that the answer is known
// before anything starts.
func (s *Site) HooksFor(host *Host, when HookWhen) []string {
	var out []string
	for _, name := range sortedKeys(s.Hooks) {
		if h := s.Hooks[name]; h.When == when && (h.Hosts.IsZero() || s.match(h.Hosts, host, nil) == yes) {
			out = append(out, name)
		}
	}
	return out
}

// HooksAt names the hooks of waves, levels or the rollout for one time, sorted.
func (s *Site) HooksAt(when HookWhen) []string {
	var out []string
	for _, name := range sortedKeys(s.Hooks) {
		if s.Hooks[name].When == when {
			out = append(out, name)
		}
	}
	return out
}

var hookPlaceholder = regexp.MustCompile(`\{[^{}]*\}`)

// hookPlaceholders are those that a hook of a host knows; the others know all but the first four.
var hookPlaceholders = []string{"{host}", "{address}", "{state}", "{flags}", "{class}", "{level}", "{wave}", "{rollout}", "{id}"}

// checkHooks validates hooks.
func (ld *loading) checkHooks() {
	for _, name := range sortedKeys(ld.site.Hooks) {
		h := ld.site.Hooks[name]
		fault := ld.at(&h.Source)
		if err := checkName(name, maxName); err != nil {
			fault("", "", "hook %s", err)
			continue
		}
		if !h.IsSet("when") {
			fault("", `write when = "before-host"`, "[hook.%s] has no \"when\"", name)
		}
		if h.Timeout <= 0 || h.Timeout > 24*time.Hour {
			fault("timeout", "", "key \"timeout\" in [hook.%s] must be more than 0 and at most 24h", name)
		}
		if h.IsSet("hosts") && !h.OfHost() {
			fault("hosts", "", "key \"hosts\" in [hook.%s] is only for before-host and after-host", name)
		}
		ld.checkHookArgs(h)
	}
}

// checkHookArgs wants one of program and command, with placeholders that are known there.
func (ld *loading) checkHookArgs(h *Hook) {
	fault := ld.at(&h.Source)
	key, args := "program", h.Program
	switch {
	case len(h.Program) > 0 && len(h.Command) > 0, len(h.Program)+len(h.Command) == 0:
		fault("", "", "[hook.%s] wants one of program and command", h.Name)
		return
	case len(h.Command) > 0:
		key, args = "command", h.Command
		if h.When != "" && !h.OfHost() {
			fault(key, "write program", "key \"command\" in [hook.%s] runs on a host: only for before-host and after-host", h.Name)
		}
	}
	if err := checkProgramArgs(args); err != nil {
		fault(key, "", "key %q in [hook.%s]: %s", key, h.Name, err)
		return
	}
	known := hookPlaceholders
	if !h.OfHost() {
		known = hookPlaceholders[4:]
	}
	for _, a := range args {
		for _, p := range hookPlaceholder.FindAllString(a, -1) {
			if !slices.Contains(known, p) {
				fault(key, fmt.Sprintf("known here are %s", strings.Join(known, " ")), "key %q in [hook.%s]: %s is no placeholder", key, h.Name, clip(p))
			}
		}
	}
}

// hookSelectors refuses selectors with unknown names, as repoSelectors does.
func (ld *loading) hookSelectors() {
	for _, name := range sortedKeys(ld.site.Hooks) {
		h := ld.site.Hooks[name]
		if h.Hosts.IsZero() {
			continue
		}
		if err := ld.site.checkSelector(h.Hosts, nil); err != nil {
			ld.at(&h.Source)("hosts", "", "key \"hosts\" in [hook.%s]: %s", name, err)
		}
	}
}
