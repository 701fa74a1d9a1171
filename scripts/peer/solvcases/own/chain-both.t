# The last replaces both.
# Made by this project; the result is what libsolv 0.7.23 answers with the settings of dnf.
repo system 0 testtags <inline>
#>=Ver: 2.0
#>=Pkg: p 1 1 x86_64
repo available 0 testtags <inline>
#>=Ver: 2.0
#>=Pkg: q 1 1 x86_64
#>=Obs: p
#>=Pkg: r 1 1 x86_64
#>=Obs: q
#>=Obs: p
system x86_64 rpm system
poolflags implicitobsoleteusescolors
solverflags allowvendorchange keepexplicitobsoletes bestobeypolicy keeporphans yumobsoletes ignorerecommended
job update all packages
result transaction,problems <inline>
#>erase p-1-1.x86_64@system r-1-1.x86_64@available
#>install r-1-1.x86_64@available
