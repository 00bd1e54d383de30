#!/usr/bin/perl
# Signals and time: programs that check them within themselves; those that end by a signal, and what the console says of that, are in
# crashes.t.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Phoenix;
use Test::More;

# Who checks how long things take does so on a clock that only the machine's own instructions move: the host may be busy.
my %options = (timing => ['--icount']);

for my $name (qw(signals faults registers timing storm descriptors)) {
	my $ran = run($options{$name} // [], program($name));
	is($ran->{status}, 0, $name) or diag($ran->{out}, $ran->{err});
	like($ran->{out}, qr/^$name: [1-9]\d* checks, 0 failed$/m, "$name: all checks pass");
	unlike($ran->{console}, qr/leaked|panic/, "$name: nothing leaked");
}
my $ran = run([], program('faults'));
is(() = $ran->{console} =~ /killed by/g, 8, 'a line on the console for each child that a fault ends, and for no fault that is handled');
done_testing();
