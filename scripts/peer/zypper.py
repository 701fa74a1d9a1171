"""zypper, by its command line: it has no Python interface. What it would do is read from the summary of a dry run."""
import os
import re
import shutil
import subprocess
from xml.etree import ElementTree

import metadata
from peers import Failed

CONF = """[main]
arch = %(arch)s
multiversion = %(beside)s
solver.onlyRequires = %(only)s
"""
BESIDE = ",".join(f"provides:{name}" for name in sorted(metadata.ONLY))
REPO = "[%(id)s]\nenabled=1\nautorefresh=0\nbaseurl=dir://%(path)s\ntype=rpm-md\ngpgcheck=0\nkeeppackages=0\npriority=%(priority)s\n"
LOCK = "type: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: %s\n\n"
NOTHING, UNSOLVABLE = (0, 100, 101, 102, 103, 106), (4, 8, 104)  # zypper(8), EXIT CODES
CATEGORIES = {"security": "security", "bugfix": "recommended"}  # SUSE's word
NOTICES = ("security-newest", "cve-newest", "severity-newest", "advisory-newest")  # a patch brings the newest that can be


class Dnf:
    """zypper over one installed set. What a host or a repository excludes, and builds of streams that are not open (zypper knows no modules), are left out
    of copies of the repositories that it reads."""

    limits = False  # kernels that are too many leave at the next boot, by purge-kernels
    keep = 0
    lets = None  # whether excludes leave what is installed alone; it cannot be told
    installed = None

    def __init__(self, root, repos, arch, cache, loyal=False, keep=0, exclude=()):
        from populations import excluded
        self.arch, self.loyal, self.repos = arch, loyal, repos
        self.copies, self.known, self.unknown, self.now = os.path.join(root, os.path.basename(cache)), {}, frozenset(), None
        self.locks, self.definitions = os.path.join(root, "etc/zypp/locks"), os.path.join(self.copies, "repos.d")
        self.command = ["zypper", "--root", root, "--reposd-dir", self.definitions, "--cache-dir", os.path.join(self.copies, "cache"), "--no-gpg-checks",
                        "--non-interactive", "--xmlout"]
        self.env = {**os.environ, "LC_ALL": "C", "ZYPP_CONF": os.path.join(root, "etc/zypp/zypp.conf")}
        os.makedirs(os.path.dirname(self.locks), exist_ok=True)
        read = {r["id"]: [metadata.metadata_file(r["path"], kind) for kind in ("primary", "filelists")] for r in repos}
        bare = {name: metadata.read_packages(primary) for name, (primary, _) in read.items()}
        needing = sum(bare.values(), metadata.read_packages(os.path.join(root, "primary.xml")))
        for r in repos:  # zypper reads no filelists: it is given the files that somebody needs
            lists = read[r["id"]][1]
            whole = metadata.with_required_files(bare[r["id"]], lists, needing) if lists else bare[r["id"]]
            self.known[r["id"]] = [p for p in whole if not any(excluded(g, p) for g in [*exclude, *r.get("exclude", ())])]

    def leaving_out(self, builds):
        """Tells what zypper is never to know of: builds of module streams that are not open. It knows no modules."""
        self.unknown = frozenset(builds)
        return self

    @staticmethod
    def answers(request):
        """Whether zypper has a word for a request. A patch is what its notice says or newer, so the newest is what can be compared."""
        return request.kind in ("all", "weak", "package", "downgrade", "sync", "hold", "bugfix", *NOTICES)

    def reset(self, exclude=()):
        """Writes the repositories without what is excluded, and has zypper read them, unless it has."""
        out = frozenset(exclude) | self.unknown
        if out == self.now:
            return
        shutil.rmtree(self.copies, ignore_errors=True)
        os.makedirs(self.definitions)
        for r in self.repos:
            path = os.path.join(self.copies, r["id"])
            files = {"primary": metadata.primary([p for p in self.known[r["id"]] if p.nevra not in out and p.na not in out])}
            notices = metadata.all_updateinfo(r["path"])
            if notices:
                files["updateinfo"] = notices[0].encode()
            metadata.write_repo(path, files)
            with open(os.path.join(self.definitions, r["id"] + ".repo"), "w") as f:
                f.write(REPO % {**r, "path": path})
        done = self.zypper("refresh", "--force")
        if done.returncode:
            raise Failed(f"zypper refresh: status {done.returncode}: {(done.stderr + done.stdout)[-500:]}")
        self.now = out

    def zypper(self, *words, weak=False):
        """Runs zypper, and gives its status and output."""
        with open(self.env["ZYPP_CONF"], "w") as f:
            f.write(CONF % {"arch": self.arch, "only": str(not weak).lower(), "beside": BESIDE})
        return subprocess.run([*self.command, *words], env=self.env, text=True, capture_output=True, check=False)

    def words(self, request):
        kind = request.kind.removesuffix("-newest")
        if kind in CATEGORIES:
            return ["patch", "--with-interactive", "--category", CATEGORIES[kind]]
        if kind == "cve":
            return ["patch", "--with-interactive", f"--cve={request.value}"]
        if kind == "severity":
            return ["patch", "--with-interactive", f"--severity={request.value.lower()}"]
        if kind == "advisory":
            return ["install", "-t", "patch", *request.value.split()]
        if kind == "package":
            return ["update", request.value]
        if kind == "downgrade":
            return ["install", "--oldpackage", spec(request.value)]
        return ["dup" if kind == "sync" else "update"]

    def ask(self, request, exclude=()):
        """What zypper would do; None where it does nothing because it wants to be told what to give up."""
        self.reset(exclude)
        if request.kind == "hold":
            with open(self.locks, "w") as f:
                f.write(LOCK % request.value)
        try:
            return self.run(self.words(request), request)
        finally:
            if os.path.exists(self.locks):
                os.remove(self.locks)

    def run(self, words, request=None):
        vendors = [] if self.loyal else ["--allow-vendor-change"]
        done = self.zypper(words[0], "--dry-run", *vendors, *words[1:], weak=request is not None and request.kind == "weak")
        if done.returncode in UNSOLVABLE:
            return (frozenset(), frozenset()) if request is not None and request.kind in ("package", "downgrade") else None
        if done.returncode not in NOTHING:
            raise Failed(f"zypper {' '.join(words)}: status {done.returncode}: {(done.stderr + done.stdout)[-500:]}")
        got = summary(done.stdout)
        return None if request is not None and request.kind == "sync" and self.gives_up(got) else got

    def gives_up(self, got):
        """Whether a transaction takes away what nothing in it replaces: dup removes what stands in its way."""
        packages = {p.nevra: p for l in self.known.values() for p in l}
        coming = [packages[n] for n in got[0]]
        names = {p.name for p in coming} | {d[0] for p in coming for d in p.deps("obsoletes")}
        return any(n.rsplit("-", 2)[0] not in names for n in got[1])

    def possible(self, wanted, exclude=()):
        """What zypper does when it is told to bring all of the given builds at once."""
        self.reset(exclude)
        if not wanted:
            return frozenset(), frozenset()
        return self.run(["install", "--oldpackage", *map(spec, wanted)])

    def insist(self, request, wanted, exclude=()):
        """zypper has no word for a request and builds in one."""

    def close(self):
        """Nothing is kept open."""


def summary(text):
    """The (in, out) of a summary of --xmlout."""
    coming, leaving = set(), set()
    found = re.search(r"<install-summary.*?</install-summary>", text, re.S)
    if not found:
        return frozenset(), frozenset()
    for section in ElementTree.fromstring(found.group(0)):
        for s in section.findall("solvable"):
            if s.get("type") != "package":
                continue
            new, old = build(s.get("name"), s.get("edition"), s.get("arch")), s.get("edition-old")
            if section.tag == "to-remove":
                leaving.add(new)
                continue
            if section.tag.startswith(("to-install", "to-upgrade", "to-downgrade", "to-reinstall", "to-change")):
                coming.add(new)
            if old:
                leaving.add(build(s.get("name"), old, s.get("arch-old")))
    return frozenset(coming), frozenset(leaving)


def build(name, edition, arch):
    epoch, _, rest = edition.rpartition(":")
    version, _, release = rest.rpartition("-")
    return metadata.nevra(name, (epoch or "0", version, release), arch)


def spec(nevra):
    """A NEVRA as zypper takes it."""
    rest, arch = nevra.rsplit(".", 1)
    name, version, release = rest.rsplit("-", 2)
    return f"{name}.{arch}={version}-{release}"
