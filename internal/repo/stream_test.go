package repo

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

// TestSkippableFrames: pzstd begins a file with a frame that holds nothing of it.
func TestSkippableFrames(t *testing.T) {
	content := primaryXML(packageXML("foo"))
	for magic := uint32(0x184D2A50); magic <= 0x184D2A5F; magic++ {
		frame := binary.LittleEndian.AppendUint32(nil, magic)
		frame = append(binary.LittleEndian.AppendUint32(frame, 4), "size"...)
		raw := string(slices.Concat(frame, compressed(t, "zst", []byte(content))))
		dir := madeRepo(t, metaFile{kind: "primary", content: raw, change: func(s string) string {
			s, _, _ = strings.Cut(strings.Replace(s, "<open-checksum", "<x", 1), "<open-size>")
			return strings.Replace(s, "</open-checksum>", "</x>", 1) + "</data>"
		}})
		if n := open(t, dir, Options{}).Len(); n != 1 {
			t.Errorf("%x: %d packages", magic, n)
		}
	}
}

// TestGzipMembers: a file of several members is one, and what is behind them and is no member is nothing, as for zlib. A member that is cut is damage.
func TestGzipMembers(t *testing.T) {
	content := primaryXML(packageXML("foo"))
	gz := func(s string) string { return string(compressed(t, "gz", []byte(s))) }
	for name, c := range map[string]struct{ raw, fault string }{
		"two members":  {gz(content[:100]) + gz(content[100:]), ""},
		"empty member": {gz("") + gz(content) + gz(""), ""},
		"zeros":        {gz(content) + strings.Repeat("\x00", 512), ""},
		"text":         {gz(content) + "x", ""},
		"cut member":   {gz(content[:100]) + gz(content[100:])[:40], "truncated"},
		"magic alone":  {gz(content) + "\x1f\x8b", "truncated"},
		"wrong sum":    {gz(content)[:len(gz(content))-8] + "12345678", "invalid checksum"},
	} {
		dir := madeRepo(t, metaFile{kind: "primary", content: c.raw, change: func(s string) string {
			s, _, _ = strings.Cut(strings.Replace(s, "<open-checksum", "<x", 1), "<open-size>")
			return strings.Replace(s, "</open-checksum>", "</x>", 1) + "</data>"
		}})
		r, err := Open(t.Context(), Config{"test", dir}, Options{})
		switch {
		case c.fault != "":
			wantDamage(t, err, "repodata/primary", c.fault)
		case err != nil || r.Len() != 1:
			t.Errorf("%s: %v", name, err)
		}
	}
}
