#!/usr/bin/perl
# Block devices: the suite of requests, on each kind of device.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Phoenix;
use Test::More;

# Runs the block suite, which writes all devices, with more options: what came of it.
sub block_suite
{
	my ($what, $words, @options) = @_;
	my $ran = run(['--mem', 64, '--append', "test=block $words", @options], '/bin/true');
	is($ran->{status}, 0, "$what: status 0") or diag($ran->{console});
	unlike($ran->{console}, qr/^not ok/m, "$what: all cases");
	return $ran->{console};
}

my $console = block_suite('devices of RAM', 'swap=ram:8 swap=ram:7');
like($console, qr/^# ram0$/m, 'the first was tested');
like($console, qr/^# ram1$/m, 'and the second');
my ($with) = $console =~ /^memory: (\d+) MiB of RAM/m;
my ($without) = block_suite('no device', '') =~ /^memory: (\d+) MiB of RAM/m;
is($without - $with, 15, 'their memory is no RAM');

$console = block_suite('sizes that there cannot be', 'swap=ram:x swap=ram: swap=ram:0 swap=ram:4000');
like($console, qr/^phoenix: swap=ram:$_: the size is not a number of MiB, 1 to 1048576$/m, "'$_' is no size") for 'x', '', '0';
like($console, qr/^memory: no room for a block device of 4000 MiB/m, 'more than there is');
unlike($console, qr/^# ram/m, 'and there is no device');
done_testing();
