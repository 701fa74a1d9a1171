package host

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"cpacman/internal/rpm"
	"cpacman/transport"
)

// File is one package file.
type File struct {
	NEVRA  rpm.NEVRA
	Name   string // basename, as rpm's messages on the host will show it
	SHA256 string // hex, lower case
	Size   int64  // bytes
	Local  string // path on the control host; needed by Stage only
	Limit  *transport.Limiter
}

// Transaction is what one host is to do under one id (design 5): (a) `rpm -U` of Upgrade, (b) `rpm -i` of InstallOnly, and, by
// RunErase when health is green, (c) `rpm -e` of Erase.
type Transaction struct {
	ID          string // rollout/host/attempt: letters, digits and . _ - / : only; never used twice on a host
	MachineID   string // the host must have it; "" is not checked
	Upgrade     []File
	InstallOnly []File
	Erase       []rpm.NEVRA
	// First are erased without regard to dependencies (rpm -e --nodeps) ahead of (a): what is in the way of going back over an Obsoletes.
	First []rpm.NEVRA
	// Import are signing keys that come in ahead of all else, under the lock (PUSH-9). Retire are entries of rpm's keyring,
	// "gpg-pubkey-VERSION-RELEASE", that RunErase takes out last. Both are passed over where that is so already.
	Import []KeyFile
	Retire []string
	// UndoKeys makes a way back restore the keys that its transaction retired, first, and remove those it imported, last.
	UndoKeys bool
	// DNF makes the host's dnf carry the steps out instead of rpm, from the same files with all repositories off (PUSH-10). Not with First
	// Again or OldPackage, and never a way back: those are rpm's.
	DNF bool
	// Removes are the packages that (a) takes out: replaced versions and what Obsoletes removes. Verify expects
	// before − First − Removes + Upgrade + InstallOnly.
	Removes []rpm.NEVRA
	// ExpectBefore and ExpectCount are InstalledDigest and number of the packages the plan was made for; the host compares them
	// under the lock and refuses when it changed. "" is not compared.
	ExpectBefore string
	ExpectCount  int
	Again        bool          // some of Upgrade is installed and put in again; Removes has it too
	OldPackage   bool          // allow lower versions: rollback and downgrade plans only
	VerifyLevel  string        // "all" (default), "digest", "signature" or "none": rpm's %_pkgverify_level
	LockWait     time.Duration // for an rpm lock that somebody holds; then the transaction is refused
	Deadline     time.Duration // after it Poll says overdue; nothing is killed. 0: never
}

// errTransaction marks a Transaction that is not well formed.
var errTransaction = errors.New("transaction is not valid")

// Validate reports what cannot be sent to a host. Everything that becomes a word of a command is checked here, by what is
// allowed.
func (t Transaction) Validate() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{errTransaction}, args...)...)
	}
	if !words(t.ID, "._-/:") || len(t.ID) > 200 {
		return bad("id %q", t.ID)
	}
	if t.MachineID != "" && (!words(t.MachineID, "-") || len(t.MachineID) > 64) {
		return bad("machine id %q", t.MachineID)
	}
	switch t.VerifyLevel {
	case "", "all", "digest", "signature", "none":
	default:
		return bad("verify level %q", t.VerifyLevel)
	}
	if t.ExpectBefore != "" && (!isHex(t.ExpectBefore) || t.ExpectCount <= 0) {
		return bad("installed digest %q with %d packages", t.ExpectBefore, t.ExpectCount)
	}
	names, digests := map[string]bool{}, map[string]bool{}
	for _, f := range append(append([]File{}, t.Upgrade...), t.InstallOnly...) {
		if !isDigest(f.SHA256) || f.Size < 0 {
			return bad("package %s has digest %q and size %d", f.NEVRA, f.SHA256, f.Size)
		}
		if n := fileName(f); names[n] {
			return bad("two packages are called %s", n)
		} else if names[n] = true; digests[f.SHA256] {
			return bad("package %s is there twice", n)
		}
		digests[f.SHA256] = true
	}
	for _, e := range slices.Concat(t.First, t.Erase) {
		if !words(label(e), "._-+~^") || strings.HasPrefix(e.Name, "-") {
			return bad("package to erase %q", e.String())
		}
	}
	if t.DNF && (t.OldPackage || t.Again || len(t.First) > 0) {
		return bad("dnf does not go back")
	}
	if err := t.validateKeys(); err != nil {
		return bad("%w", err)
	}
	if len(t.First)+len(t.Upgrade)+len(t.InstallOnly)+len(t.Erase)+len(t.Import)+len(t.Retire) == 0 && !t.UndoKeys {
		return bad("nothing to do")
	}
	return nil
}

// words tells whether s is made of letters, digits and the characters of more, and has at least one.
func words(s, more string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && strings.IndexByte(more, c) < 0 {
			return false
		}
	}
	return s != ""
}

// isDigest tells a SHA-256 in lower-case hex.
func isDigest(s string) bool { return len(s) == 64 && isHex(s) }

// fileName is the name a package gets on the host. rpm expands patterns in its arguments and shells see the name, so one that
// is made of anything but harmless characters is replaced by the digest.
func fileName(f File) string {
	if words(f.Name, "._-+~^") && len(f.Name) <= 200 && strings.HasSuffix(f.Name, ".rpm") && strings.IndexByte(".-~", f.Name[0]) < 0 {
		return f.Name
	}
	return f.SHA256 + ".rpm"
}

// label is how `rpm -e` and `rpm -q` take one package. Without the epoch, which old rpm does not know there; should two have
// the same version and release, rpm refuses.
func label(n rpm.NEVRA) string {
	s := n.Name + "-" + n.Version + "-" + n.Release
	if n.Arch != "" {
		s += "." + n.Arch
	}
	return s
}

// LedgerID is an id, or the beginning of one, as the host's ledger spells it.
func LedgerID(id string) string { return hostID(id) }

// hostID is the id as a directory's name: '/' and ':' are not for directories and units.
func hostID(id string) string { return strings.NewReplacer("/", "_", ":", "-").Replace(id) }

// order is the transaction as the host reads it: a line each, words divided by one space, all checked by Validate.
func (t Transaction) order() []byte {
	var b strings.Builder
	line := func(w ...string) { b.WriteString(strings.Join(w, " ") + "\n") }
	line("cpacman-order 1")
	line("id", hostID(t.ID))
	if t.MachineID != "" {
		line("machine", t.MachineID)
	}
	if t.ExpectBefore != "" {
		line("expect", fmt.Sprint(t.ExpectCount), t.ExpectBefore)
	}
	if t.OldPackage {
		line("old yes")
	}
	if t.Again {
		line("again yes")
	}
	level := t.VerifyLevel
	if level == "" {
		level = "all"
	}
	line("level", level)
	line("lockwait", fmt.Sprint(int64(math.Ceil(t.LockWait.Seconds()))))
	line("elements", fmt.Sprint(len(t.Upgrade)+len(t.InstallOnly)+len(t.Removes)))
	for _, f := range t.Upgrade {
		line("u", f.SHA256, fmt.Sprint(f.Size), fileName(f))
	}
	for _, f := range t.InstallOnly {
		line("i", f.SHA256, fmt.Sprint(f.Size), fileName(f))
	}
	for _, e := range t.First {
		line("x", label(e))
	}
	for _, e := range t.Erase {
		line("e", label(e))
	}
	for i, k := range t.Import {
		line("import", strconv.Itoa(i+1), k.SHA256, k.Fingerprint)
		for l := range strings.Lines(k.Armor) {
			line("k"+strconv.Itoa(i+1), strings.TrimSuffix(l, "\n"))
		}
	}
	for _, e := range t.Retire {
		line("retire", e)
	}
	if t.DNF {
		line("executor dnf")
	}
	if t.UndoKeys {
		line("undokeys yes")
	}
	return []byte(b.String())
}

// digestOf is sha256 in hex.
func digestOf(b []byte) string {
	d := sha256.Sum256(b)
	return hex.EncodeToString(d[:])
}
