package inventory

import (
	"fmt"
	"reflect"
	"sort"
	"strings"
	"sync"
	"time"
)

// decoder turns parsed TOML into the structs of this package and collects every
// fault on the way. It is used for one file and by one goroutine.
type decoder struct {
	file     string
	schema   *schema
	problems Problems
	name     string  // of the table being read, for "NAME" in messages
	src      *Source // of the table being read, if it has one
}

// schema is what the decoders of a site share. What few sites need is found out when it is asked for. It may be used by several goroutines.
type schema struct {
	strange func() *strangeKeys

	mu    sync.Mutex
	types map[reflect.Type][]field // fields by struct
}

// strangeKeys is what is known of keys that have no field.
type strangeKeys struct {
	later  map[string]map[string]bool // refused keys by table
	tables map[string]string          // first word of a table -> where it may stand
	other  map[string]bool            // first words of tables of unsupported features
}

// field is a struct field with a TOML key.
type field struct {
	key   string
	index []int
}

func newSchema() *schema {
	return &schema{types: make(map[reflect.Type][]field), strange: sync.OnceValue(newStrangeKeys)}
}

// newStrangeKeys reads the list of later features.
func newStrangeKeys() *strangeKeys {
	s := &strangeKeys{
		later:  make(map[string]map[string]bool),
		tables: make(map[string]string),
		other:  make(map[string]bool),
	}
	keys := Keys()
	for _, k := range keys {
		word := firstWord(k.Table)
		if k.Table == "" {
			word = k.Key
		}
		s.tables[word] = k.Where
		if k.Supported {
			continue
		}
		s.other[word] = true
		if s.later[k.Table] == nil {
			s.later[k.Table] = make(map[string]bool)
		}
		s.later[k.Table][k.Key] = true
	}
	for _, k := range keys {
		if k.Supported {
			delete(s.other, firstWord(k.Table))
		}
	}
	return s
}

// firstWord gives "repo" of "[repo]" and "host" of "host.NAME.ssh".
func firstWord(table string) string {
	word, _, _ := strings.Cut(strings.Trim(table, "[]"), ".")
	return word
}

// fields lists the tagged fields of a struct.
func (s *schema) fields(t reflect.Type) []field {
	s.mu.Lock()
	defer s.mu.Unlock()
	fields, known := s.types[t]
	if !known {
		for _, f := range reflect.VisibleFields(t) {
			if key := f.Tag.Get("toml"); key != "" && key != "-" {
				fields = append(fields, field{key, f.Index})
			}
		}
		s.types[t] = fields
	}
	return fields
}

// selfDecoder is a type that reads its own value. The error says what is wrong
// in words that follow the name of the key, or stand alone.
type selfDecoder interface{ decodeTOML(v any) error }

// defaulter is a struct that is not zero before its keys are read.
type defaulter interface{ setDefaults() }

// named is a struct that gets its name from the table's.
type named interface{ setName(string) }

// sourced is a struct that knows where it stands.
type sourced interface{ source() *Source }

func (d *decoder) fault(line int, hint, format string, args ...any) {
	d.problems = append(d.problems, Problem{File: d.file, Line: line, Severity: SeverityError,
		Message: fmt.Sprintf(format, args...), Hint: hint})
}

// table reads a table into the struct v. Its name is as in KeyDoc.Table.
func (d *decoder) table(values map[string]any, pos *position, name string, v reflect.Value) {
	if x, ok := v.Addr().Interface().(defaulter); ok {
		x.setDefaults()
	}
	var src *Source
	if x, ok := v.Addr().Interface().(sourced); ok {
		src = x.source()
		src.File, src.Line = d.file, pos.line
		outer := d.src
		d.src = src
		defer func() { d.src = outer }()
	}
	fields := d.schema.fields(v.Type())
	found := 0
	for _, f := range fields {
		value, ok := values[f.key]
		if !ok {
			continue
		}
		found++
		at := pos.child(f.key)
		if src != nil {
			src.mark(f.key, at.line)
		}
		before := len(d.problems)
		if what := unsupportedValue(name, f.key, value); what != "" {
			d.fault(at.line, "", "%s: %s is not supported yet", d.keyName(name, f.key), what)
		} else {
			d.value(value, at, name, f.key, v.FieldByIndex(f.index))
		}
		if src != nil && len(d.problems) > before {
			src.spoil(f.key)
		}
	}
	if found < len(values) {
		d.strangers(values, pos, name, fields)
	}
}

// strangers reports the keys of a table that have no field.
func (d *decoder) strangers(values map[string]any, pos *position, name string, fields []field) {
	known := make([]string, 0, len(fields))
	for _, f := range fields {
		known = append(known, f.key)
	}
	sort.Strings(known)
	for _, key := range sortedKeys(values) {
		if i := sort.SearchStrings(known, key); i < len(known) && known[i] == key {
			continue
		}
		d.stranger(key, pos.child(key).line, name, known)
	}
}

// stranger reports one key: not built yet, in the wrong kind of file, or unknown.
func (d *decoder) stranger(key string, line int, name string, known []string) {
	if d.schema.strange().later[name][key] {
		d.fault(line, "remove it", "%s is not supported yet", d.keyName(name, key))
		return
	}
	if name != "" {
		d.fault(line, hintFor(key, known), "unknown %s", d.keyName(name, key))
		return
	}
	switch where, ok := d.schema.strange().tables[key]; {
	case ok && d.schema.strange().other[key]:
		d.fault(line, "remove it", "table %q is not supported yet", key)
	case ok:
		d.fault(line, "move it there", "%q may stand only in %s", key, where)
	default:
		known = append([]string(nil), known...)
		for k := range d.schema.strange().tables {
			known = append(known, k)
		}
		sort.Strings(known)
		d.fault(line, hintFor(key, known), "unknown key %q", key)
	}
}

// hintFor helps with a key that is not known.
func hintFor(key string, known []string) string {
	switch strings.ToLower(key) {
	case "password", "passphrase", "sudo_password", "secret", "token":
		return "secrets never stand in a site: use an agent, a key file, or sudo_password_command"
	}
	return didYouMean(key, known)
}

// keyName names a key in a message: `key "x"` or `key "x" in [host.web01]`.
func (d *decoder) keyName(table, key string) string {
	if table == "" {
		return fmt.Sprintf("key %q", key)
	}
	return fmt.Sprintf("key %q in [%s]", key, strings.Replace(table, "NAME", clip(d.name), 1))
}

// value reads one value into v.
func (d *decoder) value(value any, pos *position, table, key string, v reflect.Value) {
	if x, ok := v.Addr().Interface().(selfDecoder); ok {
		if err := x.decodeTOML(value); err != nil {
			d.fault(pos.line, "", "%s: %s", d.keyName(table, key), err)
		}
		return
	}
	if x, ok := v.Interface().(enum); ok {
		d.enum(value, pos, table, key, v, x.values())
		return
	}
	if v.Type() == reflect.TypeFor[time.Duration]() {
		d.duration(value, pos, table, key, v)
		return
	}
	want := ""
	switch v.Kind() {
	case reflect.String:
		if s, ok := value.(string); ok {
			v.SetString(d.text(s, pos, table, key))
			return
		}
		want = "a string"
	case reflect.Int:
		if n, ok := value.(int64); ok {
			v.SetInt(n)
			return
		}
		want = "a whole number"
	case reflect.Bool:
		if b, ok := value.(bool); ok {
			v.SetBool(b)
			return
		}
		want = "true or false"
	case reflect.Slice:
		want = d.slice(value, pos, table, key, v)
	case reflect.Map:
		want = d.mapping(value, pos, table, key, v)
	case reflect.Pointer, reflect.Struct:
		want = d.nested(value, pos, table, key, v)
	}
	if want != "" {
		d.fault(pos.line, "", "%s wants %s, not %s", d.keyName(table, key), want, kindOf(value))
	}
}
