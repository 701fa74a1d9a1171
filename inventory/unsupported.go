package inventory

// This file is the one list of what the design names and is not built yet.
// Whoever builds a feature removes its lines here and adds them to keys.go.

// unsupportedKeys are known keys that are refused.
func unsupportedKeys() []KeyDoc {
	return []KeyDoc{
		{Table: "[repo]", Where: whereMain, Key: "tier", Type: "name", Doc: "a tier of the repository store instead of a path"},
		{Table: "[repo]", Where: whereMain, Key: "set", Type: "name", Doc: "the repository of the tier's snapshot"},
	}
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
