# The package obsoletes its own old builds; the part with the same entry comes too, another does not.
# Made by this project; the result is what libsolv 0.7.23 answers with the settings of dnf.
repo system 0 testtags <inline>
#>=Ver: 2.0
#>=Pkg: c 1 1 x86_64
repo available 0 testtags <inline>
#>=Ver: 2.0
#>=Pkg: c 2 1 x86_64
#>=Obs: c < 2
#>=Pkg: a 1 1 x86_64
#>=Obs: c < 2
#>=Pkg: b 1 1 x86_64
#>=Obs: c < 2-0
system x86_64 rpm system
poolflags implicitobsoleteusescolors
solverflags allowvendorchange keepexplicitobsoletes bestobeypolicy keeporphans yumobsoletes ignorerecommended
job update all packages
result transaction,problems <inline>
#>install a-1-1.x86_64@available
#>upgrade c-1-1.x86_64@system c-2-1.x86_64@available
