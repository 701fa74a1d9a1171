package repo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cpacman/internal/rpm"
)

// scanOnly runs the scanner alone over a document, with small windows.
func scanOnly(doc string, window int) (packages []*Package, sure bool) {
	m := &metaReader[primaryResult]{
		root: "metadata", item: "package", window: window,
		sink:  func() chunkSink[primaryResult] { return newPrimarySink() },
		merge: func(r primaryResult) { packages = append(packages, r.packages...) },
	}
	_, sure, err := m.scanAll(context.Background(), strings.NewReader(doc))
	return packages, sure && err == nil
}

// xmlOnly reads the document with encoding/xml.
func xmlOnly(doc string) ([]*Package, error) {
	s := newPrimarySink()
	_, err := readXML(strings.NewReader(doc), "metadata", s)
	return s.take().packages, err
}

func TestPrimaryFields(t *testing.T) {
	doc := primaryXML(packageXML("foo"))
	got, sure := scanOnly(doc, 4096)
	if !sure || len(got) != 1 {
		t.Fatalf("scanner was sure: %v, packages: %d", sure, len(got))
	}
	want := &Package{
		Package: &rpm.Package{
			NEVRA:     rpm.NEVRA{Name: "foo", EVR: rpm.EVR{Epoch: 1, Version: "1.2", Release: "3.el9"}, Arch: "x86_64"},
			Vendor:    "Vend & Co",
			SourceRPM: "foo-1.2-3.el9.src.rpm",
			BuildTime: 4, InstalledSize: 200,
			Provides: []rpm.Dep{{Name: "foo", Sense: rpm.Equal, EVR: rpm.EVR{Epoch: 1, Version: "1.2", Release: "3.el9"}}},
			Requires: []rpm.Dep{
				{Name: "/bin/sh", Pre: true},
				{Name: "lib > x", Sense: rpm.Greater | rpm.Equal, EVR: rpm.EVR{Version: "2"}},
				{Name: "(a >= 1 if b)"},
			},
			Recommends: []rpm.Dep{{Name: "weak", Sense: rpm.Less, EVR: rpm.EVR{Version: "9", Release: "1"}}},
			Files:      []string{"/usr/bin/foo", "/etc/foo"},
		},
		Location: "Packages/foo-1.2-3.el9.x86_64.rpm",
		Checksum: Checksum{"sha256", hexSum([]byte("foo"))},
		Size:     100, HeaderStart: 280, HeaderEnd: 2057,
	}
	samePackages(t, []*Package{want}, got)
}

// TestScannerDoubts has documents that the scanner must leave to encoding/xml, which reads them rightly.
func TestScannerDoubts(t *testing.T) {
	foo, bar := packageXML("foo"), packageXML("bar")
	for name, doc := range map[string]string{
		"comment with a package":  primaryXML("<!-- "+foo+" -->", bar),
		"comment around an end":   strings.Replace(primaryXML(foo, bar), "<arch>", "<!-- </package> --><arch>", 1),
		"CDATA":                   primaryXML(packageXML("foo", "<name>foo</name>", "<name><![CDATA[foo]]></name>"), bar),
		"CDATA that looks like":   primaryXML(packageXML("foo", "Some &amp; more", "<![CDATA[</package><package type=\"rpm\"><name>evil</name>]]>"), bar),
		"instruction":             primaryXML(foo, "<?x </package> ?>", bar),
		"doctype":                 strings.Replace(primaryXML(foo, bar), "\n<metadata", "\n<!DOCTYPE metadata [<!ENTITY x \"y\">]>\n<metadata", 1),
		"carriage returns":        strings.ReplaceAll(primaryXML(foo, bar), "\n", "\r\n"),
		"spaces around =":         strings.ReplaceAll(primaryXML(foo, bar), `epoch="1"`, `epoch = "1"`),
		"space in the end tag":    strings.ReplaceAll(primaryXML(foo, bar), "</package>", "</package >"),
		"package in something":    primaryXML("<bar>"+foo+"</bar>", foo, bar),
		"nested deeply":           primaryXML(strings.Repeat("<a>", 30)+foo+strings.Repeat("</a>", 30), foo, bar),
		"other declaration":       strings.Replace(primaryXML(foo, bar), `encoding="UTF-8"`, `encoding="utf-8" standalone="yes"`, 1),
		"comment before the root": "<!-- metadata -->" + strings.TrimPrefix(primaryXML(foo, bar), `<?xml version="1.0" encoding="UTF-8"?>`),
		"name of letters":         strings.Replace(primaryXML(foo, bar), "<summary>", "<é>x</é><summary>", 1),
	} {
		t.Run(name, func(t *testing.T) {
			if _, sure := scanOnly(doc, 512); sure {
				t.Error("the scanner is sure")
			}
			dir := madeRepo(t, metaFile{kind: "primary", content: doc, compress: "gz"})
			got := open(t, dir, Options{}).Packages()
			if len(got) == 0 || got[len(got)-1].Name != "bar" {
				t.Fatalf("%d packages, want foo and bar, or bar alone", len(got))
			}
			for _, p := range got {
				if p.Name != "foo" && p.Name != "bar" {
					t.Errorf("package %s", p.Name)
				}
			}
		})
	}
}

// TestWindows cuts a document at every size: the result is the same.
func TestWindows(t *testing.T) {
	var list []string
	for _, n := range []string{"a", "bb", "ccc", "dddd", "eeeee"} {
		list = append(list, packageXML(n), packageXML(n+"-devel"))
	}
	doc := primaryXML(list...)
	want, err := xmlOnly(doc)
	if err != nil || len(want) != 10 {
		t.Fatal(len(want), err)
	}
	for window := 200; window < len(doc)+300; window += 97 {
		got, sure := scanOnly(doc, window)
		if !sure {
			t.Fatalf("window %d: not sure", window)
		}
		samePackages(t, want, got)
	}
}

// TestXMLFaults demands line and offset, and that the cause is named.
func TestXMLFaults(t *testing.T) {
	good := primaryXML(packageXML("foo"))
	for name, c := range map[string]struct{ doc, want string }{
		"cut":              {good[:len(good)/2], "the XML ends in the middle"},
		"crossed":          {strings.Replace(good, "</name>", "</nam>", 1), "line 4, offset"},
		"control":          {strings.Replace(good, "MIT", "M\x01T", 1), "line 14, offset"},
		"latin 1":          {strings.Replace(good, "MIT", "M\xe4T", 1), "invalid UTF-8"},
		"unknown entity":   {strings.Replace(good, "&amp; more", "&boom; more", 1), "invalid character entity &boom;"},
		"no packages":      {"", "no XML element"},
		"HTML":             {"<html><body>Not found</body></html>", `element "html" where <metadata> belongs`},
		"second root":      {good + "<metadata/>", `element "metadata" where`},
		"text behind":      {good + "x", "text outside of <metadata>"},
		"too deep":         {primaryXML(strings.Repeat("<a>", 200) + strings.Repeat("</a>", 200)), "nested more than 100 deep"},
		"foreign encoding": {strings.Replace(good, "UTF-8", "EBCDIC", 1), "EBCDIC"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, sure := scanOnly(c.doc, 1024); sure {
				t.Error("the scanner is sure")
			}
			dir := madeRepo(t, metaFile{kind: "primary", content: c.doc})
			_, err := Open(context.Background(), Config{"test", dir}, Options{})
			wantDamage(t, err, "repodata/primary", c.want)
		})
	}
}

// TestLongPiece stops at one piece of XML that would have to be in memory as a whole.
func TestLongPiece(t *testing.T) {
	long := io.MultiReader(strings.NewReader("<metadata><!-- "), io.LimitReader(spaces{}, 2*maxToken), strings.NewReader("--></metadata>"))
	_, err := readXML(long, "metadata", newPrimarySink())
	if err == nil || !strings.Contains(err.Error(), "absurd size") {
		t.Fatal(err)
	}
}

type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// FuzzScanner: whatever the scanner is sure of, encoding/xml reads in the same way.
func FuzzScanner(f *testing.F) {
	f.Add(primaryXML(packageXML("foo"), packageXML("bar")), 300)
	f.Add(primaryXML(packageXML("foo", "MIT", "<![CDATA[x]]>")), 300)
	f.Add(primaryXML(packageXML("foo", "MIT", "&#13;&#x41;&#xD800;&#0;")), 4000)
	f.Add(`<metadata packages="0"/>`, 5)
	f.Add("\ufeff"+primaryXML(packageXML("foo")), 300)
	f.Add(strings.Replace(primaryXML(packageXML("foo")), "UTF-8", "us-ascii", 1), 300)
	f.Add(`<m:metadata xmlns:m="x"><a:b c='"' d:e="&lt;"></a:b></m:metadata>`, 5)
	f.Fuzz(func(t *testing.T, doc string, window int) {
		if window < 1 || window > 1<<16 || len(doc) > 1<<16 {
			return
		}
		got, sure := scanOnly(doc, window)
		want, err := xmlOnly(doc)
		if !sure {
			return
		}
		if err != nil {
			t.Fatalf("the scanner takes what encoding/xml refuses: %v", err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
	})
}

// event is what a sink is told.
type event struct {
	What string
	Text string
}

// eventSink writes down every event and wants all text.
type eventSink struct{ list []event }

func (s *eventSink) start(name []byte, attrs []xmlAttr) bool {
	var b bytes.Buffer
	b.Write(name)
	for _, a := range attrs {
		b.WriteString(" " + string(a.name) + "=" + string(a.value))
	}
	s.list = append(s.list, event{"start", b.String()})
	return true
}
func (s *eventSink) text(b []byte) {
	if n := len(s.list); s.list[n-1].What == "text" {
		s.list[n-1].Text += string(b)
		return
	}
	s.list = append(s.list, event{"text", string(b)})
}
func (s *eventSink) end()       { s.list = append(s.list, event{What: "end"}) }
func (s *eventSink) err() error { return nil }

// FuzzEvents compares scanner and encoding/xml below what packages mean: the same elements, attributes and text.
func FuzzEvents(f *testing.F) {
	f.Add(`<a b="c">d<e/>f</a>`)
	f.Add(`<a b='&#x20;' c="&amp;&lt;">]]&gt;&apos;</a> <x:b/>`)
	f.Add("<a>\t\n\u00e4\ufffd\U0001F600</a>")
	f.Add("<a>\uffff</a><b xmlns='q' a:b='1'/>")
	f.Fuzz(func(t *testing.T, body string) {
		fast := &eventSink{}
		if !(&scanner{}).scan([]byte(body), fast) {
			return
		}
		slow := &eventSink{}
		if _, err := readXML(strings.NewReader("<r>"+body+"</r>"), "r", slow); err != nil {
			t.Fatalf("the scanner takes what encoding/xml refuses: %v", err)
		}
		if d := cmp.Diff(slow.list, fast.list); d != "" {
			t.Fatal(d)
		}
	})
}

// FuzzFilelists does for file lists what FuzzScanner does for packages.
func FuzzFilelists(f *testing.F) {
	f.Add(filelistsXML(map[string][]string{"foo": {"/a/b", "/a/c&d", "x", "/"}, "bar": {"/a/b"}}, "foo", "bar", "foo"), 100)
	f.Fuzz(func(t *testing.T, doc string, window int) {
		if window < 1 || window > 1<<16 || len(doc) > 1<<16 {
			return
		}
		packages := []*Package{{Checksum: Checksum{"sha256", hexSum([]byte("foo"))}}, {Checksum: Checksum{"sha256", hexSum([]byte("bar"))}}}
		fast, slow := newFilesMerger(packages), newFilesMerger(packages)
		m := &metaReader[filesResult]{root: "filelists", item: "package", window: window,
			sink: func() chunkSink[filesResult] { return newFilesSink() }, merge: fast.add}
		_, sure, err := m.scanAll(context.Background(), strings.NewReader(doc))
		s := newFilesSink()
		_, slowErr := readXML(strings.NewReader(doc), "filelists", s)
		slow.add(s.take())
		if !sure || err != nil {
			return
		}
		if slowErr != nil {
			t.Fatalf("the scanner takes what encoding/xml refuses: %v", slowErr)
		}
		for i := range packages {
			a, b := listed(fast, i), listed(slow, i)
			if d := cmp.Diff(b, a); d != "" {
				t.Fatal(d)
			}
		}
	})
}

// listed writes out the paths of a package.
func listed(m *filesMerger, i int) (out []string) {
	m.index.names = string(m.names)
	m.index.link()
	if g := m.index.ranges[i]; g[0] != noEntries {
		out = []string{"listed"}
		for e := g[0]; e < g[1]; e++ {
			out = append(out, m.index.path(e))
		}
	}
	return out
}

// TestSlowInPieces: what encoding/xml reads comes whole and in order, however many packages there are.
func TestSlowInPieces(t *testing.T) {
	var list []string
	for i := range 2*pieceItems + 76 {
		list = append(list, packageXML(fmt.Sprintf("p%d", i)))
	}
	dir := madeRepo(t, metaFile{kind: "primary", content: primaryXML(append(list, "<!-- -->")...)})
	r := open(t, dir, Options{})
	if r.Len() != len(list) {
		t.Fatalf("%d packages, want %d", r.Len(), len(list))
	}
	for i, p := range r.Packages() {
		if p.Name != fmt.Sprintf("p%d", i) || len(p.Requires) != 3 {
			t.Fatalf("package %d is %+v", i, p)
		}
	}
}
