package store

import (
	"bytes"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"cpacman/internal/host"
)

// factsReader reads the JSON of many hosts' facts. Most of what hosts say others have said in the same bytes: it is decoded once and shared, so
// nobody may change what comes from here. What it does not know at sight it leaves to encoding/json, whose answer is always the same; a test
// holds the two together. It is for one goroutine.
type factsReader struct {
	texts     map[string]string
	os        shared[host.OS]
	database  shared[host.Database]
	keys      shared[[]host.Key]
	names     shared[[]string]
	reboot    shared[*host.Reboot]
	disk      shared[[]host.Disk]
	modules   shared[[]host.Module]
	holds     shared[[]host.Hold]
	repos     shared[[]host.HostRepo]
	lock      shared[*host.Lock]
	collected shared[time.Time]

	common map[int64][]byte // what hosts share, by number: splitFacts
	bases  map[int64]*factsBase
}

// factsBase is what the facts of hosts with one common part are read from.
type factsBase struct {
	common host.Facts
	// The facts that were read before, and their own JSON: the next are like them but for a few fields.
	last     host.Facts
	lastText []byte
	parts    []factsPart
}

// factsPart is a field in the text of the last facts, with its key: what stands between commas.
type factsPart struct{ from, value, to int }

// Bounds of what is remembered to be shared: so many values of a field, in so many bytes each. What comes after is decoded for its host alone.
const (
	maxSharedValues = 4096
	maxSharedBytes  = 64 << 10
)

// shared remembers the values of a field by their JSON.
type shared[T any] struct{ seen map[string]T }

func (s *shared[T]) get(raw []byte, to *T) bool {
	if v, ok := s.seen[string(raw)]; ok {
		*to = v
		return true
	}
	var v T // what to holds may be another host's
	if json.Unmarshal(raw, &v) != nil {
		return false
	}
	*to = v
	if s.seen == nil {
		s.seen = map[string]T{}
	}
	if len(s.seen) < maxSharedValues && len(raw) <= maxSharedBytes {
		s.seen[string(raw)] = v
	}
	return true
}

// read decodes the facts of a host that are in one piece.
func (r *factsReader) read(body []byte) (*host.Facts, error) { return r.readParts(0, body) }

// readParts decodes the facts of a host from their common part, by its number, and their own; 0: there is no common part.
func (r *factsReader) readParts(id int64, own []byte) (*host.Facts, error) {
	common := r.common[id]
	if id != 0 && len(common) == 0 {
		return nil, noCommon(id)
	}
	base, err := r.base(id, common)
	if err != nil {
		return nil, err
	}
	f := new(host.Facts)
	if len(base.parts) > 0 {
		if *f = base.last; r.likeLast(base, own, f) {
			return f, nil
		}
	}
	if *f = base.common; r.fields(base, own, f) {
		base.last, base.lastText = *f, append(base.lastText[:0], own...)
		return f, nil
	}
	base.parts = base.parts[:0]
	f = new(host.Facts)
	if err := joinParts(common, own, f); err != nil {
		return nil, err
	}
	return f, nil
}

// noCommon tells of a common part that is lost.
func noCommon(id int64) error {
	return fmt.Errorf("what they have in common with those of other hosts, number %d, is not there", id)
}

// readCommon reads the common parts.
func (r *factsReader) readCommon(rows eachRow) error {
	return rows("SELECT id, body FROM facts_common", func(row []driver.Value) error {
		id, _ := row[0].(int64)
		body, _ := row[1].([]byte)
		r.common[id] = bytes.Clone(body)
		return nil
	})
}

// base gives what is known of a common part.
func (r *factsReader) base(id int64, common []byte) (*factsBase, error) {
	if base := r.bases[id]; base != nil {
		return base, nil
	}
	base := new(factsBase)
	if len(common) > 0 && !r.fields(base, common, &base.common) {
		base.common = host.Facts{}
		if err := json.Unmarshal(common, &base.common); err != nil {
			return nil, err
		}
	}
	base.parts = base.parts[:0]
	if r.bases == nil {
		r.bases = map[int64]*factsBase{}
	}
	if len(r.bases) < maxSharedValues {
		r.bases[id] = base
	}
	return base, nil
}

// likeLast reads facts that have the fields of the last, in their order, into a copy of those: what is written alike is there already. False: they are
// others, and f means nothing.
func (r *factsReader) likeLast(base *factsBase, b []byte, f *host.Facts) bool {
	if len(b) < 2 || b[0] != '{' || b[len(b)-1] != '}' {
		return false
	}
	for i := range base.parts {
		b = b[1:] // the brace, then commas
		p := &base.parts[i]
		same := base.lastText[p.from : p.to+1] // with what ends it: a longer number is another value
		if i == len(base.parts)-1 {
			same = same[:len(same)-1]
		}
		if len(b) > len(same) && string(b[:len(same)]) == string(same) {
			b = b[p.to-p.from:]
			continue
		}
		key := base.lastText[p.from:p.value]
		if len(b) <= len(key) || string(b[:len(key)]) != string(key) {
			return false
		}
		b = b[len(key):]
		n := valueLength(b)
		if n == 0 || n >= len(b) || r.field(key[1:len(key)-2], b[:n], f) < 0 {
			return false
		}
		if b = b[n:]; b[0] != ',' && i < len(base.parts)-1 {
			return false
		}
	}
	return len(b) == 1 && b[0] == '}'
}

// fields reads the object that encoding/json writes: no spaces, every key at most once. False: it is not such a one.
func (r *factsReader) fields(base *factsBase, b []byte, f *host.Facts) bool {
	seen, from := uint64(0), 1 // behind the brace
	base.parts = base.parts[:0]
	return eachField(b, func(key, field []byte) bool {
		value := len(key) + len(`"":`)
		place := r.field(key, field[value:], f)
		if place < 0 || seen&(1<<place) != 0 {
			return false
		}
		seen |= 1 << place
		base.parts = append(base.parts, factsPart{from, from + value, from + len(field)})
		from += len(field) + 1
		return true
	})
}

// field reads one value, and gives a number for its key; -1 for what is left to encoding/json.
func (r *factsReader) field(key, raw []byte, f *host.Facts) int {
	text := func(n int, to *string, common bool) int {
		if r.text(raw, to, common) {
			return n
		}
		return -1
	}
	value := func(n int, ok bool) int {
		if ok {
			return n
		}
		return -1
	}
	switch string(key) {
	case "host":
		return text(0, &f.Host, false)
	case "collected_at":
		return value(1, r.collected.get(raw, &f.CollectedAt))
	case "source":
		return text(2, &f.Source, true)
	case "machine_id":
		return text(3, &f.MachineID, false)
	case "os":
		return value(4, r.os.get(raw, &f.OS))
	case "arch":
		return text(5, &f.Arch, true)
	case "kernel":
		return text(6, &f.Kernel, true)
	case "boot_id":
		return text(7, &f.BootID, false)
	case "boot_time":
		n, err := strconv.ParseInt(string(raw), 10, 64)
		f.BootTime = n
		return value(8, err == nil && raw[0] != '+' && strconv.FormatInt(n, 10) == string(raw))
	case "rpm_version":
		return text(9, &f.RPMVersion, true)
	case "database":
		return value(10, r.database.get(raw, &f.Database))
	case "installed_digest":
		return text(11, &f.InstalledDigest, true)
	case "packages":
		return value(12, string(raw) == "null")
	case "keys":
		return value(13, r.keys.get(raw, &f.Keys))
	case "failed_units":
		return value(14, r.names.get(raw, &f.FailedUnits))
	case "systemd":
		f.Systemd = string(raw) == "true"
		return value(15, f.Systemd || string(raw) == "false")
	case "reboot":
		return value(16, r.reboot.get(raw, &f.Reboot))
	case "disk":
		return value(17, r.disk.get(raw, &f.Disk))
	case "modules":
		return value(18, r.modules.get(raw, &f.Modules))
	case "holds":
		return value(19, r.holds.get(raw, &f.Holds))
	case "repositories":
		return value(20, r.repos.get(raw, &f.Repositories))
	case "updaters":
		return value(21, r.names.get(raw, &f.Updaters))
	case "managers":
		return value(22, r.names.get(raw, &f.Managers))
	case "lock":
		return value(23, r.lock.get(raw, &f.Lock))
	case "notes":
		return value(24, r.names.get(raw, &f.Notes))
	case "unread":
		return value(25, r.names.get(raw, &f.Unread))
	}
	return -1
}

// text reads a string without escapes; common ones are shared.
func (r *factsReader) text(raw []byte, to *string, common bool) bool {
	if len(raw) < 2 || raw[0] != '"' {
		return false
	}
	raw = raw[1 : len(raw)-1]
	for _, c := range raw {
		if c < ' ' || c >= 0x7f || c == '\\' || c == '"' {
			return false
		}
	}
	if !common {
		*to = string(raw)
		return true
	}
	known, ok := r.texts[string(raw)]
	if !ok {
		known = r.shared(string(raw))
	}
	*to = known
	return true
}

// shared gives a text that many hosts have, once.
func (r *factsReader) shared(text string) string {
	if known, ok := r.texts[text]; ok {
		return known
	}
	if r.texts == nil {
		r.texts = map[string]string{}
	}
	if len(r.texts) < maxSharedValues {
		r.texts[text] = text
	}
	return text
}

// valueLength tells where the JSON value that b begins with ends; 0 where that is not seen. Whether it is well-formed inside is not its matter.
func valueLength(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			n := textLength(b[i:])
			if n == 0 {
				return 0
			}
			if i += n - 1; depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // the end of what holds a number or a word
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
	return 0
}

// textLength is valueLength of a string.
func textLength(b []byte) int {
	for at := 1; ; {
		n := bytes.IndexByte(b[at:], '"')
		if n < 0 {
			return 0
		}
		escapes := 0
		for b[at+n-1-escapes] == '\\' { // the quote that opens ends this
			escapes++
		}
		if at += n + 1; escapes%2 == 0 {
			return at
		}
	}
}
