"""dnf 5, through its Python interface (python3-libdnf5)."""
import os

import libdnf5
from libdnf5.base import Goal, GoalJobSettings, GoalProblem_SOLVER_ERROR, GoalSetting_SET_TRUE
from libdnf5.rpm import PackageQuery, PackageSet
from libdnf5.transaction import TransactionItemAction_REMOVE, TransactionItemAction_REPLACED, transaction_item_action_is_inbound

import metadata
from peers import Failed

kept = []  # what libdnf5 made: it fails when some of it is given up before the rest


class Dnf:
    """dnf 5 over one installed set."""

    limits = False  # of install-only packages: it takes away what is too many also where none comes
    keep = 0
    lets = None  # whether excludes leave what is installed alone; it cannot be told

    def __init__(self, root, repos, arch, cache, loyal=False, keep=0, exclude=()):
        self.base = libdnf5.base.Base()
        kept.append(self.base)
        conf = self.base.get_config()
        for key, value in (("installroot", root), ("cachedir", cache), ("system_cachedir", cache), ("logdir", os.path.join(root, "log")),
                           ("system_state_dir", os.path.join(root, "state")), ("plugins", False), ("allow_vendor_change", not loyal),
                           ("install_weak_deps", False), ("best", False), ("obsoletes", True), ("pkg_gpgcheck", False), ("installonly_limit", 0),
                           ("clean_requirements_on_remove", False), ("protect_running_kernel", False), ("protected_packages", ()),
                           ("optional_metadata_types", ("filelists", "updateinfo")), ("module_platform_id", "platform:el9"),
                           ("excludepkgs", tuple(exclude))):
            setattr(conf, key, value)
        self.base.setup()
        for key, value in (("arch", arch), ("basearch", "i386" if arch == "i686" else arch), ("releasever", "7")):
            self.base.get_vars().set(key, value)
        sack = self.base.get_repo_sack()
        for r in repos:
            conf = sack.create_repo(r["id"]).get_config()
            conf.baseurl, conf.priority, conf.metadata_expire = "file://" + r["path"], r["priority"], -1
            conf.excludepkgs = tuple(r.get("exclude", ()))
        sack.load_repos()
        packages = PackageQuery(self.base)
        packages.filter_installed()
        self.installed = None if exclude else packages.size()  # of what is excluded it does not tell

    def goal(self, request):
        goal, settings = Goal(self.base), GoalJobSettings()
        if request.by_notices():
            settings.set_advisory_filter(self.notices(request))
        if request.kind == "package":
            goal.add_rpm_upgrade(request.value, settings)
        elif request.kind == "downgrade":
            goal.add_rpm_downgrade(request.value, settings)
        elif request.kind == "sync":
            goal.add_rpm_distro_sync(settings)
        else:
            goal.add_rpm_upgrade(settings, request.by_notices() and not request.kind.endswith("-newest"))
        if request.kind == "install":
            lenient = GoalJobSettings()
            lenient.set_skip_broken(GoalSetting_SET_TRUE)
            lenient.set_skip_unavailable(GoalSetting_SET_TRUE)
            goal.add_rpm_install(request.value, lenient)
        return goal

    def notices(self, request):
        kind, found = request.kind.split("-")[0], libdnf5.advisory.AdvisoryQuery(self.base)
        if kind in ("security", "bugfix"):
            found.filter_type(kind)
        elif kind == "advisory":
            found.filter_name(request.value.split())
        elif kind == "cve":
            found.filter_reference(request.value, "cve")
        else:
            found.filter_severity(request.value)
        return found

    def ask(self, request, exclude=()):
        """What dnf would do; None where it refuses all of a distro-sync because one package cannot be where it should."""
        self.reset(exclude)
        self.base.get_config().install_weak_deps = request.kind == "weak"
        transaction = self.goal(request).resolve()
        if transaction.get_problems() and request.kind == "sync":
            return None
        if transaction.get_problems() and request.kind in ("package", "downgrade"):
            return frozenset(), frozenset()
        if transaction.get_problems() & GoalProblem_SOLVER_ERROR:
            raise Failed("dnf: " + "; ".join(transaction.get_resolve_logs_as_strings()))
        return self.answer(transaction)

    def answer(self, transaction):
        coming, leaving = set(), set()
        for item in transaction.get_transaction_packages():
            action = item.get_action()
            if action in (TransactionItemAction_REPLACED, TransactionItemAction_REMOVE):
                leaving.add(named(item.get_package()))
            elif transaction_item_action_is_inbound(action):
                coming.add(named(item.get_package()))
        return frozenset(coming), frozenset(leaving)

    def reset(self, exclude):
        """Forgets the last request; besides what the configuration excludes, the builds and name.arches given are."""
        sack = self.base.get_rpm_package_sack()
        sack.clear_user_excludes()
        if exclude:
            out, available = PackageSet(self.base), PackageQuery(self.base)
            available.filter_available()
            for p in available:
                if named(p) in exclude or (p.get_name(), p.get_arch()) in exclude:
                    out.add(p)
            sack.add_user_excludes(out)

    def possible(self, wanted, exclude=()):
        """Whether dnf can bring all of the given builds at once, strictly and without erasing anything."""
        self.reset(exclude)
        self.base.get_config().install_weak_deps = False
        goal = Goal(self.base)
        if not self.bring(goal, wanted):
            return None
        goal.set_allow_erasing(False)
        transaction = goal.resolve()
        return None if transaction.get_problems() else self.answer(transaction)

    def bring(self, goal, wanted):
        """Tells dnf to bring builds, if it knows them all."""
        for n in wanted:
            found = PackageQuery(self.base)
            found.filter_available()
            found.filter_name([n.rsplit("-", 2)[0]])
            hits = [p for p in found if named(p) == n]
            if not hits:
                return False
            goal.add_rpm_install(hits[0])
        return True

    def insist(self, request, wanted, exclude=()):
        """What dnf does for a request when it has to bring the given builds, too; None where it cannot."""
        self.reset(exclude)
        self.base.get_config().install_weak_deps = request.kind == "weak"
        goal = self.goal(request)
        if not self.bring(goal, wanted):
            return None
        transaction = goal.resolve()
        return None if transaction.get_problems() & GoalProblem_SOLVER_ERROR else self.answer(transaction)

    def close(self):
        """Nothing is given up before the process ends."""


def named(p):
    return metadata.nevra(p.get_name(), (p.get_epoch() or "0", p.get_version(), p.get_release()), p.get_arch())
