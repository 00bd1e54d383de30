#!/usr/bin/perl
# More memory than there is: programs whose data is verified, and that nothing is left of it afterwards. On a disk and on a device of RAM.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use POSIX qw(SIGBUS);
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

# A device that fails, and one that lies: SIGBUS, and the console says which.
for (['read-error', qr{^swap: /dev/ram0: place \d+ cannot be read: page \d+ of family \d+ is lost$}m],
	['flip', qr{^swap: /dev/ram0: place \d+ does not have page \d+ of family \d+ as it was written$}m]) {
	my ($fault, $line) = @$_;
	my $ran = run(['--mem', 128, '--append', "swap=ram:64,inject:seed=1:$fault=2"], $pagecheck, 70);
	is($ran->{status}, 128 + SIGBUS, "$fault: SIGBUS");
	like($ran->{console}, $line, "$fault: the console says what was wrong") or diag($ran->{console});
	unlike($ran->{console}, qr/leaked|panic/, "$fault: nothing is left");
}

# What is to be seen of it: /proc, and vmstat, while a program pages and afterwards.
SKIP: {
	my $busybox = '/bin/busybox';
	skip 'no busybox here', 1 unless -x $busybox;
	my $script = write_file('script', join '', map { "$_\n" } '/bin/pagecheck 100 &', '/bin/vmstat 1 4', 'wait', '/bin/vmstat',
		'cat /proc/pressure/memory /proc/vmstat /proc/meminfo');
	mkdir scratch() . '/root';
	my $ran = run(['--mem', 64, '--swap', 256, '--root', scratch() . '/root', '--file', "$script:/script", '--file', "$pagecheck:/bin/pagecheck",
			'--file', Phoenix::built() . '/user/vmstat:/bin/vmstat'], $busybox, 'sh', '/script');
	is($ran->{status}, 0, 'figures: status 0') or diag($ran->{out}, $ran->{err}, $ran->{console});
	my @lines = grep { /^ *\d+ +\d+ +\d+ +\d+ +\d+ +\d+/ } split /\n/, $ran->{out};
	is(scalar @lines, 5, 'vmstat: four lines, and one') or diag($ran->{out});
	my ($in, $out, $scan, $steal) = (split ' ', $lines[-1])[5 .. 8];
	ok($in > 1000 && $out > 1000 && $scan > 1000 && $steal > 1000, 'vmstat: KiB in and out, pages looked at and given up') or diag($ran->{out});
	ok((grep { (split)[6] > 0 } @lines[1 .. 3]), 'vmstat: rates, while a program pages') or diag($ran->{out});
	my %lost = $ran->{out} =~ /^(some|full) avg10=\d+\.\d\d avg60=\d+\.\d\d avg300=\d+\.\d\d total=(\d+)$/mg;
	ok($lost{some} > 10000 && $lost{full} <= $lost{some}, 'pressure: time was lost, and no more of all than of some') or diag($ran->{out});
	my ($average) = $ran->{out} =~ /^some avg10=(\d+\.\d\d)/m;
	ok($average > 0 && $average <= 100, 'pressure: a part of the last 10 seconds');
	my %stat = $ran->{out} =~ /^(\w+) (\d+)$/mg;
	ok($stat{pgscan_kswapd} + $stat{pgscan_direct} >= $stat{pgsteal_kswapd} + $stat{pgsteal_direct}, 'vmstat of /proc: not more given up than looked at');
	ok($stat{"pg$_"} > 0, "vmstat of /proc: pg$_") for qw(steal_kswapd scan_kswapd steal_direct scan_direct majfault);
	ok($stat{pswpin} * 4 >= $in && $stat{pswpout} * 4 >= $out && defined $stat{allocstall}, 'vmstat of /proc: pages moved, and waits');
	like($ran->{out}, qr/^SwapCached: +\d+ kB$/m, 'meminfo has what can be given up without being written');
}
# Files in RAM may be more than there is RAM.
SKIP: {
	my $busybox = '/bin/busybox';
	skip 'no busybox here', 1 unless -x $busybox;
	my $script = write_file('files', <<'END');
set -e
df -m / | awk 'NR == 2 && $2 > 256 && $4 > 256 { print "there is room" }'
head -c 52428800 /dev/urandom >one
cp one two
cp one three
cmp one two
cmp two three
rm one two three
df -m / | awk 'NR == 2 && $4 > 256 { print "again" }'
END
	my $ran = run(['--mem', 64, '--swap', 256, '--root', scratch() . '/root', '--file', "$script:/script"], $busybox, 'sh', '/script');
	is($ran->{out}, "there is room\nagain\n", 'files: what df says') or diag($ran->{err}, $ran->{console});
	is($ran->{status}, 0, 'files: more than there is RAM, and each as it was written');
	unlike($ran->{console}, qr/leaked|panic|killed/, 'files: nothing is left');
}
done_testing();
