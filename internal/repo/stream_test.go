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
