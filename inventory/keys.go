package inventory

// KeyDoc documents one key. Keys gives all of them, and the reference page is
// made from that; tests hold it against what can be decoded and against the
// real defaults.
type KeyDoc struct {
	Table     string `json:"table"` // "" is the top of the file; "host.NAME"; "[repo]" repeats as [[repo]]
	Key       string `json:"key"`   // "NAME" where any name may stand
	Type      string `json:"type"`
	Unit      string `json:"unit,omitempty"`
	Default   string `json:"default,omitempty"`
	Where     string `json:"where"` // the files the table may stand in
	Doc       string `json:"doc"`
	Supported bool   `json:"supported"` // false: known, and refused as "not supported yet"
}

// Where a table may stand.
const (
	whereMain      = "cpacman.toml"
	whereInventory = "inventory/*.toml"
)

// section is the documented keys of one table.
type section struct {
	table, where string
	rows         []KeyDoc
}

// Keys gives every key of a site, table by table, those that are not built yet
// included.
func Keys() []KeyDoc {
	var out []KeyDoc
	all := append(mainSections(), inventorySections()...)
	for _, s := range all {
		for _, k := range s.rows {
			k.Table, k.Where, k.Supported = s.table, s.where, true
			out = append(out, k)
		}
		out = append(out, laterKeys(s.table)...)
	}
	known := make(map[string]bool, len(all))
	for _, s := range all {
		known[s.table] = true
	}
	for _, k := range unsupportedKeys() {
		if !known[k.Table] {
			out = append(out, k)
		}
	}
	return out
}

// laterKeys gives the unsupported keys of one table.
func laterKeys(table string) []KeyDoc {
	var out []KeyDoc
	for _, k := range unsupportedKeys() {
		if k.Table == table {
			out = append(out, k)
		}
	}
	return out
}

// sshRows are the keys of [ssh]; overrides have no defaults of their own.
func sshRows(override bool) []KeyDoc {
	rows := []KeyDoc{
		{Key: "user", Type: "string", Default: `"root"`, Doc: "account on the host"},
		{Key: "port", Type: "integer", Default: "22", Doc: "port of sshd, 1 to 65535"},
		{Key: "identity", Type: "list of paths", Default: "[]", Doc: "private keys, tried in this order; none: the keys of the agent. `~/` and paths relative to the site are allowed"},
		{Key: "certificates", Type: "list of paths", Default: "[]", Doc: "OpenSSH user certificates of these keys or of keys of the agent; `NAME-cert.pub` beside an identity is found without. An expired one is refused before it is offered"},
		{Key: "known_hosts", Type: "path", Default: `"~/.ssh/known_hosts"`, Doc: "host keys; a host that is not in it is refused"},
		{Key: "jump", Type: "list of hops", Default: "[]", Doc: "jump hosts in the order they are passed: \"user@host:22\", or {address, user, port, identity}"},
		{Key: "sudo", Type: "never | nopasswd | password", Default: `"never"`, Doc: "how root's rights are got on the host"},
		{Key: "profile", Type: "modern | legacy", Default: `"modern"`, Doc: "algorithms: legacy offers SHA-1 and CBC too, for servers of before 2015 that cannot be renewed; `inventory check` names such hosts"},
		{Key: "sudo_password_command", Type: "argument list", Default: "[]", Doc: "program on the control host that prints the password for sudo; absolute path, no shell; for engines without a terminal"},
		{Key: "connect_timeout", Type: "duration", Unit: "s, m, h, d", Default: `"10s"`, Doc: "until a host accepts a TCP connection; key exchange and login then have 20 s"},
	}
	if override {
		for i := range rows {
			rows[i].Default = "as above it"
		}
	}
	return rows
}

// mainSections are the tables of cpacman.toml.
func mainSections() []section {
	return []section{
		{"", whereMain, []KeyDoc{
			{Key: "state", Type: "path", Default: `"state"`, Doc: "directory of the database and the caches, relative to the site"},
		}},
		{"ssh", whereMain, sshRows(false)},
		{"limits", whereMain, []KeyDoc{
			{Key: "connections", Type: "integer", Unit: "hosts", Default: "64", Doc: "hosts worked on at once"},
			{Key: "starts", Type: "integer", Unit: "handshakes", Default: "30", Doc: "SSH handshakes at once; through one jump host never more than 8"},
			{Key: "transfers", Type: "integer", Unit: "hosts", Default: "16", Doc: "hosts that receive packages at once"},
			{Key: "transactions", Type: "integer", Unit: "hosts", Default: "64", Doc: "hosts that run rpm at once"},
			{Key: "reboots", Type: "integer", Unit: "hosts", Default: "16", Doc: "hosts that boot at once; a host whose dead man's switch is running does not wait for its turn"},
			{Key: "bandwidth", Type: "rate", Unit: "kB/s, MB/s, GB/s, KiB/s, MiB/s, GiB/s", Default: `"0"`, Doc: "of all transfers together; 0 is no limit"},
			{Key: "lock_wait", Type: "duration", Unit: "s, m, h, d", Default: `"10m"`, Doc: "how long a host waits for its rpm lock"},
			{Key: "staged", Type: "duration", Unit: "s, m, h, d", Default: `"30d"`, Doc: "how long packages stay on a host after their last use, those to go back with among them; older ones go when something is staged there again; \"0s\" is until `clean`"},
		}},
		{"facts", whereMain, []KeyDoc{
			{Key: "max_age", Type: "duration", Unit: "s, m, h, d", Default: `"24h"`, Doc: "older facts are stale"},
		}},
		{"[repo]", whereMain, repoRows()},
		{"[class]", whereMain, classRows()},
		{"[level]", whereMain, []KeyDoc{
			{Key: "name", Type: "name", Doc: "required; levels are ordered as in the file"},
			{Key: "waves", Type: "list of amounts", Unit: "hosts or %", Default: `["100%"]`, Doc: "of the level's hosts in the plan, not cumulative; the last repeats; rounded up, at least 1"},
			{Key: "max_failures", Type: "amount", Unit: "hosts or %", Default: `"0"`, Doc: "budget of the level; rounded down, but a percentage above 0 gives at least 1; trips when exceeded"},
			{Key: "soak", Type: "duration", Unit: "s, m, h, d", Default: `"0s"`, Doc: "how long checks must stay green after a wave"},
			{Key: "health", Type: "list of names", Default: `["basic"]`, Doc: "health checks of every host of the level; basic is always among them"},
			{Key: "approve", Type: "integer", Unit: "people", Default: "0", Doc: "people needed at the level's gate; each counts once"},
		}},
		{"rollout", whereMain, []KeyDoc{
			{Key: "max_failures", Type: "amount", Unit: "hosts or %", Default: `"5%"`, Doc: "budget of the whole rollout; rounded down, but a percentage above 0 gives at least 1"},
			{Key: "max_unreachable", Type: "amount", Unit: "hosts or %", Default: `"5%"`, Doc: "budget of unreachable hosts, counted apart"},
			{Key: "min_sample", Type: "integer", Unit: "hosts", Default: "10", Doc: "below it percentages of budgets do not trip, counts do"},
			{Key: "quorum", Type: "amount", Unit: "hosts or %", Default: `"90%"`, Doc: "hosts that must be reachable before anything starts; rounded up, at least 1"},
			{Key: "unreachable", Type: "defer | fail | ignore", Default: `"defer"`, Doc: "hosts that cannot be reached: to the end of their wave, a failure, or left out"},
			{Key: "scriptlet_errors", Type: "report | fail", Default: `"report"`, Doc: "a failed scriptlet on a host that has every package: a flag beside its state, or a failure of the host"},
			{Key: "config_files", Type: "report | fail", Default: `"report"`, Doc: "configuration files that the transaction kept beside new ones (.rpmnew, .rpmsave): a flag beside the host's state, or a failure of the host"},
			{Key: "strict", Type: "boolean", Default: "false", Doc: "limits what is in flight to the budget + 1"},
			{Key: "order", Type: "hash | inventory", Default: `"hash"`, Doc: "of hosts within a level: by a hash of host and plan, or by name"},
			{Key: "detach", Type: "boolean", Default: "false", Doc: "rollout start and resume leave the work to an engine of its own, outside of the login session, as with --detach"},
			{Key: "rollback", Type: "never | host | wave | level", Default: `"never"`, Doc: "what goes back by itself to the packages it had: a host that failed, or with it every host of its wave or level once that has failed"},
			{Key: "no_rollback", Type: "list of globs", Default: `["glibc", "systemd", "rpm", "filesystem"]`, Doc: "package names: a set that changes one of them never goes back by itself and gets no dead man's switch"},
			{Key: "confirm", Type: "duration", Unit: "s, m, h, d", Default: `"2m"`, Doc: "dead man's switch: a host whose set has a name of `confirm_for` goes back by itself unless it is confirmed over a new connection within this time; `\"0s\"` arms none"},
			{Key: "confirm_for", Type: "list of globs", Default: `["openssh*", "NetworkManager*", "network-scripts", "wicked*", "systemd-networkd", "firewalld", "nftables", "iptables*", "SuSEfirewall2", "crypto-policies*", "pam", "sssd*", "sudo", "kernel", "kernel-core", "kernel-PAE", "kernel-default", "kernel-rt", "kernel-rt-core", "kernel-uek", "kernel-uek-core", "kernel-lt", "kernel-ml", "kernel-64k-core", "kernel-azure", "kernel[0-9].[0-9][0-9]"]`, Doc: "package names that can cut a host off; a new kernel counts where `reboot` is `\"needed\"`: it is booted once, and becomes the default when the host is confirmed"},
			{Key: "without_switch", Type: "ask | allow", Default: `"ask"`, Doc: "hosts that should have a switch and can have none (`no_rollback`, a package to go back to is missing): the start wants `--without-switch`, or it warns; and hosts that cannot boot a new kernel once, which are held else"},
			{Key: "reboot", Type: "never | needed", Default: `"never"`, Doc: "whether a host is rebooted where what was updated becomes effective only so"},
			{Key: "reboot_timeout", Type: "duration", Unit: "s, m, h, d", Default: `"15m"`, Doc: "for a host to come back; then it is `lost`"},
			{Key: "restart", Type: "never | needed", Default: `"never"`, Doc: "whether services that run files which are gone are restarted after the transaction, before the checks; wants systemd on the host"},
			{Key: "no_restart", Type: "list of globs", Default: "[]", Doc: "names of units that are never restarted so, beside those that only a reboot helps"},
			{Key: "emergency_soak", Type: "duration", Unit: "s, m, h, d", Default: `"10m"`, Doc: "the longest soak of `rollout start --emergency`, for levels that soak for longer; 1s to 24h"},
		}},
		{"trail", whereMain, trailRows()},
		{"health.NAME", whereMain, healthRows()},
		{"hook.NAME", whereMain, []KeyDoc{
			{Key: "when", Type: "before- or after- host, wave, level or rollout", Doc: "required. A before-hook of a host that fails holds the host untouched, of a wave, level or rollout it stops the rollout; after-hooks are owed: they run on success, failure and abort, at least once"},
			{Key: "program", Type: "argument list", Doc: "run on the control host; absolute path, no shell; {host}, {address}, {state} (what the host has come to), {flags} (what else was found, as config_files,scriptlet_errors), {class}, {level}, {wave}, {rollout} and {id} are replaced. Exactly one of program and command"},
			{Key: "command", Type: "argument list", Doc: "run on the host; only for before-host and after-host"},
			{Key: "timeout", Type: "duration", Unit: "s, m, h, d", Default: `"2m"`, Doc: "of one run"},
			{Key: "hosts", Type: "selector", Default: "every host", Doc: "of hooks of hosts: the hosts that they are for"},
		}},
		{"person.NAME", whereMain, personRows()},
		{"notify.NAME", whereMain, notifyRows()},
		{"window.NAME", whereMain, windowRows()},
	}
}

func repoRows() []KeyDoc {
	return []KeyDoc{
		{Key: "id", Type: "name", Doc: "required"},
		{Key: "path", Type: "path", Doc: "required; a yum repository or a directory of packages, relative to the site"},
		{Key: "priority", Type: "integer", Default: "99", Doc: "the smaller wins: for each name only the repository with the smallest number counts"},
		{Key: "auto", Type: "boolean", Default: "true", Doc: "false: neither updates nor dependencies come from it, only what is asked for by name"},
		{Key: "only", Type: "list of globs", Default: "[]", Doc: "package names it is limited to; then its packages neither replace nor obsolete those of another origin; empty: no limit"},
		{Key: "exclude", Type: "list of globs", Default: "[]", Doc: "package names that are never taken from it"},
		{Key: "min_age", Type: "duration", Unit: "s, m, h, d", Default: `"0s"`, Doc: "builds that were made later than so long before the facts of a plan are not taken from it, unless the plan is for security advisories"},
		{Key: "signed", Type: "required | optional", Default: `"required"`, Doc: "optional: unsigned packages are allowed and printed; a bad or unknown signature is always refused"},
		{Key: "keys", Type: "list of paths", Default: "[]", Doc: "public keys that may have signed its packages, relative to the site"},
		{Key: "hosts", Type: "selector", Default: "every host", Doc: "hosts that see it; a value that is not known matches nothing"},
	}
}

func classRows() []KeyDoc {
	return []KeyDoc{
		{Key: "name", Type: "name", Doc: "required; classes are ordered as in the file"},
		{Key: "repos", Type: "list of repository ids", Default: "every repository", Doc: "the view of the class, less those whose `hosts` does not match"},
		{Key: "pre_broken", Type: "plan | hold", Default: `"plan"`, Doc: "hosts whose rpm database has faults already"},
		{Key: "executor", Type: "rpm | dnf", Default: `"rpm"`, Doc: "what installs on the host; `dnf`: local files with all repositories off, for its history, reasons and plugins"},
		{Key: "host_signatures", Type: "all | digest", Default: `"all"`, Doc: "what the host verifies again before it installs"},
		{Key: "install_only_keep", Type: "integer", Unit: "packages", Default: "3", Doc: "how many of each install-only package stay: two at least, the new one and one to go back to, so 1 counts as 2; the running kernel always stays"},
		{Key: "install_only", Type: "list of globs", Default: "[]", Doc: "more names that are installed beside their older versions, as kernels are"},
		{Key: "kernel_modules", Type: "list of globs", Default: "`kmod` or `dkms` in the name, or what requires a kernel", Doc: "names of kernel modules from outside of the kernel: a new kernel waits for a build of each; `[]` is none, as where DKMS builds them on the host"},
		{Key: "exclude", Type: "list of globs", Default: "[]", Doc: "package names that its hosts never take"},
		{Key: "allow_vendor_change", Type: "boolean", Default: "as the family does: dnf allows it, SUSE forbids it", Doc: "whether an upgrade may take a package of another vendor; every change of vendor is a line of the plan"},
		{Key: "same_vendor", Type: "list of lists of globs", Default: "[]", Doc: "names of vendors that count as one: within a list no change is seen"},
		{Key: "weak", Type: "boolean", Default: "false", Doc: "whether recommended packages come in too"},
		{Key: "approve", Type: "integer", Unit: "people", Default: "0", Doc: "people needed at the class's gate; each counts once"},
		{Key: "approve_not_starter", Type: "boolean", Default: "false", Doc: "true: who started or amended the rollout does not count at the gates of the class and its levels"},
		{Key: "ticket", Type: "regular expression", Doc: "what the whole ticket of an approval must match (RE2); without it an approval needs no ticket"},
		{Key: "ticket_check", Type: "argument list", Default: "[]", Doc: "program on the control host that is asked about the ticket; {ticket} is replaced; absolute path, no shell, not writable by others; exit status 0 is good, within 20 s"},
		{Key: "window", Type: "name or list of names", Default: "none: at any time", Doc: "maintenance windows of its hosts: work on one may start while one of them is open; what a group or the host writes replaces it"},
	}
}

func healthRows() []KeyDoc {
	return []KeyDoc{
		{Key: "http", Type: "URL", Doc: "asked from the control host; {address} and {host} are replaced. Exactly one of http, tcp, command, program and systemd; none in [health.basic]"},
		{Key: "tcp", Type: "address:port", Doc: "dialled from the control host"},
		{Key: "command", Type: "argument list", Doc: "run on the host without a shell; green when it exits with 0"},
		{Key: "program", Type: "argument list", Doc: "run on the control host without a shell; absolute path, not writable by others"},
		{Key: "systemd", Type: "list of units", Doc: "units that must be active on the host"},
		{Key: "status", Type: "integer", Default: "200", Doc: "of the HTTP answer"},
		{Key: "body", Type: "string", Doc: "text that the HTTP answer must contain"},
		{Key: "interval", Type: "duration", Unit: "s, m, h, d", Default: `"5s"`, Doc: "between two tries"},
		{Key: "timeout", Type: "duration", Unit: "s, m, h, d", Default: `"3s"`, Doc: "of one try"},
		{Key: "passes", Type: "integer", Unit: "tries", Default: "1", Doc: "green tries in a row that make the check green"},
		{Key: "deadline", Type: "duration", Unit: "s, m, h, d", Default: `"5m"`, Doc: "a check that is not green by then is red"},
	}
}

func windowRows() []KeyDoc {
	return []KeyDoc{
		{Key: "rule", Type: "calendar rule", Doc: "required; the days, as an RRULE of RFC 5545: \"FREQ=WEEKLY;BYDAY=TU,TH\". FREQ is DAILY, WEEKLY, MONTHLY or YEARLY; INTERVAL counts from Monday, 1 January 1990; UNTIL=20271231 is the last day; COUNT, DTSTART and times of day are refused"},
		{Key: "start", Type: "time of day", Unit: "HH:MM", Doc: "required; on the clock of the zone. Of an hour that comes twice it is the first; what a clock that is put forward skips is as much later"},
		{Key: "duration", Type: "duration", Unit: "s, m, h, d", Doc: "required; elapsed time, at most 7d; the end is outside"},
		{Key: "zone", Type: "time zone", Doc: "required; a name of the IANA database: \"Europe/Berlin\", \"UTC\""},
	}
}

// inventorySections are the tables of the files under inventory/.
func inventorySections() []section {
	meta := []KeyDoc{{Key: "NAME", Type: "string, number or boolean", Doc: "free field, for selectors as NAME or meta.NAME"}}
	return []section{
		{"group.NAME", whereInventory, []KeyDoc{
			{Key: "groups", Type: "list of names", Doc: "the group has, besides hosts that name it, every host that is in all of these and in none of those written \"!NAME\""},
			{Key: "health", Type: "list of names", Default: "[]", Doc: "health checks of its hosts, in addition"},
			{Key: "exclude", Type: "list of globs", Default: "[]", Doc: "package names that its hosts never take, in addition"},
			{Key: "window", Type: "name or list of names", Default: "as its hosts' classes", Doc: "maintenance windows of its hosts instead of those of the class, `[]` for none; a host's own win, two groups that are equally near must not disagree"},
			{Key: "meta", Type: "table", Doc: "free fields of its hosts; a host's own win, two groups that are equally near must not disagree"},
			{Key: "ssh", Type: "table", Doc: "SSH settings of its hosts; a host's own win, two groups that are equally near must not disagree"},
		}},
		{"group.NAME.meta", whereInventory, meta},
		{"group.NAME.ssh", whereInventory, sshRows(true)},
		{"host.NAME", whereInventory, []KeyDoc{
			{Key: "address", Type: "name or IP address", Default: "the host's name", Doc: "where it is reached; the port is in [host.NAME.ssh]"},
			{Key: "class", Type: "name", Doc: "a host without a class has no view, unless the site has no classes"},
			{Key: "level", Type: "name", Doc: "when its turn comes in a rollout"},
			{Key: "groups", Type: "list of names", Default: "[]", Doc: "its groups; \"!NAME\" keeps it out of a group that would have it by the group's own list"},
			{Key: "clusters", Type: "list of names", Default: "[]", Doc: "the clusters it is a member of"},
			{Key: "location", Type: "name", Doc: "where it stands; [location.NAME] is optional"},
			{Key: "os", Type: "name", Default: "from the facts", Doc: "ID and major VERSION_ID, as in rocky9, the ID alone where that is a day, as in opensuse-tumbleweed; when given, checked against the facts"},
			{Key: "arch", Type: "name", Default: "from the facts", Doc: "machine architecture; when given, checked against the facts"},
			{Key: "health", Type: "list of names", Default: "[]", Doc: "health checks, in addition to those of level and groups"},
			{Key: "exclude", Type: "list of globs", Default: "[]", Doc: "package names it never takes, in addition to those of class and groups"},
			{Key: "state", Type: "active | maintenance | retired", Default: `"active"`, Doc: "maintenance: in no plan, no rollout and no quorum, unavailable to its clusters, still in reports; retired: only in `inventory list`"},
			{Key: "until", Type: "date or time", Default: "never", Doc: "end of a maintenance: the last day, or the time, as for expires of a policy; after it the host is active again"},
			{Key: "reason", Type: "string", Doc: "why; required with maintenance"},
			{Key: "window", Type: "name or list of names", Default: "as its groups, else its class", Doc: "maintenance windows; `[]` for none: at any time"},
			{Key: "meta", Type: "table", Doc: "free fields"},
			{Key: "ssh", Type: "table", Doc: "SSH settings of this host"},
		}},
		{"host.NAME.meta", whereInventory, meta},
		{"host.NAME.ssh", whereInventory, sshRows(true)},
		{"cluster.NAME", whereInventory, []KeyDoc{
			{Key: "max_unavailable", Type: "amount", Unit: "hosts or %", Default: `"1"`, Doc: "members that may be down at once, for whatever reason; rounded down, but a percentage above 0 gives at least 1"},
		}},
		{"location.NAME", whereInventory, []KeyDoc{
			{Key: "bandwidth", Type: "rate", Unit: "kB/s, MB/s, GB/s, KiB/s, MiB/s, GiB/s", Default: `"0"`, Doc: "of all transfers to it together; 0 is no limit"},
		}},
		{"[policy]", whereInventory, policyRows()},
	}
}

func policyRows() []KeyDoc {
	return []KeyDoc{
		{Key: "name", Type: "name", Doc: "required"},
		{Key: "hosts", Type: "selector", Default: "every host", Doc: "hosts it applies to; a value that is not known matches nothing"},
		{Key: "priority", Type: "integer", Default: "0", Doc: "the larger wins where policies disagree; a tie that disagrees is an error; -9999 to 9999"},
		{Key: "owner", Type: "string", Doc: "who answers for it; required with hold and pin"},
		{Key: "reason", Type: "string", Doc: "why it is there; required with hold and pin"},
		{Key: "expires", Type: "date or time", Default: "never", Doc: "TOML date, the last day it applies, or time, from which it does not; without a zone in the zone of the clock that is asked"},
		{Key: "hold", Type: "list of globs", Default: "[]", Doc: "packages that stay as they are: neither upgraded, downgraded, installed nor removed"},
		{Key: "pin", Type: "list of pins", Default: "[]", Doc: "\"NAME = [EPOCH:]VERSION[-RELEASE]\", each part a glob: no other version is taken"},
		{Key: "exclude", Type: "list of globs", Default: "[]", Doc: "packages that are never taken from a repository"},
		{Key: "install", Type: "list of globs", Default: "[]", Doc: "packages that are to be there"},
		{Key: "remove", Type: "list of globs", Default: "[]", Doc: "packages that are not to be there"},
		{Key: "allow_downgrade", Type: "list of globs", Default: "[]", Doc: "packages that may go to an older version"},
		{Key: "allow_arch_change", Type: "list of globs", Default: "[]", Doc: "packages that may be replaced in another architecture"},
		{Key: "arches", Type: "table, or list of \"NAME: ARCH, ARCH\"", Default: "{}", Doc: "packages that are taken in these architectures only; names are globs"},
		{Key: "instead", Type: "table of names", Default: "{}", Doc: "{ foo = \"bar\" }: bar is taken where foo is asked for"},
		{Key: "release", Type: "string", Doc: "release of the distribution, as in \"8.6\", that a plan does not leave unless another is named"},
		{Key: "same_everywhere", Type: "list of globs", Default: "[]", Doc: "packages that have one version on all hosts of the policy: all of them can move, or none does"},
	}
}
