package inventory

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the messages of testdata/bad anew")

// testLoader trusts whoever runs the test and has a home of its own.
func testLoader() *Loader {
	return &Loader{Owners: CurrentOwners(""), Home: "/home/operator"}
}

// writeSite writes files into a new directory that only its owner can write.
func writeSite(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	addFiles(t, dir, files)
	return dir
}

// addFiles writes files into the directory of a site.
func addFiles(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// mustLoad loads a site of the given files.
func mustLoad(t testing.TB, files map[string]string) *Site {
	t.Helper()
	s, err := testLoader().Load(writeSite(t, files))
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	return s
}

// problemsOf loads a site that is expected to be wrong.
func problemsOf(t testing.TB, dir string) Problems {
	t.Helper()
	return problemsWith(t, testLoader(), dir)
}

func problemsWith(t testing.TB, l *Loader, dir string) Problems {
	t.Helper()
	_, err := l.Load(dir)
	var ps Problems
	if err != nil && !errors.As(err, &ps) {
		t.Fatalf("load: %v is not Problems", err)
	}
	return ps
}

// TestBadFiles holds one bad file for each rule of configuration. Its first line
// says which file of a site it is; the lines "# want:" are its messages.
func TestBadFiles(t *testing.T) {
	paths, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil || len(paths) < 60 {
		t.Fatalf("only %d bad files: %v", len(paths), err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".toml")
		t.Run(name, func(t *testing.T) { badFile(t, path) })
	}
}

func badFile(t *testing.T, path string) {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	base, err := os.ReadFile("testdata/base.toml")
	if err != nil {
		t.Fatal(err)
	}
	first, rest, _ := strings.Cut(string(data), "\n")
	name, ok := strings.CutPrefix(first, "# file: ")
	if !ok {
		t.Fatalf("first line %q does not name the file", first)
	}
	if *update {
		updateBad(t, path, name, first, rest, string(base))
		return
	}
	var want []string
	for _, line := range strings.Split(rest, "\n") {
		if strings.HasPrefix(line, "# want: ") || strings.HasPrefix(line, "# hint: ") {
			want = append(want, line)
		}
	}
	if len(want) == 0 {
		t.Fatal("no message is expected")
	}
	got := badMessages(t, map[string]string{MainFile: string(base), name: string(data)}, name)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

// badMessages loads the site and writes its problems as the files have them.
func badMessages(t *testing.T, files map[string]string, name string) []string {
	dir := writeSite(t, files)
	loader := testLoader()
	var out []string
	for _, p := range problemsWith(t, loader, dir) {
		if p.File != filepath.Join(dir, name) || p.Line == 0 || p.Severity != SeverityError {
			t.Errorf("%v: not an error of %s with a line", p, name)
		}
		clean := strings.ReplaceAll(p.Message, dir, "SITE")
		out = append(out, fmt.Sprintf("# want: %d: %s", p.Line, printable(clean)))
		if p.Hint != "" {
			out = append(out, "# hint: "+printable(p.Hint))
		}
	}
	return out
}

// updateBad writes the messages into the file; a person has to read them then.
func updateBad(t *testing.T, path, name, first, rest, base string) {
	var body []string
	for _, line := range strings.Split(rest, "\n") {
		if !strings.HasPrefix(line, "# want: ") && !strings.HasPrefix(line, "# hint: ") {
			body = append(body, line)
		}
	}
	text := strings.Join(body, "\n")
	load := func(header string) []string {
		return badMessages(t, map[string]string{MainFile: base, name: header + text}, name)
	}
	lines := len(load(first + "\n"))
	messages := load(first + "\n" + strings.Repeat("#\n", lines))
	out := append([]string{first}, messages...)
	if err := os.WriteFile(path, []byte(strings.Join(out, "\n")+"\n"+text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestUnsupportedHaveBadFiles: every key that is not built yet is refused in some
// bad file, or its whole table is.
func TestUnsupportedHaveBadFiles(t *testing.T) {
	paths, _ := filepath.Glob("testdata/bad/later-*.toml")
	var all bytes.Buffer
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(data)
	}
	for _, k := range Keys() {
		if k.Supported {
			continue
		}
		word := firstWord(k.Table)
		whole := fmt.Sprintf("table %q is not supported yet", word)
		single := fmt.Sprintf("key %q in [", k.Key)
		if !strings.Contains(all.String(), whole) && !strings.Contains(all.String(), single) {
			t.Errorf("%s %s: no bad file", k.Table, k.Key)
		}
	}
}
