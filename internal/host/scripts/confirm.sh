# Confirms that the host is to stay as it is, or tells what its switch decided before. Argument: the id of the way back.
w=$dir/ledger/$1
if [ ! -f "$w/for" ]; then
	say decision none
	say end
	exit 0
fi
# What the boot loader boots and what is decided go together: nobody else decides meanwhile.
mutex
wanted=confirmed
if [ ! -f "$w/decision" ] && [ -f "$w/once" ] && read -r k at rest <"$w/once" && [ "$k" = set ]; then
	first /proc/sys/kernel/random/boot_id
	if [ "$l" = "$at" ]; then
		fail notbooted "the host has not booted since its new kernel was to be booted once"
	elif onold; then
		wanted=back
	else
		# First the kernel, then the decision: one that cannot be made the default is not confirmed, and the switch takes it back.
		kernel keep || fail keepkernel "the new kernel cannot be made the default: $said"
	fi
fi
decide $wanted
leave
trap - 0
[ "$decision" = back ] || over
say decision "$decision"
[ ! -f "$w/why" ] || { first "$w/why" && say why "$l"; }
say end
