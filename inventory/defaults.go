package inventory

import "time"

// The defaults of every table; keys.go documents them and a test compares.

func (m *mainFile) setDefaults() {
	m.State = "state"
	m.SSH.setDefaults()
	m.Limits.setDefaults()
	m.Facts.setDefaults()
	m.Rollout.setDefaults()
}

func (s *SSH) setDefaults() {
	s.User, s.Port, s.KnownHosts = "root", 22, "~/.ssh/known_hosts"
	s.Sudo, s.ConnectTimeout, s.Profile = SudoNever, 10*time.Second, ProfileModern
}

// setDefaults leaves an override empty: what it does not write comes from above.
func (o *SSHOverride) setDefaults() {}

func (l *Limits) setDefaults() {
	l.Connections, l.Starts, l.Transfers, l.Transactions = 64, 30, 16, 64
	l.Reboots = 16
	l.LockWait, l.Staged = 10*time.Minute, 30*24*time.Hour
}

func (f *FactsSettings) setDefaults() { f.MaxAge = 24 * time.Hour }

func (r *Repo) setDefaults() { r.Priority, r.Auto, r.Signed = 99, true, SignedRequired }

func (c *Class) setDefaults() {
	c.PreBroken, c.HostSignatures, c.Executor, c.InstallOnlyKeep = PreBrokenPlan, SignaturesAll, ExecutorRPM, 3
}

func (l *Level) setDefaults() {
	l.Waves, l.Health = []Amount{{n: 100 * 100, percent: true}}, []string{BasicCheck}
}

func (r *Rollout) setDefaults() {
	five := Amount{n: 5 * 100, percent: true}
	r.MaxFailures, r.MaxUnreachable, r.MinSample = five, five, 10
	r.Quorum = Amount{n: 90 * 100, percent: true}
	r.Unreachable, r.Order, r.Rollback, r.Scriptlets, r.ConfigFiles = UnreachableDefer, OrderHash, RollbackNever, ScriptletReport, ScriptletReport
	r.NoRollback = []string{"glibc", "systemd", "rpm", "filesystem"}
	r.Confirm, r.WithoutSwitch = 2*time.Minute, SwitchAsk
	r.ConfirmFor = []string{"openssh*", "NetworkManager*", "network-scripts", "wicked*", "systemd-networkd", "firewalld", "nftables", "iptables*",
		"SuSEfirewall2", "crypto-policies*", "pam", "sssd*", "sudo",
		"kernel", "kernel-core", "kernel-PAE", "kernel-default", "kernel-rt", "kernel-rt-core", "kernel-uek", "kernel-uek-core",
		"kernel-lt", "kernel-ml", "kernel-64k-core", "kernel-azure", "kernel[0-9].[0-9][0-9]"}
	r.Reboot, r.RebootTimeout = RebootNever, 15*time.Minute
	r.Restart = RestartNever
	r.EmergencySoak = 10 * time.Minute
}

func (h *Hook) setDefaults() { h.Timeout = 2 * time.Minute }

func (c *HealthCheck) setDefaults() {
	c.Status, c.Passes = 200, 1
	c.Interval, c.Timeout, c.Deadline = 5*time.Second, 3*time.Second, 5*time.Minute
}

func (c *Cluster) setDefaults() { c.MaxUnavailable = Count(1) }

func (c *HealthCheck) setName(name string) { c.Name = name }
func (h *Hook) setName(name string)        { h.Name = name }
func (w *Window) setName(name string)      { w.Name = name }
func (g *Group) setName(name string)       { g.Name = name }
func (c *Cluster) setName(name string)     { c.Name = name }
func (l *Location) setName(name string)    { l.Name = name }
func (h *Host) setName(name string)        { h.Name = name }
func (p *Person) setName(name string)      { p.Name = name }
