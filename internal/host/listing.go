package host

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unique"

	"cpacman/internal/rpm"
)

const (
	maxField    = 1024    // bytes of one field of a package; rpm's own names stay far below
	maxPackages = 50_000  // per host
	maxPairs    = 100_000 // of builds of one name, all names together: each may be a fault that is told
)

// readListing reads the database part: where it is, its fingerprint, packages and keys. No packages at all, an incomplete
// listing, or an error that rpm printed is ErrUnreadable: rpm leaves damaged packages out with exit status 0.
func readListing(f *Facts, a *answer) error {
	f.Database.Path = bounded(a.get("db"), maxField)
	f.Arch = bounded(a.get("cpu"), 32)
	f.RPMVersion = bounded(strings.TrimPrefix(a.get("rpm"), "RPM version "), 64)
	if rc, ok := a.last("rc"); !ok || rc != "0" {
		return fmt.Errorf("%w: rpm -qa ended with status %q: %s", ErrUnreadable, rc, firstError(a.stderr))
	}
	if e := databaseError(f, a); e != "" {
		return fmt.Errorf("%w: %s", ErrUnreadable, e)
	}
	if err := countLines(a); err != nil {
		return err
	}
	f.Keys = []Key{}
	lines := a.all("p")
	f.Packages = make([]Package, 0, len(lines))
	for _, l := range lines {
		p, summary, err := parsePackage(l, a.mark)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnreadable, err)
		}
		if p.Name == "gpg-pubkey" {
			f.Keys = append(f.Keys, Key{ID: p.Version, Created: p.Release, Summary: summary})
		} else {
			f.Packages = append(f.Packages, p)
		}
	}
	if len(f.Packages) == 0 {
		return fmt.Errorf("%w: rpm lists no packages", ErrUnreadable)
	}
	sortPackages(f.Packages)
	if err := tooManyBuilds(f.Packages); err != nil {
		return err
	}
	readKeyPackets(f.Keys, a)
	sortKeys(f.Keys)
	f.Database.Fingerprint = trusted(a)
	return nil
}

// tooManyBuilds refuses what no rpm database has: of one name very many builds. Packages are sorted.
func tooManyBuilds(ps []Package) error {
	pairs := 0
	for from := 0; from < len(ps); {
		to := from + 1
		for to < len(ps) && ps[to].Name == ps[from].Name {
			to++
		}
		n := to - from
		if pairs += n * (n - 1) / 2; pairs > maxPairs {
			return fmt.Errorf("%w: %d builds of %s beside the others that are there several times: no rpm database has that", ErrUnreadable, n, bounded(ps[from].Name, maxField))
		}
		from = to
	}
	return nil
}

// countLines compares the lines that came with the count that the host put behind them.
func countLines(a *answer) error {
	begin := bytes.Index(a.stdout, []byte("@"+a.mark+" begin\n"))
	end := bytes.Index(a.stdout, []byte("\n@"+a.mark+" listed"))
	if begin < 0 || end < begin {
		return fmt.Errorf("%w: %w: no listing", ErrUnreadable, ErrProtocol)
	}
	body := a.stdout[begin+len(a.mark)+len("@ begin\n") : end]
	// sed prints the number of the last line before ('p;$=' prints the line first), so the count is the last line.
	i := bytes.LastIndexByte(body, '\n')
	n, err := strconv.Atoi(string(body[i+1:]))
	if err != nil || i < 0 || n != bytes.Count(body[:i+1], []byte("\n")) || n > maxPackages {
		return fmt.Errorf("%w: %w: the listing's count does not match", ErrUnreadable, ErrProtocol)
	}
	return nil
}

// clockOff is how far a host's clock is off before it is named as what may be wrong.
const clockOff = 5 * time.Minute

// databaseError says why what rpm listed is not what is installed, or nothing. rpm from 4.18 on, with Sequoia, passes over installed packages
// whose signatures it does not accept, with exit status 0: of a key that has expired, of one that by the host's clock is not made yet, or
// of an algorithm that its crypto policies do not allow.
func databaseError(f *Facts, a *answer) string {
	first := firstError(a.stderr)
	passed := bytes.Count(a.stderr, []byte(": skipping h#"))
	if first == "" || passed == 0 {
		if first != "" {
			first = fmt.Sprintf("rpm said %q", first)
		}
		return first
	}
	why := first
	for line := range bytes.Lines(a.stderr) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "because: "); ok {
			why = bounded(text, 400)
			break
		}
	}
	said := fmt.Sprintf("rpm passes over %d installed packages, because it does not accept their signatures (%s), and would do so in a transaction: ", passed, why)
	if sec, err := strconv.ParseInt(a.get("now"), 10, 64); err == nil {
		if off := time.Unix(sec, 0).Sub(f.CollectedAt).Round(time.Second); off.Abs() > clockOff {
			return said + fmt.Sprintf("its clock is off by %s: set it right", off)
		}
	}
	return said + "see that none of its keys has expired, and that its crypto policies allow them (rpm -qa says on the host which)"
}

// firstError is the first line of stderr in which rpm complains about its database.
func firstError(stderr []byte) string {
	for line := range bytes.Lines(stderr) {
		if bytes.HasPrefix(line, []byte("error: ")) {
			return bounded(strings.TrimSpace(string(line)), 400)
		}
	}
	return ""
}

// parsePackage reads NAME EPOCH VERSION RELEASE ARCH DIGEST INSTALLTIME COLOR MARK:TEXT, divided by tabs. TEXT is 'v' and the
// vendor or, where there is none, 's' and the summary. It may hold anything, so it stands behind a mark that no package can
// know; a tab in another field is an error.
func parsePackage(l, mark string) (p Package, summary string, err error) {
	head, text, ok := strings.Cut(l, "\t@"+mark+":")
	w := strings.Split(head, "\t")
	if !ok || len(w) != 8 {
		return p, "", fmt.Errorf("package line %q has no 8 fields", bounded(l, 200))
	}
	for _, s := range w {
		if len(s) > maxField {
			return p, "", fmt.Errorf("package line %q has a field of more than %d bytes", bounded(l, 200), maxField)
		}
	}
	epoch, err := strconv.ParseUint(w[1], 10, 32)
	if err != nil {
		return p, "", fmt.Errorf("package %q: epoch %q", w[0], w[1])
	}
	e := uint32(epoch)
	p = Package{Name: interned(w[0]), Epoch: &e, Version: interned(w[2]), Release: interned(w[3]), Arch: interned(w[4])}
	if p.Name == "" || p.Version == "" || p.Release == "" {
		return p, "", fmt.Errorf("package line %q lacks name, version or release", bounded(l, 200))
	}
	if p.Arch == "(none)" { // gpg-pubkey
		p.Arch = ""
	}
	if isHex(w[5]) {
		p.Header = interned(w[5])
	}
	p.InstallTime, _ = strconv.ParseInt(w[6], 10, 64) // "(none)" in a damaged database: 0, unknown
	if n, err := strconv.ParseUint(w[7], 10, 8); err == nil {
		p.Color = rpm.Color(n)
	}
	if vendor, ok := strings.CutPrefix(text, "v"); ok {
		p.Vendor = interned(bounded(vendor, maxField))
	} else {
		summary = bounded(strings.TrimPrefix(text, "s"), maxField)
	}
	return p, summary, nil
}

// interned is a string that the packages of all hosts have in common, for as long as one of them is in memory: the hosts of a fleet have mostly
// the same packages, and a part of a line would keep the whole line.
func interned(s string) string { return unique.Make(s).Value() }

// isHex tells a SHA-1 or SHA-256 in lower-case hex.
func isHex(s string) bool {
	if len(s) != 40 && len(s) != 64 {
		return false
	}
	return strings.Trim(s, "0123456789abcdef") == ""
}

// sortPackages orders by CompareNEVRA, and by header where that is equal.
func sortPackages(ps []Package) {
	slices.SortFunc(ps, func(a, b Package) int {
		if c := rpm.CompareNEVRA(a.NEVRA(), b.NEVRA()); c != 0 {
			return c
		}
		return strings.Compare(a.Header, b.Header)
	})
}

// InstalledDigest is the sha256, in hex, over the sorted lines "NEVRA header". The runner computes the same on the host. An unknown epoch, of an imported
// listing, is "?": the same builds with their epochs are another set.
func InstalledDigest(ps []Package) string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		name := p.NEVRA().String()
		if p.Epoch == nil {
			name = p.Name + "-?:" + p.Version + "-" + p.Release + "." + p.Arch
		}
		lines[i] = name + " " + p.Header + "\n"
	}
	slices.Sort(lines)
	h := sha256.New()
	for _, l := range lines {
		h.Write([]byte(l))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// trusted returns the fingerprint, or "" when the database changed while it was listed or is too young.
func trusted(a *answer) string {
	if _, moved := a.last("moved"); moved {
		return ""
	}
	now, err := strconv.ParseInt(a.get("now"), 10, 64)
	if err != nil {
		return ""
	}
	fp := a.all("fp")
	files := 0
	for _, l := range fp {
		i := strings.LastIndexByte(l, ' ')
		mtime, err := strconv.ParseInt(l[i+1:], 10, 64)
		if err != nil || mtime > now-trustAge {
			return ""
		}
		if path := a.get("db"); strings.HasPrefix(l, path+"/") {
			files++
		}
	}
	if files == 0 {
		return ""
	}
	return strings.Join(fp, "\n")
}

func sortKeys(keys []Key) {
	slices.SortFunc(keys, func(a, b Key) int { return strings.Compare(a.ID+a.Created, b.ID+b.Created) })
}

// Matches tells whether the key is the one of an id or fingerprint (8, 16 or 40 hex digits, any case): the shorter of both
// decides, since rpm 4 keeps only the last 8 digits.
func (k Key) Matches(id string) bool {
	a, b := strings.ToLower(k.ID), strings.ToLower(id)
	if len(a) < 8 || len(b) < 8 {
		return false
	}
	return strings.HasSuffix(a, b) || strings.HasSuffix(b, a)
}
