package inventory

import "fmt"

// This file is the one list of what the design names and is not built yet.
// Whoever builds a feature removes its lines here and adds them to keys.go.

// unsupportedKeys are known keys that are refused.
func unsupportedKeys() []KeyDoc {
	rows := []KeyDoc{
		{Table: "[repo]", Key: "tier", Type: "name", Doc: "a tier of the repository store instead of a path"},
		{Table: "[repo]", Key: "set", Type: "name", Doc: "the repository of the tier's snapshot"},
		{Table: "rollout", Key: "confirm", Type: "duration", Doc: "dead man's switch"},
		{Table: "rollout", Key: "no_rollback", Type: "list of globs", Doc: "packages that get no dead man's switch"},
		{Table: "ssh", Key: "certificates", Type: "list of paths", Doc: "SSH certificates"},
		{Table: "ssh", Key: "profile", Type: "modern | legacy", Doc: "algorithms for old servers"},
		{Table: "hook.NAME", Key: "when", Type: "string", Doc: "before or after, a dash, and host, wave, level or rollout"},
		{Table: "hook.NAME", Key: "program", Type: "argument list", Doc: "program on the control host"},
		{Table: "hook.NAME", Key: "timeout", Type: "duration", Doc: "of one run"},
		{Table: "host.NAME", Key: "state", Type: "string", Doc: "new, active, maintenance or retired"},
	}
	for _, t := range []string{"group.NAME.ssh", "host.NAME.ssh"} {
		for _, k := range rows[4:6] {
			k.Table = t
			rows = append(rows, k)
		}
	}
	for i := range rows {
		rows[i].Where = whereMain
		if t := rows[i].Table; len(t) > 4 && (t[:4] == "host" || t[:5] == "group") {
			rows[i].Where = whereInventory
		}
	}
	return rows
}

// unsupportedValue says what is not built yet about a value of a supported key,
// or "".
func unsupportedValue(table, key string, v any) string {
	switch table + " " + key {
	case "rollout rollback":
		if s, ok := v.(string); ok && (s == "host" || s == "wave" || s == "level") {
			return fmt.Sprintf("rollback = %q", s)
		}
	case "[class] approve", "[level] approve":
		if n, ok := v.(int64); ok && n > 1 {
			return fmt.Sprintf("approve = %d (approval by several people)", n)
		}
	}
	return ""
}
