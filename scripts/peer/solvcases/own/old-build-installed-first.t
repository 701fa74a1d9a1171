# As old-build-installed.t, with the installed packages in the other order.
# Made by this project; the result is what libsolv 0.7.23 answers with the settings of dnf.
repo system 0 testtags <inline>
#>=Ver: 2.0
#>=Pkg: a 2 1 x86_64
#>=Pkg: f 1 1 x86_64
repo available 0 testtags <inline>
#>=Ver: 2.0
#>=Pkg: a 3 1 x86_64
#>=Obs: f
#>=Pkg: a 4 1 x86_64
system x86_64 rpm system
poolflags implicitobsoleteusescolors
solverflags allowvendorchange keepexplicitobsoletes bestobeypolicy keeporphans yumobsoletes ignorerecommended
job update all packages
result transaction,problems <inline>
#>upgrade a-2-1.x86_64@system a-4-1.x86_64@available
