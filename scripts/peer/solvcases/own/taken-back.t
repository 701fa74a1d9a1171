# The own newer build obsoletes the newest replacement.
# Made by this project; the result is what libsolv 0.7.23 answers with the settings of dnf.
repo system 0 testtags <inline>
#>=Ver: 2.0
#>=Pkg: d 1 1 x86_64
repo available 0 testtags <inline>
#>=Ver: 2.0
#>=Pkg: d 3 1 x86_64
#>=Obs: f = 4
#>=Pkg: f 2 1 x86_64
#>=Obs: d
#>=Pkg: f 4 1 x86_64
#>=Obs: d
system x86_64 rpm system
poolflags implicitobsoleteusescolors
solverflags allowvendorchange keepexplicitobsoletes bestobeypolicy keeporphans yumobsoletes ignorerecommended
job update all packages
result transaction,problems <inline>
#>upgrade d-1-1.x86_64@system d-3-1.x86_64@available
