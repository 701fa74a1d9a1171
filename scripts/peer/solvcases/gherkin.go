package solvcases

import (
	"fmt"
	"regexp"
	"strings"
)

// Step is one line of a scenario with the table below it.
type Step struct {
	Text  string     // without Given, When, Then, And
	Table [][]string // rows, the head first
}

// Scenario is one scenario of a behave feature, an outline already filled in.
type Scenario struct {
	Feature string // file, without .feature
	Name    string
	Tags    []string
	Steps   []Step // the background's first
}

var stepWord = regexp.MustCompile(`^(Given|When|Then|And|But) +`)

// featureReader holds what a file has said so far.
type featureReader struct {
	out             []Scenario
	background, now []Step
	tags, nowTags   []string
	name            string
	kind            string // Background, Scenario, Scenario Outline, Examples
	outline, doc    bool
	examples        [][][]string
	featureTags     []string
}

// ReadFeature reads the scenarios of a feature file. Texts between triple quotes are skipped: nothing that is compared stands there.
func ReadFeature(feature, text string) ([]Scenario, error) {
	r := &featureReader{}
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, `"""`):
			if !(len(line) >= 6 && strings.HasSuffix(line, `"""`)) {
				r.doc = !r.doc
			}
		case r.doc, line == "", line[0] == '#':
		case line[0] == '@':
			r.tags = append(r.tags, strings.Fields(line)...)
		case line[0] == '|':
			if err := r.row(line); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", feature, n+1, err)
			}
		default:
			r.line(line)
		}
	}
	r.flush()
	for i := range r.out {
		r.out[i].Feature = feature
	}
	return r.out, nil
}

func (r *featureReader) line(line string) {
	word, rest, found := strings.Cut(line, ":")
	switch {
	case found && word == "Feature":
		r.featureTags, r.tags = r.tags, nil
	case found && (word == "Background" || word == "Scenario" || word == "Scenario Outline"):
		r.flush()
		r.kind, r.name = word, strings.TrimSpace(rest)
		r.outline = word == "Scenario Outline"
		r.nowTags, r.tags = r.tags, nil
	case found && word == "Examples":
		r.kind, r.tags = word, nil
		r.examples = append(r.examples, nil)
	case stepWord.MatchString(line):
		r.now = append(r.now, Step{Text: stepWord.ReplaceAllString(line, "")})
	}
}

func (r *featureReader) row(line string) error {
	cells := strings.Split(strings.Trim(line, "|"), "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	if r.kind == "Examples" {
		last := len(r.examples) - 1
		r.examples[last] = append(r.examples[last], cells)
		return nil
	}
	if len(r.now) == 0 {
		return fmt.Errorf("a table without a step")
	}
	s := &r.now[len(r.now)-1]
	s.Table = append(s.Table, cells)
	return nil
}

// flush ends a scenario; an outline becomes one scenario for each line of its examples.
func (r *featureReader) flush() {
	kind := r.kind
	steps, examples := r.now, r.examples
	r.now, r.examples, r.kind = nil, nil, ""
	switch {
	case kind == "":
	case kind == "Background":
		r.background = steps
	case !r.outline:
		r.add(r.name, steps)
	default:
		for _, t := range examples {
			for i := 1; i < len(t); i++ {
				pairs := []string{}
				for k := range min(len(t[0]), len(t[i])) {
					pairs = append(pairs, "<"+t[0][k]+">", t[i][k])
				}
				fill := strings.NewReplacer(pairs...)
				filled := make([]Step, len(steps))
				for k, s := range steps {
					filled[k] = Step{Text: fill.Replace(s.Text)}
					for _, row := range s.Table {
						cells := make([]string, len(row))
						for c := range row {
							cells[c] = fill.Replace(row[c])
						}
						filled[k].Table = append(filled[k].Table, cells)
					}
				}
				r.add(fill.Replace(r.name)+" ["+strings.Join(t[i], " ")+"]", filled)
			}
		}
	}
}

func (r *featureReader) add(name string, steps []Step) {
	all := append(append([]Step{}, r.background...), steps...)
	tags := append(append([]string{}, r.featureTags...), r.nowTags...)
	r.out = append(r.out, Scenario{Name: name, Tags: tags, Steps: all})
}
