package repo

import (
	"fmt"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// What stands in modules.yaml is read as libmodulemd does: a scalar is the text that was written, whatever YAML would make of it, and
// there are no aliases, by which a small file could hold very much.

// textAt is a scalar, and where its text goes.
type textAt struct {
	from *yaml.Node
	to   *string
}

// texts takes scalars as text.
func texts(list ...textAt) error {
	for _, x := range list {
		text, err := yamlText(x.from)
		if err != nil {
			return err
		}
		*x.to = text
	}
	return nil
}

// yamlText is a scalar as it was written; "" where there is none.
func yamlText(n *yaml.Node) (string, error) {
	if n.Kind != 0 && n.Kind != yaml.ScalarNode {
		return "", fmt.Errorf("line %d: no text", n.Line)
	}
	return n.Value, nil
}

// yamlNumber is a decimal number, quoted or not; 0 where there is none. YAML would take one that begins with 0 for octal.
func yamlNumber(n *yaml.Node) (uint64, error) {
	text, err := yamlText(n)
	if err != nil || n.Kind == 0 || n.ShortTag() == "!!null" {
		return 0, err
	}
	number, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("version %s is no number of 64 bits", quoted(text))
	}
	return number, nil
}

// yamlStrings is a list of texts, or one text.
type yamlStrings []string

// UnmarshalYAML implements yaml.Unmarshaler; it is not asked about null, which is an empty list.
func (s *yamlStrings) UnmarshalYAML(n *yaml.Node) error {
	*s = nil
	list := n.Content
	switch n.Kind {
	case yaml.ScalarNode:
		list = []*yaml.Node{n}
	case yaml.SequenceNode:
	default:
		return fmt.Errorf("line %d: no list of texts", n.Line)
	}
	for _, one := range list {
		text, err := yamlText(one)
		if err != nil {
			return err
		}
		*s = append(*s, text)
	}
	return nil
}

// yamlLists is a map of such lists.
type yamlLists map[string]yamlStrings

// UnmarshalYAML implements yaml.Unmarshaler.
func (m *yamlLists) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode || len(n.Content)%2 != 0 {
		return fmt.Errorf("line %d: no map", n.Line)
	}
	*m = make(yamlLists, len(n.Content)/2)
	for i := 0; i < len(n.Content); i += 2 {
		key, err := yamlText(n.Content[i])
		if err != nil {
			return err
		}
		if _, again := (*m)[key]; again {
			return fmt.Errorf("line %d: %s stands twice", n.Content[i].Line, quoted(key))
		}
		var list yamlStrings
		if value := n.Content[i+1]; value.ShortTag() != "!!null" {
			err = list.UnmarshalYAML(value)
		}
		if err != nil {
			return err
		}
		(*m)[key] = list
	}
	return nil
}

// lists gives the map in the form that is shown.
func (m yamlLists) lists() map[string][]string {
	out := make(map[string][]string, len(m))
	for key, list := range m {
		out[key] = list
	}
	return out
}

// yamlAlternatives are the dependencies of a stream. Version 1 has one alternative, and no list of them.
type yamlAlternatives []struct {
	Requires yamlLists `yaml:"requires"`
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (a *yamlAlternatives) UnmarshalYAML(n *yaml.Node) error {
	type list yamlAlternatives // without this method
	if n.Kind != yaml.MappingNode {
		return n.Decode((*list)(a))
	}
	*a = make(yamlAlternatives, 1)
	return n.Decode(&(*a)[0])
}
