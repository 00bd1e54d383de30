#!/usr/bin/perl
# All C is formatted as .clang-format says.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Sources;
use Test::More;

# The files of a list that clang-format would change.
sub misformatted
{
	my @files = @_;
	my %wrong;
	open my $from, '-|', 'clang-format --dry-run -Werror ' . join(' ', map { quotemeta } @files) . ' 2>&1'
		or die "clang-format: $!";
	while (<$from>) {
		$wrong{$1}++ if /^(.*?):\d+:\d+: error:/;
	}
	close $from;
	return sort keys %wrong;
}

my @files = sources(qr/\.[ch]$/);
cmp_ok(scalar @files, '>', 50, 'there are files to look at');
is_deeply([misformatted(@files)], [], 'all are formatted (clang-format -i FILE puts them right)');

my $bad = scratch_file('bad.c', "int   main( void ){return 0 ;}\n");
is_deeply([misformatted($bad)], [$bad], 'the check can fail');
done_testing();
