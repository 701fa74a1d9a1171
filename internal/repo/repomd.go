package repo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// repomdPath is where a yum repository has its table of contents.
const repomdPath = "repodata/repomd.xml"

// Bounds of repomd.xml; real ones have about 20 entries in 10 KiB.
const (
	maxRepomd  = 4 << 20
	maxEntries = 1000
)

// dataEntry is one metadata file that repomd.xml names.
type dataEntry struct {
	Type         string
	Location     string // checked by cleanLocation
	Base         string // xml:base, as "createrepo --baseurl" of EL 7 and older writes it for metadata too; the file can be here all the same
	Checksum     Checksum
	OpenChecksum Checksum // zero for plain files, and where absent
	Size         int64    // -1 if absent
	OpenSize     int64    // -1 if absent
}

// repomd is the table of contents of a repository.
type repomd struct {
	Revision string
	Made     time.Time // the newest time stamp of an entry; zero where none has one
	Entries  []dataEntry
	Digest   string // sha256 of the file, hex
	Notes    []string
}

// xmlRepomd is repomd.xml as written. Numbers are text here: real files have empty and fractional ones.
type xmlRepomd struct {
	Revision string    `xml:"revision"`
	Data     []xmlData `xml:"data"`
}

type xmlData struct {
	Type         string      `xml:"type,attr"`
	Checksum     xmlChecksum `xml:"checksum"`
	OpenChecksum xmlChecksum `xml:"open-checksum"`
	Location     struct {
		Href string `xml:"href,attr"`
		Base string `xml:"base,attr"`
	} `xml:"location"`
	Size      string `xml:"size"`
	OpenSize  string `xml:"open-size"`
	Timestamp string `xml:"timestamp"`
}

type xmlChecksum struct {
	Type  string `xml:"type,attr"`
	Value string `xml:",chardata"`
}

// readRepomd reads repodata/repomd.xml below root.
func readRepomd(ctx context.Context, root *os.Root, id string) (*repomd, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	bad := func(what string, err error) (*repomd, error) { return nil, &Damage{id, repomdPath, what, err} }
	f, err := root.Open(repomdPath)
	if err != nil {
		return bad(missing(err))
	}
	defer f.Close() //nolint:errcheck // opened for reading
	b, err := io.ReadAll(io.LimitReader(f, maxRepomd+1))
	if err != nil {
		return bad("cannot be read", err)
	}
	if len(b) > maxRepomd {
		return bad(fmt.Sprintf("absurd size: more than %d bytes", maxRepomd), nil)
	}
	md, err := parseRepomd(b)
	if err != nil {
		return bad("damaged", err)
	}
	return md, nil
}

// parseRepomd checks every entry, also those that are not read: a location that leaves the repository is refused wherever it is.
func parseRepomd(b []byte) (*repomd, error) {
	var x xmlRepomd
	if err := decodeRoot(newXMLDecoder(bytes.NewReader(b)), "repomd", &x); err != nil {
		return nil, err
	}
	if len(x.Data) > maxEntries {
		return nil, fmt.Errorf("names %d files, more than %d", len(x.Data), maxEntries)
	}
	digest := sha256.Sum256(b)
	md := &repomd{Revision: x.Revision, Digest: hex.EncodeToString(digest[:])}
	for i, xd := range x.Data {
		if xd.Type == "" {
			md.Notes = append(md.Notes, fmt.Sprintf("entry %d has no type and is ignored", i+1))
			continue
		}
		e, err := xd.entry()
		if err != nil {
			return nil, fmt.Errorf("entry %s: %w", quoted(xd.Type), err)
		}
		md.Entries = append(md.Entries, e)
		if at := parseTimestamp(xd.Timestamp); at.After(md.Made) {
			md.Made = at
		}
	}
	return md, nil
}

// parseTimestamp reads seconds since 1970, of which old programs write fractions; the zero time for what is none.
func parseTimestamp(text string) time.Time {
	whole, _, _ := strings.Cut(strings.TrimSpace(text), ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n <= 0 || n > 1<<40 {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

// entry checks one <data> element.
func (xd xmlData) entry() (dataEntry, error) {
	e := dataEntry{Type: xd.Type, Size: -1, OpenSize: -1, Base: xd.Location.Base}
	var err error
	if e.Location, err = cleanLocation(xd.Location.Href); err != nil {
		return e, fmt.Errorf("%w: %s", err, quoted(xd.Location.Href))
	}
	if e.Checksum, err = xd.Checksum.parse(); err != nil {
		return e, err
	}
	if e.OpenChecksum, err = xd.OpenChecksum.parse(); err != nil {
		return e, fmt.Errorf("open-checksum: %w", err)
	}
	if e.Size, err = parseSize(xd.Size); err != nil {
		return e, fmt.Errorf("size: %w", err)
	}
	if e.OpenSize, err = parseSize(xd.OpenSize); err != nil {
		return e, fmt.Errorf("open-size: %w", err)
	}
	if e.Checksum.Type != "" { // which proves more than a size
		e.Size, e.OpenSize = unsaid(e.Size), unsaid(e.OpenSize)
	}
	return e, nil
}

// parse allows an absent checksum.
func (x xmlChecksum) parse() (Checksum, error) {
	v := strings.TrimSpace(x.Value)
	if v == "" && x.Type == "" {
		return Checksum{}, nil
	}
	return parseChecksum(x.Type, v)
}

// parseSize reads a size in bytes, -1 if absent.
func parseSize(s string) (int64, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return -1, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return -1, fmt.Errorf("absurd size %s", quoted(s))
	}
	return n, nil
}

// unsaid takes a size of 0 for none: programs that do not know the size write it, and librepo takes it so.
func unsaid(size int64) int64 {
	if size == 0 {
		return -1
	}
	return size
}

// find returns the first entry of a type.
func (md *repomd) find(kind string) (dataEntry, bool) {
	for _, e := range md.Entries {
		if e.Type == kind {
			return e, true
		}
	}
	return dataEntry{}, false
}

// all returns every entry of a type, in order. A repository may have several updateinfo files.
func (md *repomd) all(kind string) []dataEntry {
	var out []dataEntry
	for _, e := range md.Entries {
		if e.Type == kind {
			out = append(out, e)
		}
	}
	return out
}

// primary finds the package list in a form that is read.
func (md *repomd) primary(id string) (dataEntry, error) {
	if e, ok := md.find("primary"); ok {
		if e.Checksum.Type == "" {
			return e, &Damage{id, repomdPath, "entry \"primary\" has no checksum", nil}
		}
		return e, nil
	}
	for _, other := range []string{"primary_zck", "primary_db"} {
		if e, ok := md.find(other); ok {
			return e, &Damage{id, e.Location, "the only package list is of type " + other, ErrUnsupported}
		}
	}
	return dataEntry{}, &Damage{id, repomdPath, "names no package list (entry \"primary\")", nil}
}

// filelists finds the complete file lists in a form that is read.
func (md *repomd) filelists(id string) (dataEntry, error) {
	if e, ok := md.find("filelists"); ok {
		return e, nil
	}
	for _, other := range otherFilelists {
		if e, ok := md.find(other); ok {
			return e, &Damage{id, e.Location, "the only file lists are of type " + other, ErrUnsupported}
		}
	}
	return dataEntry{}, &Damage{id, repomdPath, "names no file lists (entry \"filelists\"); the files of its packages are not known", errNoFilelists}
}

// otherFilelists are file lists in forms that are not read: a repository that has only those has more to say than its package list.
var otherFilelists = [...]string{"filelists_zck", "filelists_db"} //nolint:gochecknoglobals // a constant list

// namesFilelists tells whether there are complete file lists, in whatever form.
func (md *repomd) namesFilelists() bool {
	return slices.ContainsFunc(md.Entries, func(e dataEntry) bool {
		return e.Type == "filelists" || slices.Contains(otherFilelists[:], e.Type)
	})
}

// xmlError adds line and byte offset to an error of the XML reader.
func xmlError(d *xml.Decoder, err error) error {
	var syntax *xml.SyntaxError
	line, _ := d.InputPos()
	switch {
	case errors.As(err, &syntax):
		if syntax.Msg == "unexpected EOF" {
			return fmt.Errorf("line %d, offset %d: the XML ends in the middle: %w", line, d.InputOffset(), io.ErrUnexpectedEOF)
		}
		return fmt.Errorf("line %d, offset %d: malformed XML: %s", line, d.InputOffset(), plain(syntax.Msg))
	case err == io.EOF: //nolint:errorlint // the decoder's own end of input: a wrapped one is damage
		return fmt.Errorf("line %d, offset %d: no XML element: %w", line, d.InputOffset(), io.ErrUnexpectedEOF)
	}
	return err
}
