"""The written order of preferences (planner/search.go), derived from the metadata alone: which of two transactions comes first."""
from functools import cmp_to_key

import metadata

WHOLE = ("all", "weak", "sync", "hold", "pin", "install")  # requests for everything
DEPTH = 30  # builds that a build may be behind


class Preferences:
    """The written order (planner/search.go, design 7), derived here from the metadata alone."""

    def __init__(self, host, request):
        self.host, self.request = host, request
        self.items = {}
        for p in host.installed:
            self.items.setdefault(p.na, []).append(p)
        self.targets = {na: self.of(na) for na in sorted(self.items)}
        self.replaceable = {p.na for c in self.replacing() for p in host.installed
                            if p.name != c.name and c.obsoletes(p) and not self.overtaken(c, p) and not self.outranked(c, p)}

    def replacing(self):
        """The candidates that may replace an installed package by Obsoletes, as far as the request asks for them."""
        names = set(self.host.inst)
        for l in self.host.cands.values():
            for c in l:
                if any(d[0] in names for d in c.deps("obsoletes")) and (self.request.kind in (*WHOLE, "package") or self.fixes(c)):
                    yield c

    def overtaken(self, c, p):
        """Whether what would replace a package is of an installed name that is asked for, and a newer build of it does not replace it any more."""
        named = self.request.kind != "package" or self.request.value in (c.name, ".".join(c.na))
        return named and c.name in self.host.inst and not c.only() and any(
            d.arch == c.arch and metadata.compare(d.evr, c.evr) > 0 and not d.obsoletes(p) for d in self.host.cands[c.name])

    def outranked(self, c, p):
        """Whether a better repository has what a build would replace, or a newer build of it (PLAN-8): it is no choice then."""
        at = self.host.priorities
        return any(d.arch == p.arch and metadata.compare(d.evr, p.evr) >= 0 and at.get(d.nevra, 0) < at.get(c.nevra, 0)
                   for d in self.host.cands.get(p.name, []))

    def replaces(self, c, na):
        """Whether a build replaces an item as the request has it and for good: not only old builds of it (libsolv), and not only in passing."""
        builds = [d for d in self.host.cands.get(na[0], []) if d.arch == na[1]]
        top = max(builds, key=cmp_to_key(lambda a, b: metadata.compare(a.evr, b.evr)), default=None)
        if not any(c.obsoletes(i) and not self.overtaken(c, i) and not self.outranked(c, i) for i in self.items[na]) or top is not None and not c.obsoletes(top):
            return False
        return self.asked(c, na)

    def asked(self, c, na):
        """Whether the request has a build replace an item."""
        kind, value = self.request.kind, self.request.value
        if kind == "package":
            return value in (na[0], ".".join(na), c.name, ".".join(c.na))
        return kind in WHOLE or self.fixes(c)

    def replaced(self, na, coming):
        """Whether an item is replaced: what has the same entry is a split and comes whole, of different entries one is enough."""
        parts = {}
        for l in self.host.cands.values():
            for c in l:
                if c.name != na[0] and self.replaces(c, na):
                    for e in c.deps("obsoletes"):
                        if e[0] == na[0] and any(metadata.within(i.evr, e[1], e[2]) for i in self.items[na]):
                            parts.setdefault(e, set()).add(c.name)
        names = {p.name for p in coming if p.name != na[0] and self.replaces(p, na)}
        return any(whole <= names for whole in parts.values())

    def fixes(self, c):
        """Whether a candidate is in a notice that the request selects."""
        return any(self.selects(a) and (name, arch) == c.na and metadata.compare(c.evr, evr) >= 0
                   for a in self.host.advisories for name, evr, arch in a["packages"])

    def wanted(self, na):
        named = self.request.kind != "package" or self.request.value in (na[0], ".".join(na))
        return bool(self.targets[na]) or named and na in self.replaceable

    def of(self, na):
        """The builds that the request accepts for an item, best first."""
        have = self.have(na)
        mine = [c for c in self.host.cands.get(na[0], []) if c.arch == na[1]]
        down = self.request.kind == "sync" and not self.host.only(na[0]) and not any(metadata.compare(c.evr, have) == 0 for c in mine)
        best = {c.evr: c for c in mine if down or metadata.compare(c.evr, have) > 0}
        newest = sorted(best, key=cmp_to_key(metadata.compare), reverse=True)
        kind = self.request.kind
        if kind in WHOLE:
            return newest
        if kind == "downgrade":
            return [c.evr for c in self.host.cands.get(na[0], []) if c.na == na and c.nevra == self.request.value][:1]
        if kind == "package":
            return newest if self.request.value in (na[0], ".".join(na)) else []
        fixes = [evr for a in self.host.advisories if self.selects(a) for name, evr, arch in a["packages"]
                 if (name, arch) == na and metadata.compare(evr, have) > 0]
        count = {e: sum(metadata.compare(e, f) >= 0 for f in fixes) for e in newest}
        fixing = [e for e in newest if count[e]]
        if kind.endswith("-newest"):
            return fixing
        return sorted(reversed(fixing), key=lambda e: -count[e])

    def have(self, na):
        return max((p.evr for p in self.items[na]), key=cmp_to_key(metadata.compare))

    def sinks(self, na):
        """Whether the request lets an item go down."""
        return any(metadata.compare(e, self.have(na)) < 0 for e in self.targets[na])

    def below(self, na):
        """The builds, lowest first, of an item that the repositories have, and that may go down for the sake of others alone."""
        have, mine = self.have(na), [c.evr for c in self.host.cands.get(na[0], []) if c.arch == na[1]]
        if self.request.kind not in ("sync", "downgrade") or self.host.only(na[0]) or self.sinks(na) or have not in mine:
            return []
        return sorted({e for e in mine if metadata.compare(e, have) < 0}, key=cmp_to_key(metadata.compare))

    def selects(self, a):
        kind = self.request.kind
        if a["status"] == "retracted" or kind == "downgrade":
            return False
        kind = kind.split("-")[0]
        if kind in ("advisory", "cve"):
            return not {a["id"], *a["cves"]}.isdisjoint(self.request.value.split())
        return self.request.value == a["severity"] if kind == "severity" else a["type"] == kind

    def vector(self, change):
        """One comparable value for each preference; smaller is better."""
        coming = self.host.incoming(change)
        new = [p for p in coming if p.name not in self.host.inst]
        sunk, lowered, moved, replaced, place, unasked = [], [], [], [], [], 0
        for na, targets in self.targets.items():
            own = [targets.index(p.evr) for p in coming if p.na == na and p.evr in targets]
            gone = all(p.nevra in change[1] for p in self.items[na])
            by = [p for p in coming if p.name != na[0] and any(p.obsoletes(i) and not self.outranked(p, i) for i in self.items[na]) and self.asked(p, na)]
            lowered += [e in {p.evr for p in coming if p.na == na} for e in self.below(na)]
            if self.wanted(na):
                (sunk if self.sinks(na) else moved).append(0 if own or gone and by else 1)
                place.append(own[0] if own else len(targets))
                replaced.append(0 if self.replaced(na, coming) else 1)
            elif gone:
                unasked += 1
        if self.request.kind == "install":  # any of the builds, then the better ones
            builds = sorted((c.evr for c in self.host.cands.get(self.request.value, [])), key=cmp_to_key(metadata.compare), reverse=True)
            moved.append(min((builds.index(p.evr) for p in coming if p.name == self.request.value), default=len(builds)))
            coming = [p for p in coming if p.name != self.request.value]
        loose = [p for p in coming if p.na not in self.items or p.evr not in self.targets[p.na] and p.evr not in self.below(p.na)]
        disliked = [sum(self.behind(p) == k for p in loose) for k in range(DEPTH, 0, -1)]
        foreign = sum(p in new and self.host.rank(p.arch) > 0 for p in loose)
        return ((sunk, lowered, moved), replaced, place, (disliked, foreign), len(new), unasked)

    def behind(self, p):
        """How many builds are newer; what is installed counts too, where the package takes its place."""
        there = [] if self.host.only(p.name) else self.host.inst.get(p.name, [])
        return sum(c.arch == p.arch and metadata.compare(c.evr, p.evr) > 0 for c in [*there, *self.host.cands.get(p.name, [])])
