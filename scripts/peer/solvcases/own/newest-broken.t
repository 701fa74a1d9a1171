# The newest build of the replacement cannot come and obsoletes too.
# Made by this project; the result is what libsolv 0.7.23 answers with the settings of dnf.
repo system 0 testtags <inline>
#>=Ver: 2.0
#>=Pkg: b 2 1 x86_64
repo available 0 testtags <inline>
#>=Ver: 2.0
#>=Pkg: a 1 1 x86_64
#>=Obs: b <= 3
#>=Pkg: a 4 1 x86_64
#>=Obs: b <= 3
#>=Req: nowhere
system x86_64 rpm system
poolflags implicitobsoleteusescolors
solverflags allowvendorchange keepexplicitobsoletes bestobeypolicy keeporphans yumobsoletes ignorerecommended
job update all packages
result transaction,problems <inline>
#>erase b-2-1.x86_64@system a-1-1.x86_64@available
#>install a-1-1.x86_64@available
