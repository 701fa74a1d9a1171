package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDamage has one way to damage a repository a line, the file that must be named, and what must be said.
func TestDamage(t *testing.T) {
	good := primaryXML(packageXML("foo"), packageXML("bar"))
	edit := func(pairs ...string) metaFile {
		return metaFile{kind: "primary", compress: "gz", content: primaryXML(packageXML("foo", pairs...))}
	}
	entry := func(old, with string) metaFile {
		return metaFile{kind: "primary", compress: "gz", content: good, change: func(s string) string {
			if !strings.Contains(s, old) {
				t.Fatalf("nothing to replace in %s: %s", s, old)
			}
			return strings.Replace(s, old, with, 1)
		}}
	}
	const index, file = repomdPath, "repodata/primary.gz"
	for name, c := range map[string]struct {
		meta       metaFile
		file, want string
	}{
		"truncated":           {metaFile{kind: "primary", compress: "gz", content: good, spoil: func(b []byte) []byte { return b[:len(b)-20] }}, file, "truncated: "},
		"longer":              {metaFile{kind: "primary", compress: "gz", content: good, spoil: func(b []byte) []byte { return append(b, 0) }}, file, "bytes, repomd.xml says"},
		"missing":             {metaFile{kind: "primary", compress: "gz", content: good, absent: true}, file, "missing"},
		"changed bytes":       {metaFile{kind: "primary", content: good, spoil: func(b []byte) []byte { return bytes.Replace(b, []byte("foo"), []byte("fox"), 1) }}, "repodata/primary", "checksum mismatch: sha256 is"},
		"spoiled gzip":        {metaFile{kind: "primary", compress: "gz", content: good, spoil: func(b []byte) []byte { b[len(b)/2] ^= 0xff; return b }}, file, "checksum mismatch"},
		"cut before the sums": {metaFile{kind: "primary", compress: "gz", content: good[:300]}, file, "the XML ends in the middle"},
		"open-checksum":       {entry(hexSum([]byte(good)), hexSum(nil)), file, "checksum of the opened file mismatches"},
		"open-size small":     {entry("<open-size>", "<open-size>1"+"</open-size><x>"), index, "malformed XML"},
		"absurd size":         {entry("<size>", "<size>-"), index, "absurd size"},
		"huge open-size":      {entry("</open-size>", "000000000</open-size>"), file, "absurd open-size"},
		"unknown sum":         {entry(`checksum type="sha256"`, `checksum type="crc"`), index, `unknown checksum type "crc"`},
		"short sum":           {entry(`checksum type="sha256"`, `checksum type="sha512"`), index, "has 64 characters, not 128"},
		"no sum":              {entry(`<checksum type="sha256">`+hexSum(compressed(t, "gz", []byte(good)))+`</checksum>`, ""), index, "has no checksum"},
		"escape":              {entry("repodata/primary", "../../etc/primary"), index, "leaves the repository"},
		"escape in middle":    {entry("repodata/primary", "repodata/../../x"), index, "leaves the repository"},
		"absolute":            {entry("repodata/primary", "/etc/passwd"), index, "absolute path"},
		"URL":                 {entry("repodata/primary", "http://x/primary"), index, "is a URL"},
		"base": {metaFile{kind: "primary", compress: "gz", content: good, absent: true, change: func(s string) string {
			return strings.Replace(s, "<location ", `<location xml:base="http://mirror/" `, 1)
		}}, file, `missing, repomd.xml has it at "http://mirror/"`},
		"control character": {entry("repodata/primary", "repodata/&#9;primary"), index, "control characters"},
		"no primary":        {metaFile{kind: "other", content: "x"}, index, "names no package list"},
		"zchunk only":       {metaFile{kind: "primary_zck", content: "\x00ZCK1"}, "repodata/primary_zck", "not supported"},
		"zchunk inside":     {metaFile{kind: "primary", content: "\x00ZCK1xxxxxxxxxxxxxxxxx"}, "repodata/primary", "not supported"},
		"empty name":        {edit("<name>foo</name>", "<name> </name>"), file, "a package has no name"},
		"no arch":           {edit("<arch>x86_64</arch>", ""), file, `package "foo": no arch`},
		"no version":        {edit(`<version epoch="1" ver="1.2" rel="3.el9"/>`, ""), file, "no version"},
		"no release":        {edit(` rel="3.el9"/>`+"\n  <checksum", "/>\n  <checksum"), file, "no release"},
		"no location":       {edit("<location ", "<nolocation "), file, "no location"},
		"no checksum":       {edit(`<checksum type="sha256" pkgid="YES">`+hexSum([]byte("foo"))+"</checksum>", ""), file, "no checksum"},
		"bad flags":         {edit(`flags="GE"`, `flags="GX"`), file, `unknown flags "GX"`},
		"bad epoch":         {edit(`<version epoch="1"`, `<version epoch="4294967296"`), file, "epoch"},
		"bad dep epoch":     {edit(`"EQ" epoch="1"`, `"EQ" epoch="x"`), file, "epoch"},
		"nameless dep":      {edit(`name="/bin/sh"`, `nome="/bin/sh"`), file, "dependency without a name"},
		"bad size":          {edit(`package="100"`, `package="1e9"`), file, "absurd size"},
		"package escape":    {edit(`href="Packages/`, `href="Packages/../../../`), file, "leaves the repository"},
		"package URL":       {edit(`href="Packages/foo-1.2-3.el9.x86_64.rpm"`, `href="https://mirror/x/"`), file, "empty location"},
		"package URL up":    {edit(`href="Packages/foo-1.2-3.el9.x86_64.rpm"`, `href="https://mirror/.."`), file, "leaves the repository"},
		"terminal escape":   {edit(`href="Packages/`, `href="Packages/`+"\u009b"), file, "control characters"},
		"right to left":     {edit("<name>foo</name>", "<name>foo\u202egpj</name>"), file, "has a character no name has"},
		"space in name":     {edit("<name>foo</name>", "<name>foo bar</name>"), file, "has a character no name has"},
		"dash in version":   {edit(`ver="1.2"`, `ver="1-2"`), file, "has a character no version has"},
		"slash in arch":     {edit("<arch>x86_64", "<arch>x86/64"), file, "has a character no arch has"},
		"entity bomb": {metaFile{kind: "primary", compress: "gz", content: strings.NewReplacer("\n<metadata", "\n<!DOCTYPE m [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]>\n<metadata", "MIT", "&b;").
			Replace(good)}, file, "invalid character entity &b;"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := madeRepo(t, c.meta)
			_, err := Open(context.Background(), Config{"test", dir}, Options{})
			wantDamage(t, err, c.file, c.want)
			if strings.ContainsAny(err.Error(), "\x00\x01\x1b\u009b\u202e\n\t") {
				t.Errorf("control characters in %q", err)
			}
			problems, err := Check(context.Background(), Config{"test", dir}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, p := range problems {
				found = found || p.File == c.file && !p.Note
			}
			if !found {
				t.Errorf("repo check does not name %s: %v", c.file, problems)
			}
		})
	}
}

func TestNotARepository(t *testing.T) {
	if _, err := Open(context.Background(), Config{"test", filepath.Join(t.TempDir(), "x")}, Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	file := filepath.Join(t.TempDir(), "x")
	write(t, file, nil)
	if _, err := Open(context.Background(), Config{"test", file}, Options{}); err == nil {
		t.Error("a file opens as repository")
	}
	half := t.TempDir()
	write(t, filepath.Join(half, "repodata", "primary.xml.gz"), nil)
	_, err := Open(context.Background(), Config{"test", half}, Options{})
	wantDamage(t, err, repomdPath, "missing")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Open(ctx, Config{"test", madeRepo(t, metaFile{kind: "primary", content: primaryXML()})}, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

// TestSymlinkOut: a metadata file or package that is a link out of the repository is not read.
func TestSymlinkOut(t *testing.T) {
	content := primaryXML(packageXML("foo"))
	dir := madeRepo(t, metaFile{kind: "primary", content: content})
	outside := filepath.Join(t.TempDir(), "primary")
	write(t, outside, []byte(content))
	inside := filepath.Join(dir, "repodata", "primary")
	if err := errors.Join(os.Remove(inside), os.Symlink(outside, inside)); err != nil {
		t.Fatal(err)
	}
	_, err := Open(context.Background(), Config{"test", dir}, Options{})
	wantDamage(t, err, "repodata/primary", "escapes")
}

// TestRepodataLinked: metadata in a directory that is a link out of the repository, or to nothing, are damage. The RPMs beside it are not the
// repository: repo check found no fault with them.
func TestRepodataLinked(t *testing.T) {
	made := madeRepo(t, metaFile{kind: "primary", content: primaryXML(packageXML("foo"))})
	for target, want := range map[string]string{filepath.Join(made, "repodata"): "escapes", "gone": "missing"} {
		dir := t.TempDir()
		if err := os.Symlink(target, filepath.Join(dir, "repodata")); err != nil {
			t.Fatal(err)
		}
		_, err := Open(t.Context(), Config{"test", dir}, Options{})
		wantDamage(t, err, repomdPath, want)
		problems, err := Check(t.Context(), Config{"test", dir}, Options{})
		if err != nil || len(problems) != 1 || problems[0].File != repomdPath || problems[0].Note || !strings.Contains(problems[0].What, want) {
			t.Errorf("%s: %v %v", target, problems, err)
		}
	}
}

// TestBomb opens little to very much, and stops at what repomd.xml says, or at the limit when it says nothing.
func TestBomb(t *testing.T) {
	for name, c := range map[string]struct {
		form string
		size int
		said string
	}{
		"gz, said small":  {"gz", 8 << 20, "<open-size>5000</open-size>"},
		"xz, said small":  {"xz", 1 << 20, "<open-size>5000</open-size>"},
		"zst, said small": {"zst", 8 << 20, "<open-size>5000</open-size>"},
		"zst, not said":   {"zst", freeOpen + 1<<20, ""}, // gzip cannot: its ratio ends at 1032
	} {
		t.Run(name, func(t *testing.T) {
			doc := "<metadata>" + strings.Repeat(" ", c.size) + "</metadata>"
			dir := madeRepo(t, metaFile{kind: "primary", compress: c.form, content: doc, change: func(s string) string {
				return strings.Replace(s, fmt.Sprintf("<open-size>%d</open-size>", len(doc)), c.said, 1)
			}})
			doc = ""
			before := liveHeap()
			_, err := Open(context.Background(), Config{"test", dir}, Options{})
			wantDamage(t, err, "repodata/primary."+c.form, "opens to more than")
			if grown := int64(liveHeap()) - int64(before); grown > 16<<20 {
				t.Errorf("%d bytes stay", grown)
			}
		})
	}
}

func TestXZDictionary(t *testing.T) {
	raw := compressed(t, "xz", []byte("x"))
	if err := checkXZ(raw); err != nil {
		t.Fatal(err)
	}
	raw[16] = 40
	if checkXZ(raw) == nil {
		t.Error("a dictionary of 4 GiB passes")
	}
}

func TestLocation(t *testing.T) {
	for in, want := range map[string]string{
		"a.rpm": "a.rpm", "./a.rpm": "a.rpm", "x//a.rpm": "x/a.rpm", "x/./a": "x/a", "a..b": "a..b", "...": "...",
		"f-1:2-3.rpm": "f-1:2-3.rpm", "ä b.rpm": "ä b.rpm", "core:/stable:/a.rpm": "core:/stable:/a.rpm",
		"": "", "/a": "", "..": "", "a/../b": "", "a/..": "", "../a": "", "a/": "", ".": "", "./": "", "a\x00b": "", "a\nb": "", "a\x1b[0m": "",
		"a\u202eb": "", "a\u2028b": "", "\xff": "", "http://x/y": "", "file:/etc": "", "FTP+x://y": "", strings.Repeat("a", 5000): "",
	} {
		got, err := cleanLocation(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("cleanLocation(%.40q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

// FuzzLocation: what passes stays below the repository and says nothing to a terminal.
func FuzzLocation(f *testing.F) {
	f.Add("Packages/../../x")
	f.Add("a/./b//c")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := cleanLocation(s)
		if err != nil {
			return
		}
		joined := filepath.Join("/repo", filepath.FromSlash(c))
		if !strings.HasPrefix(joined, "/repo/") || filepath.Clean(c) != c || strings.ContainsAny(c, "\x00\x1b\n\r") {
			t.Fatalf("%q passes as %q", s, c)
		}
		if again, err := cleanLocation(c); err != nil || again != c {
			t.Fatalf("%q, then %q: %v", c, again, err)
		}
	})
}

func FuzzRepomd(f *testing.F) {
	f.Add([]byte(`<repomd><data type="primary"><checksum type="sha">x</checksum><location href="a"/><size>5</size></data></repomd>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		md, err := parseRepomd(b)
		if err != nil {
			return
		}
		for _, e := range md.Entries {
			if c, err := cleanLocation(e.Location); err != nil || c != e.Location {
				t.Fatalf("location %q", e.Location)
			}
			if e.Size < -1 || e.OpenSize < -1 {
				t.Fatalf("sizes %d, %d", e.Size, e.OpenSize)
			}
		}
	})
}
