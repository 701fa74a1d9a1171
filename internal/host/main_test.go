package host

import (
	"flag"
	"os"
	"testing"
)

// update rewrites the golden files of remote commands.
var update = flag.Bool("update", false, "rewrite testdata/golden")

// TestMain lets tests of real hosts overlap: they mostly wait for scriptlets.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f != nil {
		_ = flag.Set("test.parallel", "8")
	}
	os.Exit(m.Run())
}
