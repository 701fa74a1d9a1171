package store

import (
	"strings"

	"cpacman/internal/host"
)

// readPackages reads a package list as encoding/json writes it: its keys in their order, no spaces, no escapes. False: it is not such a one, and
// is left to encoding/json. A plan reads the lists of all its configurations, and each has hundreds of packages. A test holds the two together.
func readPackages(text string) ([]host.Package, bool) {
	r := listReader{text: text}
	if !r.take("[") {
		return nil, false
	}
	if r.take("]") {
		return []host.Package{}, r.text == ""
	}
	n := strings.Count(text, `{"name":"`)
	out, epochs := make([]host.Package, 0, n), make([]uint32, n)
	for {
		if len(out) == n {
			return nil, false
		}
		out = append(out, host.Package{})
		if !r.read(&out[len(out)-1], &epochs[len(out)-1]) {
			return nil, false
		}
		if !r.take(",") {
			return out, r.take("]") && r.text == ""
		}
	}
}

// listReader reads from the front of text.
type listReader struct{ text string }

// take takes what comes next when it is that.
func (r *listReader) take(s string) bool {
	rest, ok := strings.CutPrefix(r.text, s)
	if ok {
		r.text = rest
	}
	return ok
}

// read reads one package; a known epoch stands in epoch.
func (r *listReader) read(p *host.Package, epoch *uint32) bool {
	if !r.field(`{"name":"`, &p.Name) || !r.take(`,"epoch":`) {
		return false
	}
	if !r.take("null") {
		n, ok := r.number(1<<32 - 1)
		if !ok {
			return false
		}
		*epoch, p.Epoch = uint32(n), epoch //nolint:gosec // bounded
	}
	if !r.field(`,"version":"`, &p.Version) || !r.field(`,"release":"`, &p.Release) || !r.field(`,"arch":"`, &p.Arch) ||
		!r.field(`,"header":"`, &p.Header) || !r.take(`,"install_time":`) {
		return false
	}
	at, ok := r.number(1 << 53)
	if !ok || !r.field(`,"vendor":"`, &p.Vendor) || !r.take(`,"color":`) {
		return false
	}
	color, ok := r.number(1<<8 - 1)
	p.InstallTime = int64(at) //nolint:gosec // bounded
	set(&p.Color, color)
	return ok && r.take("}")
}

// set stores a number that is known to fit.
func set[T ~uint8](to *T, n uint64) { *to = T(n) } //nolint:gosec // bounded

// field reads a text behind what opens it.
func (r *listReader) field(open string, to *string) bool {
	if !r.take(open) {
		return false
	}
	for i := range len(r.text) {
		switch c := r.text[i]; {
		case c == '"':
			*to, r.text = r.text[:i], r.text[i+1:]
			return true
		case c < ' ' || c >= 0x7f || c == '\\':
			return false
		}
	}
	return false
}

// number reads a whole number that is not negative.
func (r *listReader) number(most uint64) (uint64, bool) {
	n, i := uint64(0), 0
	for ; i < len(r.text) && r.text[i] >= '0' && r.text[i] <= '9'; i++ {
		if n = 10*n + uint64(r.text[i]-'0'); n > most {
			return 0, false
		}
	}
	if i == 0 || i > 1 && r.text[0] == '0' {
		return 0, false
	}
	r.text = r.text[i:]
	return n, true
}
