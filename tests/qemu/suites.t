#!/usr/bin/perl
# The suites inside the kernel (test=all): passes their TAP on, of the kernel as it is and then of a debug build, which checks
# lock order, freed memory and more as it goes. Booted through PVH, with a dummy for the program. The scheduler's once more on a machine that
# counts instructions, where the timer interrupts without fail.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Phoenix;

my $number = 0;
my $failed = 0;

# Runs the suites of a kernel, and passes on their cases, numbered on.
sub pass_on
{
	my ($kernel, $kind, $suites, @options) = @_;
	my $ran = run(['--kernel', $kernel, '--mem', 256, '--append', "test=$suites", @options,
		'--file', Phoenix::built() . '/user/demo:/bin/demo'], '/bin/true');
	my $planned = -1;
	my $cases = 0;
	for (split /\n/, $ran->{console}) {
		if (/^((?:not )?ok) \d+(.*)$/) {
			$cases++;
			print $1, ' ', ++$number, "$2$kind\n";
		} elsif (/^1\.\.(\d+)$/) {
			$planned = $1;
		} else {
			print /^#/ ? "$_\n" : "# $_\n";
		}
	}
	my $powered_off = $ran->{console} =~ /^phoenix: power off, status (\d+)$/m;
	print "Bail out! the kernel did not come to the end of its tests$kind\n"
		unless $cases and $cases == $planned and $powered_off;
	$failed ||= $ran->{status} != 0;
}

pass_on(Phoenix::built() . '/phoenix.elf', '', 'all');
pass_on(Phoenix::built() . '/debug/phoenix.elf', ' (debug build)', 'all');
pass_on(Phoenix::built() . '/phoenix.elf', ' (counted)', 'sched,time', '--icount');
print "1..$number\n";
exit($failed ? 1 : 0);
