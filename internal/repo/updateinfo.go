package repo

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"cpacman/internal/rpm"
)

// Advisory is one notice of updateinfo. Its texts are as the repository wrote them: whoever prints them escapes them.
type Advisory struct {
	ID       string
	Type     string // lower case: security, bugfix, enhancement, newpackage, or what the repository says
	Severity string // lower case, in the words of Red Hat; "" if not said
	Status   string // lower case: final, stable, testing, retracted …
	Title    string
	Release  string
	Issued   time.Time // zero if not known; UTC
	Updated  time.Time // zero if not known; UTC

	CVEs       []string // from references of type cve, else from what titles and other references name; sorted
	References []Reference
	Packages   []AdvisoryPackage

	// RebootSuggested and RestartSuggested are set when the notice or one of its packages says so.
	RebootSuggested, RestartSuggested bool
}

// Retracted tells a notice whose packages must not be used (libsolv: status retracted).
func (a *Advisory) Retracted() bool { return a.Status == "retracted" }

// Reference is where to read more.
type Reference struct{ Type, ID, Href, Title string }

// AdvisoryPackage is one package build that fixes what the notice is about.
type AdvisoryPackage struct {
	rpm.NEVRA
	Filename string // as written; "" if not said
	// EpochKnown is false when the notice gives no epoch and no package of the repository tells it; it is 0 then.
	EpochKnown bool
	// Modules are the module streams of the package's collection: the notice counts only where one of them is enabled.
	Modules []AdvisoryModule
}

// AdvisoryModule names a build of a module stream.
type AdvisoryModule struct{ Name, Stream, Version, Context, Arch string }

// HasAdvisories tells whether the repository has updateinfo at all. Without it nothing is known: no advisories then means "no
// data", never "nothing to fix".
func (r *Repo) HasAdvisories() bool {
	if r.md == nil {
		return false
	}
	_, ok := r.md.find("updateinfo")
	return ok
}

// cachedNotices takes the advisories from the cache; nil: they are not there.
func (r *Repo) cachedNotices() *noticeIndex {
	d, ok := r.cache.load(kindAdvisories, r.digest)
	if !ok {
		return nil
	}
	x := d.noticeIndex(r.id)
	if x == nil {
		r.cache.bad(kindAdvisories, r.digest)
	}
	return x
}

// Advisories reads the advisories, once, in the order of the metadata. Two notices with one id become one. Without updateinfo the
// list is empty, and HasAdvisories says why. Notices answers without reading all of them.
func (r *Repo) Advisories() ([]Advisory, error) {
	x, err := r.notices()
	if x == nil || err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.advisories == nil {
		list, ok := x.list()
		if !ok {
			r.cache.bad(kindAdvisories, r.digest)
			if list, err = r.makeNotices(); err != nil {
				return nil, err
			}
		}
		r.advisories = list
	}
	return r.advisories, nil
}

// notices gives the index of the advisories; nil: there is no updateinfo.
func (r *Repo) notices() (*noticeIndex, error) {
	if !r.HasAdvisories() {
		return nil, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.noticeIndex != nil {
		return r.noticeIndex, nil
	}
	k, err := r.disk()
	if err != nil {
		return nil, err
	}
	defer k.root.Close() //nolint:errcheck // opened for reading
	for _, e := range r.md.all("updateinfo") {
		if _, err := k.identify(e); err != nil {
			return nil, err
		}
	}
	if r.early != nil {
		r.noticeIndex = <-r.early
		r.early = nil
	} else {
		r.noticeIndex = r.cachedNotices()
	}
	if r.noticeIndex == nil {
		if _, err := r.makeNotices(); err != nil {
			return nil, err
		}
	}
	if r.opened {
		r.logProblems(context.Background(), r.noticeIndex.unread)
	}
	return r.noticeIndex, nil
}

// makeNotices parses the advisories, and makes and keeps the index of them.
func (r *Repo) makeNotices() ([]Advisory, error) {
	k, err := r.disk()
	if err != nil {
		return nil, err
	}
	defer k.root.Close() //nolint:errcheck // opened for reading
	list, faults, err := r.readAdvisories(context.Background(), k, r.md.all("updateinfo"))
	if err == nil {
		err = r.Lookup().Err() // epochs of a damaged index are not to be kept
	}
	if err != nil {
		return nil, err
	}
	e := r.cache.start(kindAdvisories, r.digest)
	e.notices(list, faults)
	body := e.bytes()
	if r.cache.dir != "" {
		r.cache.storeBytes(kindAdvisories, r.digest, body)
	}
	d := newDecoder(body)
	d.skip(2) // kind and key
	if r.noticeIndex = d.noticeIndex(r.id); r.noticeIndex == nil {
		return nil, &Damage{r.id, repomdPath, "its advisories have more text than an index can hold", nil}
	}
	return list, nil
}

// readAdvisories parses all updateinfo files.
func (r *Repo) readAdvisories(ctx context.Context, k *disk, entries []dataEntry) (all []Advisory, faults noticeFaults, err error) {
	epochs := r.epochs()
	byID := make(map[string]int)
	again := make(map[int][]Advisory) // number of the first notice of an id → all of them
	for _, e := range entries {
		list, notes, err := readNotices(ctx, k, e, epochs)
		if err != nil {
			return nil, faults, err
		}
		faults.add(e.Location, notes)
		for _, a := range list {
			if i, known := byID[a.ID]; known {
				if again[i] == nil {
					again[i] = []Advisory{all[i]}
				}
				again[i] = append(again[i], a)
				continue
			}
			byID[a.ID] = len(all)
			all = append(all, a)
		}
	}
	for i, list := range again {
		all[i] = joinNotices(list)
	}
	return all, faults, nil
}

// noticeNote is what is wrong with a notice.
type noticeNote struct {
	what string
	lost bool // the notice, or a package of it, is left out
}

// noticeFaults is what is wrong with all notices of a repository.
type noticeFaults struct {
	problems []Problem // each, for who checks the repository
	unread   []Problem // one at most, for who plans from it: how much is left out
	lost     int
	first    Problem
}

func (f *noticeFaults) add(file string, notes []noticeNote) {
	for _, n := range notes {
		p := Problem{File: file, What: n.what}
		f.problems = append(f.problems, p)
		if !n.lost {
			continue
		}
		if f.lost++; f.lost == 1 {
			f.first = p
		}
	}
	if f.lost > 0 {
		what := fmt.Sprintf("notices or packages of notices that could not be read: %d, first: %s", f.lost, f.first.What)
		f.unread = []Problem{{File: f.first.File, What: what}}
	}
}

// readNotices parses one updateinfo file.
func readNotices(ctx context.Context, k *disk, e dataEntry, epochs *epochBook) (list []Advisory, notes []noticeNote, err error) {
	give := func(x *xmlUpdate) {
		a, more := x.advisory(epochs)
		notes = append(notes, more...)
		if a != nil {
			list = append(list, *a)
		}
	}
	reader := &metaReader[[]*xmlUpdate]{
		root:   "updates",
		item:   "update",
		window: firstWindow,
		sink:   func() chunkSink[[]*xmlUpdate] { return &updateSink{} },
		merge: func(updates []*xmlUpdate) {
			for _, u := range updates {
				give(u)
			}
		},
		open: func() (*metaStream, error) { return k.open(ctx, e) },
		slow: func(in io.Reader) (int, error) { return -1, readUpdateinfo(in, give) },
	}
	_, err = reader.read(ctx, func() { list, notes = nil, nil })
	return list, notes, err
}

// buildKey is a package build without its epoch, which old updateinfo leaves out.
type buildKey struct{ name, version, release, arch string }

// epochBook finds the epochs of builds of the repository. It reads the packages of the names it is asked for, each name once: nearly all
// notices give epochs. The zero value knows no build.
type epochBook struct {
	in     Lookup
	read   map[string]bool
	builds map[buildKey]knownEpoch
	shared map[rpm.NameArch]sharedEpoch
}

// sharedEpoch is the epoch of all builds of a name and arch, unless they have several.
type sharedEpoch struct {
	epoch   uint32
	several bool
}

// knownEpoch is the epoch of a build, and the number of the package that has it.
type knownEpoch struct{ epoch, number uint32 }

func (r *Repo) epochs() *epochBook {
	return &epochBook{in: r.Lookup(), read: make(map[string]bool), builds: make(map[buildKey]knownEpoch), shared: make(map[rpm.NameArch]sharedEpoch)}
}

// of gives the epoch of a build; of several it is that of the last one in the package list. Repositories drop old builds and keep the notices: such a build had
// the epoch that all have which are left of its name. openEuler's notices have no epochs at all, and with 0 what they fix looks as if it were long installed.
func (b *epochBook) of(key buildKey) (epoch uint32, known bool) {
	if b.read != nil && !b.read[key.name] {
		b.read[key.name] = true
		for _, place := range b.in.Named(key.name) {
			p, number := b.in.At(place), b.in.ix.order.at(int(place))
			k := buildKey{p.Name, p.Version, p.Release, p.Arch}
			if before, again := b.builds[k]; !again || before.number < number {
				b.builds[k] = knownEpoch{p.Epoch, number}
			}
			one, again := b.shared[p.NameArch()]
			b.shared[p.NameArch()] = sharedEpoch{p.Epoch, again && (one.several || one.epoch != p.Epoch)}
		}
	}
	if x, known := b.builds[key]; known {
		return x.epoch, true
	}
	one, known := b.shared[rpm.NameArch{Name: key.name, Arch: key.arch}]
	if !known || one.several {
		return 0, false
	}
	return one.epoch, true
}

// xmlUpdate is one <update> as written.
type xmlUpdate struct {
	Status     string          `xml:"status,attr"`
	Type       string          `xml:"type,attr"`
	ID         string          `xml:"id"`
	Title      string          `xml:"title"`
	Severity   string          `xml:"severity"`
	Release    string          `xml:"release"`
	Issued     xmlDate         `xml:"issued"`
	Updated    xmlDate         `xml:"updated"`
	Reboot     *string         `xml:"reboot_suggested"`
	Restart    *string         `xml:"restart_suggested"`
	References []xmlReference  `xml:"references>reference"`
	Lists      []xmlCollection `xml:"pkglist>collection"`
}

type xmlCollection struct {
	Modules  []xmlModule      `xml:"module"`
	Packages []xmlAdvisoryRPM `xml:"package"`
}

type xmlDate struct {
	Date string `xml:"date,attr"`
	Text string `xml:",chardata"`
}

type xmlReference struct {
	Type  string `xml:"type,attr"`
	ID    string `xml:"id,attr"`
	Href  string `xml:"href,attr"`
	Title string `xml:"title,attr"`
}

type xmlModule struct {
	Name    string `xml:"name,attr"`
	Stream  string `xml:"stream,attr"`
	Version string `xml:"version,attr"`
	Context string `xml:"context,attr"`
	Arch    string `xml:"arch,attr"`
}

type xmlAdvisoryRPM struct {
	Name     string  `xml:"name,attr"`
	Epoch    *string `xml:"epoch,attr"`
	Version  string  `xml:"version,attr"`
	Release  string  `xml:"release,attr"`
	Arch     string  `xml:"arch,attr"`
	Filename string  `xml:"filename"`
	Reboot   *string `xml:"reboot_suggested"`
	Restart  *string `xml:"restart_suggested"`
}

// readUpdateinfo gives every <update> below the root, one at a time.
func readUpdateinfo(r io.Reader, give func(*xmlUpdate)) error {
	in := &tokenReader{r: r, left: maxToken}
	d := newXMLDecoder(in)
	depth := 0
	for seen := false; ; {
		in.left = maxToken
		tok, err := d.Token()
		if err == io.EOF && seen { //nolint:errorlint // the decoder's own end of input: a wrapped one is damage
			return nil
		}
		if err != nil {
			return xmlError(d, err)
		}
		switch t := tok.(type) {
		case xml.StartElement:
			switch {
			case depth == 0 && (seen || t.Name.Local != "updates"):
				return wrongElement(d, &t, "updates")
			case depth == 0:
				seen, depth = true, 1
			case t.Name.Local == "update":
				var u xmlUpdate
				if err := d.DecodeElement(&u, &t); err != nil {
					return xmlError(d, err)
				}
				give(&u)
			default:
				if err := d.Skip(); err != nil {
					return xmlError(d, err)
				}
			}
		case xml.EndElement:
			depth--
		}
	}
}

// advisory checks a notice. It is nil when the notice has no id, by which alone anybody could speak of it.
func (u *xmlUpdate) advisory(epochs *epochBook) (*Advisory, []noticeNote) {
	var notes []noticeNote
	note := func(lost bool, format string, args ...any) {
		notes = append(notes, noticeNote{fmt.Sprintf(format, args...), lost})
	}
	a := &Advisory{
		ID:               strings.TrimSpace(u.ID),
		Type:             strings.ToLower(strings.TrimSpace(u.Type)),
		Severity:         SeverityWord(u.Severity),
		Status:           strings.ToLower(strings.TrimSpace(u.Status)),
		Title:            strings.TrimSpace(u.Title),
		Release:          strings.TrimSpace(u.Release),
		RebootSuggested:  said(u.Reboot),
		RestartSuggested: said(u.Restart),
	}
	if a.ID == "" || strings.IndexFunc(a.ID, isUnsafe) >= 0 {
		note(true, "an advisory has no usable id and is ignored: title %s", quoted(a.Title))
		return nil, notes
	}
	for _, when := range []struct {
		from xmlDate
		to   *time.Time
	}{{u.Issued, &a.Issued}, {u.Updated, &a.Updated}} {
		t, err := when.from.time()
		if err != nil {
			note(false, "advisory %s: %v", quoted(a.ID), err)
		}
		*when.to = t
	}
	for _, x := range u.References {
		ref := Reference{strings.ToLower(strings.TrimSpace(x.Type)), x.ID, x.Href, x.Title}
		a.References = append(a.References, ref)
		if ref.Type == "cve" {
			a.CVEs = referenceCVEs(a.CVEs, &ref)
		}
	}
	if len(a.CVEs) == 0 {
		a.CVEs = otherCVEs(a)
	}
	slices.Sort(a.CVEs)
	a.CVEs = slices.Compact(a.CVEs)
	for _, list := range u.Lists {
		modules, err := list.streams()
		if err != nil {
			note(true, "advisory %s: a collection of %d packages is ignored: %v", quoted(a.ID), len(list.Packages), err)
			continue
		}
		for _, x := range list.Packages {
			p, err := x.pkg(epochs)
			if err != nil {
				note(true, "advisory %s: a package is ignored: %v", quoted(a.ID), err)
				continue
			}
			p.Modules = modules
			a.Packages = append(a.Packages, p)
			a.RebootSuggested = a.RebootSuggested || said(x.Reboot)
			a.RestartSuggested = a.RestartSuggested || said(x.Restart)
		}
	}
	return a, notes
}

func (x *xmlAdvisoryRPM) pkg(epochs *epochBook) (AdvisoryPackage, error) {
	p := AdvisoryPackage{Filename: x.Filename, EpochKnown: true}
	p.NEVRA = rpm.NEVRA{Name: x.Name, EVR: rpm.EVR{Version: x.Version, Release: x.Release}, Arch: x.Arch}
	if x.Epoch != nil && !isNothing(*x.Epoch) {
		e, err := parseEpoch([]byte(*x.Epoch))
		if err != nil {
			return p, err
		}
		p.Epoch = e
	} else {
		p.Epoch, p.EpochKnown = epochs.of(buildKey{x.Name, x.Version, x.Release, x.Arch})
	}
	if p.Name == "" || p.Version == "" || p.Release == "" || p.Arch == "" {
		return p, errors.New("name, version, release or arch is missing: " + quoted(p.NEVRA.String()))
	}
	return p, checkNEVRA(p.NEVRA)
}

// isNothing tells what programs write for an epoch that a package has not, in their own word for nothing.
func isNothing(s string) bool {
	switch s {
	case "", "(none)", "None", "null":
		return true
	}
	return false
}

// said reads elements such as <reboot_suggested/>: there, and not "False" or "0".
func said(s *string) bool {
	if s == nil {
		return false
	}
	switch strings.ToLower(strings.TrimSpace(*s)) {
	case "false", "0", "no":
		return false
	}
	return true
}
