package inventory

import "strings"

// Nearly all of a large inventory are hosts with a few texts and lists of texts, and free fields behind them. Those become a Host as they are read, without the detour over
// values and positions; with the first key that is more than that, or a table of its own, a host goes the way of all others. A test holds both ways
// together.

// plainHosts collects such hosts of one file.
type plainHosts struct {
	file   string
	byName map[string]*Host
	list   []*Host // in the order of the file; a host that has left byName is not one of them any more
	open   *Host
	meta   bool              // the table of free fields of open is the one that is read
	keys   []keyLine         // of open
	names  map[string]string // of free fields: "meta." before them

	hosts []Host    // made many at once
	marks []keyLine // the same
}

func newPlainHosts(file, text string) *plainHosts {
	n := strings.Count(text, "[host.")
	return &plainHosts{file: file, byName: make(map[string]*Host, n), list: make([]*Host, 0, n)}
}

// take gives the hosts.
func (l *plainHosts) take() []*Host {
	if len(l.list) == len(l.byName) {
		return l.list
	}
	out := make([]*Host, 0, len(l.byName))
	for _, h := range l.list {
		if l.byName[h.Name] == h {
			out = append(out, h)
		}
	}
	return out
}

// openHost opens the table [host.NAME]. Not taken: it is for open. Not ok: the text is not plain.
func (p *plainParser) openHost(path string) (taken, ok bool) {
	l := p.hosts
	name, found := strings.CutPrefix(path, "host.")
	if found && l.open != nil && !l.meta && strings.TrimPrefix(name, l.open.Name) == ".meta" {
		l.meta, l.open.Meta = true, make(map[string]string)
		l.keys = append(l.keys, keyLine{key: "meta", line: p.line})
		return true, true
	}
	p.closeHost()
	if !found {
		// All hosts at once would have to be compared with each.
		return false, path != "host" || len(l.byName) == 0
	}
	n := plainKey(name)
	known := l.byName[name[:n]]
	if n < len(name) {
		if known != nil {
			p.openPlainly(known)
		}
		return false, true
	}
	if n == 0 || known != nil {
		return false, false
	}
	if tables, there := p.root["host"]; there {
		table, isTable := tables.(map[string]any)
		if _, there := table[name]; there || !isTable {
			return false, true
		}
	}
	if len(l.hosts) == 0 {
		l.hosts = make([]Host, 64)
	}
	h := &l.hosts[0]
	l.hosts = l.hosts[1:]
	h.Name, h.File, h.Line = name, l.file, p.line
	l.open, l.keys = h, l.keys[:0]
	l.byName[name] = h
	l.list = append(l.list, h)
	return true, true
}

// closeHost ends the table of a host.
func (p *plainParser) closeHost() {
	l := p.hosts
	if l == nil || l.open == nil {
		return
	}
	if n := len(l.keys); n > 0 {
		if len(l.marks) < n {
			l.marks = make([]keyLine, max(256, n))
		}
		l.open.set = l.marks[:n:n]
		l.marks = l.marks[n:]
		copy(l.open.set, l.keys)
	}
	l.open, l.meta = nil, false
}

// hostKey reads a key of the open host and its value. Not taken: it needs more than a text or a list of texts.
func (p *plainParser) hostKey(key, value string) (taken, ok bool) {
	l := p.hosts
	if l.meta {
		return p.metaKey(key, value)
	}
	for i := range l.keys {
		if l.keys[i].key == key {
			return false, false
		}
	}
	var rest string
	if text := l.open.textOf(key); text != nil {
		if value == "" || value[0] != '"' {
			return false, true
		}
		*text, rest, ok = plainText(value)
	} else if list := l.open.listOf(key); list != nil {
		if value == "" || value[0] != '[' {
			return false, true
		}
		*list, rest, ok = plainTexts(value[1:])
	} else {
		return false, true
	}
	l.keys = append(l.keys, keyLine{key: key, line: p.line})
	return true, ok && plainEnd(rest)
}

// metaKey is hostKey in the table of free fields.
func (p *plainParser) metaKey(key, value string) (taken, ok bool) {
	l := p.hosts
	if _, twice := l.open.Meta[key]; twice {
		return false, false
	}
	if value == "" || value[0] != '"' {
		return false, true
	}
	text, rest, ok := plainText(value)
	name := l.names[key]
	if name == "" {
		if l.names == nil {
			l.names = make(map[string]string)
		}
		name = "meta." + key
		l.names[key] = name
	}
	l.open.Meta[key] = text
	l.keys = append(l.keys, keyLine{key: name, line: p.line})
	return true, ok && plainEnd(rest)
}

// textOf gives the field of a key that has a text and nothing to it; nil: it is none of those.
func (h *Host) textOf(key string) *string {
	switch key {
	case "address":
		return &h.Address
	case "class":
		return &h.Class
	case "level":
		return &h.Level
	case "location":
		return &h.Location
	case "os":
		return &h.OS
	case "arch":
		return &h.Arch
	}
	return nil
}

// listOf gives the field of a key that has a list of texts.
func (h *Host) listOf(key string) *[]string {
	switch key {
	case "groups":
		return &h.Groups
	case "clusters":
		return &h.Clusters
	case "health":
		return &h.Health
	case "exclude":
		return &h.Exclude
	}
	return nil
}

// openPlainly makes a host a table like all others, and opens it, or its free fields where those were open.
func (p *plainParser) openPlainly(h *Host) {
	inMeta := p.hosts.open == h && p.hosts.meta
	p.closeHost()
	delete(p.hosts.byName, h.Name)
	tables, _ := p.root["host"].(map[string]any)
	if tables == nil {
		tables = map[string]any{}
		p.root["host"] = tables
		p.top.put("host", p.position(h.Line, true))
	}
	values, pos := map[string]any{}, p.position(h.Line, false)
	tables[h.Name] = values
	p.top.keys["host"].put(h.Name, pos)
	meta, metaPos := map[string]any{}, (*position)(nil)
	for _, k := range h.set {
		at := p.position(k.line, false)
		if free, ok := strings.CutPrefix(k.key, "meta."); ok {
			meta[free] = h.Meta[free]
			metaPos.put(free, at)
			continue
		}
		if k.key == "meta" {
			values[k.key], metaPos = meta, at
		} else if text := h.textOf(k.key); text != nil {
			values[k.key] = *text
		} else {
			list := []any{}
			for _, text := range *h.listOf(k.key) {
				list = append(list, text)
				at.items = append(at.items, p.position(k.line, false))
			}
			values[k.key] = list
		}
		pos.put(k.key, at)
	}
	p.values, p.pos = values, pos
	if inMeta {
		p.values, p.pos = meta, metaPos
	}
}
