package repo

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unicode"
)

// Damage is the error for a repository that cannot be used as it is: a file is missing, truncated, not what its
// checksum says, not well formed, or names something outside of the repository. It always names the file.
type Damage struct {
	Repo string // the repository's id
	File string // path relative to the repository
	What string // what is wrong, and where in the file if that is known
	Err  error  // cause, or nil
}

// Error says "repository ID: FILE: WHAT: cause". Text from metadata in it is quoted where it is not plain.
func (d *Damage) Error() string {
	s := fmt.Sprintf("repository %s: %s: %s", d.Repo, plain(d.File), d.What)
	if d.Err != nil {
		s += ": " + plain(d.Err.Error())
	}
	return s
}

// Unwrap gives the cause.
func (d *Damage) Unwrap() error { return d.Err }

// Problem is one finding of Check, or something noted while a repository was opened that does not prevent its use.
type Problem struct {
	Repo    string
	File    string // path relative to the repository
	Package string // NEVRA, when it is about one package
	What    string
	// Note marks what is worth a word but is no fault: the repository works as it is.
	Note bool
}

// String says "repository ID: FILE: WHAT".
func (p Problem) String() string {
	s := "repository " + p.Repo
	if p.File != "" {
		s += ": " + plain(p.File)
	}
	if p.Package != "" {
		s += ": " + plain(p.Package)
	}
	return s + ": " + plain(p.What)
}

// ErrUnsupported marks a well-formed repository in a form that is not read (zchunk only).
var ErrUnsupported = errors.New("not supported")

// ErrNotLocal marks a package whose bytes are not on local disk.
var ErrNotLocal = errors.New("package is not on local disk")

// errNoFilelists marks a question that only the absent complete file lists could answer.
var errNoFilelists = errors.New("the repository has no complete file lists")

// asProblem turns an error of reading into a finding.
func asProblem(id string, err error) Problem {
	var d *Damage
	if errors.As(err, &d) {
		what := d.What
		if d.Err != nil {
			what += ": " + d.Err.Error()
		}
		return Problem{Repo: id, File: d.File, What: what}
	}
	return Problem{Repo: id, What: err.Error()}
}

// missing says in words that a file is not there, or gives the cause.
func missing(err error) (string, error) {
	if errors.Is(err, fs.ErrNotExist) {
		return "missing", fs.ErrNotExist
	}
	return "cannot be opened", err
}

// maxQuoted bounds, in bytes, how much text from metadata an error repeats.
const maxQuoted = 200

// plain returns text fit for an error message or a log line: without control or other unprintable characters, and not
// longer than a few lines.
func plain(s string) string {
	if len(s) > 4*maxQuoted {
		s = s[:4*maxQuoted] + "…"
	}
	if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return s
	}
	return fmt.Sprintf("%q", s)
}

// quoted returns text from metadata in quotes, shortened.
func quoted[T ~string | ~[]byte](s T) string {
	if len(s) > maxQuoted {
		return fmt.Sprintf("%q…", string(s[:maxQuoted]))
	}
	return fmt.Sprintf("%q", string(s))
}
