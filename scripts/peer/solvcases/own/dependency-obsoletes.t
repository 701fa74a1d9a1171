# A new dependency obsoletes the old build of an installed package that has a newer one.
# Made by this project; the result is what libsolv 0.7.23 answers with the settings of dnf.
repo system 0 testtags <inline>
#>=Ver: 2.0
#>=Pkg: b 1 1 x86_64
#>=Pkg: e 1 1 x86_64
repo available 0 testtags <inline>
#>=Ver: 2.0
#>=Pkg: b 4 1 x86_64
#>=Pkg: c 4 1 x86_64
#>=Obs: b = 1
#>=Pkg: e 2 1 x86_64
#>=Req: c
system x86_64 rpm system
poolflags implicitobsoleteusescolors
solverflags allowvendorchange keepexplicitobsoletes bestobeypolicy keeporphans yumobsoletes ignorerecommended
job update all packages
result transaction,problems <inline>
#>erase b-1-1.x86_64@system c-4-1.x86_64@available
#>install c-4-1.x86_64@available
#>upgrade e-1-1.x86_64@system e-2-1.x86_64@available
