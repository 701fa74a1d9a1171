package inventory

// Trail says where the head of the audit trail is sent at each end of a rollout's run (AUDIT-8). All places that are set get it.
type Trail struct {
	Source
	File    string   `toml:"file"`    // absolute; "" is none
	Command []string `toml:"command"` // run on the control host, no shell; the head is its input
	Syslog  bool     `toml:"syslog"`
}

// checkTrail validates [trail].
func (ld *loading) checkTrail() {
	t := &ld.site.Trail
	if t.IsSet("file") {
		t.File = ld.path(t.File, &t.Source, "file", "file")
	}
	if t.IsSet("command") && len(t.Command) > 0 {
		if err := checkProgramArgs(t.Command); err != nil {
			ld.at(&t.Source)("command", "", "key \"command\" in [trail]: %s", err)
		}
	}
}

// trailRows documents [trail].
func trailRows() []KeyDoc {
	return []KeyDoc{
		{Key: "file", Type: "path", Default: "none", Doc: "file that gets the head of the audit trail as a line at each end of a rollout's run; best on another machine's disk. Relative to the site"},
		{Key: "command", Type: "argument list", Default: "[]", Doc: "program on the control host that gets the same line as its input, within 10 seconds; absolute path, no shell, not writable by others"},
		{Key: "syslog", Type: "boolean", Default: "false", Doc: "whether the local syslog gets it, with facility authpriv"},
	}
}
