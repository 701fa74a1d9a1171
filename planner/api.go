package planner

import (
	"errors"
	"fmt"
	"time"

	"cpacman/internal/rpm"
)

// ErrTooHard is returned when the search gave up at its bound (maxConflicts): a result that may not be the best is never
// passed on as one.
var ErrTooHard = errors.New("the dependency problem is too hard: the search was stopped at its bound")

// Candidate is one package that a repository offers.
type Candidate struct {
	*rpm.Package
	Path     string // relative to the repository
	Checksum Checksum
	Size     int64 // bytes
}

// FileSource answers who carries a file that primary metadata does not list. It is asked only for paths that are required and
// that the listed files leave open. It must be usable from several goroutines and answer the same to the same question.
type FileSource interface {
	// Providers returns the indexes into Source.Packages, or the places in Source.Index, of the packages that contain path.
	Providers(path string) ([]int, error)
}

// Source is one repository of a view.
type Source struct {
	ID       string
	Priority int           // smaller wins, as in dnf; 99 where nothing is said
	Auto     bool          // false: only what is asked for by name comes from it (PLAN-8)
	Exclude  []string      // globs over names, or NEVRAs
	Only     []string      // globs over names: the only ones that it serves, and that its packages may obsolete (PLAN-15); empty: all
	MinAge   time.Duration // nothing comes from it that was built later than so long before Request.At, unless security advisories are asked for
	Packages []Candidate
	Index    Index      // instead of Packages
	Files    FileSource // nil: every file is in Packages
}

// Advisory is one entry of updateinfo.
type Advisory struct {
	ID       string
	Type     string // security, bugfix, enhancement, newpackage …
	Severity string // any case
	Status   string // "retracted" takes its packages out of every plan (PLAN-7)
	CVEs     []string
	Packages []rpm.NEVRA
	// Streams are those that it is about, as "name:stream": it counts where one of them is enabled, and everywhere when there are none.
	Streams []string
}

// View is what the hosts of one kind may take packages from. It is built once and shared.
type View struct {
	Sources    []Source // in the order of the configuration
	Advisories []Advisory
	Notices    []Notices // advisories that are looked up; they count as standing after Advisories
	Modules    []ModuleStream

	// Clash tells whether an installed package and one of a source have different files of one path, which rpm refuses; nil: nobody knows any. It is asked only
	// for what leaves by rpm -e, in plans that go back, and what comes in of the same source package, where files move between packages unsaid.
	// It may be asked by many goroutines.
	Clash func(leaves *rpm.Package, comes *Candidate, source string) bool
}

// Notices are advisories that are looked up by package, as in the index of a repository. They may be asked by many goroutines.
type Notices interface {
	// Naming gives the builds of a name that advisories list, in their order, each with its advisory, whose Packages need not be there. It is
	// never changed.
	Naming(name string, yield func(rpm.NEVRA, *Advisory))
	// Retracts tells whether one of the advisories is retracted.
	Retracts() bool
	// Err tells that answers given so far are void.
	Err() error
}

// ModuleStream is one stream of a module, in one of its contexts, with the packages that belong to it (PLAN-6).
type ModuleStream struct {
	Name      string
	Stream    string
	Artifacts []rpm.NEVRA
	// Needs are alternatives: for each module, the streams one of which is enabled where the context is meant, "-NAME" for one that is not; none for any.
	Needs []map[string][]string
	// Demodularized are names that the stream had and gave up: they are ordinary packages.
	Demodularized []string
}

// Host is what the planner knows of one host, and the rules that hold for it.
type Host struct {
	Installed       []*rpm.Package // with dependencies; gpg-pubkey entries are ignored
	Arch            string         // native arch: x86_64, aarch64 …
	RunningKernel   string         // uname -r; "" if not known
	RPMVersion      string         // "4.14.3"; "" if not known: then every rpmlib() feature known here is taken as given
	InstallOnly     []string       // globs over names, beside the built-in rule (PLAN-5)
	KeepInstallOnly int            // builds of an install-only name that stay; 0: all
	Exclude         []string       // globs over names, or NEVRAs: of class, group and host
	ExcludeFrom     []string       // where each of Exclude stands, for people; may be shorter
	Hold            []string       // globs over installed names, or NEVRAs, that stay as they are
	Locks           []Lock         // of the host's own package manager
	Modules         []string       // enabled streams, "name:stream"
	ModulesUnknown  bool           // nobody knows them: those of what is installed count
	Protected       []string       // globs over installed names that never leave the host, by Obsoletes, policy or otherwise

	Policies []Rule // decided for this host; for each name the larger priority wins, a tie that disagrees is a *PolicyConflict

	// ForbidVendorChange keeps a package from being replaced by one of another vendor (PLAN-15); false is dnf's way. SameVendors are
	// lists of globs over vendors that count as one.
	ForbidVendorChange bool
	SameVendors        [][]string

	// ModulePatterns are globs over the names of out-of-tree kernel modules (PLAN-5); nil: DefaultModulePatterns and what requires a kernel, empty: none.
	ModulePatterns []string
}

// Request says what is wanted.
type Request struct {
	Filter Filter
	Type   PlanType    // "" is TypeUpdate
	Target []rpm.NEVRA // TypeRollback and TypeLock: what is to be installed afterwards, all of it
	At     time.Time   // what Source.MinAge counts back from, the time of the facts; zero: nothing is old enough
	Weak   bool        // follow what packages that come in recommend, as dnf's install_weak_deps; else nothing is recommended
}

// Fault is something that is wrong with a set of packages: an unmet requirement, a conflict, a duplicate, a broken rule.
type Fault struct {
	Kind string // requires, conflicts, duplicate, or the name of the rule that a set breaks
	Text string // for people
}

// String returns the text of the fault.
func (f Fault) String() string { return f.Text }

// Used is a package of a result with the repository it comes from.
type Used struct {
	Candidate
	Source     string   // ID
	Advisories []string // IDs of the view's advisories that list it
}

// Result is the answer for one host.
type Result struct {
	Set      Set
	Faults   []string // what was wrong with the host before (FACT-4); sorted
	Packages []Used   // everything that Set brings to the host; sorted by NEVRA
	Notes    []string // for people: fewer kernels removed than asked, packages asked for and not installed, …
}

// FaultError is returned by Solve when the checker refused its result: a defect of the solver or metadata that contradicts
// itself. The host is left alone.
type FaultError struct{ Faults []Fault }

// Error names the first fault and the number of the others.
func (e *FaultError) Error() string {
	if len(e.Faults) == 0 {
		return "the checker refused the result"
	}
	if n := len(e.Faults) - 1; n > 0 {
		return fmt.Sprintf("the checker refused the result: %s (and %d more)", e.Faults[0].Text, n)
	}
	return "the checker refused the result: " + e.Faults[0].Text
}

// ErrNotBuilt is returned for requests of a type that the planner does not know.
var ErrNotBuilt = errors.New("not supported yet")
