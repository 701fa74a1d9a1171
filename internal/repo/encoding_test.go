package repo

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const declared = `<?xml version="1.0" encoding="UTF-8"?>`

// latin1 writes text as ISO 8859-1.
func latin1(s string) string {
	var b []byte
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}

// TestEncodings: XML says in what it is written, and may begin with a byte order mark; all of it means the same.
func TestEncodings(t *testing.T) {
	as := func(name string) func(string) string {
		return func(s string) string {
			return strings.Replace(s, declared, strings.Replace(declared, "UTF-8", name, 1), 1)
		}
	}
	ascii := func(s string) string { return strings.NewReplacer(" ä", "", "ü", "").Replace(s) }
	read := func(form func(string) string, make func(...string) string) any {
		notices := declared + `<updates><update type="security"><id>A</id><title>ü</title></update></updates>`
		paths := map[string][]string{"foo": {"/usr/bin/foo", "/usr/share/ü"}}
		dir := madeRepo(t, metaFile{kind: "primary", content: form(primaryXML(packageXML("foo", "Vend &amp; Co", "Vend ü")))},
			metaFile{kind: "filelists", content: form(make(filelistsXML(paths, "foo")))}, metaFile{kind: "updateinfo", content: form(notices)})
		if err := edit(filepath.Join(dir, repomdPath), func(b []byte) []byte { return []byte(form(string(b))) }); err != nil {
			t.Fatal(err)
		}
		r := open(t, dir, Options{})
		files, err := r.FilesOf(r.Packages()[0])
		if err != nil {
			t.Fatal(err)
		}
		list, err := r.Advisories()
		if err != nil {
			t.Fatal(err)
		}
		return []any{r.Packages(), files, list}
	}
	same := func(s ...string) string { return s[0] }
	whole, part := read(func(s string) string { return s }, same), read(ascii, same)
	for name, c := range map[string]struct {
		form func(string) string
		want any
	}{
		"byte order mark":  {func(s string) string { return "\ufeff" + s }, whole},
		"mark and comment": {func(s string) string { return "\ufeff" + strings.Replace(s, declared, "<!-- x -->", 1) }, whole},
		"latin 1":          {func(s string) string { return latin1(as("ISO-8859-1")(s)) }, whole},
		"latin 1, lower":   {func(s string) string { return latin1(as("iso-8859-1")(s)) }, whole},
		"ASCII":            {func(s string) string { return as("US-ASCII")(ascii(s)) }, part},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(c.want, read(c.form, same)); d != "" {
				t.Error(d)
			}
		})
	}
	// Digests are numbers, however they are written.
	upper := func(s ...string) string {
		return strings.ReplaceAll(s[0], hexSum([]byte("foo")), strings.ToUpper(hexSum([]byte("foo"))))
	}
	if d := cmp.Diff(whole, read(func(s string) string { return s }, upper)); d != "" {
		t.Errorf("upper-case pkgid: %s", d)
	}
	if d := cmp.Diff(whole, read(func(s string) string { return upper(s) }, same)); d != "" {
		t.Errorf("upper-case checksum: %s", d)
	}
	dir := madeRepo(t, metaFile{kind: "primary", content: as("EBCDIC")(primaryXML())})
	_, err := Open(context.Background(), Config{"test", dir}, Options{})
	wantDamage(t, err, "repodata/primary", `"EBCDIC"`)
}

// TestASCIIScanned: what is declared as ASCII needs no other reader.
func TestASCIIScanned(t *testing.T) {
	for _, doc := range []string{`<?xml version="1.0" encoding="us-ascii"?>` + "\n<updates></updates>", "\ufeff" + declared + "<updates/>"} {
		if _, sure := scanUpdates(doc, 100); !sure {
			t.Errorf("%s is left to encoding/xml", doc)
		}
	}
}
