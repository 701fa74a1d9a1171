package planner

import (
	"regexp"
	"slices"
	"strconv"

	"cpacman/internal/rpm"
)

// Lock is a rule of the host's own package manager that keeps builds out or installed packages as they are: a line of yum's or dnf's
// versionlock, an entry of dnf 5's versionlock.toml, a lock of zypper.
type Lock struct {
	Names  string // a glob over package names; a regular expression (RE2) with Regexp
	Regexp bool

	// Not keeps out what the lock covers. Without it nothing of its names comes in but what one of the locks covers, and what is installed
	// of them leaves for nothing else.
	Not  bool
	Stay bool            // an installed build that the lock covers keeps the whole name as it is
	When []LockCondition // what a build has to be, all of it, to be covered; none: every build
	Text string          // for people: where it stands, and what
}

// LockCondition is about one build.
type LockCondition struct {
	Key   string    // one of the constants below
	Op    rpm.Sense // how a build has to compare with Value; LockBuild and LockArch know Equal and its opposite, Less|Greater
	Value string
}

// What a LockCondition looks at.
const (
	LockBuild   = "build"   // a glob over NEVRAs or parts of them
	LockEVR     = "evr"     // compared whole: a missing release is older than any
	LockEdition = "edition" // an EVR as in a dependency: a missing release is any
	LockEpoch   = "epoch"
	LockArch    = "arch"
)

// holds tells whether the condition is true of a build.
func (w *LockCondition) holds(n rpm.NEVRA) bool {
	equal := w.Op&rpm.Equal != 0
	switch w.Key {
	case LockBuild:
		return matchPackage(w.Value, n) == equal
	case LockArch:
		return (w.Value == n.Arch) == equal
	case LockEdition:
		v, err := rpm.ParseEVR(w.Value)
		return err == nil && rpm.Overlap(w.Op, v, rpm.Equal, n.EVR)
	case LockEpoch:
		v, err := strconv.ParseUint(w.Value, 10, 32)
		return err == nil && fits(w.Op, rpm.Compare(rpm.EVR{Epoch: n.Epoch}, rpm.EVR{Epoch: uint32(v)}))
	case LockEVR:
		v, err := rpm.ParseEVR(w.Value)
		return err == nil && fits(w.Op, rpm.Compare(n.EVR, v))
	}
	return false
}

// fits tells whether a comparison came out as an operator wants it.
func fits(op rpm.Sense, order int) bool {
	switch {
	case order < 0:
		return op&rpm.Less != 0
	case order > 0:
		return op&rpm.Greater != 0
	}
	return op&rpm.Equal != 0
}

// covers tells whether a build of the lock's names is one that it means.
func (l *Lock) covers(n rpm.NEVRA) bool {
	for i := range l.When {
		if !l.When[i].holds(n) {
			return false
		}
	}
	return true
}

// locks are those of a host, ready to be asked: there may be one for each installed package.
type locks struct {
	list   []Lock
	named  map[string][]int // those of plain names
	others []pattern
}

// pattern is a lock, by its place in the list, whose names are to be searched for; with no expression it is a glob.
type pattern struct {
	lock int
	re   *regexp.Regexp
}

func newLocks(list []Lock) locks {
	l := locks{list: list}
	for i := range list {
		switch names := list[i].Names; {
		case list[i].Regexp:
			if re, err := regexp.Compile(names); err == nil {
				l.others = append(l.others, pattern{i, re})
			}
		case isGlob(names):
			l.others = append(l.others, pattern{lock: i})
		default:
			if l.named == nil {
				l.named = make(map[string][]int, len(list))
			}
			l.named[names] = append(l.named[names], i)
		}
	}
	return l
}

// of gives the locks about a package name, in their order.
func (l *locks) of(name string) []*Lock {
	named := l.named[name]
	found := named[:len(named):len(named)]
	for _, p := range l.others {
		if p.re != nil && p.re.MatchString(name) || p.re == nil && matchGlob(l.list[p.lock].Names, name) {
			found = append(found, p.lock)
		}
	}
	if len(found) == 0 {
		return nil
	}
	if len(found) > len(named) {
		slices.Sort(found)
	}
	out := make([]*Lock, len(found))
	for i, n := range found {
		out[i] = &l.list[n]
	}
	return out
}

// lockedOut gives the lock, of those about its name, that keeps a build out; nil where none does.
func lockedOut(locks []*Lock, n rpm.NEVRA) *Lock {
	var only *Lock
	allowed := false
	for _, l := range locks {
		switch covers := l.covers(n); {
		case l.Not && covers:
			return l
		case l.Not:
		case covers:
			allowed = true
		case only == nil:
			only = l
		}
	}
	if allowed {
		return nil
	}
	return only
}

// lockedIn gives the lock that keeps an installed build from leaving: for anything where whole is true, else for anything but another build of its name.
func lockedIn(locks []*Lock, n rpm.NEVRA) (l *Lock, whole bool) {
	for _, one := range locks {
		switch {
		case one.Not && one.Stay && one.covers(n):
			return one, true
		case !one.Not && l == nil:
			l = one
		}
	}
	return l, false
}
