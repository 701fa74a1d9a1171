package main

import (
	"encoding"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"cpacman/planner"
)

// jsonRoots are the values whose keys the reference lists, by what prints them.
var jsonRoots = []struct {
	what string
	of   any
}{
	{"The plan file, `plan --output json` and `plan show FILE --output json`", planner.Plan{}},
	{"`plan show FILE HOST --output json`", shownHost{}},
	{"`explain --output json`", planner.Explanation{}},
	{"`audit drift --output json`", driftReport{}},
	{"`facts --output json`, a list of", factsRow{}},
	{"`repo list --output json`, a list of", listedRepo{}},
	{"`repo show --output json`, a list of", shownPackage{}},
	{"`repo show --advisories --output json`, a list of", shownAdvisory{}},
	{"`repo check --output json`, a list of", shownProblem{}},
}

// snakeCase is how every key of JSON is written.
var snakeCase = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)

// What comments of the code say in words that a reader of the reference does not have.
var (
	ofCode = regexp.MustCompile(` \([A-Z]+-\d+(, [A-Z]+-\d+)*\)`) // rows of features
	goNil  = regexp.MustCompile(`\bnil\b`)
)

// TestDocsReferenceJSON: the reference has every key that the verbs about plans print, with the comment of the code, and each is in snake_case.
func TestDocsReferenceJSON(t *testing.T) {
	w := jsonWriter{t: t, comments: map[string]string{}, done: map[reflect.Type]bool{}}
	for _, dir := range []string{"planner", "internal/report", "internal/host", "cmd/cpacman"} {
		w.readComments(filepath.Join(root, dir))
	}
	for _, r := range jsonRoots {
		fmt.Fprintf(&w.text, "\n%s: `%s`.\n", r.what, w.name(reflect.TypeOf(r.of)))
		w.queue(reflect.TypeOf(r.of))
		for len(w.todo) > 0 {
			next := w.todo[0]
			w.todo = w.todo[1:]
			w.table(next)
		}
	}
	generated(t, "docs/reference.md", "json", w.text.String())
}

type jsonWriter struct {
	t        *testing.T
	text     strings.Builder
	comments map[string]string // "package.Type.Field"
	todo     []reflect.Type
	done     map[reflect.Type]bool
}

// readComments collects what the code says of the fields of a package's types.
func (w *jsonWriter) readComments(dir string) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			w.t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if fields, ok := spec.Type.(*ast.StructType); ok {
				for _, field := range fields.Fields.List {
					for _, id := range field.Names {
						w.comments[f.Name.Name+"."+spec.Name.Name+"."+id.Name] = strings.Join(strings.Fields(field.Doc.Text()+" "+field.Comment.Text()), " ")
					}
				}
			}
			return true
		})
	}
}

var (
	textType = reflect.TypeFor[encoding.TextMarshaler]()
	timeType = reflect.TypeFor[time.Time]()
)

// name says what a type is in JSON.
func (w *jsonWriter) name(t reflect.Type) string {
	switch {
	case t.Kind() == reflect.Pointer:
		return w.name(t.Elem())
	case t == timeType:
		return "time"
	case t.Implements(textType):
		return "string"
	}
	switch t.Kind() {
	case reflect.Slice:
		return "list of " + w.name(t.Elem())
	case reflect.Map:
		return "object of " + w.name(t.Elem())
	case reflect.Struct:
		if t.Name() == strings.ToUpper(t.Name()) {
			return strings.ToLower(t.Name())
		}
		return strings.ToLower(t.Name()[:1]) + t.Name()[1:]
	case reflect.Bool:
		return "boolean"
	case reflect.String:
		return "string"
	}
	return "number"
}

// queue notes that a type has keys of its own to be listed.
func (w *jsonWriter) queue(t reflect.Type) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() == reflect.Struct && t != timeType && !t.Implements(textType) && !w.done[t] {
		w.done[t] = true
		w.todo = append(w.todo, t)
	}
}

// table writes the keys of one type.
func (w *jsonWriter) table(t reflect.Type) {
	fmt.Fprintf(&w.text, "\n| key of `%s` | type | meaning |\n|---|---|---|\n", w.name(t))
	for i := range t.NumField() {
		f := t.Field(i)
		key, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if key == "-" || !f.IsExported() {
			continue
		}
		if !snakeCase.MatchString(key) {
			w.t.Errorf("%s.%s has the key %q", t, f.Name, key)
		}
		kind := w.name(f.Type)
		switch {
		case strings.HasPrefix(options, "omit"):
			kind += ", may be missing"
		case f.Type.Kind() == reflect.Pointer:
			kind += " or null"
		}
		meaning := w.comments[filepath.Base(t.PkgPath())+"."+t.Name()+"."+f.Name]
		if filepath.Base(t.PkgPath()) == "cpacman" { // package main
			meaning = w.comments["main."+t.Name()+"."+f.Name]
		}
		meaning = ofCode.ReplaceAllString(strings.ReplaceAll(meaning, "|", `\|`), "")
		fmt.Fprintf(&w.text, "| `%s` | %s | %s |\n", key, kind, goNil.ReplaceAllString(meaning, "null"))
		w.queue(f.Type)
	}
}
