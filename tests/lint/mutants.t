#!/usr/bin/perl
# Deliberate bugs fit the sources: the text that each replaces is in its file, once. Whether tests find them is `make mutants`'s business.
use strict;
use warnings;
use File::Temp;
use Test::More;

my $run = 'tests/mutants/run';

# What the check says of a list, and its status.
sub check
{
	my ($list) = @_;
	my $file = File::Temp->new;
	print $file $list;
	close $file;
	my $said = `$run --check $file 2>&1`;
	return ($? >> 8, $said);
}

my $said = `$run --check 2>&1`;
is($?, 0, 'the lists fit the sources') or diag($said);

for (
	['a bug',                   0, qr/^1 faults fit/,  "mutant: a\nfile: kern/vm/blob.c\nbug: none\n=old\nvoid blob_init(void)\n=new\n=end\n"],
	['a text that is not there', 2, qr/0 times/,       "mutant: a\nfile: kern/vm/blob.c\nbug: none\n=old\nvoid blob_finish(void)\n=new\n=end\n"],
	['a text that is there often', 2, qr/\d\d+ times/, "mutant: a\nfile: kern/vm/blob.c\nbug: none\n=old\n}\n=new\n=end\n"],
	['a file that is not there', 2, qr/0 times/,       "mutant: a\nfile: kern/vm/none.c\nbug: none\n=old\n}\n=new\n=end\n"],
	['no reason',               2, qr/has no bug/,     "mutant: a\nfile: kern/vm/blob.c\n=old\n}\n=new\n=end\n"],
	['a line of another kind',  2, qr/what is this/,   "mutants: a\n"],
) {
	my ($name, $status, $expected, $list) = @$_;
	my ($got, $answer) = check($list);
	is($got, $status, "$name: status $status");
	like($answer, $expected, "$name: what is said");
}
done_testing();
