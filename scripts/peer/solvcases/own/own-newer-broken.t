# The own newer build cannot come: the replacement does.
# Made by this project; the result is what libsolv 0.7.23 answers with the settings of dnf.
repo system 0 testtags <inline>
#>=Ver: 2.0
#>=Pkg: c 1 1 x86_64
repo available 0 testtags <inline>
#>=Ver: 2.0
#>=Pkg: c 2 1 x86_64
#>=Req: nowhere
#>=Pkg: d 1 1 x86_64
#>=Obs: c < 2
system x86_64 rpm system
poolflags implicitobsoleteusescolors
solverflags allowvendorchange keepexplicitobsoletes bestobeypolicy keeporphans yumobsoletes ignorerecommended
job update all packages
result transaction,problems <inline>
#>erase c-1-1.x86_64@system d-1-1.x86_64@available
#>install d-1-1.x86_64@available
