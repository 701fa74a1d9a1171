# Two splits of one package: the group of the first name comes.
# Made by this project; the result is what libsolv 0.7.23 answers with the settings of dnf.
repo system 0 testtags <inline>
#>=Ver: 2.0
#>=Pkg: c 1 1 x86_64
repo available 0 testtags <inline>
#>=Ver: 2.0
#>=Pkg: x 1 1 x86_64
#>=Obs: c
#>=Pkg: a 1 1 x86_64
#>=Obs: c < 30
#>=Pkg: b 1 1 x86_64
#>=Obs: c < 30
system x86_64 rpm system
poolflags implicitobsoleteusescolors
solverflags allowvendorchange keepexplicitobsoletes bestobeypolicy keeporphans yumobsoletes ignorerecommended
job update all packages
result transaction,problems <inline>
#>erase c-1-1.x86_64@system a-1-1.x86_64@available
#>install a-1-1.x86_64@available
#>install b-1-1.x86_64@available
