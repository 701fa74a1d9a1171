# Whether this host can boot a kernel once, and go on booting the one that runs. No argument.
first /proc/sys/kernel/osrelease
old=$l
if loader && bootentry "$old"; then
	say boots "$boots"
else
	say cannot "$why"
fi
say end
