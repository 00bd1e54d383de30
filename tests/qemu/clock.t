#!/usr/bin/perl
# The clock runs as fast as it should, also where the machine was taken away from the system again and again while it measured how fast
# that is: as a busy host does, and as QEMU is stopped and continued here.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Phoenix;
use Test::More;
use Time::HiRes qw(sleep);

use constant {
	BOOTS   => 10,
	STOPPED => 0.012, # seconds, on the average
	RUNNING => 0.003,
	EXACT   => 0.005, # of the rate
	WNOHANG => 1,
};

my $program = program('clock_rate');
chomp(my $rate = `$program`);
like($rate, qr/^[1-9]\d{7,}$/, "$rate ticks a second, Linux says");

# The process that phoenix-run has started; undef: none yet.
sub child_of
{
	my ($pid) = @_;
	return (contents("/proc/$pid/task/$pid/children") =~ /^(\d+)/)[0];
}

# What the program says when the machine is stopped and continued all the time.
sub run_now_and_then
{
	my $out = scratch() . '/rate';
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		open STDOUT, '>', $out or die "$out: $!";
		exec root() . '/tools/phoenix-run', '--timeout', 60, $program;
	}
	while (waitpid($pid, WNOHANG) == 0) {
		my $qemu = child_of($pid);
		if ($qemu) {
			kill 'STOP', $qemu;
			sleep STOPPED * (0.5 + rand);
			kill 'CONT', $qemu;
		}
		sleep RUNNING * (0.5 + rand);
	}
	chomp(my $said = contents($out));
	return $said;
}

for my $boot (1 .. BOOTS) {
	my $said = run_now_and_then();
	my $right = $said =~ /^\d+$/ && abs($said - $rate) < $rate * EXACT;
	ok($right, "boot $boot of a machine that runs now and then") or diag("$said ticks a second");
}

done_testing();
