package fleet

import (
	"slices"
	"sync"
	"weak"

	"cpacman/internal/host"
)

// packageLists has the packages of hosts at work once for all that have the same, by installed digest, and for no longer than one of them is: each
// list has some 100 KB, and a thousand hosts may wait for their transactions.
type packageLists struct {
	mu sync.Mutex
	of map[string]weak.Pointer[packageList]
}

// packageList must be held by whoever uses its packages.
type packageList struct{ packages []host.Package }

// share gives the list of a digest: that of another host, or this one. It has no install times, which are each host's own.
func (l *packageLists) share(digest string, packages []host.Package) *packageList {
	l.mu.Lock()
	defer l.mu.Unlock()
	if have := l.of[digest].Value(); have != nil {
		return have
	}
	if l.of == nil {
		l.of = map[string]weak.Pointer[packageList]{}
	}
	list := &packageList{slices.Clone(packages)}
	for i := range list.packages {
		list.packages[i].InstallTime = 0
	}
	l.of[digest] = weak.Make(list)
	return list
}
