package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"cpacman/internal/fleet"
	"cpacman/inventory"
)

// listed is selected with the retired hosts among the others: the list of hosts is the one place that has them (INV-9).
func (s *session) listed(args []string) ([]*inventory.Host, error) {
	facts, err := s.storedFacts()
	if err != nil {
		return nil, err
	}
	retired, err := s.site.SelectRetired(args, fleet.FactsOf(facts))
	if err != nil {
		return nil, inputError{err: err}
	}
	hosts, err := s.site.Select(args, fleet.FactsOf(facts))
	if err != nil && (len(retired) == 0 || !errors.Is(err, inventory.ErrEmptySelection)) {
		return nil, inputError{err: err}
	}
	if len(args) == 0 {
		s.say("all hosts: %d, and %d retired", len(hosts), len(retired))
	}
	hosts = slices.Concat(hosts, retired)
	slices.SortFunc(hosts, func(a, b *inventory.Host) int { return strings.Compare(a.Name, b.Name) })
	return hosts, nil
}

// twins refuses hosts of the inventory that are one machine: what is done on one of them would be done on the other.
func (s *session) twins() error {
	ids, err := s.fleet.Identities(s.ctx)
	if err != nil {
		return err
	}
	pairs := ids.Twins(s.site)
	if len(pairs) == 0 {
		return nil
	}
	for _, p := range pairs[1:] {
		s.say("also: %s", p)
	}
	return inputError{err: fmt.Errorf("%s", pairs[0]), hint: "remove one of them from the inventory, or give the clone a machine-id of its own (systemd-machine-id-setup), then: cpacman facts"}
}

// identitySettings are the lines of `inventory show` about the machine behind a name.
func (s *session) identitySettings(h *inventory.Host) ([]inventory.Setting, error) {
	ids, err := s.fleet.Identities(s.ctx)
	if err != nil {
		return nil, err
	}
	machine := ids.Machine(h.Name)
	if machine == "" {
		return nil, nil
	}
	out := []inventory.Setting{{Key: "machine_id", Value: machine, Origin: "stored facts"}}
	if since, was, ok := ids.Rebuilt(h.Name); ok {
		out = append(out, inventory.Setting{Key: "rebuilt", Value: fmt.Sprintf("since %s; was %s", since.UTC().Format("2006-01-02 15:04Z"), was), Origin: "stored facts"})
	}
	if former := ids.Former(s.site, h.Name); len(former) > 0 {
		out = append(out, inventory.Setting{Key: "renamed", Value: "was " + strings.Join(former, ", "), Origin: "stored facts"})
	}
	return out, nil
}
