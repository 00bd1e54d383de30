#!/usr/bin/perl
# The same stream of operations in the kernel as on the host: the results of all of them are the same, as their digest says.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Phoenix;
use Test::More;

my $operations = 4000;

# The digest that a run printed, or what it printed instead.
sub digest
{
	my ($text) = @_;
	return $text =~ /# stream: seed \d+, $operations operations, digest ([0-9a-f]{16})/ ? $1 : $text;
}

for my $seed (5, 1234) {
	my $host = Phoenix::built() . '/host/stream';
	my $on_host = digest(scalar `$host --seed $seed --ops $operations`);
	my $ran = run(['--mem', 256, '--append', "test=stream stream.seed=$seed stream.ops=$operations"],
		      '/bin/true');

	like($on_host, qr/^[0-9a-f]{16}$/, "seed $seed: the host's program does as the model says");
	is($ran->{status}, 0, "seed $seed: so does the kernel");
	is(digest($ran->{console}), $on_host, "seed $seed: with the same results");
}
done_testing();
