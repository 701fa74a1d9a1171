"""Repository metadata as the harness needs it: packages read from primary files with the bytes they came from, sets and small
repositories written again, and packages made older."""
import gzip
import hashlib
import lzma
import os
import re
from xml.etree import ElementTree

import rpm

HEAD = ('<?xml version="1.0" encoding="UTF-8"?>\n<metadata xmlns="http://linux.duke.edu/metadata/common" '
        'xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="%d">\n')
PACKAGE = re.compile(r'<package type="rpm">.*?</package>', re.S)
NAMESPACES = '<r xmlns="c" xmlns:rpm="r">%s</r>'
ONLY = {"kernel", "kernel-PAE", "installonlypkg(kernel)", "installonlypkg(kernel-module)", "installonlypkg(vm)", "multiversion(kernel)"}


class Package:
    """One package of a primary file. text is its element; the rest is read from it once, when first asked for."""

    def __init__(self, text):
        self.text = text
        self.name = re.search(r"<name>([^<]*)", text).group(1)
        self.arch = re.search(r"<arch>([^<]*)", text).group(1)
        tag = re.search(r"<version [^>]*>", text).group(0)
        self.epoch, self.version, self.release = (re.search(k + r'="([^"]*)"', tag).group(1) for k in ("epoch", "ver", "rel"))
        self.epoch = self.epoch or "0"
        source = re.search(r"<rpm:sourcerpm>([^<]*)", text)
        self.source = source.group(1) if source else self.name
        vendor = re.search(r"<rpm:vendor>([^<]*)", text)
        self.vendor = vendor.group(1) if vendor else ""
        self._deps = None

    @property
    def evr(self):
        return (self.epoch, self.version, self.release)

    @property
    def nevra(self):
        return nevra(self.name, self.evr, self.arch)

    @property
    def na(self):
        return (self.name, self.arch)

    def deps(self, kind):
        """The entries of provides, requires, conflicts or obsoletes, as (name, flags, evr)."""
        if self._deps is None:
            self._deps = {}
            root = ElementTree.fromstring(NAMESPACES % self.text)
            for k in ("provides", "requires", "conflicts", "obsoletes", "recommends", "supplements"):
                self._deps[k] = [(e.get("name"), e.get("flags"), (e.get("epoch") or "0", e.get("ver") or "", e.get("rel") or ""))
                                 for e in root.findall(f".//{{r}}{k}/{{r}}entry")]
        return self._deps[kind]

    def files(self):
        """The files that its element lists."""
        return re.findall(r"<file(?: [^>]*)?>([^<]*)</file>", self.text)

    def only(self):
        """Whether the package is installed beside older builds (dnf, const.py)."""
        return self.name in ONLY or any(d[0] in ONLY for d in self.deps("provides"))

    def obsoletes(self, other):
        """Whether an Obsoletes entry matches the other's name and EVR."""
        return any(name == other.name and within(other.evr, flags, evr) for name, flags, evr in self.deps("obsoletes"))


def words(dependency):
    """The words of a dependency, boolean ones without their parentheses."""
    return re.split(r"[\s()]+", dependency)


def nevra(name, evr, arch):
    epoch = f"{evr[0]}:" if evr[0] not in ("0", "", None) else ""
    return f"{name}-{epoch}{evr[1]}-{evr[2]}.{arch}"


def compare(a, b):
    """rpm's order of two (epoch, version, release)."""
    return rpm.labelCompare(a, b)


def within(evr, flags, bound):
    """Whether an EVR lies in the range of a dependency; a missing release matches any."""
    if not flags:
        return True
    order = rpm.labelCompare((evr[0], evr[1], evr[2] if bound[2] else ""), bound)
    return {"EQ": order == 0, "LT": order < 0, "GT": order > 0, "LE": order <= 0, "GE": order >= 0}[flags]


def read_packages(path):
    """The binary packages of a primary file, those with the same NEVRA once."""
    raw = open(path, "rb").read()
    text = (gzip.decompress(raw) if path.endswith("gz") else raw).decode()
    out = {}
    for m in PACKAGE.finditer(text):
        p = Package(m.group(0))
        if p.arch not in ("src", "nosrc"):
            out.setdefault(p.nevra, p)
    return list(out.values())


def with_required_files(packages, lists_path, by=()):
    """The packages with those of their files that some package, of theirs or of others, requires and that only the filelists name: a host's
    database knows all files, primary metadata does not, and for dependencies only these make a difference."""
    requirers = {p.nevra: p for p in [*packages, *by]}.values()
    wanted = {word for p in requirers for d in p.deps("requires") for word in words(d[0]) if word.startswith("/")}
    text = gzip.decompress(open(lists_path, "rb").read()).decode()
    more = {}
    for block in re.finditer(r'<package pkgid="([^"]*)"[^>]*>(.*?)</package>', text, re.S):
        files = wanted.intersection(re.findall(r"<file(?: [^>]*)?>([^<]*)</file>", block.group(2)))
        if files:
            more[block.group(1)] = files
    out = []
    for p in packages:
        files = more.get(re.search(r"<checksum[^>]*>([^<]*)", p.text).group(1), set())
        files = files.difference(p.files())
        at = p.text.rindex("</format>")
        out.append(Package(p.text[:at] + "".join(f"<file>{f}</file>" for f in sorted(files)) + p.text[at:]) if files else p)
    return out


def primary(packages):
    """A primary file with the given packages."""
    return (HEAD % len(packages) + "\n".join(p.text for p in packages) + "\n</metadata>\n").encode()


def filelists(packages):
    """A filelists file that says what the primary file says: dnf reads no package where repomd names one that is absent, cpacman refuses it."""
    out = ['<?xml version="1.0" encoding="UTF-8"?>\n<filelists xmlns="http://linux.duke.edu/metadata/filelists" packages="%d">' % len(packages)]
    for p in packages:
        digest = re.search(r"<checksum[^>]*>([^<]*)", p.text).group(1)
        out.append(f'<package pkgid="{digest}" name="{p.name}" arch="{p.arch}">'
                   f'<version epoch="{p.epoch}" ver="{p.version}" rel="{p.release}"/>')
        out += re.findall(r"<file(?: [^>]*)?>[^<]*</file>", p.text)
        out.append("</package>")
    return ("\n".join(out) + "\n</filelists>\n").encode()


def updateinfo(notices):
    """An updateinfo file of notices: (id, type, packages), or with a severity and CVEs besides."""
    out = ['<?xml version="1.0" encoding="UTF-8"?>\n<updates>']
    for ident, kind, packages, *more in notices:
        severity, cves = more or ("Important", ())
        references = "".join(f'<reference href="x" id="{c}" title="{c}" type="cve"/>' for c in cves)
        out.append(f'<update from="x" status="final" type="{kind}" version="1"><id>{ident}</id><title>x</title><severity>{severity}</severity>'
                   f'<issued date="2012-01-01 00:00:00"/><references>{references}</references><pkglist><collection short="x"><name>x</name>')
        out += [f'<package name="{p.name}" version="{p.version}" release="{p.release}" epoch="{p.epoch}" arch="{p.arch}" src="x">'
                f"<filename>{p.name}-{p.version}-{p.release}.{p.arch}.rpm</filename></package>" for p in packages]
        out.append("</collection></pkglist></update>")
    return ("\n".join(out) + "\n</updates>\n").encode()


def write_repo(path, files):
    """A repository from its metadata: {type: bytes}."""
    data = os.path.join(path, "repodata")
    os.makedirs(data)
    entries = []
    for kind, raw in files.items():
        packed = gzip.compress(raw, 6, mtime=0)
        with open(os.path.join(data, kind + ".xml.gz"), "wb") as f:
            f.write(packed)
        entries.append(f'<data type="{kind}"><checksum type="sha256">{hashlib.sha256(packed).hexdigest()}</checksum>'
                       f'<open-checksum type="sha256">{hashlib.sha256(raw).hexdigest()}</open-checksum>'
                       f'<location href="repodata/{kind}.xml.gz"/><timestamp>1</timestamp>'
                       f"<size>{len(packed)}</size><open-size>{len(raw)}</open-size></data>")
    with open(os.path.join(data, "repomd.xml"), "w") as f:
        f.write('<?xml version="1.0" encoding="UTF-8"?>\n<repomd xmlns="http://linux.duke.edu/metadata/repo" '
                'xmlns:rpm="http://linux.duke.edu/metadata/rpm"><revision>1</revision>\n' + "\n".join(entries) + "\n</repomd>\n")


def metadata_file(repo, kind):
    """The path of one metadata file of a repository, or None."""
    text = open(os.path.join(repo, "repodata", "repomd.xml")).read()
    for block in re.findall(r"<data .*?</data>", text, re.S):
        if f'type="{kind}"' in block.split(">", 1)[0]:
            path = os.path.join(repo, re.search(r'href="([^"]*)"', block).group(1))
            return path if os.path.exists(path) else None
    return None


def all_updateinfo(repo):
    """The opened updateinfo files that a repomd names, in its order."""
    out = []
    for block in re.findall(r"<data .*?</data>", open(os.path.join(repo, "repodata", "repomd.xml")).read(), re.S):
        if 'type="updateinfo"' in block.split(">", 1)[0]:
            raw = open(os.path.join(repo, re.search(r'href="([^"]*)"', block).group(1)), "rb").read()
            out.append({b"\xfd7": lzma.decompress, b"\x1f\x8b": gzip.decompress}.get(raw[:2], bytes)(raw).decode())
    return out


def with_epochs(repo, packages, target):
    """A copy of a repository with one updateinfo: the notices of all, each id once, and where a notice gives a build no epoch that of
    the repository's own build or, where that is gone, of all that are left of its name and arch. It is what cpacman reads out of the original."""
    epochs, shared = {(p.name, p.version, p.release, p.arch): p.epoch for p in packages}, {}
    for p in packages:
        shared.setdefault(p.na, set()).add(p.epoch)

    def fill(m):
        tag = m.group(0)
        at = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if at.get("epoch"):
            return tag
        left = shared.get((at["name"], at["arch"]), {"0"})
        epoch = epochs.get((at["name"], at["version"], at["release"], at["arch"]), min(left) if len(left) == 1 else "0")
        return re.sub(r"<package ", f'<package epoch="{epoch}" ', re.sub(r' epoch=""', "", tag))

    notices = {}
    for text in all_updateinfo(repo):
        for notice in re.findall(r"<update .*?</update>", text, re.S):
            notices.setdefault(re.search(r"<id>([^<]*)", notice).group(1), re.sub(r"<package [^>]*>", fill, notice))
    files = {"updateinfo": ('<?xml version="1.0" encoding="UTF-8"?>\n<updates>' + "\n".join(notices.values()) + "</updates>\n").encode()}
    for kind in ("primary", "filelists", "modules"):
        path = metadata_file(repo, kind)
        if path:
            files[kind] = gzip.decompress(open(path, "rb").read())
    write_repo(target, files)


def older(packages, prefix):
    """The packages of one source package at an older release, PREFIX before their own, with every dependency of theirs on that
    very build changed alike. None when rpm would not call the result older."""
    out = []
    evrs = {(p.version, p.release) for p in packages}
    for p in packages:
        release = prefix + p.release
        if compare((p.epoch, p.version, release), p.evr) >= 0:
            return None

        def change(m):
            tag = m.group(0)
            ver, rel = re.search(r' ver="([^"]*)"', tag), re.search(r' rel="([^"]*)"', tag)
            if ver and rel and (ver.group(1), rel.group(1)) in evrs:
                tag = tag.replace(f' rel="{rel.group(1)}"', f' rel="{prefix}{rel.group(1)}"')
            return tag

        text = re.sub(r"<(?:version|rpm:entry) [^>]*>", change, p.text)
        text = re.sub(r"(<checksum[^>]*>)[^<]*", lambda m: m.group(1) + hashlib.sha256((prefix + p.nevra).encode()).hexdigest(), text)
        text = re.sub(r'<checksum type="[^"]*"', '<checksum type="sha256"', text)
        text = re.sub(r'(<location[^>]* href=")[^"]*', lambda m: m.group(1) + f"old/{prefix}{p.name}-{p.version}-{p.release}.{p.arch}.rpm", text)
        out.append(Package(text))
    return out
