package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"cpacman/internal/rollout"
	"cpacman/internal/store"
	"cpacman/internal/trail"
)

// trailWords tells in one cell what a line of the audit trail says; a body that cannot be read is shown as it stands.
func trailWords(l trail.Line, changes *trail.Changes) string {
	words, ok := "", false
	switch l.Action {
	case store.LineCreated:
		words, ok = worded(l, createdWords)
	case store.LineRollout, store.LineWave, store.LineHost, store.LineTxAsked, store.LineTxEnded, store.LineErase,
		store.LineBackAsked, store.LineBackEnded, store.LineRebootAsked, store.LineRebootEnded, store.LineRestartAsked, store.LineRestartEnded:
		words, ok = worded(l, stateWords)
	case store.LinePackages:
		words, ok = worded(l, func(b store.PackagesBody) string { return packagesWords(b, changes) })
	case store.LineHostKey:
		words, ok = worded(l, func(k store.HostKey) string { return k.Type + " " + k.Fingerprint + " at " + k.Address })
	case store.LineApproval:
		words, ok = worded(l, func(a rollout.Approval) string {
			return joined("digest "+shortDigest(a.Digest), reasonWords(a.Reason))
		})
	case store.LineCommand, store.LineCommandTaken, store.LineCommandRefused:
		words, ok = worded(l, commandWords)
	case store.LineEngine:
		words, ok = worded(l, func(o rollout.Owner) string { return fmt.Sprintf("process %d on %s", o.PID, o.Host) })
	case store.LineAmended:
		words, ok = worded(l, amendedWords)
	case store.LineHeadSent:
		words, ok = worded(l, func(b store.HeadSentBody) string {
			failed := ""
			if len(b.Failed) > 0 {
				failed = "failed: " + strings.Join(b.Failed, "; ")
			}
			return joined(b.Head, "to "+strings.Join(b.To, ", "), failed)
		})
	}
	if !ok {
		return string(l.Body)
	}
	return words
}

// worded reads the body of a line and puts it into words.
func worded[T any](l trail.Line, words func(T) string) (string, bool) {
	var v T
	if json.Unmarshal(l.Body, &v) != nil {
		return "", false
	}
	return words(v), true
}

// joined joins what is not empty.
func joined(parts ...string) string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, "; ")
}

func reasonWords(reason string) string {
	if reason == "" {
		return ""
	}
	return "because: " + reason
}

func createdWords(b store.CreatedBody) string {
	overrides := ""
	if len(b.Overrides) > 0 {
		overrides = "with " + strings.Join(b.Overrides, ", ")
	}
	return joined(fmt.Sprintf("plan %s, %d hosts, %d waves", shortDigest(b.Record.PlanID), b.Hosts, b.Waves), overrides, reasonWords(b.Record.Reason))
}

func amendedWords(b store.AmendedBody) string {
	overrides := ""
	if len(b.Overrides) > 0 {
		overrides = "with " + strings.Join(b.Overrides, ", ")
	}
	return joined(fmt.Sprintf("plan %s for %d %s: %s", shortDigest(b.PlanID), len(b.Hosts), plural(len(b.Hosts), "host", "hosts"), someOf(b.Hosts, 5)),
		fmt.Sprintf("digest %s, was %s", shortDigest(b.After), shortDigest(b.Before)), overrides, reasonWords(b.Reason))
}

func stateWords(b store.StateBody) string {
	move := b.To
	if b.From != "" && b.From != b.To {
		move = b.From + " to " + b.To
	}
	why := b.Reason.Text
	if why == "" {
		why = string(b.Reason.Code)
	}
	if b.Stop != nil {
		why = b.Stop.Text
	}
	waits, attempt, checks := "", "", []string(nil)
	if b.WaitingFor != "" {
		waits = "waits for " + b.WaitingFor
	}
	if b.Attempt > 1 {
		attempt = fmt.Sprintf("attempt %d", b.Attempt)
	}
	for _, c := range b.Checks {
		checks = append(checks, c.Check+" "+string(c.Verdict))
	}
	return joined(move, attempt, waits, strings.Join(checks, ", "), why)
}

func packagesWords(b store.PackagesBody, changes *trail.Changes) string {
	words := fmt.Sprintf("%d in, %d out; installed set %s, was %s", b.Added, b.Removed, shortDigest(b.After), shortDigest(b.Before))
	if changes == nil {
		return words
	}
	const shown = 5
	names := func(lines []string) []string {
		out := make([]string, len(lines))
		for i, l := range lines {
			out[i], _, _ = strings.Cut(l, " ") // without the header's digest
		}
		return out
	}
	if len(changes.Added) > 0 {
		words += "; in: " + someOf(names(changes.Added), shown)
	}
	if len(changes.Removed) > 0 {
		words += "; out: " + someOf(names(changes.Removed), shown)
	}
	return words
}

func commandWords(b store.CommandBody) string {
	if b.Text != "" {
		return b.Text
	}
	what := string(b.Kind)
	if b.Host != "" {
		what += " " + b.Host
	} else if b.Scope != "" {
		what += " " + b.Scope
	}
	return joined(what, reasonWords(b.Reason))
}
