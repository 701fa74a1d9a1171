package rpm

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/rpmpack"
)

func readSample(t testing.TB) (*File, []byte) {
	t.Helper()
	b := write(t, sample(t))
	f, err := ReadPackageFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return f, b
}

func TestPackage(t *testing.T) {
	f, b := readSample(t)
	p, err := f.Package()
	if err != nil {
		t.Fatal(err)
	}
	if f.Size != int64(len(b)) || p.String() != "sample-2:1.2~rc1-3^git.x86_64" || p.Header != f.Header.SHA256() || p.Vendor != "Test Vendor" ||
		p.BuildTime != 1700000000 || p.ModularityLabel != "mod:1:2:c" || !p.ColorKnown || p.Color != ELF64 || !p.FilesComplete {
		t.Errorf("size %d of %d, package %+v", f.Size, len(b), p)
	}
	deps := map[string][]Dep{"p": p.Provides, "r": p.Requires, "o": p.Obsoletes, "c": p.Conflicts, "w": p.Recommends, "s": p.Suggests}
	for k, want := range map[string][]string{
		"p": {"cap = 1.0-2", "libsample.so.1()(64bit)", "sample = 1.2~rc1-3^git"},
		"r": {"/bin/sh", "other >= 2:1.0", "rpmlib(CompressedFileNames) <= 3.0.4-1"},
		"o": {"old-sample < 1.0"}, "c": {"enemy = 3"}, "w": {"nice"}, "s": {"nicer > 1"},
	} {
		var got []string
		for _, d := range deps[k] {
			got = append(got, d.String())
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s:\n%s", k, d)
		}
	}
	if d := cmp.Diff([]string{"/etc/sample.conf", "/usr/bin/other", "/usr/bin/sample"}, p.Files); d != "" {
		t.Error(d)
	}
	files, err := f.Header.Files()
	if err != nil || len(files) != 3 || files[0].Flags != FileConfig|FileNoReplace || files[1].Target != "sample" || files[2].Size != 5000 ||
		files[2].Mode != 0o100755 || len(files[2].Digest) != 64 || files[0].User != "root" {
		t.Errorf("files %+v, %v", files, err)
	}
	scripts, err := f.Header.Scriptlets()
	if err != nil || len(scripts) != 3 || scripts[0].Kind != "pre" || scripts[1].Body != "echo post\n" || scripts[2].Program[0] != "/bin/sh" {
		t.Errorf("scriptlets %+v, %v", scripts, err)
	}
}

func TestPackageVariants(t *testing.T) {
	parse := func(more ...tagData) (*Package, error) {
		h, err := ParseHeader(makeHeader(tagHeaderImmutable, more...))
		if err != nil {
			return nil, err
		}
		return h.Package()
	}
	p, err := parse(minimal(tagData{tagRequireName, []string{"a", "b", "c", "d"}},
		tagData{tagRequireVersion, []string{"", "1.0-", "99999999999:1", "v:2"}},
		tagData{tagRequireFlags, []int32{1 << 9, 8 | 1<<10, 12 | 1<<11, 2 | 1<<6}})...)
	if err != nil {
		t.Fatal(err)
	}
	want := []Dep{{Name: "a", Pre: true}, {Name: "b", Sense: Equal, EVR: EVR{Version: "1.0"}, Pre: true},
		{Name: "c", Sense: Equal | Greater, EVR: EVR{Epoch: 1<<32 - 1, Version: "1"}}, {Name: "d", Sense: Less, EVR: EVR{Version: "v:2"}, Pre: true}}
	if d := cmp.Diff(want, p.Requires); d != "" {
		t.Error(d)
	}
	src := []tagData{{tagName, "p"}, {tagVersion, "1"}, {tagRelease, "1"}, {tagArch, "x86_64"}}
	if p, err = parse(src...); err != nil || p.Arch != "src" {
		t.Errorf("source package: %v, %v", p, err)
	}
	if p, err = parse(append(src, tagData{tagNoSource, int32(0)})...); err != nil || p.Arch != "nosrc" {
		t.Errorf("nosrc package: %v, %v", p, err)
	}
	if p, err = parse(tagData{tagName, PubkeyName}, tagData{tagVersion, "0a0b0c0d"}, tagData{tagRelease, "4f5e6d7c"}); err != nil || p.Arch != "(none)" {
		t.Errorf("key: %v, %v", p, err)
	}
	if p, err = parse(minimal(tagData{tagOldFilenames, []string{"/a", "/b/c"}})...); err != nil || len(p.Files) != 2 || p.Files[1] != "/b/c" {
		t.Errorf("old file names: %v, %v", p, err)
	}
	h, err := ParseHeader(makeHeader(0, minimal(tagData{tagProvideName, []string{"x"}})...))
	if err != nil {
		t.Fatal(err)
	}
	if p, err = h.Package(); err != nil || len(p.Provides) != 2 || p.Provides[1].String() != "p = 1-1" {
		t.Errorf("package of rpm 3: %+v, %v", p, err)
	}
}

// TestPackageRefuses has one header for each rule about contents.
func TestPackageRefuses(t *testing.T) {
	for what, entries := range map[string][]tagData{
		"no name":              {{tagVersion, "1"}, {tagRelease, "1"}, {tagArch, "noarch"}, {tagSourceRPM, "s"}},
		"name with a newline":  {{tagName, "a\nb"}, {tagVersion, "1"}, {tagRelease, "1"}, {tagArch, "noarch"}, {tagSourceRPM, "s"}},
		"name with an escape":  {{tagName, "a\x1b[1m"}, {tagVersion, "1"}, {tagRelease, "1"}, {tagArch, "noarch"}, {tagSourceRPM, "s"}},
		"name is an option":    {{tagName, "-e"}, {tagVersion, "1"}, {tagRelease, "1"}, {tagArch, "noarch"}, {tagSourceRPM, "s"}},
		"slash in the arch":    {{tagName, "a"}, {tagVersion, "1"}, {tagRelease, "1"}, {tagArch, "../x"}, {tagSourceRPM, "s"}},
		"dash in the version":  {{tagName, "a"}, {tagVersion, "1-2"}, {tagRelease, "1"}, {tagArch, "noarch"}, {tagSourceRPM, "s"}},
		"no release":           {{tagName, "a"}, {tagVersion, "1"}, {tagArch, "noarch"}, {tagSourceRPM, "s"}},
		"flags too few":        minimal(tagData{tagRequireName, []string{"a", "b"}}, tagData{tagRequireFlags, []int32{8}}),
		"versions too many":    minimal(tagData{tagRequireName, []string{"a"}}, tagData{tagRequireVersion, []string{"1", "2"}}),
		"names are numbers":    minimal(tagData{tagRequireName, []int32{1}}),
		"recommends a number":  minimal(tagData{tagRecommendName, int32(1)}),
		"directory not there":  minimal(tagData{tagBasenames, []string{"a"}}, tagData{tagDirNames, []string{"/"}}, tagData{tagDirIndexes, []int32{1}}),
		"indexes too few":      minimal(tagData{tagBasenames, []string{"a", "b"}}, tagData{tagDirNames, []string{"/"}}, tagData{tagDirIndexes, []int32{0}}),
		"paths beyond measure": minimal(tagData{tagBasenames, make([]string, 5000)}, tagData{tagDirNames, []string{"/" + strings.Repeat("d", 100000)}}, tagData{tagDirIndexes, make([]int32, 5000)}),
	} {
		h, err := ParseHeader(makeHeader(tagHeaderImmutable, entries...))
		if err == nil {
			_, err = h.Package()
		}
		if !errors.Is(err, ErrHeader) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestParseHeaderRefuses damages one sound header in every way that the structure can be wrong.
func TestParseHeaderRefuses(t *testing.T) {
	good := makeHeader(tagHeaderImmutable, minimal()...)
	if _, err := ParseHeader(good); err != nil {
		t.Fatal(err)
	}
	if h, err := ParseHeader(append([]byte(headerMagic), good...)); err != nil || h.Text(tagName) != "p" {
		t.Fatal("with magic: ", err)
	}
	put := func(at int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte { binary.BigEndian.PutUint32(b[at:], v); return b }
	}
	trailer := int(binary.BigEndian.Uint32(good[8+8:])) + 8 + 6*entrySize
	for what, damage := range map[string]func([]byte) []byte{
		"empty":                  func([]byte) []byte { return nil },
		"short":                  func(b []byte) []byte { return b[:7] },
		"one byte missing":       func(b []byte) []byte { return b[:len(b)-1] },
		"one byte more":          func(b []byte) []byte { return append(b, 0) },
		"no tags":                put(0, 0),
		"too many tags":          put(0, 1<<16),
		"tags beyond the data":   put(0, 600),
		"huge data":              put(4, 1<<31),
		"region type":            put(12, typeInt32),
		"region count":           put(20, 17),
		"region offset":          put(16, 1<<30),
		"region offset negative": put(16, 1<<32-16),
		"trailer tag":            put(trailer, 1),
		"trailer size":           put(trailer+8, 1<<32-7),
		"trailer size positive":  put(trailer+8, 32),
		"trailer too large":      put(trailer+8, 1<<32-16*entrySize),
		"entry type null":        put(24+4, typeNull),
		"entry type unknown":     put(24+4, 10),
		"entry wrong type":       put(24+4, typeBin),
		"entry count zero":       put(24+12, 0),
		"entry count several":    put(24+12, 2),
		"entry count huge":       put(24+12, 1<<32-1),
		"entry offset":           put(24+8, 1<<31),
		"entries overlap":        put(40+8, 0),
		"entry tag small":        put(24, 62),
		"string without end":     func(b []byte) []byte { copy(b[trailer-20:trailer], bytes.Repeat([]byte("x"), 20)); return b },
	} {
		b := damage(bytes.Clone(good))
		h, err := ParseHeader(b)
		if !errors.Is(err, ErrHeader) {
			t.Errorf("%s: %v, %v", what, h, err)
		}
	}
	if _, err := ParseHeader(make([]byte, MaxHostHeader+1)); !errors.Is(err, ErrHeader) {
		t.Errorf("huge: %v", err)
	}
}

// TestOutsideTheRegion proves that nothing outside the digest can change what a package says.
func TestOutsideTheRegion(t *testing.T) {
	plain := makeHeader(tagHeaderImmutable, minimal()...)
	digest, err := HeaderDigest(plain)
	if err != nil {
		t.Fatal(err)
	}
	more := makeHeader(tagHeaderImmutable, append(minimal(), tagData{}, tagData{tagName, "evil"}, tagData{tagObsoleteName, []string{"glibc"}},
		tagData{tagInstallTime, int32(1234)}, tagData{installSHA256, digest})...)
	h, err := CheckHeader(more, digest)
	if err != nil {
		t.Fatal(err)
	}
	p, err := h.Package()
	if err != nil || p.Name != "p" || len(p.Obsoletes) != 0 {
		t.Errorf("%+v, %v", p, err)
	}
	if !bytes.Equal(h.Immutable(), plain) {
		t.Error("the region is not what it was before the installation")
	}
	in, err := ParseInstalled(more)
	if err != nil || in.InstallTime != 1234 || in.Header != digest {
		t.Errorf("%+v, %v", in, err)
	}
	old, err := ParseInstalled(makeHeader(tagHeaderImmutable, append(minimal(), tagData{}, tagData{installSHA1, h.SHA1()})...))
	if err != nil || old.Header != h.SHA1() {
		t.Errorf("%+v, %v", old, err)
	}
	if _, err := CheckHeader(more, h.SHA1()); err != nil {
		t.Error(err)
	}
	for _, wrong := range []string{"", "abc", strings.Repeat("0", 64), strings.Repeat("0", 40)} {
		if _, err := CheckHeader(more, wrong); !errors.Is(err, ErrDigest) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	// In a package file the region has to be all of the header.
	b := write(t, sample(t))
	f, err := ReadPackageFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, f.Header.immutable)
	file := bytes.Join([][]byte{b[:at], more, b[at+len(f.Header.immutable):]}, nil)
	if _, err := ReadPackageFile(bytes.NewReader(file)); !errors.Is(err, ErrHeader) {
		t.Errorf("package with tags outside its region: %v", err)
	}
}

func TestFirstOccurrenceWins(t *testing.T) {
	h, err := ParseHeader(makeHeader(tagHeaderImmutable, append(minimal(), tagData{tagName, "second"})...))
	if err != nil || h.Text(tagName) != "p" {
		t.Errorf("%v, %v", h, err)
	}
}

func TestReadPackageFileRefuses(t *testing.T) {
	_, good := readSample(t)
	for what, damage := range map[string]func([]byte) []byte{
		"empty":           func([]byte) []byte { return nil },
		"delta":           func(b []byte) []byte { copy(b, "drpm"); return b },
		"text":            func(b []byte) []byte { copy(b, "<!DOCTYPE html>"); return b },
		"format 2":        func(b []byte) []byte { b[4] = 2; return b },
		"signature type":  func(b []byte) []byte { b[79] = 1; return b },
		"ends in lead":    func(b []byte) []byte { return b[:50] },
		"ends in sigs":    func(b []byte) []byte { return b[:120] },
		"ends in header":  func(b []byte) []byte { return b[:1000] },
		"many sigs":       func(b []byte) []byte { binary.BigEndian.PutUint32(b[96+8:], 33); return b },
		"huge signatures": func(b []byte) []byte { binary.BigEndian.PutUint32(b[96+12:], 65<<20); return b },
	} {
		if _, err := ReadPackageFile(bytes.NewReader(damage(bytes.Clone(good)))); !errors.Is(err, ErrNotPackage) && !errors.Is(err, ErrHeader) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := (Limits{Header: 100}).ReadPackageFile(bytes.NewReader(good)); !errors.Is(err, ErrHeader) {
		t.Errorf("own limit: %v", err)
	}
}

// TestNoMemoryForPromises gives a header that promises 256 MiB and a file that ends: nothing of that size may be taken.
func TestNoMemoryForPromises(t *testing.T) {
	_, good := readSample(t)
	binary.BigEndian.PutUint32(good[96+12:], 63<<20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := ReadPackageFile(bytes.NewReader(good))
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; err == nil || used > 4<<20 {
		t.Errorf("%d bytes taken for a file of %d: %v", used, len(good), err)
	}
}

// TestMutations damages packages at random: no panic, and no memory beyond a small multiple of the file.
func TestMutations(t *testing.T) {
	_, good := readSample(t)
	r := rand.New(rand.NewSource(7))
	for i := range 4000 {
		b := bytes.Clone(good)
		for range 1 + r.Intn(4) {
			at := r.Intn(len(b) - 4)
			switch r.Intn(3) {
			case 0:
				b[at] = byte(r.Intn(256))
			case 1:
				binary.BigEndian.PutUint32(b[at&^3:], []uint32{0, 1, 1 << 16, 1 << 28, 1<<31 - 1, 1 << 31, 1<<32 - 16, 1<<32 - 1}[r.Intn(8)])
			default:
				b = append(b[:at], b[min(len(b), at+r.Intn(64)):]...)
			}
			if len(b) < 200 {
				break
			}
		}
		var before, after runtime.MemStats
		if i%50 == 0 {
			runtime.ReadMemStats(&before)
		}
		useAll(b)
		if i%50 == 0 {
			runtime.ReadMemStats(&after)
			if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
				t.Fatalf("mutation %d: %d bytes taken for %d", i, used, len(b))
			}
		}
	}
}

// useAll calls all that reads a package.
func useAll(b []byte) {
	f, err := ReadPackageFile(bytes.NewReader(b))
	if err != nil {
		return
	}
	f.Package()
	f.Header.Files()
	f.Header.Scriptlets()
	ParseInstalled(f.Header.Immutable())
}

func FuzzParseHeader(f *testing.F) {
	pkg, _ := readSample(f)
	f.Add(pkg.Header.Immutable())
	f.Add(pkg.Signature.Immutable())
	f.Add(makeHeader(tagHeaderImmutable, append(minimal(), tagData{}, tagData{tagInstallTime, int32(9)})...))
	f.Add(makeHeader(0, minimal(tagData{tagTriggerScripts, []string{"x"}}, tagData{tagTriggerName, []string{"y"}}, tagData{tagTriggerIndex, []int32{0}})...))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := ParseHeader(b)
		if err != nil {
			return
		}
		h.Files()
		h.Scriptlets()
		if p, err := h.Package(); err == nil {
			if again, err := ParseNEVRA(p.NEVRA.String()); err != nil || again != p.NEVRA {
				t.Fatalf("%q reads as %q: %v", p.NEVRA, again, err)
			}
		}
		again, err := ParseHeader(h.Immutable())
		if err != nil || again.SHA256() != h.SHA256() {
			t.Fatalf("the region alone is another header: %v", err)
		}
	})
}

func FuzzReadPackageFile(f *testing.F) {
	_, b := readSample(f)
	f.Add(b)
	f.Fuzz(func(_ *testing.T, b []byte) { useAll(b) })
}

// TestAgainstRPM builds packages of several kinds and compares every fact with rpm's reading.
func TestAgainstRPM(t *testing.T) {
	if _, err := exec.LookPath("rpm"); err != nil {
		t.Skip("needs rpm: ", err)
	}
	empty, err := rpmpack.NewRPM(rpmpack.RPMMetaData{Name: "empty", Version: "0", Release: "0", Arch: "noarch"})
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string]string{
		"rpmpack": toFile(t, write(t, sample(t))),
		"empty":   toFile(t, write(t, empty)),
		"rpmbuild": buildSpec(t, "built", []string{"Epoch: 3", "Requires(pre): sh >= 1", "Requires(post,preun): (a >= 1 if b else c)", "Requires(pretrans): d",
			"Provides: x = 4:5-6", "Obsoletes: y <= 7", "Supplements: (z and w)", "Enhances: v", "Suggests: u", "Vendor: Müller & Söhne",
			"%global __x 1\n%pretrans -p <lua>\nx = 1\n%pre\necho pre\n%posttrans\necho end\n%triggerin -- q > 3, r\necho trigger", "%description -l de\nnichts"}),
	}
	for name, path := range paths {
		t.Run(name, func(t *testing.T) {
			f := readFile(t, path)
			want, err := askQuery(t, "-p", path)
			if err != nil {
				t.Fatal(err)
			}
			if d := diffLines(describe(t, f.Header), want); d != "" {
				t.Error(d)
			}
			out, err := exec.Command("rpm", "-qp", "--nosignature", "--qf", `%{SHA256HEADER} %{HEADERIMMUTABLE:base64}`, path).Output()
			if err != nil {
				t.Fatal(err)
			}
			digest, text, _ := strings.Cut(string(out), " ")
			blob, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
			if err != nil {
				t.Fatal(err)
			}
			if h, err := CheckHeader(blob, digest); err != nil || h.SHA256() != f.Header.SHA256() || !bytes.Equal(blob, f.Header.Immutable()) {
				t.Errorf("digest %s: %v", digest, err)
			}
		})
	}
}

func BenchmarkPackage(b *testing.B) {
	entries := minimal()
	var names, versions, bases, digests []string
	var flags, dirs []int32
	for i := range 100 {
		names, versions, flags = append(names, fmt.Sprintf("lib%d.so.1()(64bit)", i)), append(versions, "1:2.3-4"), append(flags, 8)
		bases, dirs, digests = append(bases, fmt.Sprintf("file%d", i)), append(dirs, 0), append(digests, strings.Repeat("a", 64))
	}
	entries = append(entries, tagData{tagFileDigests, digests}, tagData{tagRequireFlags, flags}, tagData{tagRequireName, names}, tagData{tagRequireVersion, versions},
		tagData{tagDirIndexes, dirs}, tagData{tagBasenames, bases}, tagData{tagDirNames, []string{"/usr/share/something/"}})
	blob := makeHeader(tagHeaderImmutable, entries...)
	b.SetBytes(int64(len(blob)))
	b.ReportAllocs()
	for b.Loop() {
		h, err := ParseHeader(blob)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := h.Package(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadPackageFile(b *testing.B) {
	_, file := readSample(b)
	file = append(file, make([]byte, 32<<20)...)
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		if _, err := ReadPackageFile(bytes.NewReader(file)); err != nil {
			b.Fatal(err)
		}
	}
}
