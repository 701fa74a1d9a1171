package planner

import (
	"slices"
	"unicode/utf8"

	"cpacman/internal/rpm"
)

// text gives the set as canonical writes it, without the end of the line.
func (s *Set) text() ([]byte, error) {
	w := newWriter(make([]byte, 0, 512))
	w.set("", s)
	return w.out, w.err
}

// set writes a set behind what stands in the line, which is indented so far. Its keys are sorted.
func (w *textWriter) set(indent string, s *Set) {
	in := indent + "  "
	w.out = append(w.out, '{')
	objects(w, in, "blocked", s.Blocked, func(in string, b *Blocked) {
		w.nevra(in, "available", b.Available)
		w.field(in, "because", b.Because)
		w.nevra(in, "nevra", b.NEVRA)
		w.field(in, "rule", b.Rule)
	})
	objects(w, in, "downgrade", s.Downgrade, w.move)
	objects(w, in, "held", s.Held, func(in string, h *Held) {
		w.nevra(in, "available", h.Available)
		w.strings(in, "because", h.Because)
		w.nevra(in, "nevra", h.NEVRA)
	})
	w.field(in, "id", s.ID)
	objects(w, in, "install", s.Install, func(in string, i *Install) {
		if len(i.Fixes) > 0 {
			w.strings(in, "fixes", i.Fixes)
		}
		if i.InstallOnly {
			w.key(in, "install_only")
			w.out = append(w.out, "true"...)
		}
		w.strings(in, "needed_by", i.NeededBy)
		w.nevra(in, "nevra", i.NEVRA)
	})
	if len(s.Overridden) > 0 {
		objects(w, in, "overridden", s.Overridden, func(in string, o *Overridden) {
			w.field(in, "because", o.Because)
			w.nevra(in, "nevra", o.NEVRA)
			w.field(in, "rule", o.Rule)
		})
	}
	objects(w, in, "remove", s.Remove, func(in string, r *Remove) {
		w.field(in, "because", r.Because)
		w.nevra(in, "nevra", r.NEVRA)
		w.field(in, "rule", r.Rule)
	})
	objects(w, in, "upgrade", s.Upgrade, w.move)
	if len(s.VendorChanges) > 0 {
		objects(w, in, "vendor_changes", s.VendorChanges, func(in string, v *VendorChange) {
			w.nevra(in, "from", v.From)
			w.field(in, "from_vendor", v.FromVendor)
			w.nevra(in, "to", v.To)
			w.field(in, "to_vendor", v.ToVendor)
		})
	}
	w.out = append(append(append(w.out, '\n'), indent...), '}')
}

func (w *textWriter) move(in string, m *Move) {
	if m.Again {
		w.key(in, "again")
		w.out = append(w.out, "true"...)
	}
	if len(m.Fixes) > 0 {
		w.strings(in, "fixes", m.Fixes)
	}
	w.nevra(in, "from", m.From)
	if m.Policy != "" {
		w.field(in, "policy", m.Policy)
	}
	w.nevra(in, "to", m.To)
}

// objects writes a list of what one writes; in is the indent of the key.
func objects[T any](w *textWriter, in, key string, list []T, one func(in string, x *T)) {
	w.key(in, key)
	switch {
	case list == nil:
		w.out = append(w.out, "null"...)
		return
	case len(list) == 0:
		w.out = append(w.out, "[]"...)
		return
	}
	w.out = append(w.out, '[')
	deeper := in + "    "
	for i := range list {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.out = append(append(append(w.out, '\n'), in...), "  {"...)
		one(deeper, &list[i])
		w.out = append(append(append(w.out, '\n'), in...), "  }"...)
	}
	w.out = append(append(append(w.out, '\n'), in...), ']')
}

func (w *textWriter) field(in, key, value string) {
	w.key(in, key)
	w.string(whole(value))
}

// whole puts U+FFFD itself in the place of what is no UTF-8: sets always had that, where encoding/json writes an escape.
func whole(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}

func (w *textWriter) nevra(in, key string, n rpm.NEVRA) { w.field(in, key, n.String()) }

// strings writes a list of texts; nil is null.
func (w *textWriter) strings(in, key string, list []string) {
	w.key(in, key)
	if list == nil {
		w.out = append(w.out, "null"...)
		return
	}
	if slices.ContainsFunc(list, func(s string) bool { return !utf8.ValidString(s) }) {
		list = slices.Clone(list)
		for i := range list {
			list[i] = whole(list[i])
		}
	}
	w.list(in, list)
}
