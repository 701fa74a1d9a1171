package rollout

import "slices"

// kept are the pending hosts of a wave that a cluster keeps back: by the cluster, each as its places in the wave, in order. When a
// cluster changes only its own hosts are looked at, and of those no more than it can spare: with a hundred thousand hosts behind one
// cluster every other way is a hundred thousand looks for every host that ends.
type kept struct {
	by    map[string][]int
	fresh map[string]bool // clusters that have changed since they were looked at
}

// add keeps a host back.
func (k *kept) add(cluster string, place int) {
	if k.by == nil {
		k.by, k.fresh = map[string][]int{}, map[string]bool{}
	}
	list := k.by[cluster]
	at, _ := slices.BinarySearch(list, place)
	k.by[cluster] = slices.Insert(list, at, place)
}

// changed notes that clusters are not what they were.
func (k *kept) changed(clusters []string) {
	for _, c := range clusters {
		if len(k.by[c]) > 0 {
			k.fresh[c] = true
		}
	}
}

// all notes that every cluster is to be looked at.
func (k *kept) all() {
	for c := range k.by {
		k.fresh[c] = true
	}
}

// next takes out the first host, in the order of the wave, of a fresh cluster that spares one; false when there is none.
func (k *kept) next(spares func(cluster string) bool) (place int, ok bool) {
	from := ""
	for c := range k.fresh {
		list := k.by[c]
		if len(list) == 0 || !spares(c) {
			delete(k.fresh, c)
			continue
		}
		if !ok || list[0] < place {
			from, place, ok = c, list[0], true
		}
	}
	if !ok {
		return 0, false
	}
	if k.by[from] = k.by[from][1:]; len(k.by[from]) == 0 {
		delete(k.by, from)
	}
	return place, true
}

// admitKept lets hosts begin that a cluster kept back and can spare now. Called with mu held.
func (r *run) admitKept(w int) {
	for len(r.kept.fresh) > 0 && r.hasRoom(w) {
		i, ok := r.kept.next(func(c string) bool { return r.tally.clusters[c].spares(0) })
		if !ok {
			return
		}
		r.consider(w, i)
	}
}
