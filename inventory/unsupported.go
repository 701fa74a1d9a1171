package inventory

// This file is the one list of what the design names and is not built yet.
// Whoever builds a feature removes its lines here and adds them to keys.go.

// unsupportedKeys are known keys that are refused.
func unsupportedKeys() []KeyDoc {
	rows := []KeyDoc{
		{Table: "[repo]", Key: "tier", Type: "name", Doc: "a tier of the repository store instead of a path"},
		{Table: "[repo]", Key: "set", Type: "name", Doc: "the repository of the tier's snapshot"},
		{Table: "ssh", Key: "certificates", Type: "list of paths", Doc: "SSH certificates"},
		{Table: "ssh", Key: "profile", Type: "modern | legacy", Doc: "algorithms for old servers"},
	}
	for _, t := range []string{"group.NAME.ssh", "host.NAME.ssh"} {
		for _, k := range rows[2:4] {
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
	case "host.NAME state":
		if v == "new" {
			return `state = "new" (enrolment)`
		}
	}
	return ""
}
