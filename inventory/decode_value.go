package inventory

import (
	"fmt"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// enum reads one of a closed set of strings.
func (d *decoder) enum(value any, pos *position, table, key string, v reflect.Value, allowed []string) {
	s, ok := value.(string)
	if !ok {
		d.fault(pos.line, "", "%s wants %s, not %s", d.keyName(table, key), quotedList(allowed), kindOf(value))
		return
	}
	for _, a := range allowed {
		if s == a {
			v.SetString(s)
			return
		}
	}
	d.fault(pos.line, didYouMean(s, allowed), "%s wants %s, not %q", d.keyName(table, key), quotedList(allowed), s)
}

// quotedList writes `"a", "b" or "c"`.
func quotedList(words []string) string {
	var b strings.Builder
	for i, w := range words {
		switch {
		case i > 0 && i == len(words)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(strconv.Quote(w))
	}
	return b.String()
}

// duration reads a string like "10m".
func (d *decoder) duration(value any, pos *position, table, key string, v reflect.Value) {
	s, ok := value.(string)
	if !ok {
		d.fault(pos.line, "", "%s wants a duration like \"90s\" or \"10m\", not %s", d.keyName(table, key), kindOf(value))
		return
	}
	n, err := ParseDuration(s)
	if err != nil {
		d.fault(pos.line, "", "%s: %s", d.keyName(table, key), err)
		return
	}
	v.SetInt(int64(n))
}

// text refuses control characters: they have no use in a site, and every later
// sink is spared from them. Arguments of programs and the text of an answer may
// have line ends and tabs.
func (d *decoder) text(s string, pos *position, table, key string) string {
	free := key == "command" || key == "program" || key == "body"
	for _, r := range s {
		if unicode.IsControl(r) && !(free && (r == '\n' || r == '\t')) {
			d.fault(pos.line, "", "%s has the control character %#U", d.keyName(table, key), r)
			return ""
		}
	}
	return s
}

// slice reads a list; it returns what was wanted when the value is no list.
func (d *decoder) slice(value any, pos *position, table, key string, v reflect.Value) string {
	elem := v.Type().Elem()
	if elem.Kind() == reflect.Struct && len(d.schema.fields(elem)) > 0 {
		return d.tables(value, pos, key, v)
	}
	list, ok := value.([]any)
	if !ok {
		if tables, isTables := value.([]map[string]any); isTables {
			for _, t := range tables {
				list = append(list, t)
			}
		} else if elem.Kind() == reflect.String {
			return `a list like ["x"]`
		} else {
			return "a list"
		}
	}
	out := reflect.MakeSlice(v.Type(), len(list), len(list))
	for i, e := range list {
		d.value(e, pos.item(i), table, key, out.Index(i))
	}
	v.Set(out)
	return ""
}

// tables reads an array of tables.
func (d *decoder) tables(value any, pos *position, key string, v reflect.Value) string {
	var list []map[string]any
	switch value := value.(type) {
	case []map[string]any:
		list = value
	case []any:
		for _, e := range value {
			t, ok := e.(map[string]any)
			if !ok {
				return "tables [[" + key + "]]"
			}
			list = append(list, t)
		}
	default:
		return "tables [[" + key + "]], with two brackets"
	}
	out := reflect.MakeSlice(v.Type(), len(list), len(list))
	for i, t := range list {
		d.table(t, pos.item(i), "["+key+"]", out.Index(i))
	}
	v.Set(out)
	return ""
}

// mapping reads free fields or tables with names of their own.
func (d *decoder) mapping(value any, pos *position, table, key string, v reflect.Value) string {
	values, ok := value.(map[string]any)
	if !ok {
		if _, list := value.([]map[string]any); list {
			return "tables [" + key + ".NAME], with one bracket"
		}
		return "a table"
	}
	out := reflect.MakeMapWithSize(v.Type(), len(values))
	elem := v.Type().Elem()
	for name, e := range values {
		at := pos.child(name)
		if elem.Kind() == reflect.String {
			if s, ok := d.scalar(e, at, table+"."+key, name); ok {
				out.SetMapIndex(reflect.ValueOf(name), reflect.ValueOf(s))
				d.src.mark(key+"."+name, at.line)
			}
			continue
		}
		t, ok := e.(map[string]any)
		if !ok {
			d.fault(at.line, "", "%q in [%s] wants a table [%s.NAME], not %s", name, key, key, kindOf(e))
			continue
		}
		p := reflect.New(elem.Elem())
		d.name = name
		d.table(t, at, key+".NAME", p.Elem())
		d.name = ""
		if x, ok := p.Interface().(named); ok {
			x.setName(name)
		}
		out.SetMapIndex(reflect.ValueOf(name), p)
	}
	v.Set(out)
	return ""
}

// scalar reads a free field: a string, a number or a boolean, as text.
func (d *decoder) scalar(value any, pos *position, table, key string) (string, bool) {
	switch v := value.(type) {
	case string:
		return d.text(v, pos, table, key), true
	case int64:
		return strconv.FormatInt(v, 10), true
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), true
	case bool:
		return strconv.FormatBool(v), true
	}
	d.fault(pos.line, "", "%s wants a string, a number or a boolean, not %s", d.keyName(table, key), kindOf(value))
	return "", false
}

// nested reads a table within a table.
func (d *decoder) nested(value any, pos *position, table, key string, v reflect.Value) string {
	values, ok := value.(map[string]any)
	if !ok {
		if _, list := value.([]map[string]any); list {
			return "a table [" + key + "], with one bracket"
		}
		return "a table"
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	name := key
	if table != "" {
		name = table + "." + key
	}
	d.table(values, pos, name, v)
	return ""
}

// kindOf names the type of a TOML value in messages.
func kindOf(v any) string {
	switch v := v.(type) {
	case string:
		if len(v) > 60 {
			return "a string"
		}
		return fmt.Sprintf("the string %q", v)
	case int64:
		return fmt.Sprintf("the number %d", v)
	case float64:
		return fmt.Sprintf("the number %g", v)
	case bool:
		return fmt.Sprintf("%t", v)
	case time.Time:
		return "a date"
	case []any:
		return "a list"
	case map[string]any:
		return "a table"
	case []map[string]any:
		return "a list of tables"
	}
	return "something else"
}

// decodeTOML reads "user@host:22" or a table with address, user, port and
// identity.
func (h *Hop) decodeTOML(v any) error {
	switch v := v.(type) {
	case string:
		hop, err := ParseHop(v)
		*h = hop
		return err
	case map[string]any:
		return h.fromTable(v)
	}
	return fmt.Errorf(`wants hops like "user@host:22", not %s`, kindOf(v))
}

// fromTable reads a hop written as an inline table.
func (h *Hop) fromTable(t map[string]any) error {
	known := []string{"address", "identity", "port", "user"}
	for _, key := range sortedKeys(t) {
		if i := sort.SearchStrings(known, key); i == len(known) || known[i] != key {
			hint := didYouMean(key, known)
			if hint != "" {
				hint = "; " + hint
			}
			return fmt.Errorf("unknown key %q in a hop%s", key, hint)
		}
	}
	bad := func(key, want string) error { return fmt.Errorf("hop: %q wants %s, not %s", key, want, kindOf(t[key])) }
	var ok bool
	if h.Address, ok = t["address"].(string); !ok {
		return fmt.Errorf("a hop wants an address")
	}
	if _, given := t["user"]; given {
		if h.User, ok = t["user"].(string); !ok || h.User == "" {
			return bad("user", "a name")
		}
	}
	h.Port = 22
	if _, given := t["port"]; given {
		n, ok := t["port"].(int64)
		if !ok || n < 1 || n > 65535 {
			return bad("port", "a number from 1 to 65535")
		}
		h.Port = int(n)
	}
	if list, given := t["identity"].([]any); given {
		for _, e := range list {
			s, ok := e.(string)
			if !ok {
				return bad("identity", "a list of paths")
			}
			h.Identity = append(h.Identity, s)
		}
	} else if t["identity"] != nil {
		return bad("identity", "a list of paths")
	}
	return h.check()
}
