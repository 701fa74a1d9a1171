package repo

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/rpmpack"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// samePackages compares two lists of packages in every field.
func samePackages(t testing.TB, want, got []*Package) {
	t.Helper()
	if len(want) != len(got) {
		t.Fatalf("%d packages, want %d", len(got), len(want))
	}
	for i := range want {
		if d := cmp.Diff(want[i], got[i]); d != "" {
			t.Fatalf("package %d differs (-want +got):\n%s", i, d)
		}
	}
}

// metaFile is one metadata file of a made-up repository. Empty fields of the entry are filled in rightly.
type metaFile struct {
	kind     string
	content  string
	compress string // "", gz, xz, zst
	href     string
	// change edits the <data> element, to lie in it.
	change func(string) string
	// spoil edits the bytes on disk, after sums were made of them.
	spoil  func([]byte) []byte
	absent bool
}

// madeRepo writes a repository of these files and returns its directory.
func madeRepo(t testing.TB, files ...metaFile) string {
	t.Helper()
	dir := t.TempDir()
	var md strings.Builder
	md.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>9.4</revision>` + "\n")
	for _, f := range files {
		raw := compressed(t, f.compress, []byte(f.content))
		if f.href == "" {
			f.href = "repodata/" + f.kind
			if f.compress != "" {
				f.href += "." + f.compress
			}
		}
		data := fmt.Sprintf(`<data type="%s"><checksum type="sha256">%s</checksum><open-checksum type="sha256">%s</open-checksum>`+
			`<location href="%s"/><timestamp>1355930174.54</timestamp><size>%d</size><open-size>%d</open-size></data>`+"\n",
			f.kind, hexSum(raw), hexSum([]byte(f.content)), f.href, len(raw), len(f.content))
		if f.change != nil {
			data = f.change(data)
		}
		md.WriteString(data)
		if f.spoil != nil {
			raw = f.spoil(raw)
		}
		if !f.absent {
			write(t, filepath.Join(dir, "repodata", filepath.Base(f.href)), raw)
		}
	}
	md.WriteString("</repomd>\n")
	write(t, filepath.Join(dir, repomdPath), []byte(md.String()))
	return dir
}

func write(t testing.TB, name string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func hexSum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

func compressed(t testing.TB, form string, b []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	var w io.WriteCloser
	var err error
	switch form {
	case "":
		return b
	case "gz":
		w = gzip.NewWriter(&buf)
	case "xz":
		w, err = xz.NewWriter(&buf)
	case "zst":
		w, err = zstd.NewWriter(&buf)
	default:
		t.Fatalf("no writer for %s", form)
	}
	if err == nil {
		_, err = w.Write(b)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// primaryXML wraps packages into a document.
func primaryXML(packages ...string) string {
	return fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="%d">
%s
</metadata>
`, len(packages), strings.Join(packages, "\n"))
}

// packageXML is a package whose parts a test may replace.
func packageXML(name string, edits ...string) string {
	s := `<package type="rpm">
  <name>` + name + `</name>
  <arch>x86_64</arch>
  <version epoch="1" ver="1.2" rel="3.el9"/>
  <checksum type="sha256" pkgid="YES">` + hexSum([]byte(name)) + `</checksum>
  <summary>Some &amp; more</summary>
  <description>Text &lt;b&gt; of &quot;some&quot; kind &#228; ä</description>
  <time file="5" build="4"/>
  <size package="100" installed="200" archive="300"/>
  <location href="Packages/` + name + `-1.2-3.el9.x86_64.rpm"/>
  <format>
    <rpm:license>MIT</rpm:license>
    <rpm:vendor>Vend &amp; Co</rpm:vendor>
    <rpm:sourcerpm>` + name + `-1.2-3.el9.src.rpm</rpm:sourcerpm>
    <rpm:header-range start="280" end="2057"/>
    <rpm:provides>
      <rpm:entry name="` + name + `" flags="EQ" epoch="1" ver="1.2" rel="3.el9"/>
    </rpm:provides>
    <rpm:requires>
      <rpm:entry name="/bin/sh" pre="1"/>
      <rpm:entry name="lib &gt; x" flags="GE" ver="2"/>
      <rpm:entry name="(a &gt;= 1 if b)"/>
    </rpm:requires>
    <rpm:recommends><rpm:entry name='weak' flags="LT" epoch="0" ver="9" rel="1"/></rpm:recommends>
    <file>/usr/bin/` + name + `</file>
    <file type="dir">/etc/` + name + `</file>
  </format>
</package>`
	for i := 0; i < len(edits); i += 2 {
		if !strings.Contains(s, edits[i]) {
			panic("nothing to replace: " + edits[i])
		}
		s = strings.ReplaceAll(s, edits[i], edits[i+1])
	}
	return s
}

// filelistsXML lists paths of packages that packageXML made.
func filelistsXML(files map[string][]string, order ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<?xml version="1.0" encoding="UTF-8"?><filelists xmlns="http://linux.duke.edu/metadata/filelists" packages="%d">`, len(order))
	for _, name := range order {
		fmt.Fprintf(&b, "\n<package pkgid=%q name=%q arch=\"x86_64\"><version epoch=\"1\" ver=\"1.2\" rel=\"3.el9\"/>\n", hexSum([]byte(name)), name)
		for _, f := range files[name] {
			fmt.Fprintf(&b, "<file>%s</file>\n", strings.ReplaceAll(f, "&", "&amp;"))
		}
		b.WriteString("</package>")
	}
	b.WriteString("\n</filelists>")
	return b.String()
}

// open opens a repository that must open.
func open(t testing.TB, dir string, opt Options) *Repo {
	t.Helper()
	r, err := Open(context.Background(), Config{"test", dir}, opt)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// wantDamage demands a *Damage of that file whose words contain what.
func wantDamage(t testing.TB, err error, file, what string) {
	t.Helper()
	var d *Damage
	if !errors.As(err, &d) {
		t.Fatalf("error %T %v, want a *Damage of %s", err, err, file)
	}
	if d.File != file || !strings.Contains(d.Error(), what) {
		t.Fatalf("damage %q of file %q, want %q of %q", d.Error(), d.File, what, file)
	}
}

// rpmBytes builds a package without a tool.
func rpmBytes(t testing.TB, md rpmpack.RPMMetaData, files ...string) []byte {
	t.Helper()
	p, err := rpmpack.NewRPM(md)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		p.AddFile(rpmpack.RPMFile{Name: f, Body: []byte(f), Mode: 0o100644, Owner: "root", Group: "root", MTime: 1})
	}
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
