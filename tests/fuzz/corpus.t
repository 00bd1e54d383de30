#!/usr/bin/perl
# The fuzz targets run once over each input of the committed corpus: what was found once stays mended, and the targets build.
use strict;
use warnings;
use File::Basename qw(basename);
use Test::More;

my $build = $ENV{BUILD} // 'build';
my @targets = sort map { basename($_) } glob 'tests/fuzz/corpus/*';

plan tests => scalar @targets;
for my $target (@targets) {
	my @inputs = glob "tests/fuzz/corpus/$target/*";
	# libFuzzer says so of each input.
	my $said = qx($build/fuzz/$target -timeout=120 @inputs 2>&1);
	my $executed = () = $said =~ /^Executed /mg;

	ok($? == 0 && @inputs > 0 && $executed == @inputs, "$target: all @{[scalar @inputs]} inputs of the corpus") or diag($said);
}
