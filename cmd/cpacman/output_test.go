package main

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestTablesAreAsTabwriterWrites: the fast way gives the bytes of the slow one, whatever stands in the cells.
func TestTablesAreAsTabwriterWrites(t *testing.T) {
	cell := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "-", "web01", "übergröße", "a\tb", "line\nbreak", "\x1b[31m", "\xff", "\v\f", "  ", "<a>&amp;"}))
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 4).Draw(t, "columns")
		d := data{columns: []string{"host", "class", "detail", "x"}[:n]}
		for range rapid.IntRange(0, 5).Draw(t, "rows") {
			d.rows = append(d.rows, rapid.SliceOfN(cell, n, n).Draw(t, "row"))
		}
		if len(d.rows) > 0 && rapid.IntRange(0, 9).Draw(t, "uneven") == 0 {
			d.rows[0] = append(d.rows[0], "more")
		}
		var want, got bytes.Buffer
		if err := d.tabbed(&want); err != nil {
			t.Fatal(err)
		}
		if err := d.columned(&got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.String(), got.String()); diff != "" {
			t.Fatal(diff)
		}
	})
}
