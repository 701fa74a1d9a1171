package inventory

import (
	"fmt"
	"slices"
	"strings"
)

// Person is somebody who may do things with cpacman (SEC-2). A person is known by the operating system user of the process, or
// by an SSH signature of one of the keys.
type Person struct {
	Source
	Name   string   `toml:"-"`
	OSUser string   `toml:"os_user"` // "uid 1234" for a user that /etc/passwd does not have; default: the name
	Keys   []string `toml:"keys"`    // public keys as text, or absolute paths of files with such lines
	Rights []Right  `toml:"rights"`  // what the person may do beside looking

	keys []PersonKey
}

// PublicKeys gives the keys of a person, those in files included, in the order of the site.
func (p *Person) PublicKeys() []PersonKey { return p.keys }

// RightKind is a kind of act.
type RightKind string

// The rights. Everybody who can start cpacman on a site may view: who reads its files can do that anyway.
const (
	RightView      RightKind = "view"      // what is stored
	RightPlan      RightKind = "plan"      // ask hosts, compute plans
	RightPush      RightKind = "push"      // start and steer rollouts; for a class or all
	RightApprove   RightKind = "approve"   // say yes at a gate; for a class or all
	RightEmergency RightKind = "emergency" // start emergencies and ignore windows, beside push; for a class or all
	RightAdmin     RightKind = "admin"     // all of these
)

// rightKinds lists the kinds, and whether a class may follow.
var rightKinds = []struct {
	kind  RightKind
	class bool
}{{RightView, false}, {RightPlan, false}, {RightPush, true}, {RightApprove, true}, {RightEmergency, true}, {RightAdmin, false}}

// personRows are the keys of [person.NAME].
func personRows() []KeyDoc {
	return []KeyDoc{
		{Key: "os_user", Type: "string", Default: "the name of the person", Doc: "operating system user, by the real user id of the process; \"uid 1234\" for one whom /etc/passwd does not have"},
		{Key: "keys", Type: "list of keys or paths", Default: "[]", Doc: "SSH public keys whose signatures are the person's: as text, or files like authorized_keys without options"},
		{Key: "rights", Type: "list of rights", Default: "[]", Doc: "view, plan, push, approve, emergency, admin; push, approve and emergency may name a class: \"push:production\". Everybody may view"},
	}
}

// Right is a kind of act, for one class or for all.
type Right struct {
	Kind  RightKind
	Class string // "" is every class
}

// String writes a right as a site has it: "push:production".
func (r Right) String() string {
	if r.Class == "" {
		return string(r.Kind)
	}
	return string(r.Kind) + ":" + r.Class
}

// decodeTOML reads "push" or "push:production".
func (r *Right) decodeTOML(v any) error {
	text, ok := v.(string)
	if !ok {
		return fmt.Errorf("wants rights like \"push:production\", not %s", kindOf(v))
	}
	word, class, with := strings.Cut(text, ":")
	var known []string
	for _, k := range rightKinds {
		known = append(known, string(k.kind))
		if word != string(k.kind) {
			continue
		}
		if with && !k.class {
			return fmt.Errorf("the right %q is not for a class", word)
		}
		if with && class == "" {
			return fmt.Errorf("%q names no class", text)
		}
		r.Kind, r.Class = k.kind, class
		return nil
	}
	err := fmt.Errorf("%q is not a right: %s", clip(text), quotedList(known))
	slices.Sort(known)
	if hint := didYouMean(word, known); hint != "" {
		err = fmt.Errorf("%w; %s", err, hint)
	}
	return err
}

// May tells whether a person may do something in a class; class is "" for what has none, and then only a right for every class
// counts. On a site without people everybody may do everything. A nil person is somebody whom a site with people does not know: they
// may view.
func (s *Site) May(p *Person, kind RightKind, class string) bool {
	if len(s.People) == 0 || kind == RightView {
		return true
	}
	if p == nil {
		return false
	}
	for _, r := range p.Rights {
		if r.Kind == RightAdmin || r.Kind == kind && (r.Class == "" || r.Class == class) {
			return true
		}
	}
	return false
}

// WhoMay gives the names of the people who may do something in a class, sorted; nil on a site without people.
func (s *Site) WhoMay(kind RightKind, class string) []string {
	var out []string
	for _, name := range sortedKeys(s.People) {
		if s.May(s.People[name], kind, class) {
			out = append(out, name)
		}
	}
	return out
}

// PersonOf gives the person of an operating system user, or nil.
func (s *Site) PersonOf(osUser string) *Person {
	for _, p := range s.People {
		if p.OSUser == osUser {
			return p
		}
	}
	return nil
}

// PersonByKey gives the person who has a public key (in SSH wire format), or nil.
func (s *Site) PersonByKey(blob []byte) *Person {
	for _, p := range s.People {
		for i := range p.keys {
			if string(p.keys[i].blob) == string(blob) {
				return p
			}
		}
	}
	return nil
}

// MainFile is the path of cpacman.toml, where people and their rights stand.
func (s *Site) MainFile() string { return s.top.File }
