#!/usr/bin/perl
# Calls of which one allocation fails, each in turn, on the debug build, which can make them fail: the program checks what calls answer and what is left behind
# (user/tests/fail_nth.c).
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Phoenix;
use Test::More;

sub passes
{
	my ($name, $options, @prefixes) = @_;
	subtest $name => sub {
		my $ran = run(['--kernel', Phoenix::built() . '/debug/phoenix.elf', @$options], program('fail_nth'), @prefixes);
		is($ran->{status}, 0, 'status') or diag($ran->{out}, $ran->{err}, $ran->{console});
		like($ran->{out}, qr/^fail_nth: [1-9]\d* calls, [1-9]\d* checks, 0 failed$/m, 'all calls do as their manual pages say');
		unlike($ran->{console}, qr/panic|leaked|killed/, 'nothing is left behind, and nobody was ended');
	};
}

passes('all calls', []);
passes('with pages in swap', ['--append', 'swap=ram:16'], 'paged');
passes('devices to page to', ['--append', 'swap=ram:8'], 'device');
done_testing();
