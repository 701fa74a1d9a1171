package repo

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"cpacman/internal/rpm"
)

// Notices answers questions about the advisories of a repository without reading those that nobody asked about. The zero value has none. It may be used
// by many goroutines.
type Notices struct {
	r *Repo
	x *noticeIndex
}

// Notice is what counts of an Advisory when packages are chosen.
type Notice struct {
	ID, Type, Severity, Status string
	CVEs                       []string
	Streams                    []string // of the collection that a build is listed in, as "name:stream": the notice counts where one is enabled
}

// Notices opens the advisories of the repository, once. Without updateinfo there are none, and HasAdvisories says why.
func (r *Repo) Notices() (Notices, error) {
	x, err := r.notices()
	return Notices{r, x}, err
}

// Naming gives the builds of a name that advisories list, in the order of the metadata, and what each advisory is.
func (n Notices) Naming(name string, yield func(rpm.NEVRA, Notice)) {
	if n.x == nil {
		return
	}
	for _, place := range n.x.names.places(&n.x.strings, name) {
		b, ok := n.x.build(int(place))
		var notice Notice
		if ok {
			notice, ok = n.x.notice(b.advisory)
		}
		if !ok {
			n.x.damaged.Store(true)
			return
		}
		if b.streams != "" {
			notice.Streams = strings.Split(b.streams, "\n")
		}
		yield(b.nevra, notice)
	}
}

// Retracts tells whether one of the advisories is retracted.
func (n Notices) Retracts() bool { return n.x != nil && n.x.retracts }

// Err tells that the index was found damaged behind its checksum: answers given so far are void, and the next process makes it anew.
func (n Notices) Err() error {
	if n.x == nil || !n.x.damaged.Load() {
		return nil
	}
	n.r.cache.drop(kindAdvisories, n.r.digest)
	return &Damage{n.r.id, "", "its index of advisories made no sense and was removed; do it again", nil}
}

// noticeIndex is advisories as they stand in a cache file, and a table to find them by.
type noticeIndex struct {
	strings  stringTable
	problems []Problem
	unread   []Problem // see noticeFaults
	retracts bool      // one of them is retracted
	records  []byte
	ends     u32s  // of each advisory's record, in records
	builds   u32s  // of all advisories, one after the other: buildSize numbers each
	names    table // name → numbers of builds
	damaged  atomic.Bool
	asked    sync.Map // number of an advisory → its Notice
}

// buildSize is how many numbers a listed build has: the advisory, then name, epoch, version, release, arch and streams.
const buildSize = 7

// listedBuild is one entry of builds.
type listedBuild struct {
	advisory uint32
	nevra    rpm.NEVRA
	streams  string // as streamsOf has them
}

// Bounds of the module streams of one collection: real ones are of one stream. All of them are written down with each of its packages.
const (
	maxStreams    = 20
	maxStreamText = 4096 // bytes, of all
)

// streams gives the module streams of a collection.
func (x *xmlCollection) streams() (out []AdvisoryModule, err error) {
	size := 0
	for _, m := range x.Modules {
		size += len(m.Name) + len(m.Stream) + len(m.Version) + len(m.Context) + len(m.Arch)
		out = append(out, AdvisoryModule(m))
	}
	if len(out) > maxStreams || size > maxStreamText {
		return nil, fmt.Errorf("it is of %d module streams, in %d bytes", len(out), size)
	}
	return out, nil
}

// streamsOf gives the streams of the collection that a build is listed in, "name:stream" in lines.
func streamsOf(p *AdvisoryPackage) string {
	var out []string
	for _, m := range p.Modules {
		out = append(out, m.Name+":"+m.Stream)
	}
	return strings.Join(out, "\n")
}

// build reads an entry; false when it makes no sense.
func (x *noticeIndex) build(i int) (b listedBuild, ok bool) {
	var n [buildSize]uint32
	for k := range n {
		n[k] = x.builds.at(i*buildSize + k)
	}
	known := uint32(x.strings.len()) //nolint:gosec // fewer than 2^32
	for _, k := range [...]int{1, 3, 4, 5, 6} {
		if n[k] >= known {
			return b, false
		}
	}
	at := x.strings.at
	b = listedBuild{n[0], rpm.NEVRA{Name: at(n[1]), EVR: rpm.EVR{Epoch: n[2], Version: at(n[3]), Release: at(n[4])}, Arch: at(n[5])}, at(n[6])}
	return b, int(n[0]) < x.ends.len()
}

// record is where an advisory stands.
func (x *noticeIndex) record(i uint32) decoder {
	from, to := x.ends.span(int(i))
	return decoder{strings: x.strings, b: x.records[from:to]}
}

// notice reads the beginning of an advisory, once: an advisory may list ten thousand builds and as many CVEs. It is false when that makes no sense.
func (x *noticeIndex) notice(i uint32) (n Notice, ok bool) {
	if have, known := x.asked.Load(i); known {
		return have.(Notice), true //nolint:forcetypeassert // nothing else is put in
	}
	d := x.record(i)
	if n = d.notice(); d.err != nil {
		return n, false
	}
	x.asked.Store(i, n)
	return n, true
}

// list reads all advisories; false when they make no sense.
func (x *noticeIndex) list() (out []Advisory, ok bool) {
	if n := x.ends.len(); n > 0 {
		out = make([]Advisory, 0, n)
	}
	next := 0 // the first build of the advisory
	for i := range x.ends.len() {
		d := x.record(uint32(i)) //nolint:gosec // a length
		a := d.advisory()
		if d.err != nil || d.left() != 0 || next+len(a.Packages) > x.builds.len()/buildSize {
			return nil, false
		}
		for k := range a.Packages {
			b, ok := x.build(next)
			if !ok || int(b.advisory) != i {
				return nil, false
			}
			a.Packages[k].NEVRA = b.nevra
			next++
		}
		out = append(out, a)
	}
	return out, next == x.builds.len()/buildSize
}

// notices writes what updateinfo says.
func (e *encoder) notices(list []Advisory, faults noticeFaults) {
	e.problems(faults.problems)
	e.problems(faults.unread)
	e.bool(slices.ContainsFunc(list, func(a Advisory) bool { return a.Retracted() }))
	records := e.fork()
	var ends, builds []uint32
	names := postings{stride: 1}
	for i := range list {
		records.advisory(&list[i])
		ends = append(ends, uint32(len(records.body))) //nolint:gosec // less than the metadata
		for _, p := range list[i].Packages {
			n := build{e.number(p.Name), e.number(p.Arch), p.Epoch, e.number(p.Version), e.number(p.Release)}
			builds = append(builds, uint32(i), n.name, n.epoch, n.version, n.release, n.arch, e.number(streamsOf(&p))) //nolint:gosec // a length
			names.add(n.name, 0)
			names.next()
		}
	}
	e.piece(records.body)
	e.u32s(ends)
	e.u32s(builds)
	e.seal(names.size())
	newTableWriter(e).write(&names, inOrder(len(builds)/buildSize))
}

// noticeIndex takes what encoder.notices wrote, and checks everything but builds and advisories; nil when it makes no sense.
func (d *decoder) noticeIndex(id string) *noticeIndex {
	x := &noticeIndex{strings: d.strings, problems: d.problems(id), unread: d.problems(id), retracts: d.bool(), records: d.split(d.count(1)).b, ends: d.u32s(), builds: d.u32s()}
	x.names = d.table(x.builds.len()/buildSize, 1)
	if d.err != nil || x.builds.len()%buildSize != 0 || x.ends.len() > 0 && !x.ends.rises(len(x.records)) {
		return nil
	}
	return x
}

// advisory writes one but for the NEVRAs of its packages.
func (e *encoder) advisory(a *Advisory) {
	e.strs4(a.ID, a.Type, a.Severity, a.Status)
	e.strs(a.CVEs)
	e.str(a.Title)
	e.str(a.Release)
	e.time(a.Issued)
	e.time(a.Updated)
	e.bool(a.RebootSuggested)
	e.bool(a.RestartSuggested)
	e.count(len(a.References))
	for _, x := range a.References {
		e.strs4(x.Type, x.ID, x.Href, x.Title)
	}
	e.count(len(a.Packages))
	for _, p := range a.Packages {
		e.str(p.Filename)
		e.bool(p.EpochKnown)
		e.count(len(p.Modules))
		for _, m := range p.Modules {
			e.strs4(m.Name, m.Stream, m.Version, m.Context)
			e.str(m.Arch)
		}
	}
}

func (d *decoder) notice() Notice {
	return Notice{ID: d.str(), Type: d.str(), Severity: d.str(), Status: d.str(), CVEs: d.strs()}
}

func (d *decoder) advisory() Advisory {
	n := d.notice()
	a := Advisory{ID: n.ID, Type: n.Type, Severity: n.Severity, Status: n.Status, CVEs: n.CVEs, Title: d.str(), Release: d.str(),
		Issued: d.time(), Updated: d.time(), RebootSuggested: d.bool(), RestartSuggested: d.bool()}
	if refs := d.count(4); refs > 0 {
		a.References = make([]Reference, refs)
	}
	for i := range a.References {
		a.References[i] = Reference{d.str(), d.str(), d.str(), d.str()}
	}
	if packages := d.count(3); packages > 0 {
		a.Packages = make([]AdvisoryPackage, packages)
	}
	for i := range a.Packages {
		p := &a.Packages[i]
		p.Filename, p.EpochKnown = d.str(), d.bool()
		for range d.count(5) {
			p.Modules = append(p.Modules, AdvisoryModule{d.str(), d.str(), d.str(), d.str(), d.str()})
		}
	}
	return a
}
