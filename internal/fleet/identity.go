package fleet

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"cpacman/internal/host"
	"cpacman/internal/rollout"
	"cpacman/internal/store"
	"cpacman/inventory"
	"cpacman/planner"
)

// Identities tells which machine is behind which name, and which was (INV-9). It is a copy: it does not follow later facts.
type Identities struct {
	byHost    map[string][]store.Identity // from the first to the current
	byMachine map[string][]store.Identity
	last      map[string]string // host → machine of its last transaction
}

// Identities reads what is stored of the identities of hosts.
func (f *Fleet) Identities(ctx context.Context) (*Identities, error) {
	list, err := f.Store.Identities(ctx)
	if err != nil {
		return nil, err
	}
	return f.identities(ctx, list)
}

// oddIdentities is Identities for Status alone: of a name that always was one machine, which had no other name, nothing is known, and there is
// nothing to tell of it. Of a large fleet nearly all are such.
func (f *Fleet) oddIdentities(ctx context.Context) (*Identities, error) {
	list, err := f.Store.SharedIdentities(ctx)
	if err != nil {
		return nil, err
	}
	return f.identities(ctx, list)
}

func (f *Fleet) identities(ctx context.Context, list []store.Identity) (ids *Identities, err error) {
	ids = &Identities{byHost: map[string][]store.Identity{}, byMachine: map[string][]store.Identity{}}
	for _, i := range list {
		ids.byHost[i.Host] = append(ids.byHost[i.Host], i)
		ids.byMachine[i.MachineID] = append(ids.byMachine[i.MachineID], i)
	}
	if len(list) > 0 {
		ids.last, err = f.Store.LastMachines(ctx)
	}
	return ids, err
}

// Machine is the machine-id that answered last under a name, "" when none did.
func (ids *Identities) Machine(name string) string {
	if list := ids.byHost[name]; len(list) > 0 && list[len(list)-1].Current {
		return list[len(list)-1].MachineID
	}
	return ""
}

// Rebuilt tells that another machine answers under the name than before, and since when. was is the one before.
func (ids *Identities) Rebuilt(name string) (since time.Time, was string, ok bool) {
	list := ids.byHost[name]
	if len(list) < 2 {
		return time.Time{}, "", false
	}
	return list[len(list)-1].Since, list[len(list)-2].MachineID, true
}

// Former gives the names under which the machine of a host was known before, and which the inventory no longer has, sorted: the host
// was renamed.
func (ids *Identities) Former(site *inventory.Site, name string) []string {
	var out []string
	machine := ids.Machine(name)
	if machine == "" {
		return nil
	}
	for _, i := range ids.byMachine[machine] {
		if h := site.Host(i.Host); i.Host != name && (h == nil || h.State == inventory.HostRetired) {
			out = append(out, i.Host)
		}
	}
	slices.Sort(out)
	return out
}

// Note says what a person must know about the identity of a host, "" when there is nothing. A rebuild is no news once the new machine
// has had a transaction.
func (ids *Identities) Note(site *inventory.Site, name string) string {
	var parts []string
	if since, was, ok := ids.Rebuilt(name); ok && ids.last[name] != ids.Machine(name) {
		parts = append(parts, fmt.Sprintf("rebuilt: another machine since %s (it was %.12s); what it had before is void",
			since.UTC().Format("2006-01-02 15:04Z"), was))
	}
	if former := ids.Former(site, name); len(former) > 0 {
		parts = append(parts, "renamed: was "+strings.Join(former, ", "))
	}
	return strings.Join(parts, "; ")
}

// twin is another host of the inventory with the same machine, or "".
func (ids *Identities) twin(site *inventory.Site, name string) string {
	machine := ids.Machine(name)
	if machine == "" {
		return ""
	}
	for _, i := range ids.byMachine[machine] {
		h := site.Host(i.Host)
		if i.Host != name && i.Current && h != nil && h.State != inventory.HostRetired {
			return i.Host
		}
	}
	return ""
}

// Twins describes the hosts of the inventory that are one machine, a line for each pair, sorted.
func (ids *Identities) Twins(site *inventory.Site) []string {
	var out []string
	for _, h := range site.Hosts {
		if other := ids.twin(site, h.Name); other != "" && (h.Name < other || ids.twin(site, other) != h.Name) {
			out = append(out, fmt.Sprintf("hosts %s (%s) and %s (%s) are one machine: both have machine-id %s",
				h.Name, h.At(), other, site.Host(other).At(), ids.Machine(h.Name)))
		}
	}
	return out
}

// Status is, at a time, FactsStatus with what the inventory and the identity of the host say: in maintenance, one machine with another host.
func (f *Fleet) Status(at time.Time, ids *Identities, h *inventory.Host, facts *host.Facts, contact store.Contact, asked, live bool) (planner.HostStatus, string) {
	if why, ok := h.Maintenance(at); ok {
		return planner.StatusMaintenance, why
	}
	if other := ids.twin(f.Site, h.Name); other != "" {
		return planner.StatusDuplicate, fmt.Sprintf("host %s has the same machine-id %s: one machine under two names", other, ids.Machine(h.Name))
	}
	status, detail := f.FactsStatus(at, h, facts, contact, asked, live)
	if note := ids.Note(f.Site, h.Name); note != "" {
		detail = strings.TrimPrefix(detail+"; "+note, "; ")
	}
	return status, detail
}

// holder is the name that a machine has now which was known as name, "" when there is none; void says why name is not it.
func (ids *Identities) holder(site *inventory.Site, name, machine string) (holder, void string) {
	now := ids.Machine(name)
	if machine == "" || now == "" {
		return name, "" // nothing tells them apart
	}
	if h := site.Host(name); now == machine && h != nil && h.State != inventory.HostRetired {
		return name, ""
	}
	if now != machine {
		since, _, _ := ids.Rebuilt(name)
		void = fmt.Sprintf("rebuilt: another machine since %s; what host %s had before is void", since.UTC().Format("2006-01-02 15:04Z"), name)
	}
	for _, i := range ids.byMachine[machine] {
		if h := site.Host(i.Host); i.Host != name && i.Current && h != nil && h.State != inventory.HostRetired {
			return i.Host, void
		}
	}
	return "", void
}

// leftOut tells why no rollout may begin on a host now.
func (f *Fleet) leftOut(h *inventory.Host) (rollout.Excluded, bool) {
	if why, ok := h.Maintenance(f.now()); ok {
		return rollout.Excluded{Host: h.Name, Status: planner.StatusMaintenance, Detail: why}, true
	}
	if h.State == inventory.HostRetired {
		return rollout.Excluded{Host: h.Name, Status: planner.StatusRetired, Detail: strings.TrimSuffix("retired: "+h.Reason, ": ")}, true
	}
	return rollout.Excluded{}, false
}

// LeftOut lists the hosts that no rollout may begin on now, whatever its plan says.
func (f *Fleet) LeftOut() map[string]rollout.Excluded {
	out := map[string]rollout.Excluded{}
	for _, h := range slices.Concat(f.Site.Hosts, f.Site.Retired) {
		if left, ok := f.leftOut(h); ok {
			out[h.Name] = left
		}
	}
	return out
}
