package inventory

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Owners are the user ids whose files are trusted (SEC-1).
type Owners []uint32

// CurrentOwners are the caller, root and, for a root that sudo made, the user
// behind sudo. sudoUID is the value of $SUDO_UID; only sudo can have set it when
// the caller is root, for anyone else it is ignored.
func CurrentOwners(sudoUID string) Owners {
	uid := uint32(os.Geteuid())
	owners := Owners{uid}
	if uid != 0 {
		return append(owners, 0)
	}
	if n, err := strconv.ParseUint(sudoUID, 10, 32); err == nil && n != 0 {
		owners = append(owners, uint32(n))
	}
	return owners
}

// UnsafeError is the refusal of a file or directory that somebody else owns or
// can write.
type UnsafeError struct {
	Path  string
	Kind  string // "directory", "file", "program"
	UID   uint32
	Owner string // the name of UID, if it has one
	Mode  fs.FileMode
	Fix   string // the command that puts it right
	why   string
}

// Error names the owner, the mode and the remedy.
func (e *UnsafeError) Error() string { return printable(e.message() + "; " + e.hint()) }

// message says what is wrong, without the path.
func (e *UnsafeError) message() string {
	owner := strconv.FormatUint(uint64(e.UID), 10)
	if e.Owner != "" {
		owner = e.Owner + " (uid " + owner + ")"
	}
	return fmt.Sprintf("%s %q is not safe to use: %s; owner %s, mode %#o (%s)",
		e.Kind, e.Path, e.why, owner, e.Mode.Perm(), e.Mode)
}

func (e *UnsafeError) hint() string { return "after looking at what it holds: " + e.Fix }

// check refuses what belongs to a stranger or can be written by others.
func (o Owners) check(path, kind string, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s %q: the file system tells no owner", kind, path)
	}
	stranger := !slices.Contains(o, st.Uid)
	open := info.Mode().Perm()&0o022 != 0
	if !stranger && !open {
		return nil
	}
	e := &UnsafeError{Path: path, Kind: kind, UID: st.Uid, Mode: info.Mode()}
	if u, err := user.LookupId(strconv.FormatUint(uint64(st.Uid), 10)); err == nil {
		e.Owner = u.Username
	}
	var why, fix []string
	if stranger {
		why = append(why, "it belongs neither to you nor to root")
		fix = append(fix, "chown "+strconv.FormatUint(uint64(o.self()), 10)+" "+shellQuote(path))
	}
	if open {
		why = append(why, "others can write it")
		fix = append(fix, "chmod go-w "+shellQuote(path))
	}
	e.why, e.Fix = strings.Join(why, " and "), strings.Join(fix, " && ")
	return e
}

// self is the owner named in remedies: the first one.
func (o Owners) self() uint32 {
	if len(o) == 0 {
		return 0
	}
	return o[0]
}

// openSafe opens a file or directory for reading and checks what was opened,
// not what the name pointed to before: symbolic links are followed, and it is
// the target that must be safe. It never blocks on a pipe.
func (o Owners) openSafe(path string) (*os.File, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	kind := "file"
	if err == nil && info.IsDir() {
		kind = "directory"
	}
	if err == nil {
		err = o.check(path, kind, info)
	}
	if err == nil && kind == "file" && !info.Mode().IsRegular() {
		err = fmt.Errorf("%q is not a regular file", path)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// VerifyProgram checks a program that cpacman is about to run on the control
// host (SEC-1): an absolute path to an executable regular file, which neither
// itself nor through its directories can be replaced by anybody but its trusted
// owners. Directories may be writable by others when they are sticky.
func (o Owners) VerifyProgram(path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("program %q: not an absolute path", path)
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("program %q: %w", path, err)
	}
	info, err := os.Stat(real)
	if err != nil {
		return fmt.Errorf("program %q: %w", path, err)
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
		return fmt.Errorf("program %q: not an executable file (mode %s)", path, info.Mode())
	}
	if err := o.check(real, "program", info); err != nil {
		return err
	}
	// The directories of the name given, and of the file it leads to.
	for _, p := range []string{filepath.Clean(path), real} {
		if err := o.checkParents(p); err != nil {
			return err
		}
	}
	return nil
}

// checkParents checks every directory above a path.
func (o Owners) checkParents(path string) error {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("directory %q: %w", dir, err)
		}
		if err := o.check(dir, "directory", info); err != nil {
			st, ok := info.Sys().(*syscall.Stat_t)
			sticky := info.Mode()&fs.ModeSticky != 0 && ok && slices.Contains(o, st.Uid)
			if !sticky {
				return err
			}
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// shellQuote quotes a path for a command line shown to a person.
func shellQuote(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:@", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 && s[0] != '-' {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
