"""What recommends what, derived from the metadata alone: whether of chains of recommendations that exclude each other ours is as good as the peer's."""
import metadata


def meets(p, dep):
    """Whether a package has what a dependency names; of a boolean one any of its words."""
    name, flags, evr = dep
    if name.startswith("("):
        words = metadata.words(name)
        return p.name in words or any(d[0] in words for d in p.deps("provides"))
    if p.name == name and metadata.within(p.evr, flags, evr) or name in p.files():
        return True
    return any(d[0] == name and (not d[1] or not flags or metadata.within(d[2], flags, evr)) for d in p.deps("provides"))


def supplemented(dep, coming, there):
    """Whether what comes has a part in what a package supplements; of several that are asked for together all must be there."""
    parts = dep[0].strip("()").split(" and ") if dep[0].startswith("(") else []
    return any(meets(q, dep) for q in coming) and (
        len(parts) < 2 or all(any(meets(q, (part.strip("()").split()[0], None, dep[2])) for q in there) for part in parts))


def wished(host, p, coming, leaving):
    """Whether something that comes in recommends a package, where no other name has that, or is supplemented by it, and it was not left out before."""
    def has(dep):
        return not dep[0].startswith("(") and any(meets(i, dep) for i in host.installed)
    left_out = any(has(d) for d in p.deps("supplements")) or any(
        not d[0].startswith("(") and not has((d[0], None, d[2])) and meets(p, (d[0], None, d[2])) for i in host.installed for d in i.deps("recommends"))
    others = [q for q in coming if q is not p]
    there = others + [i for i in host.installed if i.nevra not in leaving]
    asked = [d for q in others for d in q.deps("recommends") if meets(p, d) and not any(meets(i, d) and i.name != p.name for i in there)]
    return not left_out and (bool(asked) or any(supplemented(d, others, there) for d in p.deps("supplements")))


def baseless(host, change, possible):
    """What a transaction brings though it would come without recommendations neither, and nothing of it recommends it, nor needs it: the peer does the rest
    without it."""
    coming = host.incoming(change)
    return [p.nevra for p in coming if p.nevra not in host.strong and not wished(host, p, coming, change[1])
            and (got := possible(sorted(change[0] - {p.nevra}), ())) and got[0] == change[0] - {p.nevra}]


def unfollowed(host, ours, theirs):
    """Whether the peer's transaction has what something of ours wishes for, and ours has not."""
    return any(wished(host, host.by_nevra[n], host.incoming(ours), ours[1]) for n in theirs[0] - ours[0])


def untaken(host, ours, theirs):
    """The builds of the peer's transaction alone that something of both wishes for, each with what of ours it is to come with."""
    both = [p for p in host.incoming(ours) if p.nevra in theirs]
    for n in sorted(theirs - ours[0]):
        p = host.by_nevra[n]
        if wished(host, p, both, ours[1]):
            yield n, sorted({q.nevra for q in host.incoming(ours) if q.name != p.name} | {n})
