"""Repositories and installed sets that are drawn from nothing: small, and full of what real repositories have seldom. Renames, splits and
merges by Obsoletes, raised sonames, rich dependencies, conflicts with older and newer builds, files that only filelists name, i686 beside
x86_64, packages that change between noarch and x86_64, epochs, pre-releases, kernels with modules, advisories for builds between."""
import hashlib
from xml.sax.saxutils import quoteattr

import metadata

NATIVE, FOREIGN = "x86_64", "i686"


class Build:
    """One build of a source: its place among the builds of it, and its EVR."""

    def __init__(self, number, evr):
        self.number, self.evr = number, evr


class Source:
    """One source package of the world: what it is made into, and its builds, oldest first."""

    def __init__(self, rnd, number):
        self.rnd, self.number, self.name = rnd, number, f"s{number}"
        self.arch = "noarch" if rnd.random() < 0.3 else NATIVE
        self.changes = rnd.randint(1, 3) if rnd.random() < 0.02 else None  # the build that is of the other kind
        self.parts = [""]
        if self.arch != "noarch" and self.changes is None:
            self.parts += [p for p, chance in (("-libs", 0.5), ("-devel", 0.3), ("-plugin", 0.2)) if rnd.random() < chance]
        if rnd.random() < 0.2:
            self.parts.append("-doc")
        self.both = rnd.random() < 0.35  # its libraries exist for i686 too
        self.lone = rnd.randint(1, 3) if rnd.random() < 0.15 else None  # but not of this build
        self.builds = self.draw_builds(rnd.choice((1, 2, 2, 3, 3, 4)))
        self.vendors = [rnd.choice("aaaaaaaab") for _ in self.builds]
        self.sonames, so = [], 1
        for b in self.builds:
            so += b.number > 0 and rnd.random() < 0.2
            self.sonames.append(so)
        self.extra = {}  # (part, number of the build) -> {kind: [entry]}
        self.added = {p: rnd.randint(1, 3) for p in self.parts if p and rnd.random() < 0.1}  # parts that came with a later build
        self.dropped = {p: rnd.randint(1, 3) for p in self.parts if p and p not in self.added and rnd.random() < 0.08}

    def draw_builds(self, count, epochs=True):
        epoch, version, release, out = 0, [1, 0], [1], []
        for n in range(count):
            text, rel = ".".join(map(str, version)), ".".join(map(str, release))
            if self.rnd.random() < 0.08:
                text += self.rnd.choice(("~rc1", "^git1"))
            out.append(Build(n, (str(epoch), text, rel + ".el9")))
            how = self.rnd.random()
            if how < 0.45:
                release[0] += 1
            elif how < 0.75:
                version[1], release = version[1] + 1, [1]
            elif how < 0.93:
                version, release = [version[0] + 1, 0], [1]
            elif epochs:  # and the version goes down
                epoch, version, release = epoch + 1, [1, 0], [1]
            else:
                release[0] += 1
        return out

    def there(self, part, number):
        return self.added.get(part, 0) <= number < self.dropped.get(part, 99)

    def arches(self, part, number):
        if part == "-doc":
            return ["noarch"]
        arch = self.arch
        if self.changes is not None and number >= self.changes:
            arch = NATIVE if arch == "noarch" else "noarch"
        return [arch, FOREIGN] if arch == NATIVE and part == "-libs" and self.both and number != self.lone else [arch]

    def add(self, part, number, kind, name, flags="", evr=None):
        self.extra.setdefault((part, number), {}).setdefault(kind, []).append((name, flags, evr))


def text_of(evr, release=True):
    epoch = f"{evr[0]}:" if evr[0] != "0" else ""
    return f"{epoch}{evr[1]}" + (f"-{evr[2]}" if release else "")


class World:
    """Sources that need each other, and the packages that come of them."""

    def __init__(self, rnd, count):
        self.rnd = rnd
        self.sources = [Source(rnd, i) for i in range(count)]
        for s in self.sources:
            for b in s.builds:
                self.relate(s, b)
        if rnd.random() < 0.6:
            self.splits()
        self.modular = {}  # (source, build) -> stream
        if rnd.random() < 0.4:
            self.modules()
        if rnd.random() < 0.5:
            self.kernels()
        self.packages = [(s, b, p) for s in self.sources for b in s.builds for p in self.built(s, b)]

    def splits(self):
        """Splits one package or two: what was one is two with the newest build, and both obsolete it by the same entry. It is their own name, as where a part
        is taken out of a package that stays, or that of another source."""
        rnd = self.rnd
        able = [s for s in self.sources if len(s.builds) > 1 and len(s.parts) > 1]
        for s in rnd.sample(able, min(len(able), rnd.randint(1, 2))):
            number, part, o = s.builds[-1].number, rnd.choice(s.parts[1:]), self.other(s)
            entry = (s.name, "LT", s.builds[-1].evr)
            s.dropped.pop(part, None)
            if o is None or rnd.random() < 0.5:
                s.added[part] = number
            else:
                entry = (o.name, rnd.choice(("LE", "LT")), o.builds[-1].evr)
            for p in ("", part):
                s.add(p, number, "obsoletes", *entry)
                if rnd.random() < 0.7 and entry[0] != s.name:
                    s.add(p, number, "provides", entry[0], "EQ", entry[2])

    def modules(self):
        """Makes one or two sources modules of two streams. Each build is a version of one stream; some builds belong to none."""
        for s in self.rnd.sample(self.sources, min(len(self.sources), self.rnd.randint(1, 2))):
            for b in s.builds:
                stream = self.rnd.choice(("one", "one", "two", "two", None))
                if stream:
                    self.modular[s.number, b.number] = stream

    def enabled(self, rnd):
        """The streams that a host has enabled: one of a module, or none."""
        out = {}
        for number in sorted({n for n, _ in self.modular}):
            stream = rnd.choice(("one", "two", None))
            if stream:
                out[f"s{number}"] = stream
        return out

    def relate(self, s, b):
        """Gives one build what it needs of other sources. What a build needs is mostly what the build before it needed."""
        rnd = self.rnd
        for part in s.parts:
            before = s.extra.get((part, b.number - 1))
            if before and rnd.random() < 0.6:
                s.extra[part, b.number] = {k: list(v) for k, v in before.items() if k != "obsoletes" or rnd.random() < 0.7}
                continue
            for _ in range(rnd.choice((0, 1, 1, 2, 3))):
                self.need(s, b, part)
            if rnd.random() < 0.06:
                self.conflict(s, b, part)
            if rnd.random() < 0.12 and (o := self.other(s)) is not None:
                s.add(part, b.number, "recommends", o.name + rnd.choice(o.parts))
            if rnd.random() < 0.12 and (o := self.other(s)) is not None:
                self.supplement(s, b, part, o)
            if b.number and rnd.random() < 0.07:
                self.obsolete(s, b, part)

    def supplement(self, s, b, part, o):
        """Lets a build supplement another source, or two: as a language or a plugin does."""
        rnd = self.rnd
        name, second = o.name + rnd.choice(o.parts), self.other(s)
        how = rnd.random()
        if how < 0.4 or second is None:
            s.add(part, b.number, "supplements", name)
        elif how < 0.6:
            s.add(part, b.number, "supplements", name, rnd.choice(("GE", "GE", "EQ", "LT")), rnd.choice(o.builds).evr)
        else:
            word = rnd.choice(("and", "and", "or", "if", "unless"))
            s.add(part, b.number, "supplements", f"({name} {word} {second.name})")

    def other(self, s):
        """Another source: mostly one of a lower number, so that circles are few, but not none."""
        pool = self.sources[:s.number] if s.number and self.rnd.random() < 0.9 else self.sources
        o = self.rnd.choice(pool)
        return o if o is not s else None

    def need(self, s, b, part):
        rnd, o = self.rnd, self.other(s)
        if o is None:
            return
        at = rnd.choice(o.builds)
        how = rnd.random()
        if how < 0.2:
            s.add(part, b.number, "requires", o.name)
        elif how < 0.4:
            s.add(part, b.number, "requires", o.name, "GE", (at.evr[0], at.evr[1], at.evr[2] if rnd.random() < 0.5 else ""))
        elif how < 0.45:
            s.add(part, b.number, "requires", o.name, rnd.choice(("LT", "LE")), at.evr)
        elif how < 0.65 and "-libs" in o.parts:
            so = o.sonames[min(at.number, len(o.sonames) - 1)]
            s.add(part, b.number, "requires", f"lib{o.name}.so.{so}" + ("()(64bit)" if "noarch" not in s.arches(part, b.number) else ""))
        elif how < 0.75:
            s.add(part, b.number, "requires", rnd.choice((f"/usr/bin/{o.name}", f"/opt/{o.name}/data")))
        elif how < 0.85:
            s.add(part, b.number, "requires", f"virtual({o.number % 7})", *(("GE", ("0", str(rnd.randint(1, 2)), "")) if rnd.random() < 0.4 else ()))
        else:
            s.add(part, b.number, "requires", self.rich("if"))

    def rich(self, word, depth=0):
        """A rich dependency with `if` or `unless`, whichever rpm takes: if in Requires, unless in Conflicts."""
        rnd = self.rnd

        def leaf():
            o = rnd.choice(self.sources)
            name = o.name + rnd.choice(o.parts)
            if rnd.random() < 0.4:
                return f"{name} {rnd.choice(('>=', '<', '='))} {text_of(rnd.choice(o.builds).evr, rnd.random() < 0.7)}"
            return name
        one, two, three = leaf(), leaf(), leaf()
        if depth == 0 and rnd.random() < 0.15:
            two = self.rich(word, 1)
        o = rnd.choice(self.sources)
        return rnd.choice((f"({one} or {two})", f"({one} or {two})", f"({one} or {two} or {three})", f"({one} {word} {two})", f"({one} {word} {two})",
                           f"({one} {word} {two} else {three})", f"({one} and {two})",
                           f"({o.name} >= 1 with {o.name} < {o.builds[-1].evr[1]})", f"({o.name} without {leaf()})"))

    def conflict(self, s, b, part):
        rnd, o = self.rnd, self.other(s)
        if o is None:
            return
        at = rnd.choice(o.builds)
        if rnd.random() < 0.2:
            s.add(part, b.number, "conflicts", self.rich("unless"))
        else:
            s.add(part, b.number, "conflicts", o.name + rnd.choice(o.parts), rnd.choice(("LT", "LT", "LT", "GT")), at.evr)

    def obsolete(self, s, b, part):
        rnd, o = self.rnd, self.other(s)
        if o is None:
            return
        name, last = o.name + rnd.choice(o.parts), o.builds[-1]
        evr = rnd.choice((last.evr, last.evr, (last.evr[0], str(int(last.evr[1][0]) + 1), ""), o.builds[0].evr))
        s.add(part, b.number, "obsoletes", name, rnd.choice(("LT", "LE", "LE")), evr)
        if rnd.random() < 0.7:
            s.add(part, b.number, "provides", name, "EQ", evr)

    def kernels(self):
        """A kernel of several builds, in two packages, and now and then what needs one of them."""
        k = Source(self.rnd, len(self.sources))
        k.name, k.arch, k.parts, k.changes, k.added, k.dropped = "kernel", NATIVE, ["", "-core"], None, {}, {}
        k.builds = k.draw_builds(self.rnd.randint(2, 4), epochs=False)
        k.sonames, k.vendors = [1] * len(k.builds), ["a"] * len(k.builds)
        for b in k.builds:
            k.add("", b.number, "requires", "kernel-core", "EQ", b.evr)
            for part in k.parts:
                k.add(part, b.number, "provides", "installonlypkg(kernel)")
        for s in self.rnd.sample(self.sources, min(2, len(self.sources))):
            b = self.rnd.choice(s.builds)
            s.add("", b.number, "requires", "kernel" + self.rnd.choice(("", "-core")), "GE", self.rnd.choice(k.builds).evr)
        self.sources.append(k)

    def built(self, s, b):
        for part in s.parts:
            if s.there(part, b.number):
                for arch in s.arches(part, b.number):
                    yield self.package(s, b, part, arch)

    def package(self, s, b, part, arch):
        name, evr = s.name + part, b.evr
        d = {k: list(v) for k, v in s.extra.get((part, b.number), {}).items()}
        provides = d.setdefault("provides", [])
        provides.append((name, "EQ", evr))
        if arch != "noarch":
            provides.append((f"{name}({'x86-64' if arch == NATIVE else 'x86-32'})", "EQ", evr))
        if part == "-libs":
            provides.append((f"lib{s.name}.so.{s.sonames[b.number]}" + ("()(64bit)" if arch == NATIVE else ""), "", None))
        if not part:
            provides.append((f"virtual({s.number % 7})", "EQ", ("0", str(1 + b.number % 2), "")))
        requires = d.setdefault("requires", [])
        if part == "" and "-libs" in s.parts and s.there("-libs", b.number) and arch == NATIVE:
            requires.append((f"{s.name}-libs(x86-64)", "EQ", evr))
        elif part in ("-devel", "-plugin"):
            requires.append((s.name, "EQ", evr))
        if arch == FOREIGN:  # what it needs of others is for x86_64
            d["requires"] = [r for r in d["requires"] if "(64bit)" not in r[0]]
        files = ([f"/usr/bin/{s.name}"] if not part else []) + [f"/usr/share/{name}/a"]
        hidden = [f"/opt/{s.name}/data"] if not part else []
        return metadata.Package(self.element(s, name, arch, evr, d, files, s.vendors[b.number])), hidden

    @staticmethod
    def element(s, name, arch, evr, d, files, vendor):
        nevra = metadata.nevra(name, evr, arch)
        digest = hashlib.sha256(nevra.encode()).hexdigest()
        out = [f'<package type="rpm"><name>{name}</name><arch>{arch}</arch><version epoch="{evr[0]}" ver="{evr[1]}" rel="{evr[2]}"/>'
               f'<checksum type="sha256" pkgid="YES">{digest}</checksum><summary>x</summary><description>x</description><packager/><url/>'
               f'<time file="1500000000" build="1500000000"/><size package="1000" installed="1000" archive="1000"/>'
               f'<location href="{nevra}.rpm"/><format><rpm:license>x</rpm:license><rpm:vendor>{vendor}</rpm:vendor><rpm:group>x</rpm:group>'
               f'<rpm:buildhost>x</rpm:buildhost><rpm:sourcerpm>{s.name}-{evr[1]}-{evr[2]}.src.rpm</rpm:sourcerpm>'
               '<rpm:header-range start="100" end="200"/>']
        for kind in ("provides", "requires", "conflicts", "obsoletes", "recommends", "supplements"):
            if d.get(kind):
                out.append(f"<rpm:{kind}>")
                for entry in dict.fromkeys(d[kind]):
                    n, flags, e = (*entry, None, None)[:3]
                    bound = f' flags="{flags}" epoch="{e[0]}" ver={quoteattr(e[1])}' + (f' rel="{e[2]}"' if e[2] else "") if flags else ""
                    out.append(f"<rpm:entry name={quoteattr(n)}{bound}/>")
                out.append(f"</rpm:{kind}>")
        out += [f"<file>{f}</file>" for f in files]
        return "".join(out) + "</format></package>"

    def write(self, path, which):
        """A repository of the packages that which(source, build) takes; returns them as a host has them, with all their files."""
        primary, whole, notices = [], [], {}
        for s, b, (p, hidden) in self.packages:
            if not which(s, b):
                continue
            at = p.text.rindex("</format>")
            full = metadata.Package(p.text[:at] + "".join(f"<file>{f}</file>" for f in hidden) + p.text[at:])
            primary.append(p)
            whole.append(full)
            notices.setdefault((s.number, b.number), []).append(p)
        files = {"primary": metadata.primary(primary), "filelists": metadata.filelists(whole), "updateinfo": self.updateinfo(notices)}
        documents = [self.document(source, build, packages) for (source, build), packages in sorted(notices.items()) if (source, build) in self.modular]
        if documents:
            files["modules"] = "".join(documents).encode()
        metadata.write_repo(path, files)
        return whole

    def document(self, source, build, packages):
        """One version of a stream."""
        artifacts = "".join(f"    - {p.name}-{p.epoch}:{p.version}-{p.release}.{p.arch}\n" for p in packages)
        return (f"---\ndocument: modulemd\nversion: 2\ndata:\n  name: s{source}\n  stream: \"{self.modular[source, build]}\"\n  version: {100 + build}\n"
                "  context: abcdef01\n  arch: x86_64\n  summary: x\n  description: x\n  license:\n    module: [MIT]\n"
                f"  artifacts:\n    rpms:\n{artifacts}...\n")

    def updateinfo(self, notices):
        kinds = ("security", "security", "bugfix", "enhancement")
        cves = [f"CVE-2026-{n}" for n in range(9)]  # few, so that one is in several notices
        return metadata.updateinfo([(f"SYN-{source}-{build}", self.rnd.choice(kinds), packages, self.rnd.choice(("Critical", "Important", "Low", "")),
                                     self.rnd.sample(cves, self.rnd.randint(0, 3)))
                                    for (source, build), packages in sorted(notices.items()) if build and self.rnd.random() >= 0.5])
