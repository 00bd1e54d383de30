#!/usr/bin/perl
# Processes and threads: the programs check themselves, and the kernel that nothing is left of them, also in a debug build, and
# where memory runs out.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Phoenix;
use Test::More;

sub passes
{
	my ($name, $options, @words) = @_;
	subtest $name => sub {
		my $ran = run($options, @words);
		is($ran->{status}, 0, 'status') or diag($ran->{out}, $ran->{err}, $ran->{console});
		like($ran->{out}, qr/^\w+: \d+ checks, 0 failed$/m, 'all its checks hold') or diag($ran->{out});
		unlike($ran->{console}, qr/panic|leaked/, 'nothing is left behind');
	};
}

my $debug = (Phoenix::built()) . '/debug/phoenix.elf';
for my $name (qw(fork threads exec groups identity fuzzed family)) {
	passes($name, [], program($name));
	passes("$name, debug build", ['--kernel', $debug], program($name), $name eq 'family' ? 3 : ());
}
# Shares are told by CPU time, which a busy host would disturb.
passes('priorities', ['--icount'], program('priorities'));
passes('priorities, debug build', ['--icount', '--kernel', $debug], program('priorities'), 'realtime');
passes('family, little memory', ['--mem', 40], program('family'), 3);
passes('exhaust, little memory', ['--mem', 32], program('exhaust'));
passes('exhaust, little memory, debug build', ['--mem', 32, '--kernel', $debug], program('exhaust'));
passes('no memory', ['--mem', 64, '--kernel', $debug], program('no_memory'));
done_testing();
