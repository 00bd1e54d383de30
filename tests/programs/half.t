#!/usr/bin/perl
# Programs with half of the memory that they need, and swap, say what they say on Linux: a few scripts of debian.t. What half is, and of what, is said at run_script in
# Programs.pm. In check-all there are all of them, and calls.t, selftests.t, and shells.t as well.
use strict;
use warnings;
use FindBin;

$ENV{PROGRAMS_MEMORY} = 'half';
$ENV{DEBIAN_SCRIPTS} //= 'lua,perl,python,sqlite';
exec $^X, "$FindBin::Bin/debian.t" or die "debian.t: $!\n";
