package rpm

import (
	"fmt"
	"strings"
)

// Scriptlet is a program that a package runs at installation or removal.
type Scriptlet struct {
	Kind    string   // pre, post, preun, postun, pretrans, posttrans, preuntrans, postuntrans, verify, or a kind of trigger
	Program []string // the interpreter and its arguments; "<lua>" is rpm's own
	Body    string   // "" when the interpreter runs alone
	On      []Dep    // what a trigger waits for: packages, or for file triggers path prefixes
}

// scriptTag names the tags of one kind of scriptlet.
type scriptTag struct {
	kind       string
	body, prog uint32
}

// scriptTags is the order in which rpm runs them.
var scriptTags = [...]scriptTag{
	{"pretrans", tagPreTrans, tagPreTransProg},
	{"pre", tagPreIn, tagPreInProg},
	{"post", tagPostIn, tagPostInProg},
	{"preuntrans", tagPreUntrans, tagPreUntransProg},
	{"preun", tagPreUn, tagPreUnProg},
	{"postun", tagPostUn, tagPostUnProg},
	{"posttrans", tagPostTrans, tagPostTransProg},
	{"postuntrans", tagPostUntrans, tagPostUntransProg},
	{"verify", tagVerifyScript, tagVerifyScriptProg},
}

// triggerTag names the tags of one family of triggers.
type triggerTag struct {
	kind                                       string
	scripts, prog, name, version, flags, index uint32
}

// Scriptlets returns all scriptlets and triggers of the package.
func (h *Header) Scriptlets() ([]Scriptlet, error) {
	var out []Scriptlet
	for _, k := range scriptTags {
		if h.Has(k.body) || h.Has(k.prog) {
			out = append(out, Scriptlet{Kind: k.kind, Program: h.Texts(k.prog), Body: h.Text(k.body)})
		}
	}
	for _, k := range []triggerTag{
		{"trigger", tagTriggerScripts, tagTriggerProg, tagTriggerName, tagTriggerVersion, tagTriggerFlags, tagTriggerIndex},
		{"filetrigger", tagFileTriggerBase, tagFileTriggerBase + 1, tagFileTriggerBase + 3, tagFileTriggerBase + 5, tagFileTriggerBase + 6, tagFileTriggerBase + 4},
		{"transfiletrigger", tagTransTriggerBase, tagTransTriggerBase + 1, tagTransTriggerBase + 3, tagTransTriggerBase + 5, tagTransTriggerBase + 6, tagTransTriggerBase + 4},
	} {
		triggers, err := h.triggers(k)
		if err != nil {
			return nil, err
		}
		out = append(out, triggers...)
	}
	return out, nil
}

// Bits of a trigger's flags that tell when it runs.
var triggerWhen = [...]struct {
	bit  uint64
	word string
}{{1 << 25, "prein"}, {1 << 16, "in"}, {1 << 17, "un"}, {1 << 18, "postun"}}

// triggers reads one family: scripts, and conditions that point to a script by number.
func (h *Header) triggers(k triggerTag) ([]Scriptlet, error) {
	scripts, progs := h.Texts(k.scripts), h.Texts(k.prog)
	index, flags := h.Numbers(k.index), h.Numbers(k.flags)
	on, err := h.deps(k.name, k.version, k.flags)
	if err != nil {
		return nil, err
	}
	if len(index) != len(on) || progs != nil && len(progs) != len(scripts) {
		return nil, fmt.Errorf("%w: %d %ss, %d programs, %d conditions, %d indexes", ErrHeader, len(scripts), k.kind, len(progs), len(on), len(index))
	}
	out := make([]Scriptlet, len(scripts))
	for i := range out {
		out[i] = Scriptlet{Kind: k.kind, Body: scripts[i]}
		if progs != nil {
			out[i].Program = strings.Fields(progs[i])
		}
	}
	for i, d := range on {
		if index[i] >= uint64(len(out)) {
			return nil, fmt.Errorf("%w: %s condition for script %d of %d", ErrHeader, k.kind, index[i], len(out))
		}
		s := &out[index[i]]
		s.On = append(s.On, d)
		for _, w := range triggerWhen {
			if s.Kind == k.kind && flags != nil && flags[i]&w.bit != 0 {
				s.Kind += w.word
			}
		}
	}
	return out, nil
}

// FileFlags are the marks that %files gives a path (rpmfileAttrs).
type FileFlags uint32

// The marks that say what happens to a changed file.
const (
	FileConfig    FileFlags = 1 << 0
	FileDoc       FileFlags = 1 << 1
	FileMissingOK FileFlags = 1 << 3
	FileNoReplace FileFlags = 1 << 4
	FileGhost     FileFlags = 1 << 6
)

// FileEntry is one path of a package.
type FileEntry struct {
	Path        string
	Flags       FileFlags
	Mode        uint16 // as in stat(2), type included
	Size        int64  // bytes
	Digest      string // hex, "" for what is no regular file; the algorithm is the package's FILEDIGESTALGO
	Target      string // of a symbolic link
	User, Group string
}

// Files returns the file list with what is known of each path.
func (h *Header) Files() ([]FileEntry, error) {
	paths, err := h.paths()
	if err != nil {
		return nil, err
	}
	flags, modes, sizes := h.Numbers(tagFileFlags), h.Numbers(tagFileModes), h.Numbers(tagFileSizes)
	if h.Has(tagLongFileSizes) {
		sizes = h.Numbers(tagLongFileSizes)
	}
	digests, links := h.Texts(tagFileDigests), h.Texts(tagFileLinktos)
	users, groups := h.Texts(tagFileUser), h.Texts(tagFileGroup)
	for _, n := range []int{len(flags), len(modes), len(sizes), len(digests), len(links), len(users), len(groups)} {
		if n != 0 && n != len(paths) {
			return nil, fmt.Errorf("%w: %d paths, %d of something that each has", ErrHeader, len(paths), n)
		}
	}
	out := make([]FileEntry, len(paths))
	for i, p := range paths {
		out[i] = FileEntry{
			Path: p, Flags: FileFlags(at(flags, i)), Mode: uint16(at(modes, i)), Size: int64(at(sizes, i) & (1<<63 - 1)),
			Digest: at(digests, i), Target: at(links, i), User: at(users, i), Group: at(groups, i),
		}
	}
	return out, nil
}

// HasFile tells whether a file has one of the flags.
func (h *Header) HasFile(flags FileFlags) bool {
	e, ok := h.tags[tagFileFlags]
	if !ok || classOf(e.typ) != classNumber {
		return false
	}
	for i := range int(e.count) {
		if FileFlags(h.number(e, i))&flags != 0 {
			return true
		}
	}
	return false
}

// at returns the element, or the zero value when the array is not there.
func at[T any](s []T, i int) T {
	if i < len(s) {
		return s[i]
	}
	var zero T
	return zero
}
