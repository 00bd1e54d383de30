#!/usr/bin/perl
# No memory left: who is ended and what the console says of it, calls and ends that need no memory, and that the system goes on whatever there is to page to: much, one
# page, nothing. A system that hangs fails by its time-out. The programs check themselves; nothing may be left of them.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Phoenix;
use Test::More;

my $debug = Phoenix::built() . '/debug/phoenix.elf';

# Runs one test of the program; the console's text.
sub passes
{
	my ($name, $options, @words) = @_;
	my $ran;
	subtest $name => sub {
		$ran = run($options, program('shortage'), @words);
		is($ran->{status}, 0, 'status') or diag($ran->{out}, $ran->{err}, $ran->{console});
		like($ran->{out}, qr/^shortage: \d+ checks, 0 failed$/m, 'all its checks hold') or diag($ran->{out});
		unlike($ran->{console}, qr/panic|leaked/, 'nothing is left behind') or diag($ran->{console});
	};
	return $ran->{console};
}

# A disk of so many KiB.
sub disk
{
	my ($kib) = @_;
	my $path = write_file("disk$kib", '');
	truncate $path, $kib << 10 or die "$path: $!";
	# As a driver's description, so that it may be smaller than is of use.
	return ('--swap', qq(json:{"driver":"raw","file":{"driver":"file","filename":"$path"}}));
}

my $said = passes('who is ended', ['--mem', 64], 'rule');
like($said, qr/^phoenix: no memory for shortage\[5\]: of \d+ KiB \d+ are free, /m, 'the console says for whom there was none, and what there is');
my $row = qr/^phoenix: +(\d+) +(-?\d+) +(\d+) +(\d+) +(\d+)  shortage$/m;
my @rows = $said =~ /$row/g;
ok(@rows && @rows <= 2 * 8 * 5, 'and who has what, in a table of at most eight lines');
my @killed = $said =~ /^phoenix: shortage\[(\d+)\] killed: no memory for shortage\[5\]$/mg;
is("@killed", '3 5', 'and who is killed for whom');
passes('who is ended, debug build', ['--mem', 64, '--kernel', $debug], 'rule');
passes('who is ended, with swap', ['--mem', 64, '--append', 'swap=ram:16'], 'rule');

passes('ends without memory', ['--mem', 40], 'exit');
passes('ends without memory, debug build', ['--mem', 40, '--kernel', $debug], 'exit');
passes('calls push out what programs have', ['--mem', 40, disk(128 << 10)], 'calls');
passes('advice', ['--mem', 64, disk(128 << 10)], 'advice');
passes('all is locked without memory', ['--mem', 40, disk(8192)], 'lock');
passes('all is locked without memory, debug build', ['--mem', 40, '--kernel', $debug, disk(8192)], 'lock');

passes('nobody waits for who locks memory', ['--mem', 64, '--append', 'swap=ram:12,inject:delay=1'], 'busy');

for my $options (['no swap'], ['swap', disk(16 << 10)]) {
	my ($name, @more) = @$options;
	unlike(passes("promises are kept, $name", ['--mem', 64, '--append', 'vm.overcommit=2', @more], 'strict'), qr/killed/, 'nobody is ended');
}

my @places = (['no swap'], ['a swap that fills up', disk(8192)], ['a swap of one page', disk(8)]);
for my $place (@places) {
	my ($name, @options) = @$place;
	passes("goes on, $name: $_->[0]", ['--mem', $_->[1], @options], $_->[0]) for ['hold', 40], ['bomb', 40];
}
passes('nobody waits for long where all want more', ['--mem', 48, '--icount', '--append', 'swap=ram:8'], 'fair');
passes('a thousand processes, a swap that fills up', ['--mem', 160, disk(32 << 10)], 'processes');
passes('a thousand processes, no swap', ['--mem', 160], 'processes');
done_testing();
