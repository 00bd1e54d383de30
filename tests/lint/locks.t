#!/usr/bin/perl
# Lock marks: every field of a structure that has a legend says with a letter which lock guards it, every
# letter is in the legend, and the legend has no letter that is not used.
#
# A legend is a comment that contains "Locks:" just above a structure, or lines "(x) meaning" in the comment at the
# head of the file, which then goes for all structures of the file. A mark is "(x)" in a field's comment. Locks
# themselves (struct spinlock, struct rwlock, struct mutex) need no mark.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Sources;
use Test::More;

my $mark = qr/\(([a-z]{1,2}|-)\)/;

# The fields of a structure's body: [declaration, comment].
sub fields
{
	my ($body) = @_;
	my @fields;
	# A comment of its own belongs to the field after it.
	$body =~ s{^(\s*)/\*(.*?)\*/\s*\n(\s*[^/\s][^\n]*;)}{$1$3 /*$2*/\n}gms;
	while ($body =~ m{([^;{}]+);[ \t]*((?:/\*.*?\*/)?)}gs) {
		my ($declaration, $comment) = ($1, $2);
		$declaration =~ s{/\*.*?\*/}{}gs;
		$declaration =~ s/\s+/ /g;
		$declaration =~ s/^ | $//g;
		push @fields, [$declaration, $comment] if $declaration =~ /\w/;
	}
	return @fields;
}

# What is wrong with the marks of a file.
sub complaints
{
	my ($text) = @_;
	my @wrong;
	my ($head) = $text =~ m{\A(/\*.*?\*/)}s;
	my %file_legend = map { $_ => 0 } ($head // '') =~ /^ \*\s+$mark \S/mg;

	while ($text =~ m{(/\*(?:(?!\*/).)*\*/\n)?((?:#define[^\n]*\n)*)((?:static )?struct\s*(\w*)\s*\{\n(.*?)^\}[^\n]*;)}gms) {
		my ($comment, $name, $body) = ($1 // '', $4 || '(unnamed)', $5);
		my %legend;
		%legend = map { $_ => 0 } $1 =~ /$mark/g if $comment =~ /Locks:(.*)/s;
		my @fields = fields($body);
		my $marked = grep { $_->[1] =~ m{^/\*\s*$mark} } @fields;
		next unless %legend or $marked;
		push @wrong, "struct $name has marks, but there is no legend" unless %legend or %file_legend;
		for my $field (@fields) {
			my ($declaration, $said) = @$field;
			next if $declaration =~ /^struct (spinlock|rwlock|mutex) \w+$/ or $declaration =~ /^uint\d+_t spare/;
			my @letters = $said =~ /$mark/g;
			push @wrong, "struct $name: '$declaration' has no mark" unless @letters;
			for my $letter (@letters) {
				if (exists $legend{$letter}) {
					$legend{$letter}++;
				} elsif (exists $file_legend{$letter}) {
					$file_legend{$letter}++;
				} else {
					push @wrong, "struct $name: '$declaration' is marked ($letter), which no legend has";
				}
			}
		}
		push @wrong, map { "struct $name: no field is marked ($_)" } grep { !$legend{$_} } sort keys %legend;
	}
	push @wrong, map { "no field of the file is marked ($_)" } grep { !$file_legend{$_} } sort keys %file_legend;
	return @wrong;
}

my $structures = 0;
for my $file (sources(qr/\.[ch]$/, 'kern', 'include')) {
	my $text = contents($file);
	$structures += () = $text =~ /^(?:static )?struct\s*\w*\s*\{$/mg;
	is_deeply([complaints($text)], [], "$file: marks and legends agree");
}
cmp_ok($structures, '>', 20, 'there are structures to look at');

my $good = <<'END';
/* Locks: (l) the lock; (-) set once. */
struct s {
	struct spinlock lock;
	int a; /* (l) */
	char b[3]; /* (-) */
};
END
is_deeply([complaints($good)], [], 'good marks pass');
(my $bad = $good) =~ s/\(l\) \*/(q) */;
is_deeply([complaints($bad)],
	["struct s: 'int a' is marked (q), which no legend has", 'struct s: no field is marked (l)'],
	'a letter without a legend, and a legend without a letter, are found');
($bad = $good) =~ s{ /\* \(l\) \*/}{};
is_deeply([complaints($bad)], ["struct s: 'int a' has no mark", 'struct s: no field is marked (l)'],
	'a field without a mark is found');
($bad = $good) =~ s/^.*\n//;
is($#{[complaints($bad)]} + 1, 3, 'marks without any legend are found');
done_testing();
