package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pkg/sftp"
)

// hostCommand is a command line of transport, taken apart.
type hostCommand struct {
	begin, end string   // what stands around its output; its exit status follows
	words      []string // of the command itself
}

// parseCommand reads what a login shell is given.
func parseCommand(line string) (hostCommand, bool) {
	text := decoded(line)
	if words := shellWords(text); text == line && len(words) == 4 {
		text = words[3] // exec /bin/sh -c PROGRAM
	}
	frame := frameMarks.FindStringSubmatch(text)
	_, body, found := strings.Cut(text, " >&2;")
	if frame == nil || !found {
		return hostCommand{}, false
	}
	c := hostCommand{begin: frame[1] + "-" + frame[2] + "<", end: frame[1] + "-" + frame[2] + ">", words: shellWords(strings.TrimPrefix(body, "("))}
	return c, len(c.words) >= 3 && c.words[0] == "/bin/sh" && c.words[1] == "-c"
}

// shellWords are the words of a simple command, as far as the first character that ends one.
func shellWords(s string) []string {
	var words []string
	for {
		s = strings.TrimLeft(s, " ")
		if s == "" || strings.IndexByte(")<;", s[0]) >= 0 {
			return words
		}
		var b strings.Builder
		for s != "" && strings.IndexByte(" )<;", s[0]) < 0 {
			switch {
			case s[0] == '\'':
				text, rest, _ := strings.Cut(s[1:], "'")
				b.WriteString(text)
				s = rest
			case s[0] == '\\' && len(s) > 1:
				b.WriteByte(s[1])
				s = s[2:]
			default:
				b.WriteByte(s[0])
				s = s[1:]
			}
		}
		words = append(words, b.String())
	}
}

// hostProgramNames gives the name of a program of internal/host by its whole text. The golden files have what is sent, and no other text
// is known here: a host that guessed would prove nothing.
var hostProgramNames = sync.OnceValues(func() (map[string]string, error) {
	paths, err := filepath.Glob(filepath.Join(root, "internal/host/testdata/golden/program-*.sh"))
	if err != nil || len(paths) == 0 {
		return nil, errors.Join(err, errors.New("no golden programs"))
	}
	names := make(map[string]string, len(paths))
	for _, p := range paths {
		text, err := os.ReadFile(p)
		if err != nil {
			return nil, err
		}
		names[string(text)] = strings.TrimSuffix(strings.TrimPrefix(filepath.Base(p), "program-"), ".sh")
	}
	return names, nil
})

// Scripts that are none of internal/host's: transport's, which say on their last lines what they are about, and that of the basic check.
const (
	scriptSurvey  = "survey"
	scriptDigests = "digests"
	scriptUnits   = "units"
)

// name says which command it is; "" for one that this host does not know.
func (c hostCommand) name() string {
	names, _ := hostProgramNames()
	script := c.words[2]
	switch {
	case len(c.words) >= 5 && c.words[3] == "cpacman":
		return names[script]
	case len(c.words) != 3:
		return ""
	case strings.Contains(script, "\ns 0 /"):
		return scriptSurvey
	case strings.Contains(script, "\nb </"):
		return scriptDigests
	case strings.HasPrefix(script, "if [ -d /run/systemd/system ]; then\necho begin\nsystemctl list-units --state=failed "):
		return scriptUnits
	}
	return ""
}

// hostFile is a file of a scripted host. Two names of one are two entries of the same pointer.
type hostFile struct {
	h    *scriptedHost
	data []byte
}

func (f *hostFile) sha256() string { return fmt.Sprintf("%x", sha256.Sum256(f.data)) }

// WriteAt implements io.WriterAt for SFTP. A host may be fated to die in it.
func (f *hostFile) WriteAt(p []byte, at int64) (int, error) {
	f.h.mu.Lock()
	defer f.h.mu.Unlock()
	if f.h.gone != lives {
		return 0, io.ErrClosedPipe
	}
	if f.h.fate.when == inUpload {
		if f.h.fate.after -= len(p); f.h.fate.after < 0 {
			f.put(p[:len(p)/2], at) // half of it is on the disk
			f.h.die()
			return 0, io.ErrClosedPipe
		}
	}
	f.put(p, at)
	return len(p), nil
}

func (f *hostFile) put(p []byte, at int64) {
	if end := int(at) + len(p); end > len(f.data) {
		f.data = append(f.data, make([]byte, end-len(f.data))...)
	}
	copy(f.data[at:], p)
}

// Name, Size and the others implement fs.FileInfo.
func (f *hostFile) Name() string       { return "file" }
func (f *hostFile) Size() int64        { return int64(len(f.data)) }
func (f *hostFile) Mode() fs.FileMode  { return 0o600 }
func (f *hostFile) ModTime() time.Time { return time.Time{} }
func (f *hostFile) IsDir() bool        { return false }
func (f *hostFile) Sys() any           { return nil }

// ListAt implements sftp.ListerAt for the answer to stat.
func (f *hostFile) ListAt(to []fs.FileInfo, at int64) (int, error) {
	if at > 0 || len(to) == 0 {
		return 0, io.EOF
	}
	to[0] = f
	return 1, io.EOF
}

// hostDisk is the disk of a scripted host as SFTP shows it: nothing may be written outside of the directories that programs have made.
type hostDisk struct{ h *scriptedHost }

func (d hostDisk) handlers() *sftp.Handlers {
	return &sftp.Handlers{FileGet: d, FilePut: d, FileCmd: d, FileList: d}
}

// Fileread implements sftp.FileReader; nobody has to read here.
func (d hostDisk) Fileread(*sftp.Request) (io.ReaderAt, error) { return nil, os.ErrPermission }

// Filewrite implements sftp.FileWriter.
func (d hostDisk) Filewrite(r *sftp.Request) (io.WriterAt, error) {
	d.h.mu.Lock()
	defer d.h.mu.Unlock()
	f, flags := d.h.files[r.Filepath], r.Pflags()
	switch {
	case !d.h.dirs[path.Dir(r.Filepath)], f == nil && !flags.Creat:
		return nil, os.ErrNotExist
	case f != nil && flags.Excl:
		return nil, os.ErrExist
	case f == nil:
		f = &hostFile{h: d.h}
		d.h.files[r.Filepath] = f
	}
	if flags.Trunc {
		f.data = nil
	}
	return f, nil
}

// Filelist implements sftp.FileLister.
func (d hostDisk) Filelist(r *sftp.Request) (sftp.ListerAt, error) {
	d.h.mu.Lock()
	defer d.h.mu.Unlock()
	if f := d.h.files[r.Filepath]; f != nil && (r.Method == "Stat" || r.Method == "Lstat") {
		return &hostFile{data: f.data}, nil
	}
	return nil, os.ErrNotExist
}

// Filecmd implements sftp.FileCmder.
func (d hostDisk) Filecmd(r *sftp.Request) error {
	d.h.mu.Lock()
	defer d.h.mu.Unlock()
	f := d.h.files[r.Filepath]
	if f == nil {
		return os.ErrNotExist
	}
	switch r.Method {
	case "Setstat":
		if r.AttrFlags().Size {
			f.data = f.data[:min(len(f.data), int(r.Attributes().Size))]
		}
	case "Remove":
		delete(d.h.files, r.Filepath)
	case "Rename":
		if d.h.files[r.Target] != nil {
			return os.ErrExist
		}
		d.h.rename(r.Filepath, r.Target)
	default:
		return sftp.ErrSSHFxOpUnsupported
	}
	return nil
}

// PosixRename implements sftp.PosixRenameFileCmder.
func (d hostDisk) PosixRename(r *sftp.Request) error {
	d.h.mu.Lock()
	defer d.h.mu.Unlock()
	if d.h.files[r.Filepath] == nil || !d.h.dirs[path.Dir(r.Target)] {
		return os.ErrNotExist
	}
	d.h.rename(r.Filepath, r.Target)
	return nil
}

func (h *scriptedHost) rename(from, to string) {
	h.files[to] = h.files[from]
	delete(h.files, from)
}

// StatVFS implements sftp.StatVFSFileCmder.
func (d hostDisk) StatVFS(*sftp.Request) (*sftp.StatVFS, error) {
	return &sftp.StatVFS{Bsize: 4096, Frsize: 4096, Blocks: 1 << 24, Bfree: 1 << 23, Bavail: 1 << 23, Files: 1 << 20, Ffree: 1 << 19, Favail: 1 << 19}, nil
}

// survey answers transport's question what is there of files that are to come: "s NUMBER FINAL PART SIZE BLOCK_MIB DIGEST".
func (h *scriptedHost) survey(script string) string {
	var b strings.Builder
	for line := range strings.Lines(script) {
		w := shellWords(strings.TrimSuffix(line, "\n"))
		if len(w) != 7 || w[0] != "s" {
			continue
		}
		final, part := h.files[w[2]], h.files[w[3]]
		if final != nil && strconv.Itoa(len(final.data)) == w[4] {
			fmt.Fprintf(&b, "final %s same %s\n", w[1], final.sha256())
			if final.sha256() == w[6] {
				continue
			}
		} else {
			fmt.Fprintf(&b, "final %s other\n", w[1])
		}
		if part == nil {
			fmt.Fprintf(&b, "part %s none\n", w[1])
			continue
		}
		// No file here is larger than a block.
		fmt.Fprintf(&b, "part %s %d\n", w[1], len(part.data))
		if len(part.data) > 0 {
			fmt.Fprintf(&b, "block %s %s\n", w[1], part.sha256())
		}
	}
	return b.String()
}

// digests answers transport's question for the digests of what it has sent: "b <FILE | cut …".
func (h *scriptedHost) digests(script string) string {
	var b strings.Builder
	for line := range strings.Lines(script) {
		name, asked := strings.CutPrefix(line, "b <")
		if name, _, _ = strings.Cut(name, " "); !asked {
			continue
		}
		if f := h.files[name]; f != nil {
			b.WriteString(f.sha256())
		}
		b.WriteString("\n")
	}
	return b.String()
}
