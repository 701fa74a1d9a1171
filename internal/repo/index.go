package repo

import (
	"slices"
	"sync"

	"cpacman/internal/rpm"
)

// indexBlock is how many packages are decoded together; blocks are independent, so that several workers can decode.
const indexBlock = 512

// fileID tells whether a file is the one that was read before, without reading it. A changed file with an unchanged ctime would
// take a clock set back on purpose.
type fileID struct {
	Size         int64
	MTime, CTime int64 // nanoseconds since 1970
	Inode, Dev   uint64
}

func (e *encoder) fileID(f fileID) {
	e.int(f.Size)
	e.int(f.MTime)
	e.int(f.CTime)
	e.uint(f.Inode)
	e.uint(f.Dev)
}

func (d *decoder) fileID() fileID {
	return fileID{d.int(), d.int(), d.int(), d.uint(), d.uint()}
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
	body := e.body
	var blocks [][]byte
	for block := range slices.Chunk(list, indexBlock) {
		nDeps, nFiles := 0, 0
		e.body = nil
		for _, p := range block {
			e.record(p)
			for _, l := range depLists(p.Package) {
				nDeps += len(*l)
			}
			nFiles += len(p.Files)
		}
		records := e.body
		e.body = nil
		e.count(len(block))
		e.count(nDeps)
		e.count(nFiles)
		blocks = append(blocks, append(e.body, records...))
	}
	e.body = body
	e.count(len(blocks))
	for _, b := range blocks {
		e.count(len(b))
		e.body = append(e.body, b...)
	}
}

// dep writes the number of the name with two bits: needed before scriptlets, has a range. Epoch and comparison, version and release
// follow only with a range.
func (e *encoder) dep(d rpm.Dep) {
	bits := uint64(0)
	if d.Sense != 0 {
		bits = 1
	}
	if d.Pre {
		bits |= 2
	}
	e.uint(e.number(d.Name)<<2 | bits)
	if d.Sense != 0 {
		e.uint(uint64(d.EVR.Epoch)<<3 | uint64(d.Sense>>1))
		e.str(d.EVR.Version)
		e.str(d.EVR.Release)
	}
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

// pkg writes a package without its dependencies and files.
func (e *encoder) pkg(p *Package) {
	e.str(p.Name)
	e.str(p.Arch)
	e.uint(uint64(p.Epoch))
	e.str(p.Version)
	e.str(p.Release)
	e.str(p.Vendor)
	e.str(p.SourceRPM)
	e.str(p.ModularityLabel)
	e.str(p.Package.Header)
	e.int(p.BuildTime)
	e.int(p.InstalledSize)
	e.uint(uint64(p.Color))
	e.bool(p.ColorKnown)
	e.bool(p.FilesComplete)
	e.str(p.Location)
	e.str(p.Base)
	e.str(p.Checksum.Type)
	e.str(p.Checksum.Value)
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

// minRecord is the least number of bytes of a package in the index: 21 fields, 8 lists, and the files.
const minRecord = 30

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
