# A boolean conflict that only a new package lifts: it is brought.
# Made by this project; the result is what libsolv 0.7.23 answers with the settings of dnf.
repo system 0 testtags <inline>
#>=Ver: 2.0
#>=Pkg: c 2 1 x86_64
repo available 0 testtags <inline>
#>=Ver: 2.0
#>=Pkg: a 1 1 x86_64
#>=Pkg: c 4 1 x86_64
#>=Req: a
#>=Con: a <UNLESS> f
#>=Pkg: f 4 1 x86_64
system x86_64 rpm system
poolflags implicitobsoleteusescolors
solverflags allowvendorchange keepexplicitobsoletes bestobeypolicy keeporphans yumobsoletes ignorerecommended
job update all packages
result transaction,problems <inline>
#>install a-1-1.x86_64@available
#>install f-4-1.x86_64@available
#>upgrade c-2-1.x86_64@system c-4-1.x86_64@available
