#!/usr/bin/perl
# The suites inside the kernel (test=all): passes their TAP on. Booted through PVH, with a dummy for the program.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Phoenix;

my $ran = run(['--mem', 256, '--append', 'test=all'], '/bin/true');
my ($plan, $cases) = (0, 0);
for (split /\n/, $ran->{console}) {
	$cases++ if /^(not )?ok \d+/;
	$plan = 1 if /^1\.\.\d+$/;
	print /^(#|(not )?ok \d+|1\.\.\d+$)/ ? "$_\n" : "# $_\n";
}
my $powered_off = $ran->{console} =~ /^phoenix: power off, status (\d+)$/m;
print "Bail out! the kernel did not come to the end of its tests\n" unless $plan and $cases and $powered_off;
exit($ran->{status} == 0 ? 0 : 1);
