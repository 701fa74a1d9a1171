package inventory

import "fmt"

// SudoMode is how root's rights are got on a host.
type SudoMode string

// The modes of sudo.
const (
	SudoNever    SudoMode = "never"    // the account is root, or root is not needed
	SudoNoPasswd SudoMode = "nopasswd" // sudo -n
	SudoPassword SudoMode = "password" // asked on the terminal or of sudo_password_command
)

// SSHProfile is which algorithms are offered to a host.
type SSHProfile string

// The profiles.
const (
	ProfileModern SSHProfile = "modern" // nothing that is insecure today
	ProfileLegacy SSHProfile = "legacy" // SHA-1 and CBC too, for servers that cannot be renewed
)

// SignedMode is what a repository demands of its packages.
type SignedMode string

// The demands. With SignedOptional an unsigned package is allowed and printed; a
// bad or unknown signature is refused in both.
const (
	SignedRequired SignedMode = "required"
	SignedOptional SignedMode = "optional"
)

// PreBrokenMode is what to do with a host whose rpm database has faults.
type PreBrokenMode string

// The ways to treat a pre-broken host (FACT-4).
const (
	PreBrokenPlan PreBrokenMode = "plan" // plan all that adds no fault
	PreBrokenHold PreBrokenMode = "hold" // hold the host
)

// SignaturesMode is what the host itself verifies before a transaction.
type SignaturesMode string

// The demands on the host.
const (
	SignaturesAll    SignaturesMode = "all"    // signatures and digests
	SignaturesDigest SignaturesMode = "digest" // digests only
)

// ScriptletMode is what becomes of a host on which a scriptlet failed, or configuration files were kept beside new ones, although every
// package is installed (PUSH-6).
type ScriptletMode string

// The scriptlet modes.
const (
	ScriptletReport ScriptletMode = "report" // a flag beside the state
	ScriptletFail   ScriptletMode = "fail"   // the host has failed, and counts against the budgets
)

// UnreachableMode is what becomes of hosts that cannot be reached (ROLL-15).
type UnreachableMode string

// The ways to treat unreachable hosts.
const (
	UnreachableDefer  UnreachableMode = "defer" // to the end of their wave
	UnreachableFail   UnreachableMode = "fail"
	UnreachableIgnore UnreachableMode = "ignore"
)

// OrderMode is the order of hosts within a level (ROLL-1).
type OrderMode string

// The orders.
const (
	OrderHash      OrderMode = "hash"      // by a hash of host and plan
	OrderInventory OrderMode = "inventory" // by name
)

// RollbackMode is when a rollout goes back by itself.
type RollbackMode string

// The modes: never, the host that failed, or with it all of its wave or level once that one has failed.
const (
	RollbackNever RollbackMode = "never"
	RollbackHost  RollbackMode = "host"
	RollbackWave  RollbackMode = "wave"
	RollbackLevel RollbackMode = "level"
)

// SwitchMode is what a start does with hosts that should have a dead man's switch and can have none.
type SwitchMode string

// The modes of a missing switch.
const (
	SwitchAsk   SwitchMode = "ask"   // it wants --without-switch with a reason
	SwitchAllow SwitchMode = "allow" // it warns
)

// RebootMode is when a rollout reboots a host.
type RebootMode string

// The reboot modes.
const (
	RebootNever  RebootMode = "never"
	RebootNeeded RebootMode = "needed" // when what was updated becomes effective only so
)

// HookWhen is when a hook runs.
type HookWhen string

// The times of hooks.
const (
	BeforeHost    HookWhen = "before-host"
	AfterHost     HookWhen = "after-host"
	BeforeWave    HookWhen = "before-wave"
	AfterWave     HookWhen = "after-wave"
	BeforeLevel   HookWhen = "before-level"
	AfterLevel    HookWhen = "after-level"
	BeforeRollout HookWhen = "before-rollout"
	AfterRollout  HookWhen = "after-rollout"
)

// VendorChange is whether an upgrade may take a package of another vendor
// (PLAN-15).
type VendorChange string

// The rules. VendorChangeDefault is what the host's family does: dnf allows it,
// SUSE forbids it; only the facts tell.
const (
	VendorChangeDefault VendorChange = ""
	VendorChangeAllow   VendorChange = "allow"
	VendorChangeForbid  VendorChange = "forbid"
)

// decodeTOML reads true or false.
func (c *VendorChange) decodeTOML(v any) error {
	b, ok := v.(bool)
	switch {
	case !ok:
		return fmt.Errorf("wants true or false, not %s", kindOf(v))
	case b:
		*c = VendorChangeAllow
	default:
		*c = VendorChangeForbid
	}
	return nil
}

// String says the rule in words.
func (c VendorChange) String() string {
	switch c {
	case VendorChangeAllow:
		return "true"
	case VendorChangeForbid:
		return "false"
	}
	return "as the family does"
}

// enum is a string with a closed set of values.
type enum interface{ values() []string }

func (SSHProfile) values() []string      { return []string{"modern", "legacy"} }
func (SudoMode) values() []string        { return []string{"never", "nopasswd", "password"} }
func (SignedMode) values() []string      { return []string{"required", "optional"} }
func (PreBrokenMode) values() []string   { return []string{"plan", "hold"} }
func (SignaturesMode) values() []string  { return []string{"all", "digest"} }
func (ScriptletMode) values() []string   { return []string{"report", "fail"} }
func (UnreachableMode) values() []string { return []string{"defer", "fail", "ignore"} }
func (OrderMode) values() []string       { return []string{"hash", "inventory"} }
func (RollbackMode) values() []string    { return []string{"never", "host", "wave", "level"} }
func (SwitchMode) values() []string      { return []string{"ask", "allow"} }
func (RebootMode) values() []string      { return []string{"never", "needed"} }
func (HookWhen) values() []string {
	return []string{"before-host", "after-host", "before-wave", "after-wave", "before-level", "after-level", "before-rollout", "after-rollout"}
}

// Units are names of systemd units; one may be written without brackets.
type Units []string

func (u *Units) decodeTOML(v any) error {
	switch v := v.(type) {
	case string:
		*u = Units{v}
		return nil
	case []any:
		out := make(Units, 0, len(v))
		for _, e := range v {
			s, ok := e.(string)
			if !ok {
				return fmt.Errorf("wants names of units, not %s", kindOf(e))
			}
			out = append(out, s)
		}
		*u = out
		return nil
	}
	return fmt.Errorf(`wants names of units like ["sshd.service"], not %s`, kindOf(v))
}
