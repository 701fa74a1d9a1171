package host

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// sdSetup makes a host that systemd-boot has booted, as far as the variables of the firmware tell. They are UTF-16 behind four bytes of
// attributes.
const sdSetup = `mkdir -p /sys/firmware/efi/efivars /boot/loader/entries
printf '\007\000\000\000' >/opt/attributes
{ cat /opt/attributes; printf 's\000y\000s\000t\000e\000m\000d\000-\000b\000o\000o\000t\000 \0002\0005\0002\000\000\000'; } >/sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f
printf 'version 1-1.noarch\n' >/boot/loader/entries/0123-1-1.noarch.conf
`

// tailSelf is tail on the file system of the firmware's variables, where nothing can seek: tail of coreutils does in any regular file.
const tailSelf = `#!/bin/sh
case "$* $(readlink /proc/self/fd/0)" in */efivars/*) echo "tail: cannot seek to relative offset 4: Illegal seek" >&2; exit 1 ;; esac
exec /usr/bin/tail "$@"
`

// bootctlSelf stands for bootctl, which wants firmware: its verbs set variables, its list is in the form of systemd 252, where the newest entry is
// the default unless a variable names another.
const bootctlSelf = `#!/bin/sh
v=/sys/firmware/efi/efivars vendor=4a67b082-0a4c-41cf-b6c7-440b29bb8c4f
put() {
	[ ! -e /opt/readonly ] || exit 1
	[ -n "$2" ] || { rm -f "$v/$1-$vendor"; return; }
	{ cat /opt/attributes; printf '%s' "$2" | sed 's/./&\n/g' | tr '\n' '\000'; printf '\000\000'; } >"$v/$1-$vendor"
}
case $1 in
--help) echo '  set-oneshot ID      Set default boot loader entry, for next boot only' ;;
set-default) put LoaderEntryDefault "$2" ;;
set-oneshot) put LoaderEntryOneShot "$2" ;;
list)
	d=$(cat $v/LoaderEntryDefault-$vendor 2>/dev/null | tail -c +5 | tr -d '\000')
	[ -n "$d" ] || d=$(ls /boot/loader/entries | sort -V | tail -n 1)
	echo 'Boot Loader Entries:'
	for f in /boot/loader/entries/*.conf; do
		mark=
		[ "${f##*/}" != "$d" ] || mark=' (default)'
		printf '        title: Lab OS%s\n           id: %s\n       source: %s\n      version: %s\n        linux: /0123/linux\n\n' "$mark" "${f##*/}" "$f" "$(sed -n 's/^version //p' $f)"
	done
	;;
esac
`

// systemd-boot: the old kernel is named as the default and the new one for one boot; confirmed, the loader chooses by itself again, where
// that is the new kernel; the way back leaves nothing set.
func TestBootOnceSystemdBoot(t *testing.T) {
	t.Parallel()
	const add, remove = `printf 'version R\n' >/boot/loader/entries/0123-R.conf`, `rm -f /boot/loader/entries/0123-R.conf`
	setUp := func(t *testing.T) *trial {
		k := newTrial(t, "bls", shells["dash"], false)
		k.host.sh(sdSetup)
		k.put("/usr/bin/bootctl", bootctlSelf)
		k.put("/usr/sbin/tail", tailSelf)
		return k
	}
	start := func(t *testing.T) *trial {
		k := setUp(t)
		if err := k.transactWith(add, remove, BootOnceNeeded); err != nil {
			t.Fatal(err)
		}
		if st := await(t, k.s, k.tx.ID, Done); !st.Kernel.Due {
			t.Fatalf("%+v\n%s", st, k.host.sh("cat /var/lib/cpacman/ledger/*/once /var/lib/cpacman/ledger/*/kernel.log"))
		}
		k.vars("0123-1-1.noarch.conf", "0123-2-1.noarch.conf")
		return k
	}
	came := func(k *trial, build string) {
		k.host.sh("rm -f /sys/firmware/efi/efivars/LoaderEntryOneShot-*; cat /proc/sys/kernel/random/uuid >/run/boot_id; echo " + build + "-1.noarch >/run/osrelease")
	}
	for name, c := range map[string]struct{ spoil, after string }{
		"the newest":   {":", ""},
		"another":      {`printf 'version 3\n' >/boot/loader/entries/0123-3.conf`, "0123-2-1.noarch.conf"},
		"named before": {"sed -i 's/^default .*/default 0123-1-1.noarch.conf/' /var/lib/cpacman/ledger/*/kernel", "0123-2-1.noarch.conf"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := start(t)
			came(k, "2")
			k.host.sh(c.spoil)
			k.confirm(Confirmed, "")
			k.vars(c.after, "")
		})
	}
	t.Run("does not come up", func(t *testing.T) {
		t.Parallel()
		k := start(t)
		came(k, "1")
		k.confirm(GoesBack, "did not come up")
		// The switch may have begun it already.
		if err := k.s.StartBack(context.Background(), k.back); err != nil && !errors.Is(err, ErrReplay) {
			t.Fatal(err)
		}
		await(t, k.s, k.back.ID, Done)
		k.vars("", "")
		k.asBefore(k.pre)
		// Asked once more, by a control host that was away: what is booted by default stays as it was before.
		k.confirm(GoesBack, "did not come up")
		k.vars("", "")
	})
	t.Run("power lost in its packages", func(t *testing.T) {
		t.Parallel()
		k := setUp(t)
		if err := k.transactWith(add+"\ntouch /opt/at-the-end; sleep 1000", remove, BootOnceNeeded); err != nil {
			t.Fatal(err)
		}
		k.host.wait("/opt/at-the-end")
		k.vars("0123-1-1.noarch.conf", "")
	})
	t.Run("read-only variables", func(t *testing.T) {
		t.Parallel()
		k := setUp(t)
		k.host.sh("touch /opt/readonly")
		if err := k.transactWith(add, remove, BootOnceNeeded); !errors.Is(err, ErrNoBootOnce) || !strings.Contains(err.Error(), "does not set the variable") {
			t.Errorf("%v", err)
		}
		if got := k.host.sh("ls /var/lib/cpacman/ledger /etc/cron.d"); strings.Contains(got, "r1_h1_1") || strings.Contains(got, "cpacman-switch") {
			t.Errorf("left behind: %s", got)
		}
	})
	t.Run("no tool", func(t *testing.T) {
		t.Parallel()
		k := setUp(t)
		k.host.sh("rm -f /usr/bin/bootctl")
		if err := k.transactWith(add, remove, BootOnceNeeded); !errors.Is(err, ErrNoBootOnce) || !strings.Contains(err.Error(), "no bootctl") {
			t.Errorf("%v", err)
		}
	})
}

// vars wants the variables of systemd-boot.
func (k *trial) vars(saved, next string) {
	k.t.Helper()
	for name, want := range map[string]string{"LoaderEntryDefault": saved, "LoaderEntryOneShot": next} {
		got := k.host.sh("cat /sys/firmware/efi/efivars/" + name + "-* 2>/dev/null | tail -c +5 | tr -d '\\000'")
		if got != want {
			k.t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
