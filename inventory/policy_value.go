package inventory

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ArchList are the only architectures in which some packages are taken.
type ArchList struct {
	Pattern string   // glob of package names
	Arches  []string // sorted
}

// ArchLists is the value of the key "arches", sorted by pattern when it was a
// table.
type ArchLists []ArchList

// decodeTOML reads ["libfoo: x86_64, i686"] or { libfoo = ["x86_64", "i686"] }.
func (l *ArchLists) decodeTOML(v any) error {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return fmt.Errorf("wants \"NAME: ARCH, ARCH\", not %s", kindOf(e))
			}
			name, arches, ok := strings.Cut(s, ":")
			if !ok {
				return fmt.Errorf("%q: write it as \"NAME: ARCH, ARCH\"", clip(s))
			}
			if err := l.add(strings.TrimSpace(name), strings.Split(arches, ",")); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		for _, name := range sortedKeys(v) {
			list, ok := v[name].([]any)
			if !ok {
				return fmt.Errorf("%q wants a list of architectures, not %s", clip(name), kindOf(v[name]))
			}
			var arches []string
			for _, e := range list {
				s, ok := e.(string)
				if !ok {
					return fmt.Errorf("%q wants names of architectures, not %s", clip(name), kindOf(e))
				}
				arches = append(arches, s)
			}
			if err := l.add(name, arches); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("wants a table like { libfoo = [\"x86_64\", \"i686\"] }, not %s", kindOf(v))
}

// add appends one list after a look at it.
func (l *ArchLists) add(pattern string, arches []string) error {
	if err := checkNameGlob(pattern); err != nil {
		return err
	}
	var out []string
	for _, a := range arches {
		a = strings.TrimSpace(a)
		if a == "" {
			return fmt.Errorf("%q: an architecture is missing", pattern)
		}
		if known := knownArches(); !slices.Contains(known, a) {
			hint := didYouMean(a, known)
			if hint != "" {
				hint = "; " + hint
			}
			return fmt.Errorf("%q: unknown architecture %q%s", pattern, clip(a), hint)
		}
		if slices.Contains(out, a) {
			return fmt.Errorf("%q: architecture %q is listed twice", pattern, a)
		}
		out = append(out, a)
	}
	if len(out) == 0 {
		return fmt.Errorf("%q: an architecture is missing", pattern)
	}
	slices.Sort(out)
	*l = append(*l, ArchList{pattern, out})
	return nil
}

// knownArches are the architectures of packages that rpm's rpmrc knows and
// distributions have used.
func knownArches() []string {
	return []string{
		"aarch64", "alpha", "amd64", "armv5tel", "armv6hl", "armv7hl", "armv7hnl", "armv7l", "armv8hl", "athlon",
		"geode", "i386", "i486", "i586", "i686", "ia32e", "ia64", "loongarch64", "mips", "mips64", "mips64el", "mips64r6el", "mipsel",
		"noarch", "ppc", "ppc64", "ppc64le", "ppc64p7", "riscv64", "s390", "s390x", "sparc", "sparc64", "sparcv9",
		"x86_64", "x86_64_v2", "x86_64_v3", "x86_64_v4",
	}
}

// Substitution takes one package where another is asked for.
type Substitution struct {
	Name string // asked for
	By   string // taken
}

// Substitutions is the value of the key "instead", sorted by name.
type Substitutions []Substitution

// decodeTOML reads { foo = "bar" }.
func (l *Substitutions) decodeTOML(v any) error {
	values, ok := v.(map[string]any)
	if !ok {
		return fmt.Errorf("wants a table like { foo = \"bar\" }, not %s", kindOf(v))
	}
	for _, name := range sortedKeys(values) {
		by, ok := values[name].(string)
		if !ok {
			return fmt.Errorf("%q wants the name of a package, not %s", clip(name), kindOf(values[name]))
		}
		for _, n := range []string{name, by} {
			if err := checkPackageName(n); err != nil {
				return err
			}
		}
		if name == by {
			return fmt.Errorf("%q is taken instead of itself", name)
		}
		*l = append(*l, Substitution{name, by})
	}
	return nil
}

// checkPackageName accepts one name, without a glob.
func checkPackageName(name string) error {
	if name == "" {
		return errors.New("an empty package name")
	}
	if err := checkNameGlob(name); err != nil || strings.ContainsAny(name, "*?[]") {
		return fmt.Errorf("%q is not the name of a package", clip(name))
	}
	return nil
}

// checkRelease accepts what VERSION_ID of os-release holds, a number with dots.
func checkRelease(s string) error {
	for _, part := range strings.Split(s, ".") {
		if !digits(part) {
			return fmt.Errorf("%q is not a release: write one like \"9\" or \"8.6\"", clip(s))
		}
	}
	if len(s) > maxName {
		return fmt.Errorf("%q is not a release: it is too long", clip(s))
	}
	return nil
}
