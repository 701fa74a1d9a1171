package repo

import (
	"slices"
	"sync"

	"cpacman/internal/rpm"
)

// indexBlock is how many packages are decoded together; blocks are independent, so that several workers can decode.
const indexBlock = 512

// FileID tells whether a file is the one that was read before, without reading it. A changed file with an unchanged ctime would
// take a clock set back on purpose.
type FileID struct {
	Size         int64
	MTime, CTime int64 // nanoseconds since 1970
	Inode, Dev   uint64
}

func (e *encoder) fileID(f FileID) {
	e.int(f.Size)
	e.int(f.MTime)
	e.int(f.CTime)
	e.uint(f.Inode)
	e.uint(f.Dev)
}

func (d *decoder) fileID() FileID {
	return FileID{d.int(), d.int(), d.int(), d.uint(), d.uint()}
}

func (e *encoder) problems(list []Problem) {
	e.count(len(list))
	for _, p := range list {
		e.str(p.File)
		e.str(p.Package)
		e.str(p.What)
		e.bool(p.Note)
	}
}

func (d *decoder) problems(id string) []Problem {
	var out []Problem
	for range d.count(4) {
		out = append(out, Problem{Repo: id, File: d.str(), Package: d.str(), What: d.str(), Note: d.bool()})
	}
	return out
}

// packages writes the packages in blocks.
func (e *encoder) packages(list []*Package) {
	e.count((len(list) + indexBlock - 1) / indexBlock)
	for block := range slices.Chunk(list, indexBlock) {
		nDeps, nFiles := 0, 0
		records := e.fork()
		for _, p := range block {
			records.record(p, records.identify(p))
			nDeps += len(records.keys) - len(p.Files)
			nFiles += len(p.Files)
		}
		one := e.fork()
		one.count(len(block))
		one.count(nDeps)
		one.count(nFiles)
		e.count(len(one.body) + len(records.body))
		e.body = append(append(e.body, one.body...), records.body...)
	}
}

// record writes one package, and leaves the numbers of what it needs, gives and has in keys.
func (e *encoder) record(p *Package, id packageID) {
	e.pkg(p, id)
	e.keys = e.keys[:0]
	for _, l := range depLists(p.Package) {
		e.count(len(*l))
		for i := range *l {
			e.keys = append(e.keys, e.dep(&(*l)[i]))
		}
	}
	e.count(len(p.Files))
	for _, f := range p.Files {
		n := e.number(f)
		e.uint(uint64(n))
		e.keys = append(e.keys, n)
	}
}

// dep writes the number of the name with two bits: needed before scriptlets, has a range. Epoch and comparison, version and release
// follow only with a range. It returns the number.
func (e *encoder) dep(d *rpm.Dep) uint32 {
	bits := uint64(0)
	if d.Sense != 0 {
		bits = 1
	}
	if d.Pre {
		bits |= 2
	}
	n := e.number(d.Name)
	e.uint(uint64(n)<<2 | bits)
	if d.Sense != 0 {
		e.uint(uint64(d.EVR.Epoch)<<3 | uint64(d.Sense>>1))
		e.str(d.EVR.Version)
		e.str(d.EVR.Release)
	}
	return n
}

func (d *decoder) dep(to *rpm.Dep) {
	n := d.uint()
	if n>>2 >= uint64(d.strings.len()) { //nolint:gosec // a length
		d.fail()
		return
	}
	to.Name, to.Pre = d.strings.at(uint32(n>>2)), n&2 != 0
	if n&1 != 0 {
		x := d.uint()
		to.Sense, to.EVR.Epoch = rpm.Sense(x&7)<<1, uint32(x>>3) //nolint:gosec // 32 bits were written
		to.EVR.Version, to.EVR.Release = d.str(), d.str()
	}
}

// skipDep passes over what encoder.dep wrote.
func (d *decoder) skipDep() {
	if d.uint()&1 != 0 {
		d.skip(3)
	}
}

// skip passes over numbers.
func (d *decoder) skip(n int) {
	for range n {
		d.uint()
	}
}

// packageID is what tells packages apart, as numbers of strings.
type packageID struct {
	build
	location, sumType, sum, header uint32
}

// build is a NEVRA as numbers of strings.
type build struct{ name, arch, epoch, version, release uint32 }

func (e *encoder) identify(p *Package) packageID {
	return packageID{
		build{e.number(p.Name), e.number(p.Arch), p.Epoch, e.number(p.Version), e.number(p.Release)},
		e.number(p.Location), e.number(p.Checksum.Type), e.number(p.Checksum.Value), e.number(p.Package.Header),
	}
}

// pkg writes a package without its dependencies and files.
func (e *encoder) pkg(p *Package, id packageID) {
	for _, n := range [...]uint32{id.name, id.arch, id.epoch, id.version, id.release} {
		e.uint(uint64(n))
	}
	e.str(p.Vendor)
	e.str(p.SourceRPM)
	e.str(p.ModularityLabel)
	e.uint(uint64(id.header))
	e.int(p.BuildTime)
	e.int(p.InstalledSize)
	e.uint(uint64(p.Color))
	e.bool(p.ColorKnown)
	e.bool(p.FilesComplete)
	e.uint(uint64(id.location))
	e.str(p.Base)
	e.uint(uint64(id.sumType))
	e.uint(uint64(id.sum))
	e.int(p.Size)
	e.int(p.HeaderStart)
	e.int(p.HeaderEnd)
}

func (d *decoder) pkg(p *Package) {
	p.Name, p.Arch = d.str(), d.str()
	p.EVR = rpm.EVR{Epoch: d.uint32(), Version: d.str(), Release: d.str()}
	p.Vendor, p.SourceRPM, p.ModularityLabel = d.str(), d.str(), d.str()
	p.Package.Header = d.str()
	p.BuildTime, p.InstalledSize = d.int(), d.int()
	p.Color, p.ColorKnown, p.FilesComplete = rpm.Color(d.uint()), d.bool(), d.bool() //nolint:gosec // two bits
	p.Location, p.Base = d.str(), d.str()
	p.Checksum = Checksum{d.str(), d.str()}
	p.Size, p.HeaderStart, p.HeaderEnd = d.int(), d.int(), d.int()
}

// packages reads what encoder.packages wrote.
func (d *decoder) packages() []*Package {
	n := d.count(1)
	blocks := make([]*decoder, 0, n)
	for range n {
		blocks = append(blocks, d.split(d.count(1)))
	}
	if d.err != nil {
		return nil
	}
	parts := make([][]*Package, len(blocks))
	var wg sync.WaitGroup
	for w := range scanWorkers {
		wg.Go(func() {
			for i := w; i < len(blocks); i += scanWorkers {
				parts[i] = blocks[i].block()
			}
		})
	}
	wg.Wait()
	for _, b := range blocks {
		if b.err != nil {
			d.fail()
			return nil
		}
	}
	return slices.Concat(parts...)
}

// recordFields is how many numbers decoder.pkg reads.
const recordFields = 21

// minRecord is the least number of bytes of a package in the index: its fields, 8 lists, and the files.
const minRecord = recordFields + 9

// block reads the packages of one block. Lists share two allocations.
func (d *decoder) block() []*Package {
	n, nDeps, nFiles := d.count(minRecord), d.count(1), d.count(1)
	rpms, pkgs := make([]rpm.Package, n), make([]Package, n)
	slab, files := make([]rpm.Dep, nDeps), make([]string, 0, nFiles)
	out := make([]*Package, n)
	for i := range out {
		p := &pkgs[i]
		p.Package = &rpms[i]
		d.pkg(p)
		for _, l := range depLists(p.Package) {
			if n := d.count(1); n > 0 && n <= len(slab) {
				*l, slab = slab[:n:n], slab[n:]
				for i := range *l {
					d.dep(&(*l)[i])
				}
			} else if n > 0 {
				d.fail()
			}
		}
		from := len(files)
		for range d.count(1) {
			files = append(files, d.str())
		}
		if len(files) > from {
			p.Files = files[from:len(files):len(files)]
		}
		out[i] = p
	}
	return out
}
