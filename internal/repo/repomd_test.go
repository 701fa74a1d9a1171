package repo

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
)

// TestRepomdAlone: nothing but white space and comments stands around the root of repomd.xml; a disk that lost blocks leaves zeros there.
func TestRepomdAlone(t *testing.T) {
	for _, c := range []struct {
		before, after string
		good          bool
	}{
		{"", "", true},
		{"", "\n <!-- x -->\n", true},
		{"", "\x00\x00", false},
		{"", "\n\x00", false},
		{"", "x", false},
		{"", "<repomd/>", false},
		{"", "</repomd>", false},
		{"", "<", false},
		{"x", "", false},
		{"\x00", "", false},
	} {
		dir := madeRepo(t, metaFile{kind: "primary", content: primaryXML(packageXML("foo"))})
		if err := edit(filepath.Join(dir, repomdPath), func(b []byte) []byte { return slices.Concat([]byte(c.before), b, []byte(c.after)) }); err != nil {
			t.Fatal(err)
		}
		_, err := Open(context.Background(), Config{"test", dir}, Options{})
		if c.good && err != nil {
			t.Errorf("%q: %v", c.after, err)
		}
		if !c.good {
			wantDamage(t, err, repomdPath, "damaged")
		}
	}
}
