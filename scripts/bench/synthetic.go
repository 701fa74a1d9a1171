package main

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// synthetic is a repository of metadata alone, about as large for each package as those of a distribution: what reading one costs
// does not depend on whether the packages are there.
type synthetic struct {
	packages int
	random   *rand.Rand
}

// Sizes of one package, about those of CentOS 7 (9,007 packages: 30 MB of primary, 6 requirements and 5 provides each).
const (
	syntheticProvides = 4
	syntheticRequires = 8
	syntheticFiles    = 60
	syntheticNotices  = 10 // one notice for so many packages
)

// write makes the repository in a new directory.
func (s *synthetic) write(dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, "repodata"), 0o700); err != nil {
		return err
	}
	var entries strings.Builder
	for _, f := range []struct {
		kind string
		text func(io.Writer)
	}{{"primary", s.primary}, {"filelists", s.filelists}, {"updateinfo", s.updateinfo}} {
		entry, err := s.file(dir, f.kind, f.text)
		if err != nil {
			return fmt.Errorf("write the %s of a synthetic repository: %w", f.kind, err)
		}
		entries.WriteString(entry)
	}
	repomd := `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + `<repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm"><revision>1</revision>` +
		"\n" + entries.String() + "</repomd>\n"
	return os.WriteFile(filepath.Join(dir, "repodata", "repomd.xml"), []byte(repomd), 0o600)
}

// file writes one metadata file and returns its entry for repomd.xml.
func (s *synthetic) file(dir, kind string, text func(io.Writer)) (string, error) {
	name := filepath.Join("repodata", kind+".xml.gz")
	out, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return "", err
	}
	defer out.Close()
	packed, open := sha256.New(), sha256.New()
	zip, err := gzip.NewWriterLevel(io.MultiWriter(out, packed), gzip.BestSpeed)
	if err != nil {
		return "", err
	}
	count := &counter{}
	text(io.MultiWriter(zip, open, count))
	if err := zip.Close(); err != nil {
		return "", err
	}
	info, err := out.Stat()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("<data type=%q><checksum type=\"sha256\">%s</checksum><open-checksum type=\"sha256\">%s</open-checksum><location href=%q/><timestamp>1</timestamp><size>%d</size><open-size>%d</open-size></data>\n",
		kind, hex.EncodeToString(packed.Sum(nil)), hex.EncodeToString(open.Sum(nil)), name, info.Size(), count.n), nil
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

func (s *synthetic) name(i int) string { return fmt.Sprintf("synthetic-%05d", i) }

func (s *synthetic) digest(i int) string {
	sum := sha256.Sum256([]byte(s.name(i)))
	return hex.EncodeToString(sum[:])
}

func (s *synthetic) primary(w io.Writer) {
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+`<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="%d">`+"\n", s.packages)
	for i := range s.packages {
		n := s.name(i)
		fmt.Fprintf(w, `<package type="rpm"><name>%[1]s</name><arch>x86_64</arch><version epoch="0" ver="1.%[2]d" rel="1.el9"/><checksum type="sha256" pkgid="YES">%[3]s</checksum>`+
			`<summary>Part %[2]d of a synthetic distribution</summary><description>A package that nobody installs. It is here so that reading its repository costs what reading one of that size costs.</description>`+
			`<packager>nobody</packager><url>https://example.org/%[1]s</url><time file="1" build="1"/><size package="100000" installed="300000" archive="310000"/><location href="Packages/%[1]s-1.%[2]d-1.el9.x86_64.rpm"/>`+
			"\n<format><rpm:license>GPLv2+</rpm:license><rpm:vendor>nobody</rpm:vendor><rpm:group>Unspecified</rpm:group><rpm:buildhost>build.example.org</rpm:buildhost><rpm:sourcerpm>%[1]s-1.%[2]d-1.el9.src.rpm</rpm:sourcerpm><rpm:header-range start=\"4504\" end=\"9000\"/><rpm:provides>",
			n, i, s.digest(i))
		fmt.Fprintf(w, `<rpm:entry name="%[1]s" flags="EQ" epoch="0" ver="1.%[2]d" rel="1.el9"/><rpm:entry name="%[1]s(x86-64)" flags="EQ" epoch="0" ver="1.%[2]d" rel="1.el9"/>`, n, i)
		for p := range syntheticProvides - 2 {
			fmt.Fprintf(w, `<rpm:entry name="lib%s.so.%d()(64bit)"/>`, n, p)
		}
		fmt.Fprint(w, "</rpm:provides><rpm:requires>")
		for range syntheticRequires - 1 {
			fmt.Fprintf(w, `<rpm:entry name="lib%s.so.%d()(64bit)"/>`, s.name(s.random.IntN(s.packages)), s.random.IntN(syntheticProvides-2))
		}
		fmt.Fprintf(w, `<rpm:entry name="/bin/sh" pre="1"/></rpm:requires><file>/etc/%[1]s.conf</file><file>/usr/bin/%[1]s</file></format></package>`+"\n", n)
	}
	fmt.Fprint(w, "</metadata>\n")
}

func (s *synthetic) filelists(w io.Writer) {
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?>`+"\n"+`<filelists xmlns="http://linux.duke.edu/metadata/filelists" packages="%d">`+"\n", s.packages)
	for i := range s.packages {
		n := s.name(i)
		fmt.Fprintf(w, `<package pkgid="%s" name="%s" arch="x86_64"><version epoch="0" ver="1.%d" rel="1.el9"/><file>/etc/%[2]s.conf</file><file>/usr/bin/%[2]s</file>`+"\n", s.digest(i), n, i)
		for f := range syntheticFiles - 2 {
			fmt.Fprintf(w, "<file>/usr/share/%s/data/part-%d/file-%d.txt</file>\n", n, f%7, f)
		}
		fmt.Fprint(w, "</package>\n")
	}
	fmt.Fprint(w, "</filelists>\n")
}

func (s *synthetic) updateinfo(w io.Writer) {
	fmt.Fprint(w, `<?xml version="1.0" encoding="UTF-8"?>`+"\n<updates>\n")
	for i := 0; i < s.packages; i += syntheticNotices {
		fmt.Fprintf(w, `<update from="nobody" status="final" type="security" version="1"><id>SYN-%05[1]d</id><title>notice %[1]d</title><issued date="2026-01-01 00:00:00"/><severity>Important</severity><references>`+
			`<reference href="https://example.org/CVE-2026-%05[1]d" id="CVE-2026-%05[1]d" type="cve"/></references><pkglist><collection short="x"><name>x</name>`, i)
		for j := i; j < min(i+3, s.packages); j++ {
			fmt.Fprintf(w, `<package name="%[1]s" version="1.%[2]d" release="1.el9" epoch="0" arch="x86_64"><filename>%[1]s-1.%[2]d-1.el9.x86_64.rpm</filename></package>`, s.name(j), j)
		}
		fmt.Fprint(w, "</collection></pkglist></update>\n")
	}
	fmt.Fprint(w, "</updates>\n")
}
