# A boolean conflict that the package fulfils itself: rpm refuses the package, libsolv leaves it out of account.
# Made by this project; the result is what libsolv 0.7.23 answers with the settings of dnf.
repo system 0 testtags <inline>
#>=Ver: 2.0
#>=Pkg: e 2 1 x86_64
repo available 0 testtags <inline>
#>=Ver: 2.0
#>=Pkg: e 3 1 x86_64
#>=Con: f | e
system x86_64 rpm system
poolflags implicitobsoleteusescolors
solverflags allowvendorchange keepexplicitobsoletes bestobeypolicy keeporphans yumobsoletes ignorerecommended
job update all packages
result transaction,problems <inline>
#>upgrade e-2-1.x86_64@system e-3-1.x86_64@available
