package planner

import "cpacman/internal/rpm"

// The rules by which a set removes packages, as Remove.Rule names them.
const (
	RuleTargetFirst = ruleFirst     // by rpm -e --nodeps ahead of the transaction
	RuleObsoleted   = ruleObsoleted // in the transaction itself, by Obsoletes
	RuleKeepN       = ruleKeepN     // in a step of its own, when the host is healthy
)

// IsInstallOnly tells whether a package is installed beside older builds of its name (PLAN-5); globs are the configured names.
func IsInstallOnly(p *rpm.Package, globs []string) bool { return isInstallOnly(p, globs) }
