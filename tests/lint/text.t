#!/usr/bin/perl
# Text: nothing left to do in comments, no paths of one machine, files and functions of bounded length, a
# comment at the head of every file, no stray spaces.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Sources;
use Test::More;

use constant {
	MAX_FILE_LINES     => 900,
	MAX_FAULT_LINES    => 500,
	MAX_FUNCTION_LINES => 100,
};

my $reminder = join '|', 'TO' . 'DO', 'FIX' . 'ME', 'XX' . 'X';
my $path     = join '|', map { "/$_/" } 'wo' . 'rk', 'ho' . 'me', 'ro' . 'ot';

# What is wrong with a text, by line.
sub complaints
{
	my ($text) = @_;
	my @wrong;
	my $line = 0;
	for (split /\n/, $text, -1) {
		$line++;
		push @wrong, "line $line: a reminder" if /\b(?:$reminder)\b/;
		push @wrong, "line $line: a path of one machine" if m{(?<![\w.\}])(?:$path)};
		push @wrong, "line $line: space at the end" if /[ \t]$/;
		push @wrong, "line $line: a carriage return" if /\r/;
	}
	push @wrong, 'no newline at the end' unless $text =~ /\n\z/;
	return @wrong;
}

# Functions of a C text that are too long.
sub long_functions
{
	my ($text) = @_;
	my ($start, @long);
	my $line = 0;
	my $previous = '';
	for (split /\n/, $text) {
		$line++;
		$start = $line if $_ eq '{';
		if ($_ eq '}' and defined $start) {
			push @long, "at line $start" if $line - $start > MAX_FUNCTION_LINES;
			undef $start;
		}
	}
	return @long;
}

for my $file (sources(qr/^[^.]*(?:\.(?:c|h|asm|inc|ld|t|pm|py|mk|md|tsv|cfg))?$/)) {
	my $text = contents($file);
	is_deeply([complaints($text)], [], "$file: clean text");
	my $lines = $text =~ tr/\n//;
	my $limit = $file eq 'kern/vm/fault.c' ? MAX_FAULT_LINES : MAX_FILE_LINES;
	cmp_ok($lines, '<=', $limit, "$file: at most $limit lines");
}
for my $file (sources(qr/\.[ch]$/)) {
	my $text = contents($file);
	like($text, qr{\A/\*\n \* \S}, "$file: begins with a comment");
	is_deeply([long_functions($text)], [], "$file: no function is too long");
}

is_deeply([complaints("good\n")], [], 'good text passes');
is_deeply([complaints('TO' . "DO later \nsee /wo" . 'rk/x')],
	['line 1: a reminder', 'line 1: space at the end', 'line 2: a path of one machine', 'no newline at the end'],
	'bad text is found');
is_deeply([long_functions("int f(void)\n{\n" . "\tg();\n" x 101 . "}\n")], ['at line 2'], 'a long function is found');
done_testing();
