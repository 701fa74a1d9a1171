"""dnf 4, through its Python interface."""
import logging
import os

import dnf
import hawkey

import metadata
from peers import Failed

logging.getLogger("dnf").setLevel(logging.CRITICAL)


class Dnf:
    """dnf 4 over one installed set. The rpm database is found through HOME/.rpmmacros, which the harness has written."""

    limits = True
    lets = False  # whether excludes leave what is installed alone

    def __init__(self, root, repos, arch, cache, loyal=False, keep=0, exclude=()):
        conf = dnf.conf.Conf()
        conf.allow_vendor_change = not loyal
        conf.excludepkgs = list(exclude)
        conf.installroot, conf.cachedir = root, cache
        conf.substitutions.update({"arch": arch, "basearch": "i386" if arch == "i686" else arch, "releasever": "7"})
        for key, value in (("install_weak_deps", False), ("best", False), ("obsoletes", True), ("gpgcheck", False), ("plugins", False),
                           ("installonly_limit", keep), ("metadata_expire", -1), ("clean_requirements_on_remove", False),
                           ("protect_running_kernel", False), ("ignorearch", False), ("module_platform_id", "platform:el9")):
            setattr(conf, key, value)
        if hasattr(conf, "optional_metadata_types"):  # dnf from 4.19 on knows no files beyond those in primary unless told
            conf.optional_metadata_types = ["filelists"]
        conf.persistdir, conf.logdir = os.path.join(root, "persist"), os.path.join(root, "log")
        os.makedirs(conf.logdir, exist_ok=True)
        self.base, self.keep = dnf.Base(conf), keep
        for r in repos:
            added = self.base.repos.add_new_repo(r["id"], conf, baseurl=["file://" + r["path"]], priority=r["priority"])
            added.excludepkgs = r.get("exclude", [])
        self.base.fill_sack(load_system_repo=True)
        self.installed = len(self.base.sack.query(hawkey.IGNORE_EXCLUDES).installed())

    def mark(self, request):
        base = self.base
        if request.kind.startswith("security"):
            base.add_security_filters("gte" if request.kind.endswith("-newest") else "eq", types=["security"])
        elif request.kind == "bugfix":
            base.add_security_filters("eq", types=["bugfix"])
        elif request.kind.startswith(("advisory", "cve", "severity")):
            word = {"cve": "cves"}.get(request.kind.split("-")[0], request.kind.split("-")[0])
            base.add_security_filters("gte" if request.kind.endswith("-newest") else "eq", **{word: request.value.split()})
        if request.kind == "package":
            base.upgrade(request.value)
        elif request.kind == "downgrade":
            base.downgrade_to(request.value, strict=True)
        elif request.kind == "sync":
            base.distro_sync()
        elif request.kind == "install":
            base.upgrade_all()
            base.install(request.value, strict=False)
        else:
            base.upgrade_all()

    def ask(self, request, exclude=()):
        """What dnf would do; None where it refuses all of a distro-sync because one package cannot be where it should."""
        base = self.base
        self.reset(exclude)
        base.conf.install_weak_deps = request.kind == "weak"
        try:
            self.mark(request)
            base.resolve()
        except dnf.exceptions.MarkingError:
            return frozenset(), frozenset()
        except dnf.exceptions.DepsolveError as e:
            if self.keep and request.kind in ("package", "weak"):  # it cannot do without a kernel that it would remove
                return self.keeping_all(lambda: self.ask(request, exclude))
            if request.kind == "sync":
                return None
            if request.kind != "downgrade":  # an upgrade leaves out what cannot be; this is asked for strictly
                raise Failed(f"dnf: {e}") from e
            return frozenset(), frozenset()
        except dnf.exceptions.Error as e:
            raise Failed(f"dnf: {e}") from e
        return self.answer()

    def answer(self):
        t = self.base.transaction
        return frozenset(named(p) for p in t.install_set), frozenset(named(p) for p in t.remove_set)

    def keeping_all(self, do):
        """The answer where no kernel is removed to make room for another."""
        keep, self.keep, self.base.sack.installonly_limit = self.keep, 0, 0
        try:
            return do()
        finally:
            self.keep = self.base.sack.installonly_limit = keep

    def reset(self, exclude):
        """Forgets the last request; besides what the configuration excludes, the builds and name.arches given are."""
        base = self.base
        base.reset(goal=True)
        base.reset_security_filters()
        base.sack.reset_excludes()
        base._setup_excludes_includes()
        if self.lets:
            base.sack.remove_excludes(base.sack.query(hawkey.IGNORE_EXCLUDES).installed())
        if exclude:
            base.sack.add_excludes([p for p in base.sack.query().available() if named(p) in exclude or (p.name, p.arch) in exclude])

    def possible(self, wanted, exclude=()):
        """Whether dnf can bring all of the given builds at once, strictly and without erasing anything."""
        base = self.base
        self.reset(exclude)
        base.conf.install_weak_deps = False
        if not self.bring(wanted):
            return None
        try:
            base.resolve(allow_erasing=False)
        except dnf.exceptions.Error:
            return None
        return self.answer()

    def bring(self, wanted):
        """Tells dnf to bring builds, if it knows them all."""
        for n in wanted:
            hits = [p for p in self.base.sack.query().available().filter(name=n.rsplit("-", 2)[0]) if named(p) == n]
            if not hits:
                return False
            self.base.goal.install(hits[0])
        return True

    def insist(self, request, wanted, exclude=()):
        """What dnf does for a request when it has to bring the given builds, too; None where it cannot."""
        self.reset(exclude)
        self.base.conf.install_weak_deps = request.kind == "weak"
        try:
            self.mark(request)
            if not self.bring(wanted):
                return None
            self.base.resolve()
        except dnf.exceptions.Error:
            return None
        return self.answer()

    def close(self):
        self.base.close()


def named(p):
    return metadata.nevra(p.name, (str(p.epoch), p.version, p.release), p.arch)
