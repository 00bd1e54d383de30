#!/usr/bin/perl
# More memory than there is: programs whose data is verified, and that nothing is left of it afterwards. On a disk and on a device of RAM.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Phoenix;
use Test::More;

my $pagecheck = Phoenix::built() . '/user/pagecheck';

# Runs the program with so much memory, and a device to page to; nothing may be left.
sub check
{
	my ($what, $options, @arguments) = @_;
	my $ran = run($options, $pagecheck, @arguments);
	is($ran->{status}, 0, "$what: status 0") or diag($ran->{out}, $ran->{console});
	is($ran->{out}, "all is right\n", "$what: the data is right");
	unlike($ran->{console}, qr/leaked|panic|killed/, "$what: nothing is left, and nobody was ended");
}

check('a disk', ['--mem', 64, '--swap', 256], 100);
check('four at once', ['--mem', 64, '--swap', 256], 30, 4);
check('a device of RAM', ['--mem', 192, '--append', 'swap=ram:128'], 80);
done_testing();
