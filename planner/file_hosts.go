package planner

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"cpacman/internal/rpm"
)

// textWriter writes entries of hosts, packages and sets, their keys in order. After the first error it goes on and what it wrote counts for nothing.
type textWriter struct {
	out []byte
	err error
	// What hosts of one configuration share is written once and copied.
	impacts   map[impactID][]byte
	rollbacks map[rollbackID][]byte
	lists     map[listID][]byte
}

func newWriter(out []byte) *textWriter {
	return &textWriter{out: out, impacts: map[impactID][]byte{}, rollbacks: map[rollbackID][]byte{}, lists: map[listID][]byte{}}
}

// What is shared is known by where it is, not by what it says: hosts of one solution have the same lists.
type (
	listID struct {
		at *string
		n  int
	}
	impactID struct {
		config, reasons, scriptlets, services listID
		reboot                                bool
		unread                                int
	}
	rollbackID struct {
		because, set string
		complete     bool
		missing      *rpm.NEVRA
		n            int
		none         bool
	}
)

func idOf(list []string) listID {
	if len(list) == 0 {
		return listID{}
	}
	return listID{&list[0], len(list)}
}

// maxShared bounds what is remembered of a plan whose hosts share nothing.
const maxShared = 4096

// once writes what belongs to an id, or copies what it wrote for it before.
func once[K comparable](w *textWriter, in map[K][]byte, id K, write func()) {
	if text, ok := in[id]; ok {
		w.out = append(w.out, text...)
		return
	}
	from := len(w.out)
	write()
	if len(in) < maxShared {
		in[id] = bytes.Clone(w.out[from:])
	}
}

// rare tells whether a host has what few have: those are left to encoding/json.
func (h *PlanHost) rare() bool { return h.Reboot != nil || !h.Keys.Empty() }

// plainly writes a host as canonical does.
func (w *textWriter) plainly(h *PlanHost) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("    ", "  ")
	if err := enc.Encode(h); err != nil {
		w.err = err
	}
	w.out = append(append(w.out, "\n    "...), bytes.TrimSuffix(out.Bytes(), []byte("\n"))...)
}

func (w *textWriter) host(h *PlanHost) {
	if h.rare() {
		w.plainly(h)
		return
	}
	w.out = append(w.out, "\n    {\n      \"bytes\": "...)
	w.out = strconv.AppendInt(w.out, h.Bytes, 10)
	w.text("class", h.Class)
	w.key("      ", "collected_at")
	w.time(h.CollectedAt)
	if h.Detail != "" {
		w.text("detail", h.Detail)
	}
	w.text("host", h.Host)
	w.key("      ", "impact")
	i := &h.Impact
	once(w, w.impacts, impactID{idOf(i.ConfigFiles), idOf(i.RebootReasons), idOf(i.Scriptlets), idOf(i.Services), i.Reboot, i.Unread}, func() { w.impact(i) })
	w.text("installed_digest", h.InstalledDigest)
	w.text("level", h.Level)
	w.text("machine_id", h.MachineID)
	if len(h.PreBroken) > 0 {
		w.key("      ", "pre_broken")
		once(w, w.lists, idOf(h.PreBroken), func() { w.list("      ", h.PreBroken) })
	}
	w.key("      ", "rollback")
	once(w, w.rollbacks, h.Rollback.id(), func() { w.rollback(&h.Rollback) })
	if h.Set != "" {
		w.text("set", h.Set)
	}
	w.text("status", string(h.Status))
	w.out = append(w.out, "\n    }"...)
}

// pkg writes a package as canonical does.
func (w *textWriter) pkg(p *PlanPackage) {
	const deeper = "        "
	w.out = append(w.out, "\n    {"...)
	w.key("      ", "advisories")
	if p.Advisories == nil {
		w.out = append(w.out, "null"...)
	} else {
		w.list("      ", p.Advisories)
	}
	w.key("      ", "checksum")
	w.out = append(w.out, '{')
	w.key(deeper, "type")
	w.string(p.Checksum.Type)
	w.key(deeper, "value")
	w.string(p.Checksum.Value)
	w.out = append(w.out, "\n      }"...)
	w.text("nevra", p.NEVRA.String())
	w.text("path", p.Path)
	w.text("repo", p.Repo)
	if p.SHA256 != "" {
		w.text("sha256", p.SHA256)
	}
	w.key("      ", "size")
	w.out = strconv.AppendInt(w.out, p.Size, 10)
	w.text("vendor", p.Vendor)
	w.out = append(w.out, "\n    }"...)
}

func (w *textWriter) impact(i *Impact) {
	const indent = "        "
	w.out = append(w.out, '{')
	lists := func(key string, list []string) {
		if len(list) > 0 {
			w.key(indent, key)
			w.list(indent, list)
		}
	}
	lists("config_files", i.ConfigFiles)
	w.key(indent, "reboot")
	w.out = strconv.AppendBool(w.out, i.Reboot)
	lists("reboot_reasons", i.RebootReasons)
	lists("scriptlets", i.Scriptlets)
	lists("services", i.Services)
	if i.Unread != 0 {
		w.key(indent, "unread")
		w.out = strconv.AppendInt(w.out, int64(i.Unread), 10)
	}
	w.out = append(w.out, "\n      }"...)
}

func (w *textWriter) rollback(r *RollbackInfo) {
	const indent = "        "
	w.out = append(w.out, '{')
	if r.Because != "" {
		w.key(indent, "because")
		w.string(r.Because)
	}
	w.key(indent, "complete")
	w.out = strconv.AppendBool(w.out, r.Complete)
	w.key(indent, "missing")
	switch {
	case r.Missing == nil:
		w.out = append(w.out, "null"...)
	default:
		w.nevras(indent, r.Missing)
	}
	if r.Set != "" {
		w.key(indent, "set")
		w.string(r.Set)
	}
	w.out = append(w.out, "\n      }"...)
}

func (r *RollbackInfo) id() rollbackID {
	id := rollbackID{because: r.Because, set: r.Set, complete: r.Complete, n: len(r.Missing), none: r.Missing == nil}
	if id.n > 0 {
		id.missing = &r.Missing[0]
	}
	return id
}

// key begins a line with a key; a comma ends the line before, unless that opened the object.
func (w *textWriter) key(indent, key string) {
	if w.out[len(w.out)-1] != '{' {
		w.out = append(w.out, ',')
	}
	w.out = append(append(append(append(w.out, '\n'), indent...), '"'), key...)
	w.out = append(w.out, "\": "...)
}

// text writes a line of the entry itself.
func (w *textWriter) text(key, value string) {
	w.key("      ", key)
	w.string(value)
}

func (w *textWriter) nevras(indent string, list []rpm.NEVRA) {
	texts := make([]string, len(list))
	for i, n := range list {
		texts[i] = n.String() // as MarshalText
	}
	w.list(indent, texts)
}

func (w *textWriter) list(indent string, list []string) {
	w.out = append(w.out, '[')
	for i, s := range list {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.out = append(append(append(w.out, '\n'), indent...), "  "...)
		w.string(s)
	}
	if len(list) > 0 {
		w.out = append(append(w.out, '\n'), indent...)
	}
	w.out = append(w.out, ']')
}

func (w *textWriter) time(t time.Time) {
	if y := t.Year(); t.Location() == time.UTC && y > 0 && y < 10_000 {
		w.out = append(t.AppendFormat(append(w.out, '"'), time.RFC3339Nano), '"')
		return
	}
	b, err := t.MarshalJSON()
	w.fail(err)
	w.out = append(w.out, b...)
}

// escaped are the bytes that JSON may write otherwise.
var escaped = func() (out [256]bool) { //nolint:gochecknoglobals // a constant table
	for c := range out {
		out[c] = c < ' ' || c >= 0x7f || c == '"' || c == '\\'
	}
	return out
}()

// string writes what needs no escapes, which most strings are, and leaves the others to encoding/json.
func (w *textWriter) string(s string) {
	for i := range len(s) {
		if escaped[s[i]] {
			b, err := canonical(s)
			w.fail(err)
			w.out = append(w.out, bytes.TrimSuffix(b, []byte("\n"))...)
			return
		}
	}
	w.out = append(append(append(w.out, '"'), s...), '"')
}

func (w *textWriter) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}
