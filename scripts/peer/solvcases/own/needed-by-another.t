# The obsoleted is required by name and cannot leave.
# Made by this project; the result is what libsolv 0.7.23 answers with the settings of dnf.
repo system 0 testtags <inline>
#>=Ver: 2.0
#>=Pkg: c 1 1 x86_64
#>=Pkg: u 1 1 x86_64
#>=Req: c
repo available 0 testtags <inline>
#>=Ver: 2.0
#>=Pkg: d 1 1 x86_64
#>=Obs: c
system x86_64 rpm system
poolflags implicitobsoleteusescolors
solverflags allowvendorchange keepexplicitobsoletes bestobeypolicy keeporphans yumobsoletes ignorerecommended
job update all packages
result transaction,problems <inline>
