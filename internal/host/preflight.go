package host

import (
	"context"
	"path"
	"strings"
	"time"
)

// Preflight is what must be known right before work on a host begins.
type Preflight struct {
	Facts            *Facts
	FreeSpool        int64        // bytes; -1 unknown
	FreeVarTmp       int64        // bytes; -1 unknown. rpm writes scriptlets there, and rpm --test does not see that it is full
	LockHolder       *Lock        // rpm's lock, as Facts.Lock; nil: not known
	PendingShutdown  string       // "" none; else what is scheduled
	OtherTransaction string       // ledger id of cpacman's transaction that is under way, "" none
	HostLock         *LockedError // who holds the host lock now, this session included; nil: nobody
	MissingKeys      []string     // of PreflightOptions.Keys
	DNF              string       // program that the host's dnf is (dnf-3, dnf5), "" none
	Instead          []string     // yum, microdnf: what the host has of that kind, asked for with DNF
	Unmet            []string     // unmet dependencies the host has already, as rpm -Va prints them
	Duplicates       []string     // name.arch that is installed more than once; install-only packages are among them
}

// PreflightOptions of Session.Preflight.
type PreflightOptions struct {
	Keys  []string // ids of the keys that signed the packages to come, 8 to 40 hex digits
	DNF   bool     // look for dnf
	Unmet bool     // list unmet dependencies too: costs about as much as reading every header
}

// Preflight reads facts afresh, never from a fingerprint, and what else decides whether the host can be worked on.
func (s *Session) Preflight(ctx context.Context, opt PreflightOptions) (Preflight, error) {
	f, _, err := Collect(ctx, s.c, CollectOptions{Host: s.opt.Host, Sudo: s.opt.Sudo, Force: true, Spool: s.opt.Dir, Random: s.opt.Random, Now: s.opt.Now})
	if err != nil {
		return Preflight{}, err
	}
	unmet, dnf := "", ""
	if opt.DNF {
		dnf = "dnf"
	}
	if opt.Unmet {
		unmet = "unmet"
	}
	a, err := s.call(ctx, "preflight", []string{"lock", "preflight"}, unmet, dnf)
	if err != nil {
		return Preflight{}, err
	}
	p := Preflight{Facts: f, LockHolder: f.Lock, FreeSpool: -1, FreeVarTmp: -1, OtherTransaction: a.get("running")}
	for _, l := range a.all("free") {
		if strings.HasSuffix(l, " /var/tmp") {
			p.FreeVarTmp = freeBytes(l)
		} else {
			p.FreeSpool = freeBytes(l)
		}
	}
	if a.get("id") != "" {
		p.HostLock = lockedBy(a)
	}
	p.PendingShutdown = shutdown(a.all("shutdown"))
	p.DNF, p.Instead = path.Base(bounded(a.get("dnf"), 200)), a.all("instead")
	if a.get("dnf") == "" {
		p.DNF = ""
	}
	p.Unmet = unmetLines(a.all("unmet"))
	for _, id := range opt.Keys {
		if !hasKey(f.Keys, id) {
			p.MissingKeys = append(p.MissingKeys, id)
		}
	}
	p.Duplicates = duplicates(f.Packages)
	return p, nil
}

// Same tells whether the host still has the packages that facts of it list. The fingerprint of the database of packages tells where it can be
// trusted; else they are listed again. It proves nothing for what comes after the answer: the host compares again before a transaction.
func (s *Session) Same(ctx context.Context, was *Facts) (bool, error) {
	f, unchanged, err := Collect(ctx, s.c, CollectOptions{Host: s.opt.Host, Sudo: s.opt.Sudo, Previous: was, Spool: s.opt.Dir, Random: s.opt.Random, Now: s.opt.Now})
	if err != nil {
		return false, err
	}
	return unchanged || f.MachineID == was.MachineID && f.InstalledDigest == was.InstalledDigest, nil
}

// List reads the facts of the host afresh, never from a fingerprint.
func (s *Session) List(ctx context.Context) (*Facts, error) {
	f, _, err := Collect(ctx, s.c, CollectOptions{Host: s.opt.Host, Sudo: s.opt.Sudo, Force: true, Spool: s.opt.Dir, Random: s.opt.Random, Now: s.opt.Now})
	return f, err
}

func hasKey(keys []Key, id string) bool {
	for _, k := range keys {
		if k.Matches(id) {
			return true
		}
	}
	return false
}

// shutdown reads systemd's /run/systemd/shutdown/scheduled: USEC= (time) and MODE=.
func shutdown(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	mode, when := "shutdown", ""
	for _, l := range lines {
		k, v, _ := strings.Cut(bounded(l, 200), "=")
		switch k {
		case "MODE":
			mode = v
		case "USEC":
			if len(v) > 6 {
				if t := hostTime(v[:len(v)-6]); !t.IsZero() {
					when = " at " + t.Format(time.RFC3339)
				}
			}
		}
	}
	return mode + when
}

// unmetLines are the indented lines of `rpm -Va --nofiles --noscripts`, after a line that names the package:
//
//	Unsatisfied dependencies for foo-1-1.noarch:
//		bar is needed by (installed) foo-1-1.noarch
func unmetLines(lines []string) []string {
	var out []string
	for _, l := range lines {
		t := strings.TrimSpace(l)
		if t != "" && !strings.HasPrefix(t, "Unsatisfied dependencies for") && strings.Contains(t, " (installed) ") && len(out) < maxProblems {
			out = append(out, bounded(t, 1000))
		}
	}
	return out
}

// duplicates relies on the order of Facts.Packages.
func duplicates(ps []Package) []string {
	var out []string
	for i := 1; i < len(ps); i++ {
		k := ps[i].NEVRA().NameArch()
		if k == ps[i-1].NEVRA().NameArch() && (len(out) == 0 || out[len(out)-1] != k.String()) {
			out = append(out, k.String())
		}
	}
	return out
}
