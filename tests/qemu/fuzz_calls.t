#!/usr/bin/perl
# Random system calls by many processes (user/tests/fuzz_calls.c) on a debug build, with much memory, with little, and with a disk to page to: no panic, no hang,
# nothing leaked, and the first process lives to the end. SECONDS of the environment is how long in all (30), SEED is where to begin.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Phoenix;
use Test::More;

use constant {
	ROUND_SECONDS => 60,  # a boot's at most
	GRACE_SECONDS => 120, # for a boot, and for the end of all processes
};

my $left = $ENV{SECONDS} || 30;
my $seed = $ENV{SEED} // time % 1_000_000;
BAIL_OUT("SECONDS: '$left' and SEED: '$seed' have to be numbers") unless "$left$seed" =~ /^[0-9]+\z/ and $left > 0;
my @machines = ([256, 0, 4], [64, 0, 8], [64, 128, 8]); # MiB, MiB of swap, processes
my $round = int(($left + $#machines) / @machines);
$round = ROUND_SECONDS if $round > ROUND_SECONDS;

# Numbers of calls that are not here, as often as the console names them.
sub unknown_calls
{
	my ($console) = @_;
	my %times;
	$times{$1}++ while $console =~ /asked for system call (\d+), which is not here/g;
	return %times;
}

diag("seed $seed (SEED=$seed shows the same calls again)");
for (my $number = 0 ; $left > 0 ; $number++, $seed++, $left -= $round) {
	my ($mib, $swap, $processes) = @{$machines[$number % @machines]};
	subtest "seed $seed, $mib MiB, $swap MiB of swap, $processes processes" => sub {
		my $ran = run(
			['--kernel', Phoenix::built() . '/debug/phoenix.elf', '--mem', $mib, $swap ? ('--swap', $swap) : (), '--timeout', $round + GRACE_SECONDS],
			program('fuzz_calls'), $round, $seed, $processes);
		my $passed = is($ran->{status}, 0, 'the system comes to its end');
		$passed &= like($ran->{out}, qr/fuzz_calls: seed $seed: [1-9]\d* workers ended/, 'workers lived and ended');
		$passed &= unlike($ran->{console}, qr/panic|leaked/, 'no panic, nothing left behind');
		my %unknown = unknown_calls($ran->{console});
		$passed &= is_deeply([grep { $unknown{$_} > 1 } sort keys %unknown], [], 'a missing call is named once');
		$passed &= cmp_ok(scalar keys %unknown, '>', 0, 'and some are');
		diag(substr $ran->{console}, -4000) unless $passed;
	};
}
done_testing();
