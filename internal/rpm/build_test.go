package rpm

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/rpmpack"
)

// sample describes the package that most tests read.
func sample(t testing.TB) *rpmpack.RPM {
	t.Helper()
	relations := func(texts ...string) rpmpack.Relations {
		var out rpmpack.Relations
		for _, s := range texts {
			if err := out.Set(s); err != nil {
				t.Fatal(err)
			}
		}
		return out
	}
	r, err := rpmpack.NewRPM(rpmpack.RPMMetaData{
		Name: "sample", Version: "1.2~rc1", Release: "3^git", Epoch: 2, Arch: "x86_64", OS: "linux", Vendor: "Test Vendor",
		Summary: "a sample", Description: "for tests", Licence: "none", Compressor: "gzip", BuildTime: time.Unix(1700000000, 0),
		Provides:   relations("cap=1.0-2", "libsample.so.1()(64bit)"),
		Requires:   relations("/bin/sh", "other>=2:1.0", "rpmlib(CompressedFileNames)<=3.0.4-1"),
		Obsoletes:  relations("old-sample<1.0"),
		Conflicts:  relations("enemy=3"),
		Recommends: relations("nice"),
		Suggests:   relations("nicer>1"),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.AddFile(rpmpack.RPMFile{Name: "/etc/sample.conf", Body: []byte("a = 1\n"), Mode: 0o644, Owner: "root", Group: "root",
		Type: rpmpack.ConfigFile | rpmpack.NoReplaceFile, MTime: 1700000000})
	r.AddFile(rpmpack.RPMFile{Name: "/usr/bin/sample", Body: bytes.Repeat([]byte("x"), 5000), Mode: 0o755, Owner: "root", Group: "root", MTime: 1700000000})
	r.AddFile(rpmpack.RPMFile{Name: "/usr/bin/other", Body: []byte("sample"), Mode: 0o120777, Owner: "root", Group: "root", MTime: 1700000000})
	r.AddPrein("echo pre\n")
	r.AddPostin("echo post\n")
	r.AddPostun("echo postun\n")
	r.AddCustomTag(tagFileColors, rpmpack.EntryInt32([]int32{0, 2, 0}))
	r.AddCustomTag(tagModularityLabel, rpmpack.EntryString("mod:1:2:c"))
	return r
}

func write(t testing.TB, r *rpmpack.RPM) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// toFile puts bytes where rpm can read them.
func toFile(t testing.TB, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.rpm")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// tagData is one entry of a header that makeHeader builds. data is an int32, []int32, string, []string or []byte.
type tagData struct {
	tag  uint32
	data any
}

// makeHeader builds a header of any shape, sound or not: entries in the given order, those after a nil tag outside the region.
func makeHeader(region uint32, entries ...tagData) []byte {
	var index, data []byte
	put := func(tag, typ uint32, offset, count int) {
		for _, n := range []uint32{tag, typ, uint32(int32(offset)), uint32(count)} {
			index = binary.BigEndian.AppendUint32(index, n)
		}
	}
	trailer := func() { // closes the region
		inside := len(index)/entrySize + 1
		offset := len(data)
		for _, n := range []uint32{region, typeBin, uint32(int32(-inside * entrySize)), regionLength} {
			data = binary.BigEndian.AppendUint32(data, n)
		}
		own := index
		index = nil
		put(region, typeBin, offset, regionLength)
		index = append(index, own...)
	}
	closed := region == 0
	for _, e := range entries {
		if e.tag == 0 {
			trailer()
			closed = true
			continue
		}
		switch v := e.data.(type) {
		case int32:
			data = append(data, make([]byte, (4-len(data)%4)%4)...)
			put(e.tag, typeInt32, len(data), 1)
			data = binary.BigEndian.AppendUint32(data, uint32(v))
		case []int32:
			data = append(data, make([]byte, (4-len(data)%4)%4)...)
			put(e.tag, typeInt32, len(data), len(v))
			for _, n := range v {
				data = binary.BigEndian.AppendUint32(data, uint32(n))
			}
		case string:
			put(e.tag, typeString, len(data), 1)
			data = append(data, v+"\x00"...)
		case []string:
			put(e.tag, typeStringArray, len(data), len(v))
			data = append(data, strings.Join(v, "\x00")+"\x00"...)
		case []byte:
			put(e.tag, typeBin, len(data), len(v))
			data = append(data, v...)
		}
	}
	if !closed {
		trailer()
	}
	out := binary.BigEndian.AppendUint32(nil, uint32(len(index)/entrySize))
	out = binary.BigEndian.AppendUint32(out, uint32(len(data)))
	return slices.Concat(out, index, data)
}

// minimal is the least that Package takes.
func minimal(more ...tagData) []tagData {
	return append([]tagData{{tagName, "p"}, {tagVersion, "1"}, {tagRelease, "1"}, {tagArch, "noarch"}, {tagSourceRPM, "p.src.rpm"}}, more...)
}

func readFile(t testing.TB, path string) *File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	pkg, err := ReadPackageFile(f)
	if err != nil {
		t.Fatal(err)
	}
	return pkg
}
